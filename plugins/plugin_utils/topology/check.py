# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that need the allocated numbers: sizes that follow from the underlay, and names that were derived."""

from __future__ import annotations

from .allocate import largest_mtu
from .model import Network, Topology, Where
from .problems import Problems

# RFC 8200: what every link must carry. Below it the kernel takes IPv6 off the device.
_IPV6_MTU = 1280


def check(topology: Topology, problems: Problems) -> None:
    """Note what is wrong with a model that has been scheduled and allocated."""
    for network in topology.networks():
        _check_mtu(topology, network, problems)
    _check_dhcp_names(topology, problems)


def _check_mtu(topology: Topology, network: Network, problems: Problems) -> None:
    where = Where(network.where.file, network.where.line, f"{network.where.path}.mtu")
    largest = largest_mtu(topology, network)
    if network.mtu > largest:
        carrier = "the underlay" if network.physical_network is None else network.physical_network
        problems.add(
            where,
            f"{network.mtu} is more than {carrier} leaves for a {network.type} network, which is {largest}",
            f"use at most {largest}, or raise the MTU of {carrier} (underlay_mtu, or mtu of the physical network)",
        )
    elif network.mtu < _IPV6_MTU and any(subnet.ip_version == 6 for subnet in network.subnets.values()):
        problems.add(
            where,
            f"{network.mtu} is less than the {_IPV6_MTU} that IPv6 needs",
            f"use at least {_IPV6_MTU} (the underlay must carry it), or remove the IPv6 subnets",
        )


def _check_dhcp_names(topology: Topology, problems: Problems) -> None:
    """A DHCP port's name is made of two names; another port may have been given the same, and with it the same id."""
    for (project, _network), ports in topology.dhcp_ports.items():
        for port in ports:
            other = topology.projects[project].ports.get(port.name)
            if other is not None:
                message = f"{port.name} is the name of the DHCP port of network {port.network} on {port.host}"
                problems.add(other.where, message, "choose another name")
