# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about floating IPs that a schema can't say. Which router has one is found later: see floating_ips.py."""

from __future__ import annotations

from .check_fixed_ips import address_problem, in_no_subnet, subnet_of
from .context import Context, place
from .model import FloatingIp, IPAddress, Network, Subnet


def check_floating_ips(context: Context) -> None:
    """Check all floating IPs."""
    for floating_ip in context.topology.floating_ips():
        if not context.sound("floating_ips", floating_ip.project, floating_ip.name):
            continue
        network = context.network(
            floating_ip.network, floating_ip.project, context.at_floating_ip, floating_ip, "network"
        )
        if network is not None and context.sound("networks", network.project, network.name):
            _check_network(context, floating_ip, network)
            if floating_ip.address is not None:
                _check_address(context, floating_ip, network, floating_ip.address)
        _check_use(context, floating_ip)
        _check_forwardings(context, floating_ip)


def _note(context: Context, floating_ip: FloatingIp, message: str, remedy: str, *parts: str | int) -> None:
    context.note(context.at_floating_ip(floating_ip, *parts), message, remedy)


def _check_network(context: Context, floating_ip: FloatingIp, network: Network) -> None:
    if not network.external:
        message = f"network {network.project}/{network.name} is not external"
        remedy = f"set external: true on it ({place(context.at_network(network))}), or name another network"
        _note(context, floating_ip, message, remedy, "network")
    elif not any(subnet.ip_version == 4 for subnet in network.subnets.values()):
        message = f"network {network.project}/{network.name} has no IPv4 subnet"
        _note(context, floating_ip, message, "give it one, or name another network", "network")


def _check_address(context: Context, floating_ip: FloatingIp, network: Network, address: IPAddress) -> None:
    if address.version != 4:
        remedy = "use an IPv4 address; with IPv6 give the subnet inside a prefix that is routed to its router"
        _note(context, floating_ip, f"{address} is no IPv4 address", remedy, "address")
        return
    subnet = subnet_of(network, address)
    if subnet is None:
        _note(context, floating_ip, *in_no_subnet(network, address), "address")
        return
    problem = address_problem(subnet, address) or _pool_problem(subnet, address)
    if problem is not None:
        _note(context, floating_ip, problem, "use another address of the subnet, or leave it out", "address")
        return
    holder = f"floating IP {floating_ip.project}/{floating_ip.name}"
    shown = f"{address} in network {network.name}"
    context.addresses.claim((network.key, address), shown, holder, context.at_floating_ip, floating_ip, "address")


def _pool_problem(subnet: Subnet, address: IPAddress) -> str | None:
    if address == subnet.gateway_ip:
        return f"{address} is the gateway of subnet {subnet.name}"
    pools = subnet.allocation_pools
    if pools and not any(int(start) <= int(address) <= int(end) for start, end in pools):
        ranges = ", ".join(f"{start} to {end}" for start, end in pools)
        return f"{address} is outside the allocation_pools of subnet {subnet.name}: {ranges}"
    return None


def _check_use(context: Context, floating_ip: FloatingIp) -> None:
    if floating_ip.port is None:
        if floating_ip.fixed_address is not None:
            _note(context, floating_ip, "fixed_ip without a port", "add port, or remove it", "fixed_ip")
        return
    if floating_ip.port_forwardings:
        message = "the whole address stands for a port, so single ports of it can't be forwarded"
        remedy = "remove port or port_forwardings, or use two floating IPs"
        _note(context, floating_ip, message, remedy, "port_forwardings")
    _check_port(context, floating_ip, floating_ip.port, "port")


def _check_port(context: Context, floating_ip: FloatingIp, name: str, *parts: str | int) -> None:
    known = context.topology.projects[floating_ip.project].ports
    if name in known:
        return
    # A port that was given but could not be read has a problem of its own.
    if context.sound("ports", floating_ip.project, name):
        remedy = context.suggestion(name, known, "add the port")
        _note(context, floating_ip, f"project {floating_ip.project} has no port {name!r}", remedy, *parts)


def _check_forwardings(context: Context, floating_ip: FloatingIp) -> None:
    taken: list[tuple[str, int, int, int]] = []
    for index, forwarding in enumerate(floating_ip.port_forwardings):
        _check_port(context, floating_ip, forwarding.port, "port_forwardings", index, "port")
        first, last = forwarding.external_ports
        inner_first, inner_last = forwarding.internal_ports
        if last - first != inner_last - inner_first:
            message = f"{last - first + 1} ports lead to {inner_last - inner_first + 1}"
            remedy = "make both ranges equally long"
            _note(context, floating_ip, message, remedy, "port_forwardings", index, "internal_port")
        for protocol, other, other_first, other_last in taken:
            if protocol == forwarding.protocol and first <= other_last and other_first <= last:
                message = f"{protocol} {_range(first, last)} is in port_forwardings[{other}] already"
                remedy = "forward each port once"
                _note(context, floating_ip, message, remedy, "port_forwardings", index, "external_port")
                break
        taken.append((forwarding.protocol, index, first, last))


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
