# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DHCP and names: the arguments of dhcp_servers.

Every server of a network gets the same hosts, options and names, so it doesn't matter which one answers.
What changes with each port stands in files that dnsmasq reads again; only a network's own frame (ranges, MTU,
domain) is in the configuration proper, whose change is a restart.
"""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.netboot_desired import url
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import dhcp_options, names
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.template import render
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import (
    HostView,
    LocalPort,
    NetworkView,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Port, Subnet
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model_bare_metal import BOOT_SERVER_OWNER, HTTP_PORT

DIRECTORY = "/var/lib/weft-fabric/dhcp"
TEMPLATE = "dnsmasq.conf.j2"

#: the tag of ports whose firmware is told of the boot server
BOOTS = "boots"

_LEASES_MAX = 1 << 24

Item = dict[str, t.Any]


def compile_dhcp(view: HostView, templates: t.Mapping[str, str]) -> Item:
    """Return the arguments of dhcp_servers."""
    servers = []
    for network in view.networks:
        local = network.dhcp_server
        if local is not None:
            servers.append(_server(network, local, templates.get(TEMPLATE)))
    return {"servers": servers}


def _server(network: NetworkView, local: LocalPort, template: str | None) -> Item:
    interface = names.far_end_name(local.port, local.id)
    subnets = dhcp_options.served(network)
    return {
        "name": network.network.id,
        "namespace": names.dhcp_namespace(network.network.id),
        "interface": interface,
        "config": render(TEMPLATE, template, **_variables(network, local, interface, subnets)),
        "hosts": [host for port in network.clients if (host := _host(port, subnets))],
        "options": dhcp_options.options(network, network.clients),
        "names": [entry for port in network.clients for entry in _names(network, port)],
        "leases": True,
    }


def _variables(network: NetworkView, local: LocalPort, interface: str, subnets: list[Subnet]) -> Item:
    """Return what the template may use. Nothing here may depend on the ports: that would restart the server."""
    return {
        "network": f"{network.network.project}/{network.network.name}",
        "interface": interface,
        "addresses": [str(address) for address in local.port.addresses if address.version == 4],
        "domain": dhcp_options.domain(network),
        "mtu": network.network.mtu,
        "ranges": [_range(subnet) for subnet in subnets],
        "lease_max": min(sum(subnet.cidr.num_addresses for subnet in subnets), _LEASES_MAX),
        "directory": f"{DIRECTORY}/{network.network.id}",
        "boot_server": _boot_server(network),
    }


def _boot_server(network: NetworkView) -> Item | None:
    """Return where the ports find their loader that boot from a volume; None: there are none."""
    port = next((port for port in network.ports if port.device_owner == BOOT_SERVER_OWNER), None)
    if port is None or not any(port.boots for port in network.ports):
        return None
    address = str(port.addresses[0])
    return {"address": address, "url": url(address, HTTP_PORT), "tag": BOOTS}


def _range(subnet: Subnet) -> Item:
    return {
        "tag": dhcp_options.subnet_tag(subnet),
        "ip_version": subnet.ip_version,
        "start": str(subnet.cidr.network_address),
        "netmask": str(subnet.cidr.netmask),
        "prefix_length": subnet.cidr.prefixlen,
        "lease_time": "infinite" if subnet.lease_time < 0 else str(subnet.lease_time),
    }


def _host(port: Port, subnets: list[Subnet]) -> Item | None:
    """Return what the server tells one port, or None when it has nothing for it.

    A client has one IPv4 lease: of several IPv4 addresses the first is leased, the others are its own affair.
    """
    leased = {subnet.name for subnet in subnets if subnet.ip_version == 4 or subnet.ipv6_mode == "dhcpv6-stateful"}
    addresses = [ip.address for ip in port.fixed_ips if ip.subnet in leased and ip.address is not None]
    first_v4 = [str(address) for address in addresses if address.version == 4][:1]
    all_v6 = [str(address) for address in addresses if address.version == 6]
    tags = [dhcp_options.port_tag(port)] if port.extra_dhcp_opts else []
    if port.boots:
        tags.append(BOOTS)
    if not (first_v4 or all_v6 or tags):
        return None
    return {"mac": port.mac_address, "hostname": _label(port), "addresses": first_v4 + all_v6, "tags": tags}


def _names(network: NetworkView, port: Port) -> t.Iterator[Item]:
    label = _label(port)
    domain = dhcp_options.domain(network)
    # The first name is the one that the address resolves to.
    known = [f"{label}.{domain}", label] if domain else [label]
    for address in port.addresses:
        yield {"address": str(address), "names": known}


def _label(port: Port) -> str:
    return port.dns_name or port.name
