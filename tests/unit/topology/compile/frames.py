# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ethernet frames, written out byte by byte, and what one needs to read them."""

from __future__ import annotations

import struct
from ipaddress import IPv6Address, ip_address

BROADCAST = "ff:ff:ff:ff:ff:ff"
ARP, IPV4, IPV6, VLAN = 0x0806, 0x0800, 0x86DD, 0x8100
UDP, ICMPV6 = 17, 58
NS, NA, RA, MLD_REPORT = 135, 136, 134, 143


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def ethernet(source: str, destination: str, kind: int, payload: bytes, vlan: int | None = None) -> bytes:
    tag = b"" if vlan is None else struct.pack("!HH", VLAN, vlan)
    frame = mac_bytes(destination) + mac_bytes(source) + tag + struct.pack("!H", kind) + payload
    return frame.ljust(60, b"\0")


def arp(
    source: str,
    sender: str,
    target: str,
    operation: int = 1,
    destination: str = BROADCAST,
    sender_mac: str | None = None,
    target_mac: str = "00:00:00:00:00:00",
) -> bytes:
    """Return an ARP frame; source is the MAC of the frame, and of the sender unless sender_mac says otherwise."""
    payload = struct.pack("!HHBBH", 1, IPV4, 6, 4, operation)
    payload += mac_bytes(sender_mac or source) + ip_address(sender).packed
    payload += mac_bytes(target_mac) + ip_address(target).packed
    return ethernet(source, destination, ARP, payload)


def udp(
    source: str,
    destination: str,
    sender: str,
    target: str,
    ports: tuple[int, int] = (4000, 4001),
    payload: bytes = b"",
    vlan: int | None = None,
) -> bytes:
    """Return a UDP datagram in IPv4 or IPv6."""
    body = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    return ethernet(source, destination, *_packet(sender, target, UDP, body, 6), vlan=vlan)


def icmpv6(source: str, destination: str, sender: str, target: str, kind: int, body: bytes) -> bytes:
    """Return an ICMPv6 message; body begins after the checksum."""
    return ethernet(source, destination, *_packet(sender, target, ICMPV6, bytes([kind, 0, 0, 0]) + body, 2))


def solicitation(source: str, sender: str, wanted: str, option: bool = True) -> bytes:
    """Return a multicast neighbour solicitation, with the source's MAC as option or without."""
    group = "ff02::1:ff" + IPv6Address(wanted).exploded[-7:]
    body = bytes(4) + IPv6Address(wanted).packed + (b"\1\1" + mac_bytes(source) if option else b"")
    return icmpv6(source, multicast_mac(group), sender, group, NS, body)


def advertisement(
    source: str, destination: str, sender: str, target: str, subject: str, mac: str, flags: int = 0x60
) -> bytes:
    """Return a neighbour advertisement of subject at mac."""
    body = bytes([flags, 0, 0, 0]) + IPv6Address(subject).packed + b"\2\1" + mac_bytes(mac)
    return icmpv6(source, destination, sender, target, NA, body)


def multicast_mac(group: str) -> str:
    return "33:33:" + IPv6Address(group).packed[-4:].hex(":")


def checksum(content: bytes) -> int:
    """Return the Internet checksum; 0 when content holds its own and it is right."""
    if len(content) % 2:
        content += b"\0"
    total = sum(struct.unpack(f"!{len(content) // 2}H", content))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _packet(sender: str, target: str, protocol: int, body: bytes, checksum_at: int) -> tuple[int, bytes]:
    addresses = ip_address(sender).packed + ip_address(target).packed
    pseudo = addresses + struct.pack("!II", len(body), protocol)
    value = struct.pack("!H", checksum(pseudo + body) or 0xFFFF)
    body = body[:checksum_at] + value + body[checksum_at + 2 :]
    if len(addresses) == 32:
        return IPV6, struct.pack("!IHBB", 6 << 28, len(body), protocol, 255) + addresses + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0)
    head = head[:10] + struct.pack("!H", checksum(head + addresses)) + addresses
    return IPV4, head + body
