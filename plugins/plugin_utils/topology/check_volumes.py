# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about volumes that servers boot from that a schema can't say."""

from __future__ import annotations

from functools import partial

from .context import Claims, Context
from .model import PROVIDER_TYPES, Network
from .model_bare_metal import Server, Volume


class Volumes:
    """Checks volume by volume, and keeps which of them are taken."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._taken = Claims(context, "the volume", "give each server a volume of its own: two would destroy one")

    def check(self, server: Server) -> None:
        """Check the volume of a server, if it has one."""
        if server.volume is None:
            return
        self._check_auth(server, server.volume)
        for word, given in (("keys", server.keys), ("user_data", server.user_data)):
            if given:
                message = f"{word}, which nobody would read: a volume has no config drive"
                self._note(server, message, "put it into the volume", word)
        holder = f"server {server.project}/{server.name}"
        at = partial(self._context.at_server, server)
        self._taken.claim(server.volume.uri, server.volume.uri, holder, at, "volume")
        network = self._context.topology.projects[server.project].networks.get(server.boot_network or "")
        # What is wrong with the network in other ways is told where servers' networks are checked.
        if network is not None and network.type in PROVIDER_TYPES and self._context.sound("networks", *network.key):
            self._check_network(server, network)

    def _note(self, server: Server, message: str, remedy: str, *parts: str | int) -> None:
        self._context.note(self._context.at_server(server, *parts), message, remedy)

    def _check_auth(self, server: Server, volume: Volume) -> None:
        if len(volume.auth) == 1:
            has, lacks = ("username", "password") if "username" in volume.auth else ("password", "username")
            message = f"auth_{has} without auth_{lacks}"
            self._note(server, message, f"add auth_{lacks}, or remove it: CHAP takes both", "volume", f"auth_{has}")

    def _check_network(self, server: Server, network: Network) -> None:
        """The node's firmware asks for its address and for what to boot in the first network of the server."""
        shown, topology = f"{network.project}/{network.name}", self._context.topology
        boots = "in the first network of a server that has a volume, the node boots"
        subnets = [subnet for subnet in network.subnets.values() if subnet.ip_version == 4]
        if len(subnets) != 1 or not subnets[0].enable_dhcp:
            message = f"{shown} has not just one IPv4 subnet with DHCP: {boots}"
            self._note(server, message, "name another network first, or give it one subnet with DHCP", "networks", 0)
        elif server.networks[0].fixed_ips_given and not server.networks[0].fixed_ips:
            self._note(server, f"no address in {shown}: {boots}", "remove fixed_ips: []", "networks", 0)
        host = topology.hosts.get(topology.bare_metal.boot_server) if topology.bare_metal is not None else None
        if host is not None and self._context.sound("hosts", host.name) and not host.reaches(network):
            message = f"boot_server {host.name} does not reach {network.physical_network} of {shown}: {boots}"
            remedy = f"add {network.physical_network} to the physical_networks of {host.name}, or name another network"
            self._note(server, message, remedy, "networks", 0)
