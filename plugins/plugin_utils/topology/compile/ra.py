# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Router advertisements: the arguments of router_advertisements.

A leg advertises the subnets whose gateway it is: beside another router it keeps quiet.
"""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import dhcp_options
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.template import render
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import HostView, Leg, RouterView
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Subnet

TEMPLATE = "radvd.conf.j2"

Item = dict[str, t.Any]


def compile_advertisements(view: HostView, templates: t.Mapping[str, str]) -> Item:
    """Return the arguments of router_advertisements."""
    return {"routers": [_router(router, templates.get(TEMPLATE)) for router in advertisers(view)]}


def advertisers(view: HostView) -> list[RouterView]:
    """Return the routers of this host that have something to advertise."""
    return [router for router in (*view.routers, *view.distributed_routers) if advertises(router)]


def advertises(router: RouterView) -> bool:
    """Tell whether a router has something to advertise."""
    return any(_subnets(leg) for leg in router.legs)


def _router(router: RouterView, template: str | None) -> Item:
    interfaces = [_interface(leg) for leg in router.legs if _subnets(leg)]
    name = "/".join(router.router.key)
    return {
        "name": router.router.id,
        "namespace": router.namespace,
        "config": render(TEMPLATE, template, router=name, interfaces=interfaces),
        # Of an HA router only the primary advertises: keepalived starts and stops it.
        "start": router.ha is None,
    }


def _subnets(leg: Leg) -> list[Subnet]:
    subnets = leg.network.network.subnets
    own = [subnets[ip.subnet] for ip in leg.local.port.fixed_ips if ip.address == subnets[ip.subnet].gateway_ip]
    return [subnet for subnet in own if subnet.ipv6_mode is not None]


def _interface(leg: Leg) -> Item:
    subnets = _subnets(leg)
    modes = {subnet.ipv6_mode for subnet in subnets}
    servers = [str(server) for subnet in subnets for server in dhcp_options.name_servers(leg.network, subnet)]
    return {
        "name": leg.device,
        "mtu": leg.network.network.mtu,
        "managed": "dhcpv6-stateful" in modes,
        "other": bool(modes & {"dhcpv6-stateful", "dhcpv6-stateless"}),
        "prefixes": [
            {"prefix": str(subnet.cidr), "autonomous": subnet.ipv6_mode != "dhcpv6-stateful"} for subnet in subnets
        ],
        "name_servers": list(dict.fromkeys(servers)),
        "domain": dhcp_options.domain(leg.network),
    }
