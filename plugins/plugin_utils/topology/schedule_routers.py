# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement of routers, and the ports they have in their networks.

The lock holds a placement for as long as its hosts can have the router. A new one follows from rendezvous
hashing: whom it ranks first, two at least, may be the preferred primary, and that one becomes it who is so
for fewer others. So primaries spread evenly, and another network node moves nothing but what it takes over.
"""

from __future__ import annotations

from collections import Counter

from .lockfile import Lock
from .model import (
    HA_CIDR,
    HA_NETWORK,
    HA_SUBNET,
    ROUTER_GATEWAY_OWNER,
    ROUTER_HA_OWNER,
    ROUTER_INTERFACE_OWNER,
    Binding,
    FixedIp,
    Host,
    Network,
    Port,
    Router,
    Subnet,
    Topology,
)
from .pool import hashed, router_path
from .problems import Problems

# Of so many hosts the least loaded is taken: two choices are enough for an even spread, and more would move more.
_CHOICES = 2


def schedule_routers(topology: Topology, nodes: list[Host], lock: Lock, problems: Problems) -> None:
    """Place every router and add its ports."""
    placement = _Placement(topology, nodes, lock, problems)
    placement.place(list(topology.routers()))
    for router in topology.routers():
        if router.nodes:
            _add_ports(topology, router, lock)


def wanted_nodes(router: Router) -> int:
    """Return on how many network nodes a router shall be."""
    return router.network_nodes if router.ha else 1


class _Placement:
    """Which routers are where, and who is the preferred primary of how many."""

    def __init__(self, topology: Topology, nodes: list[Host], lock: Lock, problems: Problems) -> None:
        self._topology = topology
        self._nodes = nodes
        self._lock = lock
        self._problems = problems
        self._primaries: Counter[str] = Counter()

    def place(self, routers: list[Router]) -> None:
        """Keep what is pinned or locked, and choose for the others in an order that never changes."""
        waiting: list[tuple[str, Router, list[str], list[str]]] = []
        for router in routers:
            if router.hosts:
                self._settle(router, list(router.hosts))
                continue
            path, wanted = router_path(router.key), wanted_nodes(router)
            usable = self._usable(router)
            if len(usable) < wanted:
                self._refuse(router, wanted, len(usable))
                continue
            held = [name for name in self._held(path) if name in usable][:wanted]
            if len(held) == wanted:
                self._settle(router, held)
            else:
                waiting.append((path, router, held, [name for name in usable if name not in held]))
        for path, router, held, others in sorted(waiting, key=lambda row: row[0]):
            self._settle(router, self._choose(path, wanted_nodes(router), held, others))

    def _settle(self, router: Router, nodes: list[str]) -> None:
        router.nodes = tuple(nodes)
        self._primaries[nodes[0]] += 1

    def _usable(self, router: Router) -> list[str]:
        """Return the network nodes that reach all networks of a router, and other nodes where it needs them."""
        networks = [self._topology.network(key) for key in router_networks(router)]
        return [
            node.name
            for node in self._nodes
            if all(node.reaches(network) for network in networks) and (node.underlay is not None or not router.ha)
        ]

    def _held(self, path: str) -> list[str]:
        """Return where the lock has a router, the preferred primary first."""
        hosts = self._lock.get(path).get("hosts")
        if hosts is None:
            return []
        if isinstance(hosts, list) and all(isinstance(host, str) for host in hosts):
            return list(dict.fromkeys(hosts))
        remedy = "delete the line and write the lock anew"
        self._problems.add(self._lock.where(path), "hosts must be a list of names", remedy)
        return []

    def _choose(self, path: str, wanted: int, held: list[str], others: list[str]) -> list[str]:
        ranked = sorted(others, key=lambda name: hashed("router", path, name))
        if held:
            return [*held, *ranked][:wanted]
        # Of equals min() takes the first, which is the one that hashing ranks first.
        preferred = min(ranked[: max(wanted, _CHOICES)], key=self._primaries.__getitem__)
        return [preferred, *(name for name in ranked if name != preferred)][:wanted]

    def _refuse(self, router: Router, wanted: int, usable: int) -> None:
        what = f"ha on {wanted} network nodes" if router.ha else "a network node"
        self._problems.add(
            router.where,
            f"needs {what}, and network nodes that reach all its networks: {usable}",
            "give more hosts the role network_node (and the physical networks and underlay it needs)"
            + (", lower network_nodes, or set ha: false" if router.ha else ""),
        )


def router_networks(router: Router) -> list[tuple[str, str]]:
    """Return the networks a router is in, each once, the external one last."""
    keys = [interface.network for interface in router.interfaces]
    if router.external_gateway is not None:
        keys.append(router.external_gateway.network)
    return list(dict.fromkeys(keys))


def _add_ports(topology: Topology, router: Router, lock: Lock) -> None:
    legs: dict[tuple[str, str], list[FixedIp]] = {}
    for interface in router.interfaces:
        fixed = FixedIp(interface.subnet, interface.address, pinned=True)
        legs.setdefault(interface.network, []).append(fixed)
    for key, fixed_ips in legs.items():
        name = f"router:{router.project}:{router.name}:{key[0]}:{key[1]}"
        _add(topology, router, topology.network(key), name, ROUTER_INTERFACE_OWNER, fixed_ips)
    if router.external_gateway is not None:
        gateway = router.external_gateway
        network = topology.network(gateway.network)
        if not gateway.fixed_ips_given:
            gateway.fixed_ips = _gateway_addresses(network, router, lock)
        name = f"gateway:{router.project}:{router.name}"
        _add(topology, router, network, name, ROUTER_GATEWAY_OWNER, gateway.fixed_ips)
    if router.ha:
        _add_ha_ports(topology, router)


def _add(topology: Topology, router: Router, network: Network, name: str, owner: str, fixed_ips: list[FixedIp]) -> None:
    """Add a leg on every node. Its ports share the list of addresses: what one is given, all have."""
    prefix = "qg" if owner == ROUTER_GATEWAY_OWNER else "qr"
    ports = topology.router_ports.setdefault(network.key, [])
    ports.extend(_port(router, network, name, owner, prefix, fixed_ips, host) for host in router.nodes)


def _add_ha_ports(topology: Topology, router: Router) -> None:
    """Add the ports through which a router's nodes hear each other."""
    network = topology.projects[router.project].networks.get(HA_NETWORK)
    if network is None:
        network = _ha_network(topology, router)
        topology.projects[router.project].networks[HA_NETWORK] = network
    ports = topology.router_ports.setdefault(network.key, [])
    for host in router.nodes:
        name = f"ha:{router.name}:{host}"
        ports.append(_port(router, network, name, ROUTER_HA_OWNER, "ha", [FixedIp(HA_SUBNET)], host))


def _ha_network(topology: Topology, router: Router) -> Network:
    network = Network(HA_NETWORK, router.project, router.where, type=topology.tunnel_type, dhcp_servers=0)
    network.subnets[HA_SUBNET] = Subnet(HA_SUBNET, router.where, HA_CIDR, enable_dhcp=False)
    return network


def _port(
    router: Router, network: Network, name: str, owner: str, prefix: str, fixed_ips: list[FixedIp], host: str
) -> Port:
    port = Port(
        name=name,
        project=network.project,
        network=network.name,
        where=router.where,
        host=host,
        fixed_ips=fixed_ips,
        fixed_ips_given=True,
        device_owner=owner,
        router=router.key,
    )
    port.binding = Binding(kind="veth", namespace=f"qrouter-{router.id}", interface=f"{prefix}-{port.id[:11]}")
    return port


def _gateway_addresses(network: Network, router: Router, lock: Lock) -> list[FixedIp]:
    """Return where a gateway has addresses when the file does not say: in one subnet of each IP version.

    A subnet where it has an address stays: one that is added beside it changes nothing.
    """
    locked = lock.get(f"{router_path(router.key)}/gateway").get("addresses")
    held = locked if isinstance(locked, dict) else {}
    chosen: dict[int, str] = {}
    for subnet in sorted(network.subnets.values(), key=lambda subnet: subnet.name not in held):
        chosen.setdefault(subnet.ip_version, subnet.name)
    return [FixedIp(name) for _version, name in sorted(chosen.items())]
