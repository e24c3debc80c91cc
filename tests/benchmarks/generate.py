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


def write_routers(directory: Path, routers: int, floating_ips: int) -> Path:
    """Write highly available routers for the lab's network nodes, each with two subnets of either family.

    Their machines are on the compute nodes, which a benchmark of network nodes leaves alone.
    """
    lines = [
        "plugin: weft.fabric.topology",
        "defaults: {datapath_type: netdev, underlay_mtu: 1550}",
        "physical_networks: {physnet1: {mtu: 1500}}",
        "hosts:",
    ]
    for name, number in (("net1", 11), ("net2", 12), ("cmp1", 13), ("cmp2", 14)):
        lines += [
            f"  {name}:",
            f"    roles: [{'network_node' if name.startswith('net') else 'compute_node'}]",
            f"    ansible_host: 192.0.2.{number}",
            f"    underlay: {{address: 198.51.100.{number}/24, interface: eth1}}",
            "    physical_networks: {physnet1: {interface: eth2}}",
        ]
    lines += [
        "projects:",
        "  bench-admin:",
        "    networks:",
        "      public:",
        "        type: flat",
        "        physical_network: physnet1",
        "        external: true",
        # The range for benchmarks: a /24 has too few addresses.
        "        subnets: {v4: {cidr: 198.18.0.0/16, gateway_ip: 198.18.0.1, enable_dhcp: false}}",
    ]
    for router in range(routers):
        lines += [f"  bench-{router}:", "    networks:"]
        for side in range(2):
            lines += [
                f"      n{side}:",
                "        subnets:",
                f"          v4: {{cidr: 10.0.{side}.0/24, enable_dhcp: false}}",
                f"          v6: {{cidr: '2001:db8:{router + 1:x}:{side}::/64', ipv6_mode: slaac, enable_dhcp: false}}",
            ]
        lines.append("    ports:")
        lines += [f"      p{port}: {{network: n{port % 2}, host: cmp{port % 2 + 1}}}" for port in range(floating_ips)]
        interfaces = "[{network: n0}, {network: n1}]"
        gateway = "{network: bench-admin/public}"
        lines.append(f"    routers: {{r: {{ha: true, external_gateway: {gateway}, interfaces: {interfaces}}}}}")
        lines.append("    floating_ips:")
        lines += [f"      f{port}: {{network: bench-admin/public, port: p{port}}}" for port in range(floating_ips)]
    path = directory / "topology.yml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
