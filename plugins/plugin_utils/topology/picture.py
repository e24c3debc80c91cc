# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of a topology in text: hosts side by side, networks as bands across them, the underlay below."""

from __future__ import annotations

from .model import DHCP_OWNER, ROUTER_GATEWAY_OWNER, ROUTER_HA_OWNER, Host, Network, Port, Topology

_KINDS = {ROUTER_GATEWAY_OWNER: " (gateway)", ROUTER_HA_OWNER: " (ha)"}


def _name(port: Port) -> str:
    if port.device_owner == DHCP_OWNER:
        return "dhcp"
    return port.name if port.router is None else port.router[1] + _KINDS.get(port.device_owner, "")


def _port_lines(port: Port) -> list[str]:
    return [_name(port), *(f"  {address}" for address in port.addresses)]


def _cell(topology: Topology, host: Host, network: Network) -> list[str]:
    lines: list[str] = []
    for port in topology.ports_by_network[network.key]:
        if port.host == host.name:
            lines += _port_lines(port)
    return lines


def _legend(network: Network) -> list[str]:
    number = "" if network.segmentation_id is None else f" {network.segmentation_id}"
    return [
        f"{network.project}/{network.name}",
        f"  {network.type}{number}, MTU {network.mtu}",
        *(f"  {subnet.cidr}" for subnet in network.subnets.values()),
    ]


def _row(cells: list[list[str]], legend: list[str], width: int) -> list[str]:
    height = max([len(legend), *(len(cell) for cell in cells)])
    rows = []
    for number in range(height):
        texts = [cell[number] if number < len(cell) else "" for cell in cells]
        note = legend[number] if number < len(legend) else ""
        rows.append((" ".join(f"│ {text:<{width}} │" for text in texts) + f"  {note}").rstrip())
    return rows


def draw(topology: Topology) -> str:
    """Return the picture, lines of text without colour."""
    hosts = [host for host in topology.hosts.values() if topology.networks_by_host[host.name]]
    networks = [network for network in topology.networks() if topology.ports_by_network[network.key]]
    if not hosts:
        return "no host has a port\n"
    cells = {(h.name, n.key): _cell(topology, h, n) for h in hosts for n in networks}
    titles = [[host.name, ", ".join(role.replace("_", " ") for role in host.roles)] for host in hosts]
    width = max(len(text) for lines in [*cells.values(), *titles] for text in lines)

    def rule(left: str, middle: str, right: str) -> str:
        half = (width + 2) // 2
        return " ".join(left + "─" * half + middle + "─" * (width + 1 - half) + right for _host in hosts)

    lines = [rule("┌", "─", "┐"), *_row(titles, [], width)]
    for network in networks:
        lines.append(rule("├", "─", "┤"))
        lines += _row([cells[host.name, network.key] for host in hosts], _legend(network), width)
    lines.append(rule("└", "┬", "┘"))
    ends = [str(host.underlay.address) if host.underlay else "-" for host in hosts]
    lines.append(" ".join(f"{end:^{width + 4}}" for end in ends).rstrip())
    lines.append("═" * (len(hosts) * (width + 5) - 1) + f"  underlay, MTU {topology.underlay_mtu}")
    return "\n".join(lines) + "\n"
