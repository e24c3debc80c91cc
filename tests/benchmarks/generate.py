# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Topologies of any size."""

from __future__ import annotations

from pathlib import Path

# A tenant of usual size: its network spans some hosts, not all of them.
HOSTS_PER_NETWORK = 10
PORTS_PER_NETWORK_AND_HOST = 10


def write_fabric(directory: Path, hosts: int, ports_per_host: int) -> Path:
    """Write a fabric where each network has ten ports on each of ten hosts."""
    lines = [
        "plugin: weft.fabric.topology",
        "hosts:",
        "  net1: {roles: [network_node], underlay: {address: 10.255.255.1}}",
    ]
    for number in range(hosts):
        lines.append(
            f"  cmp{number}: {{roles: [compute_node], underlay: {{address: 10.{200 + number // 65536}."
            f"{number // 256 % 256}.{number % 256}}}}}"
        )
    lines.append("projects:")
    networks_per_host = ports_per_host // PORTS_PER_NETWORK_AND_HOST
    for group in range(0, hosts, HOSTS_PER_NETWORK):
        members = range(group, min(group + HOSTS_PER_NETWORK, hosts))
        for network in range(networks_per_host):
            lines += [
                f"  p{group}-{network}:",
                "    networks: {web: {subnets: {v4: {cidr: 10.0.0.0/22}}}}",
                "    ports:",
            ]
            lines += [
                f"      p{host}-{port}: {{network: web, host: cmp{host}}}"
                for host in members
                for port in range(PORTS_PER_NETWORK_AND_HOST)
            ]
    path = directory / "topology.yml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_one_host(directory: Path, networks: int, ports: int, name: str = "topology.yml") -> Path:
    """Write a fabric for the lab: all ports as taps on cmp1, one port of each network on cmp2."""
    lines = [
        "plugin: weft.fabric.topology",
        "defaults: {datapath_type: netdev, underlay_mtu: 1550}",
        "hosts:",
        "  cmp1:",
        "    roles: [compute_node]",
        "    ansible_host: 192.0.2.13",
        "    underlay: {address: 198.51.100.13/24, interface: eth1}",
        "  cmp2:",
        "    roles: [compute_node]",
        "    ansible_host: 192.0.2.14",
        "    underlay: {address: 198.51.100.14/24, interface: eth1}",
        "projects:",
        "  bench:",
        "    networks:",
    ]
    lines += [
        f"      n{number}: {{subnets: {{v4: {{cidr: 10.0.0.0/22, enable_dhcp: false}}}}}}" for number in range(networks)
    ]
    lines.append("    ports:")
    lines += [f"      p{number}: {{network: n{number % networks}, host: cmp1}}" for number in range(ports)]
    lines += [f"      far{number}: {{network: n{number}, host: cmp2}}" for number in range(networks)]
    path = directory / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
