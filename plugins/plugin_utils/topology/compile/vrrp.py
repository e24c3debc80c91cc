# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Highly available routers: the arguments of vrrp_routers.

Whoever is primary holds all addresses and routes of a router, whoever stands by holds none: keepalived puts them in and
takes them out. Only one address is told to the peers; it never changes, and whoever has it is primary.
"""

from __future__ import annotations

import typing as t
from ipaddress import IPv4Address

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import router as routing
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.template import render
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import HostView, Leg, RouterView
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.eui64 import link_local
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.pool import hashed

KEEPALIVED, CONNTRACKD = "keepalived.conf.j2", "conntrackd.conf.j2"

# A node that hears nothing for three of these and a bit takes over.
ADVERT_INTERVAL = 0.1

# How much worse a node is whose uplink is down: worse than any other, but it keeps the role when all are as bad.
_UPLINK_WEIGHT = -50
# A node that is cut off from the machines it serves is of no use to anybody, and could not hear who took over.
_UNDERLAY_WEIGHT = -254

_IDS = 254
# Seconds for each place behind the preferred node: what it may take longer to start dozens of routers on one host than
# on another.
_STARTUP_DELAY = 4
_GROUPS = int(IPv4Address("239.192.0.0"))

Item = dict[str, t.Any]


def compile_vrrp(view: HostView, templates: t.Mapping[str, str]) -> Item:
    """Return the arguments of vrrp_routers."""
    routers, health = [], {}
    # In this order they are started. A lead in the first election is worth nothing to who starts when the others, where
    # there are many, have long had theirs.
    for router in sorted(view.routers, key=lambda router: _place(view, router)):
        if router.ha is None:
            # Until it was converted it may have been one: then it keeps the addresses that namespaces has given it.
            routers.append({"name": router.router.id, "state": "absent", "keep_addresses": True})
            continue
        checks = {check["name"]: check for check in _health(view, router)}
        routers.append(_router(view, router, router.ha, templates, list(checks)))
        health.update(checks)
    named = {router["name"] for router in routers}
    # What routes on this host may have been an HA router until it was converted, too.
    gone = [router.router.id for router in view.distributed_routers if router.router.id not in named]
    routers += [{"name": name, "state": "absent", "keep_addresses": True} for name in gone]
    return {"routers": routers, "health": [health[name] for name in sorted(health)]}


def _place(view: HostView, router: RouterView) -> int:
    """Return how many nodes are preferred to this one for a router's role."""
    return 0 if router.ha is None else router.router.nodes.index(view.host.name)


def _router(view: HostView, router: RouterView, ha: Leg, templates: t.Mapping[str, str], health: list[str]) -> Item:
    variables = _variables(view, router, ha, health)
    return {
        "name": router.router.id,
        "namespace": router.namespace,
        "config": render(KEEPALIVED, templates.get(KEEPALIVED), **variables),
        "conntrackd": render(CONNTRACKD, templates.get(CONNTRACKD), **variables),
        "peers": variables["peers"],
        "interface": ha.device,
        "forwarding": ["all"],
    }


def _health(view: HostView, router: RouterView) -> t.Iterator[Item]:
    """Yield what a node is judged by: its links to the physical networks of the router, and to the other hosts."""
    for leg in router.all_legs:
        attachment = leg.network.provider
        if attachment is not None and attachment.interface is not None:
            name = f"uplink-{attachment.physical_network}"
            yield {"name": name, "device": attachment.interface, "weight": _UPLINK_WEIGHT}
    underlay = view.host.underlay
    if underlay is not None and underlay.interface is not None:
        yield {"name": "underlay", "device": underlay.interface, "weight": _UNDERLAY_WEIGHT}


def _variables(view: HostView, router: RouterView, ha: Leg, health: list[str]) -> Item:
    """Return what the templates may use."""
    peers = routing.peers(router, ha)
    return {
        "router": "/".join(router.router.key),
        "name": router.router.id,
        "interface": ha.device,
        "vrid": 1 + hashed("vrid", router.router.id) % _IDS,
        "source": str(ha.local.port.addresses[0]),
        "peers": [str(peer.addresses[0]) for peer in peers],
        "group": str(IPv4Address(_GROUPS + hashed("group", router.router.id) % (1 << 16))),
        "startup_delay": _STARTUP_DELAY * _place(view, router),
        "advert_interval": ADVERT_INTERVAL,
        "health": health,
        "addresses": [address for leg in router.all_legs for address in _addresses(router, leg)],
        "routes": [_route(str(to), hops) for to, hops in routing.routes(router).items()],
    }


def _addresses(router: RouterView, leg: Leg) -> t.Iterator[Item]:
    given = routing.addresses(router, leg)
    if any(":" in address for address in given):
        # Neighbours know the router by it, so it comes and goes with the role like all others.
        yield {"address": f"{link_local(leg.local.port.mac_address)}/64", "device": leg.device}
    for address in given:
        yield {"address": address, "device": leg.device}


def _route(to: str, hops: list[routing.Hop]) -> Item:
    parts = [{"via": str(hop.via) if hop.via else None, "device": hop.device} for hop in hops]
    return {"to": to, **parts[0]} if len(parts) == 1 else {"to": to, "nexthops": parts}
