# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks share."""

from __future__ import annotations

import typing as t
from collections.abc import Collection

from .model import Host, Network, Port, Subnet, Topology, Where
from .problems import Problems, near_miss
from .sources import Sources


class Context:
    """The model, where its parts stand in the files, and what already has a problem."""

    def __init__(self, topology: Topology, sources: Sources, problems: Problems, flawed: set[tuple[str, ...]]) -> None:
        self.topology = topology
        self.problems = problems
        self._sources = sources
        self._flawed = flawed

    def sound(self, *key: str) -> bool:
        """Tell whether a resource has no problem of its own; what follows from one helps nobody."""
        return key not in self._flawed

    def note(self, where: Where, message: str, remedy: str) -> None:
        self.problems.add(where, message, remedy)

    def suggestion(self, word: str, known: Collection[str], otherwise: str) -> str:
        """Return the remedy for a name that nothing bears."""
        meant = None if self.problems.full else near_miss(word, known)
        return f"write {meant!r}, or {otherwise}" if meant else otherwise

    def at_host(self, host: Host, *parts: str | int) -> Where:
        return self._sources.where(host.where.file, "hosts", host.name, *parts)

    def at_network(self, network: Network, *parts: str | int) -> Where:
        return self._sources.where(network.where.file, "projects", network.project, "networks", network.name, *parts)

    def at_subnet(self, network: Network, subnet: Subnet, *parts: str | int) -> Where:
        return self.at_network(network, "subnets", subnet.name, *parts)

    def at_port(self, port: Port, *parts: str | int) -> Where:
        # Among very many ports the search takes long, and what is only counted needs no line.
        if self.problems.full:
            return port.where
        return self._sources.where(port.where.file, "projects", port.project, "ports", port.name, *parts)


def place(where: Where) -> str:
    """Return file and line, for the other side of a conflict."""
    return f"{where.file}:{where.line}"


class Claims:
    """Things of which each may be had once."""

    def __init__(self, context: Context, what: str, remedy: str) -> None:
        self._context = context
        self._what = what
        self._remedy = remedy
        self._held: dict[t.Hashable, tuple[str, t.Callable[..., Where], tuple[t.Any, ...]]] = {}

    def claim(
        self, thing: t.Hashable, shown: str, holder: str, where: t.Callable[..., Where], *arguments: t.Any
    ) -> None:
        """Note a problem when another holder has claimed the thing. where(*arguments) is asked only then."""
        first, first_where, first_arguments = self._held.setdefault(thing, (holder, where, arguments))
        if first != holder:
            message = f"{self._what} {shown} is also that of {first} ({place(first_where(*first_arguments))})"
            self._context.note(where(*arguments), message, self._remedy)
