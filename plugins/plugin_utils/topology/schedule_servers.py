# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement of servers on nodes.

A server that names its node has it. One that the lock has on a node stays there, for as long as the file lasts: to move
it means to write another disk, so only a person does that. For the others the nodes that fit best are tried first, and
of equals the one that rendezvous hashing ranks first; whoever is placed in the same run gives way where everybody can
have a node only so.
"""

from __future__ import annotations

from collections import deque

from .lockfile import Lock
from .model import Topology, Where
from .model_bare_metal import Server
from .node_fit import misfit, plug_plan, surplus
from .pool import hashed, server_path
from .problems import Problems
from .server_ports import add_node_ports, plug_in

_MAX_REASONS = 8

Holders = dict[str, tuple[Server, Where]]  # of each node: whose it is, and where that is said


def schedule_servers(topology: Topology, lock: Lock, problems: Problems) -> None:
    """Give every server a node, plug its ports in there, and add the ports that all nodes have."""
    placement = _Placement(topology, lock, problems)
    placement.place(sorted(topology.servers(), key=server_path))
    for server in topology.servers():
        plug_in(topology, server)
    if topology.bare_metal is not None:
        add_node_ports(topology, topology.bare_metal)


class _Placement:
    """Which server has which node."""

    def __init__(self, topology: Topology, lock: Lock, problems: Problems) -> None:
        self._topology = topology
        self._lock = lock
        self._problems = problems
        self._holders: Holders = {}

    def place(self, servers: list[Server]) -> None:
        """Keep what is pinned or locked, and choose for the others in an order that never changes."""
        for server in servers:
            if server.node is not None:
                self._pin(server, server.node)
        waiting = [server for server in servers if server.node is None and not self._keep(server)]
        self._choose(waiting)

    def _settle(self, server: Server, node: str, where: Where) -> None:
        plan = plug_plan(self._topology, server, self._topology.nodes[node])
        if not isinstance(plan, str):
            server.placed_on, server.links = node, plan
        self._holders[node] = (server, where)

    def _pin(self, server: Server, node: str) -> None:
        where = Where(server.where.file, server.where.line, f"{server.where.path}.node")
        reason = misfit(self._topology, server, self._topology.nodes[node])
        if reason is not None:
            remedy = "name another node, or correct what the file says of this one"
            self._problems.add(where, f"node {node} can't be this server: {reason}", remedy)
        self._settle(server, node, where)

    def _keep(self, server: Server) -> bool:
        """Take the node that stands in the lock; False: one must be chosen."""
        path = server_path(server)
        node = self._lock.get(path).get("node")
        if node is None:
            return False
        where = self._lock.where(path)
        again = "delete the line and write the lock anew: the server is then deployed on another node"
        if node not in self._topology.nodes:
            self._problems.add(where, f"there is no node {node!r} any more", again)
            return True
        if node in self._holders:
            other, first = self._holders[node]
            message = f"node {node} is also held by {server_path(other)} ({first.file}:{first.line})"
            self._problems.add(where, message, f"pin another node, or {again}")
            return True
        reason = misfit(self._topology, server, self._topology.nodes[node])
        if reason is not None:
            remedy = f"correct what the file says of node, flavor or networks, or {again}"
            self._problems.add(where, f"node {node} can't be this server any more: {reason}", remedy)
        self._settle(server, node, where)
        return True

    def _choose(self, waiting: list[Server]) -> None:
        servers = {server_path(server): server for server in waiting}
        reasons = {path: self._reasons(server) for path, server in servers.items()}
        found = match({path: self._wishes(path, server, reasons[path]) for path, server in servers.items()})
        for node, path in found.items():
            server = servers.pop(path)
            self._settle(server, node, server.where)
        for path, server in servers.items():
            self._refuse(server, reasons[path])

    def _reasons(self, server: Server) -> dict[str, str]:
        """Return why each node that can't be a server can't."""
        found = {}
        for node in self._topology.nodes.values():
            reason = self._taken(node.name) or misfit(self._topology, server, node)
            if reason is not None:
                found[node.name] = reason
        return found

    def _taken(self, node: str) -> str | None:
        """Return whose a node is already."""
        if node not in self._holders:
            return None
        server = self._holders[node][0]
        return f"it is server {server.project}/{server.name}"

    def _wishes(self, path: str, server: Server, reasons: dict[str, str]) -> list[str]:
        flavor = self._topology.flavors.get(server.flavor or "")
        nodes = [node for node in self._topology.nodes.values() if node.name not in reasons]
        nodes.sort(key=lambda node: (surplus(flavor, node), hashed("server", path, node.name)))
        return [node.name for node in nodes]

    def _refuse(self, server: Server, reasons: dict[str, str]) -> None:
        told = [f"{name}: {reasons.get(name) or self._taken(name)}" for name in sorted(self._topology.nodes)]
        if len(told) > _MAX_REASONS:
            told = [*told[:_MAX_REASONS], f"and {len(told) - _MAX_REASONS} more"]
        why = "; ".join(told) or "there are none"
        remedy = "add a node, ask for less in the flavor, or free a node"
        self._problems.add(server.where, f"no node is left for it ({why})", remedy)


def match(wishes: dict[str, list[str]]) -> dict[str, str]:
    """Return for each node who gets it, so that as many as possible get one of those they wish for.

    Each gets the first free one of its list; where none is free, somebody before it may move on to another of his.
    """
    holders: dict[str, str] = {}
    # Who has the least choice comes first, so that few have to move on.
    for path in sorted(wishes, key=lambda path: (len(wishes[path]), path)):
        _augment(path, wishes, holders)
    return holders


def _augment(path: str, wishes: dict[str, list[str]], holders: dict[str, str]) -> None:
    """Find the shortest chain of moves that gives somebody a node, and make them."""
    came_from: dict[str, str] = {}  # node: who would take it
    waiting = deque([path])
    while waiting:
        who = waiting.popleft()
        for node in wishes[who]:
            if node in came_from:
                continue
            came_from[node] = who
            if node in holders:
                waiting.append(holders[node])
                continue
            _shift(node, path, came_from, holders)
            return


def _shift(node: str, path: str, came_from: dict[str, str], holders: dict[str, str]) -> None:
    taken = {who: had for had, who in holders.items()}
    while True:
        who = came_from[node]
        holders[node] = who
        if who == path:
            return
        node = taken[who]
