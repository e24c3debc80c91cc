# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about servers that a schema can't say. Their ports are added here, and checked like others."""

from __future__ import annotations

from functools import partial

from .check_fixed_ips import check_fixed_ips
from .check_volumes import Volumes
from .context import Claims, Context, place
from .distributed_gateways import distributed_gateways
from .model import PROVIDER_TYPES, Network
from .model_bare_metal import Node, Server, ServerNetwork
from .server_ports import add_server_ports


def check_servers(context: Context) -> None:
    """Check all servers, and add their ports."""
    checker = _Servers(context)
    for server in context.topology.servers():
        if context.sound("servers", *server.key):
            checker.check(server)
    # Whatever names a port may name these, also those of a server that has a problem.
    for server, wanted, port in add_server_ports(context.topology):
        message = f"{port.name} is the name of its port in network {wanted.network} ({place(port.where)} has it too)"
        context.note(server.where, message, "rename one of them")


class _Servers:
    """Checks server by server, and keeps what each may have only once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._nodes = Claims(context, "the node", "name another node, or a flavor")
        self._gateways = distributed_gateways(context.topology)
        self._volumes = Volumes(context)

    def check(self, server: Server) -> None:
        self._check_place(server)
        self._check_image(server)
        self._volumes.check(server)
        if not server.networks:
            self._note(server, "a server without networks", "name one: networks: [NAME]", "networks")
        seen: set[str] = set()
        for index, wanted in enumerate(server.networks):
            if wanted.network in seen:
                message = f"network {wanted.network} is there twice"
                self._note(server, message, "remove one of them", "networks", index)
                continue
            seen.add(wanted.network)
            self._check_network(server, wanted, index)
        self._check_nics(server)

    def _note(self, server: Server, message: str, remedy: str, *parts: str | int) -> None:
        self._context.note(self._context.at_server(server, *parts), message, remedy)

    def _check_place(self, server: Server) -> None:
        context, topology = self._context, self._context.topology
        if server.node is None and server.flavor is None:
            self._note(server, "neither node nor flavor, so any node could be it", "add flavor: NAME, or node: NAME")
        if server.flavor is not None and server.flavor not in topology.flavors:
            remedy = context.suggestion(server.flavor, topology.flavors, "add it to flavors at the top")
            self._note(server, f"there is no flavor {server.flavor!r}", remedy, "flavor")
        if server.node is None:
            return
        if server.node not in topology.nodes:
            if context.sound("nodes", server.node):
                remedy = context.suggestion(server.node, topology.nodes, "add the node")
                self._note(server, f"there is no node {server.node!r}", remedy, "node")
            return
        holder = f"server {server.project}/{server.name}"
        self._nodes.claim(server.node, server.node, holder, context.at_server, server, "node")

    def _check_image(self, server: Server) -> None:
        context = self._context
        if server.image is not None and server.volume is not None:
            message = "image and volume both say what it boots"
            self._note(server, message, "remove one of them: an image is written to the node's disk", "volume")
        if server.image is None:
            if server.volume is None:
                self._note(server, "neither image nor volume, so nothing would boot", "add image: NAME")
            return
        if server.image not in context.topology.images and context.sound("images", server.image):
            remedy = context.suggestion(server.image, context.topology.images, "add it to images at the top")
            self._note(server, f"there is no image {server.image!r}", remedy, "image")

    def _check_network(self, server: Server, wanted: ServerNetwork, index: int) -> None:
        context = self._context
        here = ("networks", index)
        known = context.topology.projects[server.project].networks
        network = known.get(wanted.network)
        if network is None:
            elsewhere = any(wanted.network in other.networks for other in context.topology.projects.values())
            otherwise = "add it, or move the server to the network's project" if elsewhere else "add the network"
            remedy = context.suggestion(wanted.network, known, otherwise)
            self._note(server, f"project {server.project} has no network {wanted.network!r}", remedy, *here)
            return
        if not context.sound("networks", *network.key):
            return
        if network.type not in PROVIDER_TYPES:
            message = f"{network.name} is a {network.type} network, and a node is plugged into a switch"
            remedy = "name a vlan network; a router joins it with the others"
            self._note(server, message, remedy, *here)
            return
        bare_metal = context.topology.bare_metal
        if bare_metal is not None and network.key in bare_metal.network_keys:
            message = f"{network.name} is a network that nodes are deployed in: a server there could take them over"
            self._note(server, message, "name another network", *here)
        gateway = self._gateways.get(network.key)
        unserved = (gateway.missing or gateway.unadvertised) if gateway is not None else None
        if unserved is not None:
            self._note(server, f"{gateway} is the gateway of {network.name}, and {unserved[0]}", unserved[1], *here)
        self._check_addresses(server, wanted, network, index)

    def _check_addresses(self, server: Server, wanted: ServerNetwork, network: Network, index: int) -> None:
        context = self._context
        at = partial(context.at_server, server, "networks", index)
        holder = f"port {server.project}/{server.port_name(network.name)}"
        if wanted.fixed_ips:
            check_fixed_ips(context, network, wanted.fixed_ips, holder, at)
        name = server.hostname.lower()
        shown = f"{name} in network {network.name}"
        context.dns_names.claim((network.key, name), shown, holder, context.at_server, server, "hostname")

    def _check_nics(self, server: Server) -> None:
        """What the file says of interfaces must be possible on the node that it names."""
        node = self._context.topology.nodes.get(server.node or "")
        links = node.links if node is not None else {}
        first: dict[str, str] = {}
        for index, wanted in enumerate(server.networks):
            if wanted.nic is None:
                continue
            if node is not None and wanted.nic not in links:
                self._note(server, *self._no_link(node, wanted.nic), "networks", index, "nic")
            other = first.setdefault(wanted.nic, wanted.network)
            if other != wanted.network:
                message = f"{wanted.nic} is in network {other} already"
                self._note(server, message, "use another interface: each has one network", "networks", index, "nic")
        count = len({wanted.network for wanted in server.networks})
        if node is not None and count > len(links):
            counted = ", where each bond is one" if len(links) < len(node.nics) else ""
            message = f"{count} networks, and node {node.name} has interfaces: {len(links)}{counted}"
            self._note(server, message, "remove networks, or name a node with more interfaces", "networks")

    def _no_link(self, node: Node, nic: str) -> tuple[str, str]:
        """Return message and remedy for what can't be in a network of its own."""
        member = node.nics.get(nic)
        if member is not None:
            message = f"{nic} of node {node.name} is in bond {member.bond}, which is in a network as a whole"
            return message, f"write {member.bond}"
        remedy = self._context.suggestion(nic, node.links, "use one of " + ", ".join(node.links))
        return f"node {node.name} has no interface {nic!r}", remedy
