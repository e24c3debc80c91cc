# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one node must look like, in whatever phase it is: plain data for the playbooks of its life.

Nothing here is secret but what the tenant has written as user data; how to log in to BMC and switches is not here.
"""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import config_drive, names
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.switch import common_arguments, vlan_items
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    Network,
    Port,
    Topology,
    Where,
    resource_id,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model_bare_metal import (
    BOOT_SERVER_OWNER,
    HTTP_PORT,
    NETWORK_PHASES,
    PHASES,
    BareMetal,
    Image,
    Nic,
    Node,
    Server,
    Volume,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model_switches import NetworkKey, Switch
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.node_vlans import phase_network, phase_vlan
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import Problem

Item = dict[str, t.Any]


def compile_node(topology: Topology, name: str, concern: str) -> Item:
    """Return one of CONCERNS for a node. The model must have been scheduled and allocated."""
    return CONCERNS[concern](topology, topology.nodes[name])


def compile_bare_metal(topology: Topology, node: Node) -> Item:
    """Return all that the playbooks need to know of a node."""
    bare_metal = topology.bare_metal
    if bare_metal is None:
        raise ValueError("nodes without bare_metal: load refuses that")
    server = topology.server_of.get(node.name)
    networks = {phase: _network(topology, bare_metal, node, bare_metal.networks[phase]) for phase in NETWORK_PHASES}
    return {
        "name": node.name,
        "boot_mode": node.boot_mode,
        **networks["deployment"],
        "timeouts": dict(node.timeouts),
        "root_device": dict(node.root_device),
        "boot_device_readable": node.boot_device_readable,
        "deploy_interface": node.deploy_interface,
        "networks": networks,
        "nics": [_nic(nic) for nic in node.nics.values()],
        "pxe_mac_addresses": [nic.mac_address for nic in node.pxe_nics],
        "phases": {phase: _phase(topology, node, phase) for phase in PHASES if phase != "tenant" or server is not None},
        "server": None if server is None else _server(topology, server),
        "max_concurrent_writes": bare_metal.max_concurrent_writes,
    }


def _nic(nic: Nic) -> Item:
    return {
        "name": nic.name,
        "mac_address": nic.mac_address,
        "switch": nic.switch,
        "interface": nic.interface,
        "pxe": nic.pxe,
        "bond": nic.bond,
    }


def _network(topology: Topology, bare_metal: BareMetal, node: Node, key: NetworkKey) -> Item:
    """Return the node's address in a network that it is deployed in, and the boot server's."""
    network, ports = topology.network(key), topology.node_ports[key]
    own = next(port for port in ports if port.nic is not None and port.nic[0] == node.name)
    boot = next(port for port in ports if port.device_owner == BOOT_SERVER_OWNER)
    fixed = own.fixed_ips[0]
    address = str(boot.addresses[0])
    return {
        "address": str(fixed.address),
        "prefix_length": network.subnets[fixed.subnet].cidr.prefixlen,
        "boot_server": {
            "host": bare_metal.boot_server,
            "network": network.id,
            "name": network.id,
            "namespace": names.boot_namespace(network.id),
            "address": address,
            "http_port": HTTP_PORT,
            "url": f"http://{address}" + ("" if HTTP_PORT == 80 else f":{HTTP_PORT}"),
        },
    }


def _phase(topology: Topology, node: Node, phase: str) -> list[Item]:
    """Return the arguments of switch_ports for each switch that the node is plugged into."""
    switches = dict.fromkeys(nic.switch for nic in node.nics.values())
    return [
        {"switch": name, "arguments": _arguments(topology, node, topology.switches[name], phase)} for name in switches
    ]


def _arguments(topology: Topology, node: Node, switch: Switch, phase: str) -> Item:
    nics = [nic for nic in node.nics.values() if nic.switch == switch.name]
    vlans: dict[int, Network | None] = {}
    ports = []
    for nic in nics:
        vlan = phase_vlan(topology, node, nic, phase)
        ports.append(_port(topology, node, nic, vlan))
        if vlan is not None:
            network = phase_network(topology, node, nic, phase)
            vlans[vlan] = network if network is not None and network.type == "vlan" else None
    return {
        **common_arguments(switch, (nic.interface for nic in nics)),
        # What is the others' stays: this is about one node.
        "purge_vlans": False,
        "ports": ports,
        "vlans": vlan_items(vlans) if switch.manage_vlans else [],
    }


def _port(topology: Topology, node: Node, nic: Nic, vlan: int | None) -> Item:
    server = topology.server_of.get(node.name)
    # A server may be a bridge, and tell so by LLDP.
    item: Item = {"name": nic.interface, "neighbour": node.name if server is None else server.hostname}
    if vlan is None:
        return {**item, "state": "absent"}
    return {
        **item,
        "mode": "access",
        "vlan": vlan,
        "enabled": True,
        "edge": nic.edge,
        "description": f"{node.name} {nic.name}",
    }


def _server(topology: Topology, server: Server) -> Item:
    ports = server_ports(topology, server)
    return {
        "id": resource_id(server.project, "servers", server.name),
        "name": server.name,
        "project": server.project,
        "hostname": server.hostname,
        "addresses": [str(address) for port in ports for address in port.addresses],
        "image": None if server.image is None else _image(topology.images[server.image]),
        "config_drive": None if server.volume else config_drive.compile_config_drive(topology, server, ports),
        "volume": None if server.volume is None else _volume(topology, server, server.volume, ports[0]),
    }


def _volume(topology: Topology, server: Server, volume: Volume, port: Port) -> Item:
    """Return what a server boots from, and what its boot server in its own network keeps for it."""
    return {
        "uri": volume.uri,
        "iscsi": {
            "portal": volume.portal,
            "port": volume.port,
            "target": volume.iqn,
            "lun": volume.lun,
            "initiator": volume.initiator
            or f"iqn.2026-01.weft.fabric:{resource_id(server.project, 'servers', server.name)}",
        },
        "server": topology.network((port.project, port.network)).id,
        "address": str(next(address for address in port.addresses if address.version == 4)),
        "mac_addresses": [port.mac_address],
    }


def server_ports(topology: Topology, server: Server) -> list[Port]:
    """Return the ports of a server, in the order in which the file names its networks."""
    ports = topology.projects[server.project].ports
    return [ports[server.port_name(wanted.network)] for wanted in server.networks]


def _image(image: Image) -> Item:
    item = {
        "name": image.name,
        "url": image.url,
        "checksum": image.checksum,
        "format": image.format,
        "size": image.size,
        "served": None if image.checksum is None else image.served,
    }
    if image.checksum is not None:
        return item
    # No error: nodes whose images are not made yet can still be looked at, powered, and freed.
    where = Where(image.where.file, image.where.line, f"{image.where.path}.checksum_file")
    message = f"{image.checksum_file} is not there, so nobody knows what image {image.name} must be"
    problem = Problem(where, message, "make the image with its checksum file, or mend the path")
    return {**item, "problem": str(problem)}


#: What the lookup host_state knows of a node.
CONCERNS: dict[str, t.Callable[[Topology, Node], Item]] = {"bare_metal": compile_bare_metal}
