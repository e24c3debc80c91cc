# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of devices, bridges and namespaces: derived from ids, so that every host and every run agrees on them."""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import IPAddress, Port

INTEGRATION_BRIDGE = "br-int"
TUNNEL_BRIDGE = "br-tun"
UNDERLAY_BRIDGE = "br-underlay"

# The two ends of the patch between the integration and the tunnel bridge, as in Neutron.
PATCH_TO_TUNNEL = "patch-tun"
PATCH_TO_INTEGRATION = "patch-int"

# Linux: IFNAMSIZ is 16, one byte of which ends the string.
DEVICE_NAME_MAX = 15
_ID_DIGITS = 11  # what Neutron keeps of an id behind a prefix of three letters or more


def device_name(port: Port, port_id: str) -> str:
    """Return the name of a port's device on br-int."""
    if port.binding.kind == "internal":
        return port.binding.interface or "int" + port_id[:_ID_DIGITS]
    if port.binding.kind == "tap" and port.binding.interface:
        return port.binding.interface
    return "tap" + port_id[:_ID_DIGITS]


def far_end_name(port: Port, port_id: str) -> str:
    """Return the name of the end of a veth pair that its user sees."""
    if port.binding.interface:
        return port.binding.interface
    if port.device_owner == "network:dhcp":
        return "ns-" + port_id[:_ID_DIGITS]
    return "eth0" if port.binding.namespace else "veth" + port_id[:_ID_DIGITS]


def dhcp_namespace(network_id: str) -> str:
    """Return the namespace in which the DHCP server of a network runs."""
    return "qdhcp-" + network_id


def boot_namespace(network_id: str) -> str:
    """Return the namespace of what nodes boot from in a network."""
    return "qboot-" + network_id


def router_namespace(router_id: str) -> str:
    """Return the namespace of a router."""
    return "qrouter-" + router_id


def snat_namespace(router_id: str) -> str:
    """Return the namespace of what a distributed router has on its network nodes."""
    return "snat-" + router_id


def floating_ip_namespace(network_id: str) -> str:
    """Return the namespace through which a host's floating IPs reach an external network."""
    return "fip-" + network_id


def transit_names(router_id: str) -> tuple[str, str]:
    """Return both ends of the pair between a router (first) and its floating IPs."""
    return "rfp-" + router_id[:_ID_DIGITS], "fpr-" + router_id[:_ID_DIGITS]


def provider_patches(bridge: str) -> tuple[str, str]:
    """Return both ends of the patch between br-int (first) and a provider bridge."""
    return _fitting("int-", bridge), _fitting("phy-", bridge)


def tunnel_name(tunnel_type: str, remote: IPAddress) -> str:
    """Return the name of the tunnel port towards a host: for IPv4 its address in hex, as in Neutron."""
    digits = remote.packed.hex() if isinstance(remote, IPv4Address) else _digest(remote.packed)
    return f"{tunnel_type}-{digits}"


def _fitting(prefix: str, name: str) -> str:
    if len(prefix) + len(name) <= DEVICE_NAME_MAX:
        return prefix + name
    return prefix + _digest(name.encode("utf-8"))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]
