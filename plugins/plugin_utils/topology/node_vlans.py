# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which VLAN each interface of a node is in, by phase. The check and the compiler both ask here.

The model must have been scheduled: servers have their nodes.
"""

from __future__ import annotations

import typing as t

from .model import Network, Topology
from .model_bare_metal import NETWORK_PHASES, PHASES, Nic, Node
from .model_switches import Switch
from .switch_vlans import native_vlan


def segment_vlan(topology: Topology, network: Network) -> int | None:
    """Return the VLAN that a network has inside switches.

    That of a flat network, which has no tag on the wire, is what ports towards hosts have as their native one.
    """
    if network.type == "vlan":
        return network.segmentation_id
    natives = (
        native_vlan(topology, port)
        for switch in topology.switches.values()
        for port in switch.ports.values()
        if port.host is not None and port.physical_network == network.physical_network
    )
    return next((vlan for vlan in natives if vlan is not None), None)


def phase_network(topology: Topology, node: Node, nic: Nic, phase: str) -> Network | None:
    """Return the network that an interface is in during a phase; None: in none."""
    if phase == "tenant":
        server = topology.server_of.get(node.name)
        names = [] if server is None else [name for name, held in server.links.items() if held == nic.link]
        return topology.network((server.project, names[0])) if server is not None and names else None
    if phase in NETWORK_PHASES and nic.pxe and topology.bare_metal is not None:
        return topology.network(topology.bare_metal.networks[phase])
    return None


def phase_vlan(topology: Topology, node: Node, nic: Nic, phase: str) -> int | None:
    """Return the VLAN of an interface during a phase; None: its port is shut."""
    network = phase_network(topology, node, nic, phase)
    if network is not None:
        return segment_vlan(topology, network)
    return None if topology.bare_metal is None else topology.bare_metal.idle_vlan


def nics_at(topology: Topology, switch: Switch) -> t.Iterator[tuple[Node, Nic]]:
    """Yield the interfaces that are plugged into a switch."""
    for node in topology.nodes.values():
        for nic in node.nics.values():
            if nic.switch == switch.name:
                yield node, nic


def node_vlans(topology: Topology, switch: Switch) -> set[int]:
    """Return the VLANs that the nodes at a switch are in, in any of their phases."""
    found = {phase_vlan(topology, node, nic, phase) for node, nic in nics_at(topology, switch) for phase in PHASES}
    return {vlan for vlan in found if vlan is not None}
