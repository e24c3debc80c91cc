# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks share."""

from __future__ import annotations

import typing as t
from collections.abc import Collection

from .model import FloatingIp, Host, Network, Port, Router, Subnet, Topology, Where
from .model_bare_metal import Image, Node, Server
from .model_switches import Switch, SwitchPort
from .problems import Problems, near_miss
from .sources import Sources


class Context:
    """The model, where its parts stand in the files, and what already has a problem."""

    def __init__(self, topology: Topology, sources: Sources, problems: Problems, flawed: set[tuple[str, ...]]) -> None:
        self.topology = topology
        self.problems = problems
        self._sources = sources
        self._flawed = flawed
        self.addresses = Claims(self, "the address", "give each an address of its own")
        self.macs = Claims(self, "the MAC address", "give each a MAC address of its own")
        self.dns_names = Claims(self, "the DNS name", "give one of them another name")

    def sound(self, *key: str) -> bool:
        """Tell whether a resource has no problem of its own; what follows from one helps nobody."""
        return key not in self._flawed

    def written(self, key: str) -> bool:
        """Tell whether something stands at the top of any file, right or wrong."""
        return any(key in document for document in self._sources.documents.values())

    def note(self, where: Where, message: str, remedy: str) -> None:
        self.problems.add(where, message, remedy)

    def suggestion(self, word: str, known: Collection[str], otherwise: str) -> str:
        """Return the remedy for a name that nothing bears."""
        meant = None if self.problems.full else near_miss(word, known)
        return f"write {meant!r}, or {otherwise}" if meant else otherwise

    def at_host(self, host: Host, *parts: str | int) -> Where:
        return self._sources.where(host.where.file, "hosts", host.name, *parts)

    def at_switch(self, switch: Switch, *parts: str | int) -> Where:
        return self._sources.where(switch.where.file, "switches", switch.name, *parts)

    def at_switch_port(self, port: SwitchPort, *parts: str | int) -> Where:
        return self._sources.where(port.where.file, "switches", port.switch, "ports", port.name, *parts)

    def at_network(self, network: Network, *parts: str | int) -> Where:
        return self._sources.where(network.where.file, "projects", network.project, "networks", network.name, *parts)

    def at_subnet(self, network: Network, subnet: Subnet, *parts: str | int) -> Where:
        return self.at_network(network, "subnets", subnet.name, *parts)

    def at_port(self, port: Port, *parts: str | int) -> Where:
        # Among very many ports the search takes long, and what is only counted needs no line.
        if self.problems.full:
            return port.where
        return self._sources.where(port.where.file, "projects", port.project, "ports", port.name, *parts)

    def at_router(self, router: Router, *parts: str | int) -> Where:
        if self.problems.full:
            return router.where
        return self._sources.where(router.where.file, "projects", router.project, "routers", router.name, *parts)

    def at_floating_ip(self, floating_ip: FloatingIp, *parts: str | int) -> Where:
        if self.problems.full:
            return floating_ip.where
        file, project = floating_ip.where.file, floating_ip.project
        return self._sources.where(file, "projects", project, "floating_ips", floating_ip.name, *parts)

    def at_bare_metal(self, *parts: str | int) -> Where:
        file = self.topology.files[0] if self.topology.bare_metal is None else self.topology.bare_metal.where.file
        return self._sources.where(file, "bare_metal", *parts)

    def at_image(self, image: Image, *parts: str | int) -> Where:
        return self._sources.where(image.where.file, "images", image.name, *parts)

    def at_node(self, node: Node, *parts: str | int) -> Where:
        return self._sources.where(node.where.file, "nodes", node.name, *parts)

    def at_server(self, server: Server, *parts: str | int) -> Where:
        return self._sources.where(server.where.file, "projects", server.project, "servers", server.name, *parts)

    def network(
        self, key: tuple[str, str], project: str, at: t.Callable[..., Where], *arguments: t.Any
    ) -> Network | None:
        """Return the network that a resource of a project names; None, with a note at at(*arguments), when none is."""
        owner, name = key
        known = self.topology.projects
        if owner not in known:
            remedy = self.suggestion(owner, known, "add the project")
            self.note(at(*arguments), f"there is no project {owner!r}", remedy)
            return None
        network = known[owner].networks.get(name)
        if network is None:
            prefix = "" if owner == project else f"{owner}/"
            meant = None if self.problems.full else near_miss(name, known[owner].networks)
            elsewhere = self._offered(name, owner)
            words = [repr(word) for word in (meant and prefix + meant, elsewhere) if word]
            remedy = f"write {' or '.join(words)}, or add the network" if words else "add the network"
            self.note(at(*arguments), f"project {owner} has no network {name!r}", remedy)
        return network

    def _offered(self, name: str, project: str) -> str | None:
        """Return PROJECT/NAME of a network of that name which another project lets others use."""
        for other in self.topology.projects.values():
            network = other.networks.get(name)
            if other.name != project and network is not None and (network.external or network.shared):
                return f"{other.name}/{name}"
        return None


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
