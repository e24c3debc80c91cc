# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator's verb is about: routers, the hosts they are on, and ways to measure through them.

All names are looked up here, before any host is touched.
"""

from __future__ import annotations

import typing as t
from collections.abc import Collection
from dataclasses import dataclass, field

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.names import dhcp_namespace, far_end_name
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    DHCP_OWNER,
    ROUTER_GATEWAY_OWNER,
    ROUTER_INTERFACE_OWNER,
    ROUTER_SNAT_OWNER,
    Network,
    Port,
    Router,
    Topology,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import near_miss, shown

# Ways from so many ports are offered for a router: the first on which anybody answers is taken.
_WAYS_MAX = 3
_TARGETS_MAX = 4

# What moves of a distributed router is not the legs that the machines know.
_INSIDE = (ROUTER_INTERFACE_OWNER, ROUTER_SNAT_OWNER)

# (ha, distributed)
_KINDS = {
    (False, False): "centralised",
    (True, False): "HA",
    (False, True): "distributed",
    (True, True): "HA, distributed",
}

Item = dict[str, t.Any]


class ScopeError(Exception):
    """A name that the topology does not know, or a verb that its router can't be asked for."""


@dataclass(slots=True)
class Scope:
    """Routers, in the order of the topology, and what a verb is told about where to."""

    routers: list[Router]
    host: str | None = None
    to: str | None = None
    hosts: list[str] = field(default_factory=list)
    # Of distributed routers: the hosts that route for their own ports. A verb that moves roles has no need of them.
    with_parts: bool = False

    def described(self) -> list[Item]:
        return [describe(router, router.places if self.with_parts else ()) for router in self.routers]


def describe(router: Router, parts: t.Iterable[str] = ()) -> Item:
    """Return a router in the words that plans and reports are made from."""
    return {
        "name": "/".join(router.key),
        "id": router.id,
        "kind": _KINDS[router.ha, router.distributed],
        "ha": router.ha,
        "nodes": list(router.nodes),
        "parts": list(parts),
    }


def find(
    topology: Topology,
    routers: Collection[str] = (),
    host: str | None = None,
    to: str | None = None,
    needs_choice: bool = False,
    needs_host: bool = False,
    with_parts: bool = False,
) -> Scope:
    """Return what a verb is about: the routers that are named, those on a host, or all.

    needs_choice: the verb is never about all routers; needs_host: it is about a host; with_parts: it is also about what
    distributed routers have on the hosts of their ports.
    """
    if needs_host and not host:
        raise ScopeError("which host? Say -e host=HOST")
    if needs_choice and bool(routers) == bool(host):
        raise ScopeError("which router? Say either -e router=PROJECT/ROUTER or -e host=HOST")
    if host is not None:
        _check_host(topology, host, with_parts)
    if to is not None:
        _check_host(topology, to)
    found = [_router(topology, name) for name in dict.fromkeys(routers)] or list(topology.routers())
    if host is not None:
        found = [router for router in found if host in _hosts(router, with_parts)]
    if needs_choice and routers:
        _check_movable(found, to)
    hosts = {name for router in found for name in _hosts(router, with_parts)}
    hosts |= {host} if needs_host and host else set()
    return Scope(found, host, to, sorted(hosts), with_parts)


def _hosts(router: Router, with_parts: bool) -> tuple[str, ...]:
    return (*router.nodes, *router.places) if with_parts else router.nodes


def _router(topology: Topology, name: str) -> Router:
    project, _slash, router = name.partition("/")
    if project in topology.projects and router in topology.projects[project].routers:
        return topology.projects[project].routers[router]
    known = ["/".join(candidate.key) for candidate in topology.routers()]
    # Only one project may have a router of that name.
    same = [candidate for candidate in known if candidate.partition("/")[2] == (router or name)]
    guess = same[0] if len(same) == 1 else near_miss(name, known)
    raise ScopeError(f"there is no router {shown(name)}{_hint(guess, known)}")


def _check_host(topology: Topology, name: str, with_parts: bool = False) -> None:
    if name not in topology.hosts:
        nodes = [host.name for host in topology.hosts.values() if "network_node" in host.roles]
        raise ScopeError(
            f"there is no host {shown(name)}{_hint(near_miss(name, nodes or list(topology.hosts)), nodes)}"
        )
    has_one = any(name in _hosts(router, with_parts) for router in topology.routers())
    if "network_node" not in topology.hosts[name].roles and not has_one:
        raise ScopeError(f"host {name} is no network node, so no router has its role there")


def _hint(guess: str | None, known: Collection[str]) -> str:
    if guess:
        return f": did you mean {guess}?"
    return f": there are {', '.join(list(known)[:10])}" if known else ": the topology has none"


def _check_movable(routers: t.Iterable[Router], to: str | None) -> None:
    for router in routers:
        name = "/".join(router.key)
        if not router.ha:
            raise ScopeError(
                f"router {name} is not HA and has no standby: set ha: true, or move it with hosts: [HOST], and run"
                " weft.fabric.site"
            )
        if not router.nodes:
            raise ScopeError(f"router {name} is distributed and leads nowhere outside: it has no role that could move")
        if to is not None and to not in router.nodes:
            raise ScopeError(f"router {name} is not on {to}: its nodes are {', '.join(router.nodes)}")


# ways to measure


def ways(topology: Topology, routers: t.Iterable[Router]) -> dict[str, list[Item]]:
    """Return, by host, from where each router can be measured. A router has its ways on one host only."""
    ports = _ports_of(topology)
    found: dict[str, list[Item]] = {}
    for router in routers:
        for host, way in _ways(topology, router, ports.get(router.key, [])):
            found.setdefault(host, []).append(way)
    return found


def _ports_of(topology: Topology) -> dict[tuple[str, str], list[Port]]:
    """Return the legs of each router, on its preferred node: the others are their like."""
    found: dict[tuple[str, str], list[Port]] = {}
    for ports in topology.router_ports.values():
        for port in ports:
            if port.router is not None and port.host in topology.router(port.router).nodes[:1]:
                found.setdefault(port.router, []).append(port)
    return found


def _ways(topology: Topology, router: Router, legs: list[Port]) -> list[tuple[str, Item]]:
    """Return (host, way) for the best host there is.

    Best is one that has no part in the move: neither the old nor the new primary can then flatter the result.
    """
    inside = [leg for leg in legs if leg.device_owner in _INSIDE]
    sources = [
        (port, leg) for leg in inside for port in _sources(topology, topology.network((leg.project, leg.network)))
    ]
    if not sources:
        return []
    ranked = sorted(sources, key=lambda pair: (pair[0].host in router.nodes, pair[0].device_owner != DHCP_OWNER))
    host = str(ranked[0][0].host)
    chosen = [(port, leg) for port, leg in ranked if port.host == host][:_WAYS_MAX]
    return [(host, _way(topology, router, port, leg, legs)) for port, leg in chosen]


def _sources(topology: Topology, network: Network) -> t.Iterator[Port]:
    """Yield ports that are in a namespace of the collection and have an IPv4 address."""
    for port in topology.ports_by_network[network.key]:
        in_namespace = port.binding.kind == "veth" and port.binding.namespace is not None
        own = port.device_owner == DHCP_OWNER or (not port.device_owner and in_namespace)
        if own and port.host is not None and _ipv4(port) is not None:
            yield port


def _way(topology: Topology, router: Router, port: Port, leg: Port, legs: list[Port]) -> Item:
    network = topology.network((leg.project, leg.network))
    namespace = dhcp_namespace(network.id) if port.device_owner == DHCP_OWNER else port.binding.namespace
    return {
        "router": "/".join(router.key),
        "namespace": namespace,
        "interface": far_end_name(port, port.id),
        "source": _ipv4(port),
        "mac": leg.mac_address,
        "targets": list(_targets(topology, router, leg, legs))[:_TARGETS_MAX],
    }


def _targets(topology: Topology, router: Router, leg: Port, legs: list[Port]) -> t.Iterator[Item]:
    """Yield who may answer, the farthest first: what is outside, then other networks, then the router itself."""
    for other in legs:
        network = topology.network((other.project, other.network))
        if other.device_owner == ROUTER_GATEWAY_OWNER:
            for fixed in other.fixed_ips:
                gateway = network.subnets[fixed.subnet].gateway_ip
                if gateway is not None and gateway.version == 4:
                    yield {"address": str(gateway), "what": f"gateway of {'/'.join(network.key)}, through the router"}
    for other in legs:
        if other is leg or other.device_owner != ROUTER_INTERFACE_OWNER:
            continue  # of a distributed router, whoever is inside answers past the node that is measured
        for port in topology.dhcp_ports.get((other.project, other.network), []):
            address = _ipv4(port)
            if address is not None:
                yield {
                    "address": address,
                    "what": f"DHCP server of {other.project}/{other.network}, through the router",
                }
    address = _ipv4(leg)
    if address is not None:
        yield {"address": address, "what": "the router itself"}


def _ipv4(port: Port) -> str | None:
    return next((str(address) for address in port.addresses if address.version == 4), None)
