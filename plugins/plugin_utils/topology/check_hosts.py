# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about hosts and physical networks that a schema can't say."""

from __future__ import annotations

from functools import partial

from .context import Claims, Context, place
from .kinds import DEVICE
from .model import HOST_ROLES, ROUTER_GROUP, Host, IPAddress, Where
from .model_bare_metal import NODE_GROUPS
from .model_switches import SWITCH_GROUPS

# Inventory groups: Ansible can't tell a host from a group of the same name.
GROUP_NAMES = ("all", "ungrouped", *HOST_ROLES, ROUTER_GROUP, *SWITCH_GROUPS, *NODE_GROUPS)
_OWN_BRIDGES = ("br-int", "br-tun")


def check_hosts(context: Context) -> None:
    """Check all hosts."""
    hosts = [host for host in context.topology.hosts.values() if context.sound("hosts", host.name)]
    for host in hosts:
        _check_name(context, host)
        _check_underlay(context, host)
        _check_physical_networks(context, host)
    _check_underlay_addresses(context, hosts)
    _check_underlay_family(context, hosts)


def _check_name(context: Context, host: Host) -> None:
    if host.name in GROUP_NAMES:
        context.note(host.where, f"{host.name!r} is the name of an inventory group", "choose another name")


def _check_underlay(context: Context, host: Host) -> None:
    underlay = host.underlay
    if underlay is None:
        return
    address = underlay.address
    if address.is_multicast or address.is_unspecified or address.is_loopback or str(address) == "255.255.255.255":
        message = f"{address} can't be the address of a tunnel end point"
        context.note(context.at_host(host, "underlay", "address"), message, "use a unicast address of the host")
    netdev = host.datapath_type == "netdev"
    if netdev and underlay.interface is not None:
        _check_prefix(context, address, underlay.prefix_length, context.at_host(host, "underlay", "address"))
        for index, (other, length) in enumerate(underlay.other_addresses):
            _check_prefix(context, other, length, context.at_host(host, "underlay", "other_addresses", index))
    if underlay.bridge in _OWN_BRIDGES:
        where = context.at_host(host, "underlay", "bridge")
        context.note(where, f"{underlay.bridge} is the fabric's own bridge", "name another bridge")
    for index, (to, via) in enumerate(underlay.routes):
        if not to.version == via.version == address.version:
            where = context.at_host(host, "underlay", "routes", index)
            context.note(where, f"{to}, {via} and {address} are of different IP versions", "use one IP version")


def _check_prefix(context: Context, address: IPAddress, length: int | None, where: Where) -> None:
    if length is None:
        context.note(
            where,
            f"{address} moves to the bridge of the userspace datapath, and its prefix length is not known",
            f"write it with its prefix length, like {address}/{24 if address.version == 4 else 64}",
        )


def _check_physical_networks(context: Context, host: Host) -> None:
    known = context.topology.physical_networks
    bridges: dict[str, str] = {}
    interfaces: dict[str, str] = {}
    if host.underlay is not None and host.underlay.interface is not None:
        interfaces[host.underlay.interface] = "underlay"
    for name, mapping in host.physical_networks.items():
        # Asked only when there is something to tell: among thousands of hosts the search takes long.
        where = partial(context.at_host, host, "physical_networks", name)
        if name not in known:
            remedy = context.suggestion(name, known, "add it to physical_networks at the top")
            context.note(where(), f"there is no physical network {name!r}", remedy)
        if len(mapping.bridge) > DEVICE.limit:
            message = f"the bridge's name {mapping.bridge!r} is longer than {DEVICE.limit} characters"
            context.note(where(), message, "give it a shorter name with 'bridge'")
        if mapping.bridge in _OWN_BRIDGES:
            context.note(where(), f"{mapping.bridge} is the fabric's own bridge", "name another bridge")
        other = bridges.setdefault(mapping.bridge, name)
        if other != name:
            message = f"the bridge {mapping.bridge} already stands for physical network {other}"
            context.note(where(), message, "give each physical network a bridge of its own")
        if mapping.interface is not None:
            other = interfaces.setdefault(mapping.interface, name)
            if other != name:
                message = f"the interface {mapping.interface} already belongs to {other}"
                context.note(where(), message, "give each its own interface, or a VLAN interface like eth1.100")


def _check_underlay_addresses(context: Context, hosts: list[Host]) -> None:
    claims = Claims(context, "the underlay address", "give each host an underlay address of its own")
    for host in hosts:
        if host.underlay is not None:
            address = host.underlay.address
            claims.claim(address, str(address), f"host {host.name}", context.at_host, host, "underlay", "address")


def _check_underlay_family(context: Context, hosts: list[Host]) -> None:
    first: dict[int, Host] = {}
    for host in hosts:
        if host.underlay is not None:
            first.setdefault(host.underlay.address.version, host)
    if len(first) == 2:
        versions = list(first)
        earlier, later = (first[version] for version in versions)
        where = context.at_host(later, "underlay", "address")
        context.note(
            where,
            f"an IPv{versions[1]} underlay, while {earlier.name} has "
            f"IPv{versions[0]} ({place(context.at_host(earlier, 'underlay', 'address'))}): "
            "no tunnel can join them",
            "use one IP version for the underlay of all hosts",
        )
