# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about the fixed IPs of a port or of a router's gateway."""

from __future__ import annotations

import typing as t

from .check_networks import is_reserved
from .context import Context
from .model import FixedIp, IPAddress, Network, Subnet, Where


def check_fixed_ips(
    context: Context,
    network: Network,
    fixed_ips: t.Sequence[FixedIp],
    holder: str,
    at: t.Callable[..., Where],
    *arguments: t.Any,
) -> None:
    """Check fixed IPs, and find the subnet of those that name an address only. at(*arguments) is the resource."""
    for index, fixed in enumerate(fixed_ips):
        here = (*arguments, "fixed_ips", index)
        if not fixed.subnet and fixed.address is None:
            context.note(at(*here), "neither subnet nor address", "give one of them")
            continue
        if fixed.subnet and fixed.subnet not in network.subnets:
            remedy = context.suggestion(fixed.subnet, network.subnets, f"use a subnet of network {network.name}")
            context.note(at(*here, "subnet"), f"network {network.name} has no subnet {fixed.subnet!r}", remedy)
            continue
        if fixed.address is None:
            continue
        subnet = network.subnets[fixed.subnet] if fixed.subnet else subnet_of(network, fixed.address)
        if subnet is None:
            context.note(at(*here, "address"), *in_no_subnet(network, fixed.address))
            continue
        fixed.subnet = subnet.name
        problem = address_problem(subnet, fixed.address)
        if fixed.address == subnet.gateway_ip:
            problem = f"{fixed.address} is the gateway of subnet {subnet.name}"
        if problem:
            context.note(at(*here, "address"), problem, "use another address of the subnet")
            continue
        shown = f"{fixed.address} in network {network.name}"
        context.addresses.claim((network.key, fixed.address), shown, holder, at, *here, "address")


def subnet_of(network: Network, address: IPAddress) -> Subnet | None:
    """Return the subnet of a network in which an address is."""
    return next((subnet for subnet in network.subnets.values() if address in subnet.cidr), None)


def in_no_subnet(network: Network, address: IPAddress) -> tuple[str, str]:
    """Return what is wrong with an address that is in no subnet of its network, and the remedy."""
    cidrs = ", ".join(str(subnet.cidr) for subnet in network.subnets.values()) or "(it has none)"
    return f"{address} is in no subnet of network {network.name}: {cidrs}", "use an address of one of them"


def address_problem(subnet: Subnet, address: IPAddress) -> str | None:
    """Return why nobody in a subnet can have an address; None when somebody can."""
    if address not in subnet.cidr:
        return f"{address} is outside {subnet.cidr} of subnet {subnet.name}"
    if is_reserved(subnet.cidr, address):
        return f"{address} is the network or broadcast address of {subnet.cidr}"
    return None
