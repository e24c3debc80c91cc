# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Distributed routers: their namespaces on the hosts of those they serve.

What a host's routing table knows is inside. All else goes by rules that come after it: with a floating IP through the
namespace of floating IPs, else to what the router has on its network node. For the way back that part needs no help: it
has an address in each subnet.
"""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import fip, names, on_wire, router
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.veth import addresses_of, veth
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import HostView, RouterView
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import IPAddress

Item = dict[str, t.Any]

# The kernel looks up the main table at 32766.
FLOATING_PRIORITY, OWN_PRIORITY, CENTRAL_PRIORITY = 33000, 33500, 34000
FLOATING_TABLE, CENTRAL_TABLE = "16", "17"


def compile_namespace(view: HostView, item: RouterView) -> Item:
    """Return the namespace of a distributed router on a host."""
    found: Item = {
        "name": item.namespace,
        "links": [veth(view, *leg, addresses_of(*leg)) for leg in item.legs],
        "routes": router.route_items(item),
        "neighbours": router.neighbours(item),
        "rules": [],
        "sysctls": router.sysctls(item),
    }
    _add_floating_ips(view, item, found)
    for version, (device, address) in _ways_out(item).items():
        default = str(router.DEFAULT[version])
        found["routes"].append({"to": default, "via": str(address), "dev": device, "table": CENTRAL_TABLE})
        found["rules"].append({"priority": CENTRAL_PRIORITY, "table": CENTRAL_TABLE, "ip_version": version})
    return found


def _ways_out(item: RouterView) -> dict[int, tuple[str, IPAddress]]:
    """Return, for each IP version, one address of what the router has on its network node, and the leg to it."""
    found: dict[int, tuple[str, IPAddress]] = {}
    for leg in item.legs:
        centre = on_wire.centre(leg.network, leg.local.port)
        for address in centre.addresses if centre is not None else ():
            found.setdefault(address.version, (leg.device, address))
    return dict(sorted(found.items()))


def _add_floating_ips(view: HostView, item: RouterView, found: Item) -> None:
    """Add the way of those that have a floating IP on this host."""
    ends = fip.transit(item)
    gateway = item.router.external_gateway
    if ends is None or gateway is None:
        return
    inside, outside = ends
    network = view.topology.network(gateway.network)
    namespace = names.floating_ip_namespace(network.id)
    found["links"].append(fip.pair_end(item, inside, outside, namespace, network.mtu))
    found["neighbours"].append(fip.neighbour(inside, outside))
    found["sysctls"].update(fip.plain(inside.device))
    found["sysctls"][f"net.ipv6.conf.{inside.device}.disable_ipv6"] = "1"
    default = str(router.DEFAULT[4])
    found["routes"].append({"to": default, "via": str(outside.address), "dev": inside.device, "table": FLOATING_TABLE})
    found["rules"] += [
        {"priority": FLOATING_PRIORITY, "from": f"{floating_ip.fixed_address}/32", "table": FLOATING_TABLE}
        for floating_ip in item.floating_ips
    ]
    # What the router itself has to say outside is about what came in to a floating IP: a packet is too large, or nobody
    # is there. On the network node nobody would know what it is about.
    found["rules"].append({"priority": OWN_PRIORITY, "iif": "lo", "table": FLOATING_TABLE})
