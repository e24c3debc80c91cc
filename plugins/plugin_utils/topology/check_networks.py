# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about networks and subnets that a schema can't say."""

from __future__ import annotations

from .context import Claims, Context, place
from .model import PROVIDER_TYPES, TUNNEL_TYPES, IPNetwork, Network, Subnet

_VLAN_MAX = 4094


def check_networks(context: Context) -> None:
    """Check all networks and their subnets."""
    networks = [n for n in context.topology.networks() if context.sound("networks", n.project, n.name)]
    for network in networks:
        _check_type(context, network)
        subnets = list(network.subnets.values())
        for subnet in subnets:
            _check_subnet(context, network, subnet)
        _check_overlap(context, network, subnets)
    _check_segments(context, networks)


def _check_type(context: Context, network: Network) -> None:
    if network.type in TUNNEL_TYPES:
        if network.physical_network is not None:
            context.note(
                context.at_network(network, "physical_network"),
                f"a {network.type} network lives on the underlay, not on a physical network",
                "remove it, or use type vlan or flat",
            )
        return
    known = context.topology.physical_networks
    if network.physical_network is None:
        remedy = "add physical_network: " + (next(iter(known)) if known else "NAME")
        context.note(context.at_network(network), f"a {network.type} network without physical_network", remedy)
    elif network.physical_network not in known:
        context.note(
            context.at_network(network, "physical_network"),
            f"there is no physical network {network.physical_network!r}",
            context.suggestion(network.physical_network, known, "add it to physical_networks at the top"),
        )
    if network.type == "flat" and network.segmentation_id is not None:
        where = context.at_network(network, "segmentation_id")
        context.note(where, "a flat network has no tags, so no segmentation_id", "remove it, or use type vlan")
    if network.type == "vlan" and network.segmentation_id is None:
        remedy = "add segmentation_id, the VLAN that the physical network carries it in"
        context.note(context.at_network(network), "a vlan network without segmentation_id", remedy)
    if network.type == "vlan" and network.segmentation_id is not None and network.segmentation_id > _VLAN_MAX:
        where = context.at_network(network, "segmentation_id")
        context.note(where, f"{network.segmentation_id} is not a VLAN", f"use a number from 1 to {_VLAN_MAX}")


def _check_segments(context: Context, networks: list[Network]) -> None:
    """Two networks in one segment would be one network."""
    claims = Claims(context, "the segment", "give each network its own segmentation_id")
    flats = Claims(context, "the physical network", "use type vlan for all but one of them")
    for network in networks:
        holder = f"network {network.project}/{network.name}"
        if network.type == "flat" and network.physical_network is not None:
            flats.claim(
                network.physical_network,
                f"{network.physical_network} without tags",
                holder,
                context.at_network,
                network,
                "physical_network",
            )
        elif network.segmentation_id is not None:
            on = f" on {network.physical_network}" if network.type in PROVIDER_TYPES else ""
            claims.claim(
                (network.type, network.physical_network, network.segmentation_id),
                f"{network.type} {network.segmentation_id}{on}",
                holder,
                context.at_network,
                network,
                "segmentation_id",
            )


def _check_overlap(context: Context, network: Network, subnets: list[Subnet]) -> None:
    ordered = sorted(subnets, key=lambda s: (s.cidr.version, int(s.cidr.network_address), s.cidr.prefixlen))
    for one, other in zip(ordered, ordered[1:], strict=False):
        if one.cidr.version == other.cidr.version and one.cidr.overlaps(other.cidr):
            first, second = sorted((one, other), key=lambda s: (s.where.line, s.name))
            context.note(
                context.at_subnet(network, second, "cidr"),
                f"{second.cidr} overlaps {first.cidr} of subnet {first.name} ({place(first.where)})",
                "give the subnets of one network ranges apart",
            )


def _check_subnet(context: Context, network: Network, subnet: Subnet) -> None:
    _check_cidr(context, network, subnet)
    _check_modes(context, network, subnet)
    _check_gateway(context, network, subnet)
    _check_pools(context, network, subnet)
    _check_servers(context, network, subnet)


def _check_cidr(context: Context, network: Network, subnet: Subnet) -> None:
    cidr = subnet.cidr
    at = context.at_subnet(network, subnet, "cidr")
    if cidr.is_multicast or cidr.is_loopback or cidr.network_address.is_unspecified or cidr.is_link_local:
        context.note(at, f"{cidr} can't be given to ports", "use a range of unicast addresses")
    elif subnet.enable_dhcp and cidr.num_addresses < 4:
        message = f"{cidr} is too small for DHCP: router, DHCP server and a port need an address each"
        context.note(at, message, f"use a /{cidr.max_prefixlen - 2} or larger, or set enable_dhcp: false")


def _check_modes(context: Context, network: Network, subnet: Subnet) -> None:
    if subnet.ipv6_mode is None:
        return
    where = context.at_subnet(network, subnet, "ipv6_mode")
    if subnet.ip_version == 4:
        context.note(where, "ipv6_mode on an IPv4 subnet", "remove it")
    elif subnet.ipv6_mode != "dhcpv6-stateful" and subnet.cidr.prefixlen != 64:
        message = f"{subnet.ipv6_mode} makes addresses from MACs, which needs a /64, not a /{subnet.cidr.prefixlen}"
        context.note(where, message, "use a /64, or ipv6_mode: dhcpv6-stateful")


def _check_gateway(context: Context, network: Network, subnet: Subnet) -> None:
    gateway = subnet.gateway_ip
    if gateway is None:
        return
    where = context.at_subnet(network, subnet, "gateway_ip")
    if gateway.version == 6 and gateway.is_link_local:
        return
    if gateway not in subnet.cidr:
        context.note(where, f"{gateway} is outside {subnet.cidr}", "use an address of the subnet, or null for none")
    elif is_reserved(subnet.cidr, gateway):
        message = f"{gateway} is the network or broadcast address of {subnet.cidr}"
        context.note(where, message, "use another address of the subnet, or null for none")


def is_reserved(cidr: IPNetwork, address: object) -> bool:
    """Tell whether an address is the network address (IPv6: of all routers) or IPv4 broadcast address."""
    if cidr.prefixlen >= cidr.max_prefixlen - 1:
        return False
    return address == cidr.network_address or (cidr.version == 4 and address == cidr.broadcast_address)


def _check_pools(context: Context, network: Network, subnet: Subnet) -> None:
    good = []
    for index, (start, end) in enumerate(subnet.allocation_pools):
        where = context.at_subnet(network, subnet, "allocation_pools", index)
        if start not in subnet.cidr or end not in subnet.cidr:
            context.note(where, f"the pool {start} to {end} is outside {subnet.cidr}", "keep it inside the subnet")
        elif int(start) > int(end):
            context.note(where, f"the pool ends ({end}) before it starts ({start})", "swap start and end")
        elif is_reserved(subnet.cidr, start) or is_reserved(subnet.cidr, end):
            context.note(
                where,
                f"the pool {start} to {end} holds the network or broadcast address of {subnet.cidr}",
                "leave it out of the pool",
            )
        else:
            good.append((int(start), int(end), index))
    good.sort()
    for one, other in zip(good, good[1:], strict=False):
        if one[1] >= other[0]:
            first, second = sorted((one[2], other[2]))
            where = context.at_subnet(network, subnet, "allocation_pools", second)
            context.note(where, f"the pool overlaps pool [{first}]", "join the two, or set them apart")


def _check_servers(context: Context, network: Network, subnet: Subnet) -> None:
    version = subnet.ip_version
    for what, servers in (("dns_nameservers", subnet.dns_nameservers), ("ntp_servers", subnet.ntp_servers)):
        for index, server in enumerate(servers):
            if server.version != version:
                where = context.at_subnet(network, subnet, what, index)
                context.note(where, f"{server} in an IPv{version} subnet", f"use an IPv{version} address")
    for index, (destination, nexthop) in enumerate(subnet.host_routes):
        if destination.version != version or nexthop.version != version:
            where = context.at_subnet(network, subnet, "host_routes", index)
            context.note(
                where, f"the route {destination} via {nexthop} in an IPv{version} subnet", "use one IP version"
            )
    _check_options(context, network, subnet)


def _check_options(context: Context, network: Network, subnet: Subnet) -> None:
    for index, option in enumerate(subnet.extra_dhcp_opts):
        if option.ip_version != subnet.ip_version:
            context.note(
                context.at_subnet(network, subnet, "extra_dhcp_opts", index),
                f"an option for IPv{option.ip_version} on an IPv{subnet.ip_version} subnet",
                f"write ip_version: {subnet.ip_version}, or put it on the other subnet",
            )
