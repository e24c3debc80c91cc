# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DHCP options of a network, of its subnets and of single ports, as dnsmasq selects them by tag.

dnsmasq prefers an option of the port's tag to one of the subnet's tag.
"""

from __future__ import annotations

import typing as t
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import NetworkView
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    DhcpOption,
    IPAddress,
    Port,
    Subnet,
    resource_id,
)

ROUTER, DNS, NTP, DOMAIN_SEARCH, ROUTES, MS_ROUTES = "3", "6", "42", "119", "121", "249"
DNS_V6, DOMAIN_SEARCH_V6, SNTP_V6, NTP_V6 = "option6:23", "option6:24", "option6:31", "option6:56"

_ON_LINK = str(IPv4Address(0))  # RFC 3442: such a next hop means that the destination needs none

Item = dict[str, t.Any]


def served(network: NetworkView) -> list[Subnet]:
    """Return the subnets that DHCP is for; with SLAAC there is nothing to ask a server."""
    return [
        subnet
        for subnet in network.network.subnets.values()
        if subnet.enable_dhcp
        and (subnet.ip_version == 4 or subnet.ipv6_mode in ("dhcpv6-stateful", "dhcpv6-stateless"))
    ]


def options(network: NetworkView, ports: list[Port]) -> list[Item]:
    """Return all options of a network's servers."""
    found: list[Item] = []
    for subnet in served(network):
        standard = _standard_v4 if subnet.ip_version == 4 else _standard_v6
        extra = {_number(option): _value(option) for option in subnet.extra_dhcp_opts}
        # An option that the topology names for the subnet takes the place of ours.
        values = {**dict(standard(network, subnet)), **extra}
        found += [_item(subnet_tag(subnet), option, value) for option, value in values.items()]
    for port in ports:
        found += [_item(port_tag(port), _number(option), _value(option)) for option in port.extra_dhcp_opts]
    return found


def domain(network: NetworkView) -> str:
    """Return a network's DNS domain without the dot at its end."""
    return network.network.dns_domain.rstrip(".")


def subnet_tag(subnet: Subnet) -> str:
    """Return the tag that dnsmasq puts on a client of a subnet."""
    return "subnet-" + resource_id("tag", str(subnet.cidr))[:8]


def port_tag(port: Port) -> str:
    """Return the tag that dnsmasq puts on one client."""
    return "port-" + port.id[:8]


def _standard_v4(network: NetworkView, subnet: Subnet) -> t.Iterator[tuple[str, str]]:
    # Without a value dnsmasq sends no router; without the line it would send itself.
    yield ROUTER, str(subnet.gateway_ip or "")
    yield DNS, _join(name_servers(network, subnet))
    if subnet.ntp_servers:
        yield NTP, _join(subnet.ntp_servers)
    if domain(network):
        yield DOMAIN_SEARCH, domain(network)
    routes = _routes(network, subnet)
    if routes:
        # Microsoft's own number from before RFC 3442 is still what some clients ask for.
        yield ROUTES, routes
        yield MS_ROUTES, routes


def _standard_v6(network: NetworkView, subnet: Subnet) -> t.Iterator[tuple[str, str]]:
    yield DNS_V6, _join(name_servers(network, subnet))
    if domain(network):
        yield DOMAIN_SEARCH_V6, domain(network)
    if subnet.ntp_servers:
        yield SNTP_V6, _join(subnet.ntp_servers)
        yield NTP_V6, _join(subnet.ntp_servers)


def name_servers(network: NetworkView, subnet: Subnet) -> list[IPAddress]:
    """Return a subnet's own name servers, or else all DHCP servers of the network."""
    if subnet.dns_nameservers:
        return list(subnet.dns_nameservers)
    servers = network.dhcp_ports
    own = [ip.address for port in servers for ip in port.fixed_ips if ip.subnet == subnet.name and ip.address]
    return own or [address for port in servers for address in port.addresses if address.version == subnet.ip_version]


def _routes(network: NetworkView, subnet: Subnet) -> str:
    """Return classless routes: the subnet's own, its sister subnets on the same link, and the default route.

    The default route is repeated because a client that understands classless routes ignores the router option.
    """
    pairs = [(str(destination), str(nexthop)) for destination, nexthop in subnet.host_routes]
    sisters = [other for other in network.network.subnets.values() if other.ip_version == 4 and other is not subnet]
    pairs += [(str(other.cidr), _ON_LINK) for other in sisters]
    if pairs and subnet.gateway_ip is not None and "0.0.0.0/0" not in dict(pairs):
        pairs.append(("0.0.0.0/0", str(subnet.gateway_ip)))
    return ",".join(f"{destination},{nexthop}" for destination, nexthop in pairs)


def _item(tag: str, option: str, value: str) -> Item:
    return {"tags": [tag], "option": option, "value": value}


def _number(option: DhcpOption) -> str:
    """Return how dnsmasq names an option: a bare number is IPv4's."""
    if option.ip_version == 6:
        return "option6:" + option.name
    return option.name if option.name.isdigit() else "option:" + option.name


def _value(option: DhcpOption) -> str:
    if option.ip_version == 4:
        return option.value
    return ",".join(_bracketed(part) for part in option.value.split(","))


def _bracketed(text: str) -> str:
    try:
        return f"[{IPv6Address(text.strip())}]"
    except AddressValueError:
        return text


def _join(addresses: t.Iterable[IPAddress]) -> str:
    return ",".join(f"[{address}]" if address.version == 6 else str(address) for address in addresses)
