# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The links that the fabric's own ports have in their namespaces: of DHCP servers and of routers."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import underlay
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.bridges import resource_path
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import (
    HostView,
    LocalPort,
    NetworkView,
)

Item = dict[str, t.Any]


def veth(view: HostView, network: NetworkView, local: LocalPort, addresses: list[str] | None = None) -> Item:
    """Return the veth pair of a port. Without a word about addresses they are somebody else's business."""
    link: Item = {
        "name": local.interface,
        "kind": "veth",
        "peer": local.device,
        "mac": local.port.mac_address,
        "mtu": network.network.mtu,
    }
    if view.host.datapath_type == "netdev":
        # Open vSwitch's userspace datapath forwards frames as they are; nobody would fill in the checksums
        # that a kernel leaves to the hardware, and TCP and UDP would fail while ping works.
        link["tx_checksum"] = False
    link.update(underlay.plugged(view))
    if addresses is not None:
        link["addresses"] = addresses
    return {**link, "resource": resource_path(local)}


def addresses_of(network: NetworkView, local: LocalPort) -> list[str]:
    """Return the addresses of a port with the prefix lengths of its subnets."""
    subnets = network.network.subnets
    return [f"{ip.address}/{subnets[ip.subnet].cidr.prefixlen}" for ip in local.port.fixed_ips if ip.address]
