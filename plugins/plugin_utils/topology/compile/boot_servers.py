# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes boot from: the arguments of boot_servers."""

from __future__ import annotations

import typing as t
from ipaddress import IPv6Network

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import names
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.boot_texts import with_texts
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import (
    HostView,
    LocalPort,
    NetworkView,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Port
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model_bare_metal import (
    DEPLOYMENT_OWNER,
    HTTP_PORT,
    LEASE_TIME,
)

Item = dict[str, t.Any]


def compile_boot_servers(view: HostView, templates: t.Mapping[str, str]) -> Item:
    """Return the arguments of boot_servers. templates replaces the collection's own."""
    return {
        "servers": [
            with_texts(_server(network, network.boot_server), templates, volumes=has_volumes(network))
            for network in view.networks
            if network.boot_server is not None
        ]
    }


def has_volumes(network: NetworkView) -> bool:
    """Tell whether nodes boot here from volumes, in a tenant's network, and are not deployed."""
    return any(port.boots for port in network.ports)


def ra_prefix(network: NetworkView) -> IPv6Network | None:
    """Return the prefix that the boot server tells of, so that nobody waits for a router; None: a router does.

    iPXE waits many seconds for one unless it hears that there is nothing. The prefix is of the unique local kind
    (RFC 4193), made from the network's id. A tenant's network has what its routers tell, and nothing of ours.
    """
    if has_volumes(network):
        return None
    sixes = {name for name, subnet in network.network.subnets.items() if subnet.ip_version == 6}
    if any(fixed.subnet in sixes for port in network.ports if port.router for fixed in port.fixed_ips):
        return None
    digits = network.network.id.replace("-", "")[:14]
    return IPv6Network((int("fd" + digits, 16) << 64, 64))


def _server(network: NetworkView, local: LocalPort) -> Item:
    fixed = local.port.fixed_ips[0]
    prefix = ra_prefix(network)
    return {
        "name": network.network.id,
        "namespace": names.boot_namespace(network.network.id),
        "interface": local.interface,
        "address": str(fixed.address),
        "cidr": str(network.network.subnets[fixed.subnet].cidr),
        "http_port": HTTP_PORT,
        "ra_prefix": None if prefix is None else str(prefix),
        "lease_time": LEASE_TIME,
        "nodes": _nodes(network),
    }


def _nodes(network: NetworkView) -> list[Item]:
    """Return the nodes by name, each with its address and the interfaces that it may boot from."""
    found: dict[str, list[Port]] = {}
    for port in network.ports:
        if (port.device_owner == DEPLOYMENT_OWNER or port.boots) and port.nic is not None:
            found.setdefault(port.nic[0], []).append(port)
    return [
        {
            "name": node,
            "address": str(next(address for address in ports[0].addresses if address.version == 4)),
            "mac_addresses": sorted(port.mac_address for port in ports),
        }
        for node, ports in sorted(found.items())
    ]
