# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that the userspace datapath no longer hears.

It opens a packet socket on each device. When the device goes, the socket dies; and when another comes under the same
name, ovs-vswitchd takes it for the old one, and keeps the dead socket for ever. Its database tells nothing of it: the
port has its number, and not a frame gets through. The kernel knows on which devices somebody listens.
"""

from __future__ import annotations

import socket
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.ovs_snapshot import works

SOCKETS = "/proc/thread-self/net/packet"
_USERSPACE = "netdev"
_DEVICE_TYPES = ("", "system")  # those that are a device of the host, opened with a packet socket


def deaf_interfaces(snapshot: t.Any) -> t.Set[str]:
    """Return the names of the interfaces that work by what the database says, and on whose device nobody listens."""
    devices = {
        port["name"]: _index(port["name"])
        for bridge in snapshot.bridges.values()
        if bridge["datapath_type"] == _USERSPACE and _is_here(snapshot, bridge["name"])
        for port in bridge["ports"]
        if port["interface"] and port["interface"]["type"] in _DEVICE_TYPES and works(port["interface"])
    }
    present = {name for name, index in devices.items() if index is not None}
    heard = _listened_to() if present else None
    return set() if heard is None else {name for name in present if devices[name] not in heard}


def _is_here(snapshot: t.Any, bridge: str) -> bool:
    """Whether ovs-vswitchd's devices are this host's: it may be elsewhere, or have stand-ins for them."""
    own = snapshot.ports.get(bridge)
    index = own["interface"]["ifindex"] if own and own["interface"] else None
    return bool(index) and index == _index(bridge)


def _index(device: str) -> t.Optional[int]:
    try:
        return socket.if_nametoindex(device)
    except OSError:
        return None


def _listened_to() -> t.Optional[t.Set[int]]:
    """Return the numbers of the devices that packet sockets are bound to, or None when that cannot be known."""
    try:
        with open(SOCKETS, "r", encoding="ascii") as stream:
            return {int(line.split()[4]) for line in stream.readlines()[1:]}
    except FileNotFoundError:
        return None
