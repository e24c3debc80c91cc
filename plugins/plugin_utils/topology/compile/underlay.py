# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tunnel end point of a host with the userspace datapath.

There, Open vSwitch encapsulates by itself and sends through a bridge that holds the address: the underlay interface
is plugged into that bridge and the address moves over. With the kernel's datapath nothing needs to be done, and
addresses and interfaces stay whose they are.
"""

from __future__ import annotations

from ipaddress import ip_interface

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import names
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.ovs_items import Item, bridge, device
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import HostView, vtep
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Host, Underlay, resource_id


def compile_release(view: HostView) -> dict[str, list[Item]]:
    """Return what gives the interface its addresses back, once the underlay bridge is gone: arguments of namespaces."""
    links: list[Item] = []
    moved = _moved(view)
    if moved is not None:
        links.append({"name": moved.interface, "kind": "existing", "addresses": _addresses(moved), "host_stack": True})
    links += _provider_links(view, in_use=frozenset())
    return {"namespaces": [{"links": links}] if links else []}


def plugged(view: HostView) -> dict[str, bool]:
    """Return what a link that is plugged into a bridge needs.

    The userspace datapath reads a copy of what comes in: the kernel goes on listening, would answer tenants for the
    host's addresses and take router advertisements from them.
    """
    return {"host_stack": False} if view.host.datapath_type == "netdev" else {}


def _provider_links(view: HostView, in_use: frozenset[str]) -> list[Item]:
    """Return the interfaces that lead to physical networks, those in use shut off from the host's own stack."""
    if view.host.datapath_type != "netdev":
        return []
    attachments = view.host.physical_networks.values()
    return [
        {"name": attachment.interface, "kind": "existing", "host_stack": attachment.bridge not in in_use}
        for attachment in attachments
        if attachment.interface is not None
    ]


def compile_bridges(view: HostView) -> list[Item]:
    """Return the underlay bridge, if this host has one."""
    underlay = _moved(view)
    if underlay is None:
        return []
    name = _bridge_name(underlay)
    ports = [device(underlay.interface or "", f"hosts/{view.host.name}")]
    # The one bridge that has to work without flows: this host may be managed through it.
    item = bridge(name, "netdev", ports, fail_mode="standalone")
    item["other_config"]["hwaddr"] = _mac(view.host)
    return [item]


def _mac(host: Host) -> str:
    """Return a MAC for the tunnel end point, always the same one.

    Left alone, the bridge takes a new one at every boot, and the other hosts' Open vSwitch goes on sending to the old
    one for up to 15 minutes. The first byte makes it one that no vendor gives out.
    """
    digest = resource_id("hosts", host.name).replace("-", "")
    return ":".join(["02", *(digest[i : i + 2] for i in range(0, 10, 2))])


def compile_namespace(view: HostView) -> Item | None:
    """Return what the host's own namespace must hold for the underlay, or None.

    Only the tunnel end point moves, in one step; takes_addresses_from refuses to go on when the interface has any other
    address or the default route, so that a host is not cut off from who manages it.
    """
    links: list[Item] = []
    underlay = view.host.underlay
    interface = underlay.interface if underlay is not None else None
    moved = _moved(view)
    if moved is not None:
        interface = _bridge_name(moved)
        links = [
            {
                "name": interface,
                "kind": "existing",
                # No MTU: the bridge has its interface's, which requirements_info has compared with the topology.
                "addresses": _addresses(moved),
                "takes_addresses_from": moved.interface,
                "resource": f"hosts/{view.host.name}",
            },
            {"name": moved.interface, "kind": "existing", **plugged(view)},
        ]
    links += _provider_links(view, frozenset(view.providers))
    device = {"dev": interface} if interface else {}
    given = underlay.routes if underlay is not None else ()
    routes = [{"to": str(to), "via": str(via), **device} for to, via in given]
    return {"links": links, "routes": routes} if links or routes else None


def compile_tunnel_routes(view: HostView) -> dict[str, list[Item]]:
    """Return how userspace tunnels reach the other hosts: arguments of ovs_tunnel_routes."""
    moved = _moved(view)
    if moved is None or not view.tunnel_networks:
        return {"routes": [], "neighbours": []}
    route = {"bridge": _bridge_name(moved), "source": str(moved.address)}
    routes: list[Item] = []
    if moved.prefix_length is not None:
        routes.append({"to": str(ip_interface(f"{moved.address}/{moved.prefix_length}").network), **route})
    routes += [{"to": str(to), "via": str(via), **route} for to, via in moved.routes]
    return {"routes": routes, "neighbours": _neighbours(view, moved)}


def _neighbours(view: HostView, moved: Underlay) -> list[Item]:
    """Return the other hosts on the underlay's link, with the MACs of those that have an underlay bridge."""
    if moved.prefix_length is None:
        return []
    link = ip_interface(f"{moved.address}/{moved.prefix_length}").network
    found: list[Item] = []
    for host in {host.name: host for _type, host in view.peers}.values():
        if vtep(host) in link:
            mac = {"mac": _mac(host)} if _moved_underlay(host) is not None else {}
            found.append({"bridge": _bridge_name(moved), "address": str(vtep(host)), **mac})
    return sorted(found, key=lambda neighbour: neighbour["address"])


def tunnel_source(view: HostView) -> dict[str, str]:
    """Return the option of a tunnel that names this host's end of it, where it has to.

    The userspace datapath takes the address from the route. Named here, it would need the kernel's own route to the
    address as well, and that goes and comes with every device of the host.
    """
    address = vtep(view.host)
    return {} if _moved(view) is not None else {"local_ip": str(address)}


def _moved(view: HostView) -> Underlay | None:
    """Return the underlay of this host when its tunnel end point sits on a bridge of ours."""
    return _moved_underlay(view.host)


def _moved_underlay(host: Host) -> Underlay | None:
    underlay = host.underlay
    wanted = underlay is not None and underlay.interface is not None and host.datapath_type == "netdev"
    return underlay if wanted else None


def _bridge_name(underlay: Underlay) -> str:
    return underlay.bridge or names.UNDERLAY_BRIDGE


def _addresses(underlay: Underlay) -> list[str]:
    given = [(underlay.address, underlay.prefix_length), *underlay.other_addresses]
    return [f"{address}/{address.max_prefixlen if length is None else length}" for address, length in given]
