# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement: which network nodes serve which network with DHCP, and which have which router.

The lock holds a placement for as long as its host can serve. New ones follow from rendezvous hashing,
so that another network node takes over its share and moves nothing else.
"""

from __future__ import annotations

from .lockfile import Lock
from .model import DHCP_OWNER, Binding, FixedIp, Host, Network, Port, Topology
from .pool import hashed, network_path
from .problems import Problems
from .schedule_routers import schedule_routers
from .schedule_servers import schedule_servers


def schedule(topology: Topology, lock: Lock, problems: Problems) -> None:
    """Give servers their nodes, and add the ports that serve others: of boot server, DHCP servers and routers."""
    schedule_servers(topology, lock, problems)
    nodes = [host for host in topology.hosts.values() if "network_node" in host.roles]
    _schedule_dhcp(topology, nodes, lock, problems)
    schedule_routers(topology, nodes, lock, problems)


def _schedule_dhcp(topology: Topology, nodes: list[Host], lock: Lock, problems: Problems) -> None:
    """Add the DHCP ports of every network that wants DHCP."""
    peopled = {
        (port.project, port.network) for project in topology.projects.values() for port in project.ports.values()
    }
    for network in topology.networks():
        subnets = [subnet.name for subnet in network.subnets.values() if subnet.enable_dhcp]
        if not subnets or not network.dhcp_servers:
            continue
        if network.key not in peopled:
            continue  # nobody is there to be served
        usable = [node for node in nodes if node.reaches(network)]
        if len(usable) < network.dhcp_servers:
            problems.add(
                network.where,
                f"dhcp_servers is {network.dhcp_servers}, and network nodes that can serve: {len(usable)}",
                "give more hosts the role network_node (and what the network needs), lower dhcp_servers, "
                "or set enable_dhcp: false on the subnets",
            )
            continue
        topology.dhcp_ports[network.key] = [dhcp_port(network, host, subnets) for host in place(network, usable, lock)]


def place(network: Network, nodes: list[Host], lock: Lock) -> list[str]:
    """Return the names of the hosts that serve a network, sorted."""
    path = network_path(network)
    held = [node.name for node in nodes if f"{path}/dhcp/{node.name}" in lock.entries]
    others = sorted((node.name for node in nodes if node.name not in held), key=lambda name: hashed("dhcp", path, name))
    return sorted([*sorted(held, key=lambda name: hashed("dhcp", path, name)), *others][: network.dhcp_servers])


def dhcp_port(network: Network, host: str, subnets: list[str]) -> Port:
    """Return the port that a DHCP server has in its network."""
    port = Port(
        name=f"dhcp-{host}-{network.name}",
        project=network.project,
        network=network.name,
        where=network.where,
        host=host,
        device_owner=DHCP_OWNER,
        fixed_ips=[FixedIp(subnet) for subnet in subnets],
    )
    port.binding = Binding(kind="veth", namespace=f"qdhcp-{network.id}", interface=f"ns-{port.id[:11]}")
    return port
