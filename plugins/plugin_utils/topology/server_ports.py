# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports of servers, of nodes and of the boot server.

A server's ports are there as soon as the file is read, so that whatever names a port can name them: where they are
plugged in is known once the server has a node.
"""

from __future__ import annotations

from .model import Binding, FixedIp, Network, Port, Subnet, Topology
from .model_bare_metal import BOOT_SERVER_OWNER, DEPLOYMENT_OWNER, BareMetal, Node, Server, ServerNetwork


def add_server_ports(topology: Topology) -> list[tuple[Server, ServerNetwork, Port]]:
    """Add the ports of all servers to their projects. Returned are those whose names are taken, with who has them."""
    taken = []
    for server in topology.servers():
        project = topology.projects[server.project]
        for wanted in {wanted.network: wanted for wanted in server.networks}.values():
            if wanted.network not in project.networks:
                continue
            name = server.port_name(wanted.network)
            if name in project.ports:
                taken.append((server, wanted, project.ports[name]))
                continue
            port = Port(name, server.project, wanted.network, server.where)
            port.fixed_ips, port.fixed_ips_given = wanted.fixed_ips, wanted.fixed_ips_given
            port.dns_name = server.hostname
            project.ports[name] = port
    return taken


def plug_in(topology: Topology, server: Server) -> None:
    """Put the ports of a server that has a node on the node's interfaces."""
    if server.placed_on is None:
        return
    node = topology.nodes[server.placed_on]
    for network, link in server.links.items():
        nic = node.links[link].first
        port = topology.projects[server.project].ports[server.port_name(network)]
        port.nic, port.mac_address = (node.name, nic.name), nic.mac_address
        port.boots = network == server.boot_network


def add_node_ports(topology: Topology, bare_metal: BareMetal) -> None:
    """Add the ports of nodes and of the boot server in the networks of all phases."""
    for key in bare_metal.network_keys:
        network = topology.network(key)
        subnet = boot_subnet(network)
        if subnet is None:
            continue
        ports = topology.node_ports.setdefault(key, [])
        ports.append(_boot_port(network, subnet, bare_metal))
        for node in topology.nodes.values():
            # One list for all: the node boots from one of its interfaces, and has the same address on each.
            addresses = [FixedIp(subnet.name)]
            ports.extend(_node_port(network, node, nic.name, addresses) for nic in node.pxe_nics)
    for server in topology.servers():
        _add_volume_boot(topology, bare_metal, server)


def _add_volume_boot(topology: Topology, bare_metal: BareMetal, server: Server) -> None:
    """Add the boot server to the network in which a server boots from its volume."""
    if server.boot_network is None:
        return
    network = topology.network((server.project, server.boot_network))
    subnet, ports = boot_subnet(network), topology.node_ports.setdefault(network.key, [])
    if subnet is not None and not ports:
        ports.append(_boot_port(network, subnet, bare_metal))


def boot_subnet(network: Network) -> Subnet | None:
    """Return the subnet that nodes have addresses of: DHCP of firmware is IPv4's."""
    return next((subnet for subnet in network.subnets.values() if subnet.ip_version == 4), None)


def _boot_port(network: Network, subnet: Subnet, bare_metal: BareMetal) -> Port:
    port = Port(
        # With a colon: no port of the file has this name, and with it this id.
        name=f"boot:{network.name}",
        project=network.project,
        network=network.name,
        where=bare_metal.where,
        host=bare_metal.boot_server,
        fixed_ips=[FixedIp(subnet.name)],
        fixed_ips_given=True,
        device_owner=BOOT_SERVER_OWNER,
    )
    port.binding = Binding(kind="veth", namespace=f"qboot-{network.id}", interface=f"ns-{port.id[:11]}")
    return port


def _node_port(network: Network, node: Node, nic: str, addresses: list[FixedIp]) -> Port:
    return Port(
        name=f"node:{node.name}:{nic}:{network.name}",
        project=network.project,
        network=network.name,
        where=node.where,
        mac_address=node.nics[nic].mac_address,
        fixed_ips=addresses,
        fixed_ips_given=True,
        dns_name=node.name,
        device_owner=DEPLOYMENT_OWNER,
        nic=(node.name, nic),
    )
