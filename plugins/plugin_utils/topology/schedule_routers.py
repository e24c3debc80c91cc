# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement of routers on network nodes. Where a distributed one routes is told by schedule_distributed.py.

The lock holds a placement for as long as its hosts can have the router. A new one follows from rendezvous
hashing: whom it ranks first, two at least, may be the preferred primary, and that one becomes it who is so
for fewer others. So primaries spread evenly, and another network node moves nothing but what it takes over.
"""

from __future__ import annotations

from collections import Counter

from .lockfile import Lock
from .model import Host, Router, Topology
from .pool import hashed, router_path
from .problems import Problems
from .router_ports import add_ports
from .schedule_distributed import schedule_distributed

# Of so many hosts the least loaded is taken: two choices are enough for an even spread, and more would move more.
_CHOICES = 2


def schedule_routers(topology: Topology, nodes: list[Host], lock: Lock, problems: Problems) -> None:
    """Place every router and add its ports."""
    placement = _Placement(topology, nodes, lock, problems)
    placement.place([router for router in topology.routers() if _is_centralised(router)])
    for router in topology.routers():
        if router.nodes:
            add_ports(topology, router, lock)
    schedule_distributed(topology, problems)


def _is_centralised(router: Router) -> bool:
    """Tell whether anything of a router is on a network node: of a distributed one what leads out of the fabric."""
    return not router.distributed or router.external_gateway is not None


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
