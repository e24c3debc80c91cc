# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about the VLANs of switches that need to know where networks have ports. Part of check.py."""

from __future__ import annotations

from .model import Topology, Where
from .model_bare_metal import PHASES
from .model_switches import Switch, SwitchPort
from .node_vlans import nics_at, phase_network, segment_vlan
from .problems import Problems
from .switch_vlans import needed_networks, networks_behind, port_vlans


def check_switch_vlans(topology: Topology, problems: Problems) -> None:
    """Note what is wrong between networks and the switches that are to carry them."""
    untagged: dict[str, tuple[int, SwitchPort]] = {}
    for switch in topology.switches.values():
        _check_allowed(topology, switch, problems)
        _check_nodes(topology, switch, problems)
        for port in switch.ports.values():
            if port.host is not None:
                _check_native(topology, port, problems, untagged)


def _check_allowed(topology: Topology, switch: Switch, problems: Problems) -> None:
    allowed = {vlan for first, last in switch.allowed_vlans for vlan in range(first, last + 1)}
    for network in needed_networks(topology, switch):
        if network.segmentation_id not in allowed:
            problems.add(
                Where(switch.where.file, switch.where.line, f"{switch.where.path}.allowed_vlans"),
                f"VLAN {network.segmentation_id} of network {network.project}/{network.name} is not among them, "
                f"and {switch.name} carries {network.physical_network}",
                f"add {network.segmentation_id}, or give the network another segmentation_id",
            )


def _check_native(
    topology: Topology, port: SwitchPort, problems: Problems, untagged: dict[str, tuple[int, SwitchPort]]
) -> None:
    """A flat network has no tag on the wire: what VLAN it is inside the switch, the port's native VLAN says."""
    native = port_vlans(topology, port).native
    for network in networks_behind(topology, port):
        shown = f"{network.project}/{network.name}"
        if network.type == "flat" and native is None:
            message = f"host {port.host} has ports of the flat network {shown}, and the port has no native VLAN"
            problems.add(port.where, message, "add native: VLAN, the one that the switch is to put it in")
        elif network.type == "flat" and native is not None:
            first, other = untagged.setdefault(str(port.physical_network), (native, port))
            if first != native:
                problems.add(
                    Where(port.where.file, port.where.line, f"{port.where.path}.native"),
                    f"the flat network {shown} would be in VLAN {native} here and in {first} on "
                    f"{other.switch} {other.name} ({other.where.file}:{other.where.line})",
                    "use one native VLAN for it",
                )
        elif network.segmentation_id == native:
            problems.add(
                Where(port.where.file, port.where.line, f"{port.where.path}.native"),
                f"VLAN {native} is that of network {shown}, whose frames host {port.host} sends with a tag",
                "use another native VLAN",
            )


def _check_nodes(topology: Topology, switch: Switch, problems: Problems) -> None:
    """What VLAN a flat network is inside the switch, a node has nobody to ask but the ports towards hosts."""
    told: set[tuple[str, str]] = set()
    for node, nic in nics_at(topology, switch):
        for phase in PHASES:
            network = phase_network(topology, node, nic, phase)
            if network is None or network.type != "flat" or network.key in told:
                continue
            told.add(network.key)
            vlan, shown = segment_vlan(topology, network), f"{network.project}/{network.name}"
            if vlan is None:
                message = (
                    f"{nic.name} of {node.name} is in the flat network {shown}, and no switch says its VLAN inside"
                )
                remedy = "give a port towards a host a native VLAN, or use a vlan network"
                server = topology.server_of.get(node.name) if phase == "tenant" else None
                problems.add(node.where if server is None else server.where, message, remedy)
            elif not switch.allows(vlan):
                where = Where(switch.where.file, switch.where.line, f"{switch.where.path}.allowed_vlans")
                message = f"VLAN {vlan} of network {shown} is not among them, and node {node.name} is in it"
                problems.add(where, message, f"add {vlan}")
