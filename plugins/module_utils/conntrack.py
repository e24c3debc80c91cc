# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ending tracked connections, and only those that are meant, over ctnetlink.

The kernel chooses by IPv4 address while it lists, so that a router with a million connections is not listed for the
sake of one floating IP. What it lists is looked at once more here: kernels before 5.8 do not choose.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import netns
from ansible_collections.weft.fabric.plugins.module_utils.nfnetlink import Message, Socket, attribute, attributes, nest

_GET, _DELETE = 0x101, 0x102

# Attributes of a connection, of its tuples, and of what they hold.
_TUPLE = {"orig": 1, "reply": 2}
_STATUS, _ID, _ZONE, _FILTER = 3, 12, 18, 25
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_ADDRESS = {(4, "src"): 1, (4, "dst"): 2, (6, "src"): 3, (6, "dst"): 4}
_PROTOCOL = 1
_PORT = {"src": 2, "dst": 3}
_FILTER_FLAG = {"src": 1, "dst": 2}

_DST_NAT = 0x20  # of the status

# How many connections the namespace has.
_COUNT = "/proc/sys/net/netfilter/nf_conntrack_count"

_FAMILY = {4: int(socket.AF_INET), 6: int(socket.AF_INET6)}

#: what of a connection is compared: the tuple, and which address and port of it
DIRECTIONS = ("orig-dst", "orig-src", "reply-dst", "reply-src")

# With more addresses than this one list of all connections is cheaper than one for each.
_MOST_LISTS = 32

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class Match(t.NamedTuple):
    """Which connections are meant."""

    direction: str
    network: str
    protocol: t.Optional[int] = None
    ports: t.Optional[t.Tuple[int, int]] = None
    untranslated: bool = False  # only those whose destination is not translated


class _Wanted(object):
    """A match made ready to be held against many connections."""

    def __init__(self, match: Match) -> None:
        which, self._side = match.direction.split("-")
        self._match = match
        self.tuple = _TUPLE[which]
        self.network: Network = ipaddress.ip_network(match.network)
        self.version = self.network.version
        self.place = (match.direction, match.network)
        self._address = _ADDRESS[self.version, self._side]

    def takes(self, connection: Message) -> bool:
        """Tell whether a connection is meant."""
        if self._match.untranslated and struct.unpack(">I", connection.attributes[_STATUS])[0] & _DST_NAT:
            return False
        parts = attributes(connection.attributes[self.tuple])
        address = attributes(parts[_TUPLE_IP]).get(self._address)
        if address is None or ipaddress.ip_address(address) not in self.network:
            return False
        transport = attributes(parts[_TUPLE_PROTO])
        if self._match.protocol is not None and transport[_PROTOCOL][0] != self._match.protocol:
            return False
        if self._match.ports is None:
            return True
        port = transport.get(_PORT[self._side])
        return port is not None and self._match.ports[0] <= struct.unpack(">H", port)[0] <= self._match.ports[1]

    def choice(self) -> bytes:
        """Return the attributes by which the kernel lists only the connections with the address."""
        address = nest(_TUPLE_IP, attribute(self._address, self.network.network_address.packed))
        flags = attribute(self.tuple, struct.pack("=I", _FILTER_FLAG[self._side]))
        return nest(self.tuple, address) + nest(_FILTER, flags)


def end(matches: t.Iterable[Match]) -> int:
    """End the connections that match, in the namespace the caller is in. Return how many there were."""
    if netns.read_sysctl(_COUNT) == "0":
        # As in a router that is new. For each list the kernel goes through the connections of all namespaces, 10 ms.
        return 0
    wanted = [_Wanted(match) for match in set(matches)]
    found: t.Dict[bytes, Message] = {}
    with Socket("end tracked connections") as kernel:
        for version, choice, chosen in _listings(wanted):
            for connection in kernel.dump(_GET, _FAMILY[version], choice):
                if connection.family == _FAMILY[version] and any(one.takes(connection) for one in chosen):
                    found[connection.attributes[_TUPLE["orig"]]] = connection
        return sum(_end(kernel, connection) for connection in found.values())


def _listings(wanted: t.List[_Wanted]) -> t.Iterator[t.Tuple[int, bytes, t.List[_Wanted]]]:
    """Return what to list: the IP version, what the kernel chooses by, and what to look for in it."""
    for version in (4, 6):
        chosen = [one for one in wanted if one.version == version]
        places: t.Dict[t.Tuple[str, str], t.List[_Wanted]] = {}
        for one in chosen:
            places.setdefault(one.place, []).append(one)
        # Of IPv6 addresses the kernel (seen with 6.18) lists all but the one it was asked for.
        single = version == 4 and all(one.network.num_addresses == 1 for one in chosen)
        if single and len(places) <= _MOST_LISTS:
            for group in places.values():
                yield version, group[0].choice(), group
        elif chosen:
            yield version, b"", chosen


def _end(kernel: Socket, connection: Message) -> bool:
    """End one connection. With its id, so that another one between the same ends is not meant."""
    body = nest(_TUPLE["orig"], connection.attributes[_TUPLE["orig"]])
    for number in (_ID, _ZONE):
        if number in connection.attributes:
            body += attribute(number, connection.attributes[number])
    return kernel.order(_DELETE, connection.family, body, accepted=errno.ENOENT)
