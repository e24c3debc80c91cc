# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Giving back a lease in the place of the client that had it.

dnsmasq gives an address to nobody else as long as a lease for it stands, whatever its hosts file says, and it keeps
leases when it reads that file again. When an address goes from one port to another, the old port is gone or
has another address, and nobody would release the lease. What is sent here never leaves the host.
"""

from __future__ import annotations

import os
import socket
import struct
import typing as t

_MAGIC = b"\x63\x82\x53\x63"
_DHCPRELEASE = 7
_DHCP6_RELEASE = 8
_DHCP6_SERVERS = "ff02::1:2"

# A server in the same host answers within a millisecond.
_PATIENCE = 0.5
_ATTEMPTS = 3


class Lease(t.NamedTuple):
    """A line of dnsmasq's lease file. key: the MAC of an IPv4 client, the IAID of an IPv6 one."""

    expires: int
    key: str
    address: str
    hostname: str
    client_id: str  # in hex with colons, * for none; the DUID of an IPv6 client

    @property
    def version(self) -> int:
        return 6 if ":" in self.address else 4

    def __str__(self) -> str:
        return "%d %s %s %s %s" % self


def parse_leases(text: str) -> t.Tuple[t.List[Lease], t.Optional[str]]:
    """Return the leases of a lease file, and the DUID of the server."""
    leases, duid = [], None
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == "duid":
            duid = words[1]
        elif len(words) == 5 and words[0].isdigit():
            leases.append(Lease(int(words[0]), words[1], words[2], words[3], words[4]))
    return leases, duid


def release(interface: str, servers: t.Sequence[str], duid: t.Optional[str], lease: Lease) -> None:
    """Release a lease at the dnsmasq that listens on an interface of the namespace we are in.

    servers are the IPv4 addresses of that interface. DHCPv4 does not confirm a release.
    """
    if lease.version == 4:
        for server in servers:
            _send_v4(interface, server, lease)
    elif duid is not None:
        _send_v6(interface, duid, lease)


def _send_v4(interface: str, server: str, lease: Lease) -> None:
    # Infiniband and the like have a type before the MAC ("20-…"); the fabric's ports are Ethernet.
    mac = bytes.fromhex(lease.key.replace(":", ""))
    options = struct.pack("BBB", 53, 1, _DHCPRELEASE) + struct.pack("BB", 54, 4) + socket.inet_aton(server)
    if lease.client_id != "*":
        client_id = bytes.fromhex(lease.client_id.replace(":", ""))
        options += struct.pack("BB", 61, len(client_id)) + client_id
    message = struct.pack("!BBBB4sHH", 1, 1, len(mac), 0, os.urandom(4), 0, 0)
    message += socket.inet_aton(lease.address) + bytes(12) + mac.ljust(16, b"\0") + bytes(192)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        # From the server's own interface to the server's own address: so it arrives as if from there.
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode("ascii"))
        sender.sendto(message + _MAGIC + options + b"\xff", (server, 67))


def _send_v6(interface: str, duid: str, lease: Lease) -> None:
    # T marks a temporary address; its identity association has no T1 and T2.
    temporary = lease.key.startswith("T")
    iaid = struct.pack("!I", int(lease.key.lstrip("T")))
    address = _option6(5, socket.inet_pton(socket.AF_INET6, lease.address) + bytes(8))
    association = _option6(4, iaid + address) if temporary else _option6(3, iaid + bytes(8) + address)
    message = struct.pack("!B3s", _DHCP6_RELEASE, os.urandom(3))
    message += _option6(1, bytes.fromhex(lease.client_id.replace(":", "")))
    message += _option6(2, bytes.fromhex(duid.replace(":", ""))) + _option6(8, bytes(2)) + association
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode("ascii"))
        # No hops: the message loops back to the server and does not go out to the network.
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 0)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 1)
        sender.bind(("::", 546))
        sender.settimeout(_PATIENCE)
        for _attempt in range(_ATTEMPTS):
            sender.sendto(message, (_DHCP6_SERVERS, 547, 0, socket.if_nametoindex(interface)))
            try:
                sender.recv(65535)
            except socket.timeout:
                continue
            return


def _option6(number: int, data: bytes) -> bytes:
    return struct.pack("!HH", number, len(data)) + data
