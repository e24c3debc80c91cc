# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A DHCP client that can be told to say exactly one thing, and hears all that is said to it.

Written apart from the code under test, on raw frames: a real client hides a refused renewal by starting over.
"""

from __future__ import annotations

import ipaddress
import os
import select
import socket
import struct
import time

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE = range(1, 8)

_ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_MAGIC = b"\x63\x82\x53\x63"


class Reply:
    """A DHCP message a server sent."""

    def __init__(self, payload: bytes):
        self.xid = struct.unpack_from("!I", payload, 4)[0]
        self.address = socket.inet_ntoa(payload[16:20])
        self.next_server = socket.inet_ntoa(payload[20:24])
        self.server_name = payload[44:108].split(b"\0")[0].decode()
        self.file = payload[108:236].split(b"\0")[0].decode()
        self.options: dict[int, bytes] = {}
        offset = 240
        while offset < len(payload) and payload[offset] != 255:
            if payload[offset] == 0:
                offset += 1
                continue
            length = payload[offset + 1]
            self.options[payload[offset]] = payload[offset + 2 : offset + 2 + length]
            offset += 2 + length
        self.kind = self.options[53][0]

    @property
    def server(self) -> str:
        return socket.inet_ntoa(self.options[54])

    def __repr__(self) -> str:
        return f"<{self.kind} {self.address} from {self.options.get(54)!r} {self.options.get(56, b'').decode()!r}>"


class Client:
    """One MAC address behind one device of the namespace we are in."""

    def __init__(self, device: str, mac: str, client_id: bytes | None = None):
        self.device = device
        self.mac = bytes.fromhex(mac.replace(":", ""))
        self.client_id = client_id
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self.socket.bind((device, _ETH_P_ALL))
        # Frames for this MAC are not the device's own.
        index = socket.if_nametoindex(device)
        self.socket.setsockopt(_SOL_PACKET, 1, struct.pack("iHH8s", index, 1, 0, b""))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def say(
        self,
        kind: int,
        *,
        ciaddr: str = "0.0.0.0",
        requested: str | None = None,
        server: str | None = None,
        wait: float = 1.0,
        enough: int = 1,
    ) -> list[Reply]:
        """Broadcast one message and return the replies to it."""
        xid = struct.unpack("I", os.urandom(4))[0]
        options = bytes([53, 1, kind])
        if requested:
            options += bytes([50, 4]) + socket.inet_aton(requested)
        if server:
            options += bytes([54, 4]) + socket.inet_aton(server)
        if self.client_id:
            options += bytes([61, len(self.client_id)]) + self.client_id
        options += bytes([55, 9, 1, 3, 6, 15, 26, 51, 121, 249, 42, 255])
        # The broadcast flag, so that replies reach a client that has no address.
        body = struct.pack("!BBBBIHH", 1, 1, 6, 0, xid, 0, 0x8000) + socket.inet_aton(ciaddr) + bytes(12)
        body += self.mac + bytes(10 + 192) + _MAGIC + options
        self.socket.send(self._frame(body, ciaddr))
        return self._replies(xid, wait, enough, socket.inet_aton(ciaddr))

    def _frame(self, body: bytes, source: str) -> bytes:
        udp = struct.pack("!HHHH", 68, 67, 8 + len(body), 0) + body
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0)
        head += ipaddress.ip_address(source).packed + b"\xff" * 4
        total = sum(struct.unpack("!10H", head))
        total = (total & 0xFFFF) + (total >> 16)
        head = head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + head[12:]
        return b"\xff" * 6 + self.mac + b"\x08\x00" + head + udp

    def _answer_arp(self, frame: bytes, address: bytes) -> None:
        """A server that answers a renewal asks for the MAC first."""
        if frame[20:22] == b"\x00\x01" and frame[38:42] == address != bytes(4):
            reply = frame[14:20] + b"\x00\x02" + self.mac + address + frame[22:32]
            self.socket.send(frame[6:12] + self.mac + b"\x08\x06" + reply)

    def _replies(self, xid: int, wait: float, enough: int, address: bytes) -> list[Reply]:
        found: list[Reply] = []
        deadline = time.monotonic() + wait
        while len(found) < enough and time.monotonic() < deadline:
            ready = select.select([self.socket], [], [], max(0.0, deadline - time.monotonic()))
            if not ready[0]:
                break
            frame = self.socket.recv(65535)
            if frame[12:14] == b"\x08\x06":
                self._answer_arp(frame, address)
            if frame[12:14] != b"\x08\x00" or len(frame) < 14 + 28 + 240 or frame[14 + 9] != 17:
                continue
            offset = 14 + (frame[14] & 0x0F) * 4
            payload = frame[offset + 8 :]
            if struct.unpack_from("!HH", frame, offset) != (67, 68) or payload[236:240] != _MAGIC:
                continue
            reply = Reply(payload)
            if reply.xid == xid:
                found.append(reply)
        return found

    def lease(self) -> Reply:
        """Discover, asking again as clients do, request, and return the acknowledgement."""
        for _attempt in range(10):
            for offer in self.say(DISCOVER, wait=0.5):
                return self.say(REQUEST, requested=offer.address, server=offer.server, wait=5.0)[0]
        raise AssertionError(f"no server offers an address to {self.mac.hex(':')}")

    def renew(self, address: str, wait: float = 1.0, enough: int = 1) -> list[Reply]:
        """Ask to keep an address (rebinding: any server may answer)."""
        return self.say(REQUEST, ciaddr=address, wait=wait, enough=enough)


class Client6:
    """A DHCPv6 client with a DUID of its own; it speaks from the link-local address of the device."""

    SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE = range(1, 9)

    def __init__(self, device: str, mac: str, iaid: int = 1):
        self.duid = b"\x00\x03\x00\x01" + bytes.fromhex(mac.replace(":", ""))
        self.iaid = struct.pack("!I", iaid)
        self.server = b""
        self.socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        self.socket.bind(("::", 546))
        self.index = socket.if_nametoindex(device)

    def __enter__(self) -> Client6:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def say(self, kind: int, address: str | None = None, wait: float = 2.0) -> tuple[int, list[str], int | None] | None:
        """Send one message. Return the kind of the reply, its addresses and the status it gives, or None."""
        body = b"" if address is None else self._option(5, ipaddress.ip_address(address).packed + bytes(8))
        transaction = os.urandom(3)
        message = bytes([kind]) + transaction + self._option(1, self.duid) + self._option(8, bytes(2))
        if self.server and kind not in (self.SOLICIT, self.REBIND, self.CONFIRM):
            message += self._option(2, self.server)
        message += self._option(3, self.iaid + bytes(8) + body) + self._option(6, struct.pack("!HH", 23, 24))
        self.socket.sendto(message, ("ff02::1:2", 547, 0, self.index))
        deadline = time.monotonic() + wait
        while select.select([self.socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
            data = self.socket.recv(65535)
            if data[1:4] == transaction:
                return self._parse(data)
        return None

    def lease(self) -> str:
        """Solicit and request; return the address."""
        offered = self.say(self.SOLICIT, wait=5.0)
        assert offered is not None, "no offer"
        assert offered[1], f"an offer without an address: {offered}"
        leased = self.say(self.REQUEST, offered[1][0], wait=5.0)
        assert leased is not None, "no answer to the request"
        assert leased[1], f"no lease: {leased}"
        return leased[1][0]

    @staticmethod
    def _option(number: int, data: bytes) -> bytes:
        return struct.pack("!HH", number, len(data)) + data

    @classmethod
    def _options(cls, data: bytes) -> list[tuple[int, bytes]]:
        found, offset = [], 0
        while offset + 4 <= len(data):
            number, length = struct.unpack_from("!HH", data, offset)
            found.append((number, data[offset + 4 : offset + 4 + length]))
            offset += 4 + length
        return found

    def _parse(self, data: bytes) -> tuple[int, list[str], int | None]:
        addresses: list[str] = []
        status = None
        for number, value in self._options(data[4:]):
            if number == 2 and data[0] in (self.ADVERTISE, self.REPLY):
                self.server = value
            if number == 13:
                status = struct.unpack_from("!H", value)[0]
            if number == 3:
                for inner, content in self._options(value[12:]):
                    if inner == 5 and struct.unpack_from("!I", content, 20)[0] > 0:
                        addresses.append(str(ipaddress.IPv6Address(content[:16])))
                    if inner == 13:
                        status = struct.unpack_from("!H", content)[0]
        return data[0], addresses, status
