# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that need the whole model: sizes that follow from the underlay, names that were derived, ports per host."""

from __future__ import annotations

from collections import Counter

from .allocate import largest_mtu
from .check_switch_vlans import check_switch_vlans
from .model import MAX_LOCAL_PORTS, Host, Network, Port, Topology, Where
from .problems import Problems

# RFC 8200: what every link must carry. Below it the kernel takes IPv6 off the device.
_IPV6_MTU = 1280


def check(topology: Topology, problems: Problems) -> None:
    """Note what is wrong with a model that has been scheduled and allocated."""
    for network in topology.networks():
        _check_mtu(topology, network, problems)
    _check_dhcp_names(topology, problems)
    _check_crowds(topology, problems)
    _check_devices(topology, problems)
    check_switch_vlans(topology, problems)


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


def _check_crowds(topology: Topology, problems: Problems) -> None:
    for key, ports in topology.ports_by_network.items():
        if len(ports) <= MAX_LOCAL_PORTS:
            continue
        for host, count in sorted(Counter(port.host for port in ports if port.host is not None).items()):
            if count > MAX_LOCAL_PORTS:
                problems.add(
                    topology.network(key).where,
                    f"network {'/'.join(key)} has {count} ports on host {host}",
                    f"spread them over hosts, {MAX_LOCAL_PORTS} on each at most: a broadcast reaches no more",
                )


def _check_devices(topology: Topology, problems: Problems) -> None:
    """No two ports of a host may have one device: names that the file gives can meet each other, and derived ones."""
    holders: dict[str, dict[str, Port]] = {name: {} for name in topology.hosts}
    others = {host.name: _own_devices(host) for host in topology.hosts.values()}
    for ports in topology.ports_by_network.values():
        for port in ports:
            if port.host is None or port.binding.kind == "iface_id":
                continue
            device = port.device
            if device in others[port.host]:
                where = Where(port.where.file, port.where.line, f"{port.where.path}.binding.interface")
                message = f"{device} is a bridge or an uplink of host {port.host}"
                problems.add(where, message, "choose another name for the interface")
            other = holders[port.host].setdefault(device, port)
            if other is not port:
                problems.add(
                    port.where,
                    f"its device on host {port.host} would be {device}, as that of port "
                    f"{other.project}/{other.name} ({other.where.file}:{other.where.line})",
                    "give one of them another name, or a binding with another interface",
                )


def _own_devices(host: Host) -> set[str | None]:
    """Return the names of the devices on a host that are no ports'."""
    found: set[str | None] = {"br-int", "br-tun", "br-underlay", "patch-tun"}
    if host.underlay is not None:
        found |= {host.underlay.interface, host.underlay.bridge}
    for mapping in host.physical_networks.values():
        found |= {mapping.interface, mapping.bridge}
    return found
