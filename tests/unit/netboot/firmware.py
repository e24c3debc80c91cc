# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine's firmware does before there is an operating system: DHCP with the options of PXE, and TFTP.

Written apart from the code under test.
"""

from __future__ import annotations

import os
import socket
import struct

from ansible_collections.weft.fabric.tests.unit.dhcp.wire_client import DISCOVER, REQUEST, Client, Reply

BIOS, EFI, EFI_BC, EFI_HTTP = 0, 7, 9, 16


class Firmware(Client):
    """A NIC that boots."""

    def boot(self, options: bytes) -> Reply | None:
        """Ask for an address and what to boot, and return the acknowledgement; None when nobody answers."""
        offers = self.speak(DISCOVER, options)
        if not offers:
            return None
        chosen = bytes([50, 4]) + socket.inet_aton(offers[0].address)
        chosen += bytes([54, 4]) + socket.inet_aton(offers[0].server)
        return self.speak(REQUEST, chosen + options)[0]

    def speak(self, kind: int, options: bytes, wait: float = 1.0) -> list[Reply]:
        """Broadcast a message and return the first reply to it."""
        xid = struct.unpack("I", os.urandom(4))[0]
        body = struct.pack("!BBBBIHH", 1, 1, 6, 0, xid, 0, 0x8000) + bytes(16) + self.mac + bytes(10 + 192)
        body += bytes.fromhex("63825363") + bytes([53, 1, kind]) + options + b"\xff"
        self.socket.send(self._frame(body, "0.0.0.0"))
        return self._replies(xid, wait, 1, bytes(4))


def option(number: int, value: bytes) -> bytes:
    return bytes([number, len(value)]) + value


def pxe(architecture: int, *, wants: bytes = bytes([1, 3, 43, 54, 60, 66, 67])) -> bytes:
    """Return the options of a firmware that boots by PXE, or by HTTP: client architecture, interface, UUID, vendor."""
    vendor = b"HTTPClient" if architecture == EFI_HTTP else b"PXEClient"
    told = option(60, vendor + b":Arch:%05d:UNDI:003016" % architecture) + option(55, wants)
    return told + option(93, struct.pack("!H", architecture)) + option(94, bytes([1, 3, 16])) + option(97, bytes(17))


def ipxe(architecture: int) -> bytes:
    """Return the options of iPXE: those of its platform, the user class and its own."""
    own = bytes([0xB1, 1, 1, 0x13, 1, 1, 0xEB, 3, 1, 0, 0])
    wants = bytes([1, 3, 6, 7, 12, 15, 17, 26, 43, 60, 66, 67, 119, *range(128, 136), 175, 203])
    return pxe(architecture, wants=wants) + option(77, b"iPXE") + option(175, own)


def tftp(server: str, name: str, source: str, size: int = 1468) -> bytes:
    """Fetch a file. Raises FileNotFoundError or PermissionError as the server says, TimeoutError when it does not."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((source, 0))
        client.settimeout(2)
        words = [name.encode(), b"octet", b"blksize", str(size).encode()]
        client.sendto(struct.pack("!H", 1) + b"".join(word + b"\0" for word in words), (server, 69))
        content, expected, block = b"", 1, b""
        while True:
            packet, peer = client.recvfrom(65536)
            kind = struct.unpack_from("!H", packet)[0]
            if kind == 5:
                code = struct.unpack_from("!H", packet, 2)[0]
                raise {1: FileNotFoundError, 2: PermissionError}.get(code, OSError)(packet[4:-1].decode())
            if kind == 6:
                client.sendto(struct.pack("!HH", 4, 0), peer)
                continue
            number, block = struct.unpack_from("!H", packet, 2)[0], packet[4:]
            if number == expected & 0xFFFF:
                content += block
                expected += 1
            client.sendto(struct.pack("!HH", 4, number), peer)
            if len(block) < size:
                return content
