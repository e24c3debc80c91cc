# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which VLANs a switch carries, and which of them on which port: what follows from networks and where they have ports.

The check and the compiler both ask here. The model must have been scheduled: routers and DHCP servers are ports too.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .model import Network, Topology
from .model_switches import NetworkKey, Switch, SwitchPort, VlanRange


@dataclass(slots=True, frozen=True)
class PortVlans:
    """The VLANs of one port. Both empty: it carries nothing."""

    native: int | None
    tagged: tuple[int, ...]  # ascending, without the native one


def networks_behind(topology: Topology, port: SwitchPort) -> list[Network]:
    """Return the networks that the host at a port has ports of, on the physical network that the port carries."""
    if port.host is None or port.host not in topology.hosts:
        return []
    if port.physical_network is None:
        return []
    networks = topology.networks_by_host[port.host]
    return [network for network in networks if network.physical_network == port.physical_network]


def port_vlans(topology: Topology, port: SwitchPort) -> PortVlans:
    """Return the VLANs that a port of mode trunk carries, or one towards a host."""
    native = native_vlan(topology, port)
    tagged = {
        network.segmentation_id
        for network in networks_behind(topology, port)
        if network.type == "vlan" and network.segmentation_id is not None
    }
    for item in port.allowed:
        tagged.update(_vlans(topology, item))
    return PortVlans(native, tuple(sorted(tagged - {native})))


def access_vlan(topology: Topology, port: SwitchPort) -> int | None:
    """Return the VLAN of a port of mode access."""
    return None if port.vlan is None else _vlan(topology, port.vlan)


def needed_networks(topology: Topology, switch: Switch) -> list[Network]:
    """Return the vlan networks whose VLAN a switch carries: those that something on their physical network needs.

    A switch between two others has no port of its own that needs a VLAN, and must let it through all the same.
    """
    return [
        network
        for physical_network in switch.physical_networks
        for network in topology.needed_vlan_networks.get(physical_network, ())
    ]


def all_vlans(topology: Topology, switch: Switch) -> dict[int, Network | None]:
    """Return the VLANs that a switch carries, ascending, with the network that each is of."""
    found: dict[int, Network | None] = {}
    for port in switch.ports.values():
        vlans = port_vlans(topology, port)
        for vlan in (access_vlan(topology, port), vlans.native, *vlans.tagged):
            if vlan is not None:
                found[vlan] = None
    for network in needed_networks(topology, switch):
        if network.segmentation_id is not None:
            found[network.segmentation_id] = network
    return dict(sorted(found.items()))


def native_vlan(topology: Topology, port: SwitchPort) -> int | None:
    """Return the VLAN of frames without a tag at a port that is a trunk."""
    return None if port.native is None else _vlan(topology, port.native)


def _vlan(topology: Topology, item: int | NetworkKey) -> int | None:
    return item if isinstance(item, int) else topology.network(item).segmentation_id


def _vlans(topology: Topology, item: VlanRange | NetworkKey) -> t.Iterable[int]:
    first, second = item
    if isinstance(first, int) and isinstance(second, int):
        return range(first, second + 1)
    found = topology.network((str(first), str(second))).segmentation_id
    return [] if found is None else [found]
