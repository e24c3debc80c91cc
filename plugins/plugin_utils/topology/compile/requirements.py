# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be on a host before anything is changed there: the arguments of requirements_info."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import nat, ra
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import HostView

PROGRAMS = ("ip", "ovs-vsctl", "ovs-ofctl")
TRANSLATION = ("nft", "conntrack")
AVAILABILITY = ("keepalived", "conntrackd")
BOOT = ("dnsmasq", "nginx", "ipxe")
# What writes a node's disk over iSCSI. The first comes with the library that does.
EXPORTED = ("iscsi-ls", "zstd")


def compile_requirements(view: HostView) -> dict[str, t.Any]:
    """Return the programs that a host's modules call, and the interfaces they use with their least MTU."""
    programs = list(PROGRAMS)
    if any(network.dhcp_server for network in view.networks):
        programs.append("dnsmasq")
    if nat.tables(view):
        programs += TRANSLATION
    if any(router.ha for router in view.routers):
        programs += AVAILABILITY
    if ra.advertisers(view):
        programs.append("radvd")
    if any(network.boot_server for network in view.networks):
        programs += (program for program in (*BOOT, "ssh-keygen") if program not in programs)
        if any(node.deploy_interface == "iscsi" for node in view.topology.nodes.values()):
            programs += EXPORTED
    interfaces: dict[str, int] = {}
    underlay = view.host.underlay
    if underlay is not None and underlay.interface is not None:
        interfaces[underlay.interface] = underlay.mtu
    for attachment, _networks in view.providers.values():
        if attachment.interface is not None:
            interfaces[attachment.interface] = view.topology.physical_networks[attachment.physical_network].mtu
    return {
        "programs": programs,
        "interfaces": [{"name": name, "mtu": mtu} for name, mtu in interfaces.items()],
    }
