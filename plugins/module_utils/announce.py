# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling neighbours where an address is now: gratuitous ARP and unsolicited neighbour advertisements.

Who has known it elsewhere would go on sending there for as long as it remembers, and so would switches in between.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import netns

_ARP, _IPV6 = 0x0806, 0x86DD
_BROADCAST = b"\xff" * 6
_ALL_NODES = socket.inet_pton(socket.AF_INET6, "ff02::1")
_ALL_NODES_MAC = b"\x33\x33\x00\x00\x00\x01"
_ICMPV6 = 58
_HOP_LIMIT = 255
_ADVERTISEMENT = 136
_OVERRIDE = 0x20000000
_ROUTER = 0x80000000


class Announcement(t.NamedTuple):
    """An address that has come to a device."""

    namespace: t.Optional[str]
    device: str
    address: str  # without prefix length
    listener: t.Optional[str] = None  # the one IPv6 address it is told to; all nodes of the link when there is none


def send(announcements: t.Iterable[Announcement]) -> None:
    """Tell it once for each address. A device that has gone in the meantime has nothing to tell."""
    for namespace, device, address, listener in announcements:
        with contextlib.suppress(OSError), netns.entered(namespace), _raw_socket() as raw:
            raw.bind((device, 0))
            raw.send(frame(raw.getsockname()[4], address, listener))


def _raw_socket() -> socket.socket:
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW)


def frame(mac: bytes, address: str, listener: t.Optional[str] = None) -> bytes:
    """Return the frame that announces an address at a MAC.

    It goes to everybody on the link, also when the packet in it is for one listener: whose MAC that is, is not known.
    """
    if ":" not in address:
        packed = socket.inet_aton(address)
        question = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + packed + bytes(6) + packed
        return _BROADCAST + mac + struct.pack("!H", _ARP) + question
    packed = socket.inet_pton(socket.AF_INET6, address)
    destination = socket.inet_pton(socket.AF_INET6, listener) if listener is not None else _ALL_NODES
    body = struct.pack("!I", _ROUTER | _OVERRIDE) + packed + b"\x02\x01" + mac
    length = 4 + len(body)
    pseudo = packed + destination + struct.pack("!II", length, _ICMPV6)
    checksum = _checksum(pseudo + struct.pack("!BBH", _ADVERTISEMENT, 0, 0) + body)
    header = struct.pack("!IHBB", 6 << 28, length, _ICMPV6, _HOP_LIMIT) + packed + destination
    message = struct.pack("!BBH", _ADVERTISEMENT, 0, checksum) + body
    return _ALL_NODES_MAC + mac + struct.pack("!H", _IPV6) + header + message


def _checksum(content: bytes) -> int:
    total = sum(struct.unpack("!%dH" % (len(content) // 2), content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
