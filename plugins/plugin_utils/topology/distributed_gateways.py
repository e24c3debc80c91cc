# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks whose gateway is a distributed router, and what of it is there for those who are plugged into a switch.

They find the part that leads out of the fabric; there is none without an external gateway.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .model import Network, Router, Subnet, Topology
from .model_switches import NetworkKey


@dataclass(slots=True)
class DistributedGateway:
    """A distributed router that is the gateway of a network's subnets."""

    router: Router
    subnets: list[Subnet]

    @property
    def missing(self) -> tuple[str, str] | None:
        """Why it serves nobody who is plugged into a switch, and what helps; None: it does."""
        if self.router.external_gateway is not None:
            return None
        message = "has no external_gateway, so nothing of it is in one place, where a switch could lead to it"
        return message, "give it an external_gateway, or set distributed: false on it"

    @property
    def unadvertised(self) -> tuple[str, str] | None:
        """The same for IPv6: it advertises to machines on hosts only."""
        subnet = next((subnet for subnet in self.subnets if subnet.ipv6_mode is not None), None)
        if subnet is None:
            return None
        message = f"advertises subnet {subnet.name} to machines on hosts only"
        return message, "set distributed: false on it, or name a network without ipv6_mode"

    def __str__(self) -> str:
        return f"distributed router {self.router.project}/{self.router.name}"


def distributed_gateways(topology: Topology) -> dict[NetworkKey, DistributedGateway]:
    """Return the networks whose gateway is a distributed router. What its interfaces mean need not be settled."""
    found: dict[NetworkKey, DistributedGateway] = {}
    for router in topology.routers():
        for interface in router.interfaces if router.distributed else ():
            project = topology.projects.get(interface.network[0])
            network = project.networks.get(interface.network[1]) if project is not None else None
            for subnet in () if network is None else _served(network, interface.subnet, interface.address):
                gateway = found.setdefault(interface.network, DistributedGateway(router, []))
                gateway.subnets.append(subnet)
    return found


def _served(network: Network, name: str, address: t.Any) -> list[Subnet]:
    """Return the subnets of which an interface is the gateway. Without a name it means all, or that of its address."""
    return [
        subnet
        for subnet in network.subnets.values()
        if subnet.gateway_ip is not None
        and (not name or subnet.name == name)
        and (address is None or address == subnet.gateway_ip)
    ]
