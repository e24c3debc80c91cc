# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading links, addresses, routes, neighbours and rules from the kernel.

A hundred namespaces are a hundred processes of ip, or one process that enters each of them: this is the latter.
Only what the collection compares is taken apart. A reader belongs to the namespace it was made in.
"""

from __future__ import annotations

import socket
import struct
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

_NETLINK_ROUTE = 0
_SOL_NETLINK = 270
_NETLINK_GET_STRICT_CHK = 12

_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_REQUEST_DUMP = 0x301
_DUMP_INTERRUPTED = 0x10

_GETLINK, _GETADDR, _GETROUTE, _GETNEIGH, _GETRULE = 18, 22, 26, 30, 34

_IFF_UP = 0x1
_IFF_TAP = 0x2
_SCOPE_GLOBAL = 0
_IFA_F_PERMANENT = 0x80
_RTM_F_CLONED = 0x200
_RTNH_F_ONLINK = 0x4
_NUD_PERMANENT = 0x80

ROUTE_TYPES = {1: "unicast", 2: "local", 6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw"}
MAIN_TABLE = 254

# How often a dump is begun anew because the table changed while it was read.
_ATTEMPTS = 50


class Link(t.NamedTuple):
    """A device as the kernel tells it."""

    name: str
    ifindex: int
    kind: str  # veth, tap, bridge …; empty for hardware
    up: bool
    mtu: int
    mac: str
    alias: str
    group: int
    link: int  # index of the other end of a veth pair
    foreign_peer: bool  # the other end is in another namespace
    owner: t.Optional[int]  # user that may open a tap


class Address(t.NamedTuple):
    """A global address. dynamic: it was learned (router advertisement, DHCP) and will expire."""

    ifindex: int
    address: str
    dynamic: bool


class Route(t.NamedTuple):
    """A route; family, table, to and metric identify it."""

    family: int
    table: int
    to: str
    metric: int
    kind: str
    via: t.Optional[str]
    ifindex: t.Optional[int]
    onlink: bool
    protocol: int
    nexthops: t.Tuple[t.Tuple[t.Optional[str], int], ...] = ()  # of several gateways each, with the index of its device


class Neighbour(t.NamedTuple):
    """A permanent entry of the ARP or ND table."""

    ifindex: int
    address: str
    mac: str
    protocol: int


class Rule(t.NamedTuple):
    """A policy routing rule; all of it identifies it."""

    family: int
    priority: int
    source: str
    to: str
    iif: str
    table: int
    protocol: int


class Reader(object):
    """Asks the kernel about the namespace the caller is in."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE)
        self._sequence = 0
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        try:
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)
        except OSError:
            pass  # before Linux 4.20 the kernel doesn't filter; the methods below do it too

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._socket.close()

    def links(self):
        """Return all devices."""
        return [_link(message) for message in self._dump(_GETLINK, struct.pack("BxHiII", 0, 0, 0, 0, 0))]

    def addresses(self):
        """Return all addresses of global scope."""
        found = []
        for message in self._dump(_GETADDR, struct.pack("BBBBI", 0, 0, 0, 0, 0)):
            family, length, flags, scope, index = struct.unpack_from("BBBBI", message)
            attributes = _attributes(message, 8)
            if scope != _SCOPE_GLOBAL or family not in (socket.AF_INET, socket.AF_INET6):
                continue
            if 8 in attributes:
                flags = _number(attributes[8])
            text = _address(family, attributes.get(2, attributes.get(1)))
            found.append(Address(index, "%s/%d" % (text, length), not flags & _IFA_F_PERMANENT))
        return found

    def routes(self, protocol=0):
        """Return the routes of a protocol, or all of them."""
        found = []
        for family in (socket.AF_INET, socket.AF_INET6):
            body = struct.pack("BBBBBBBBI", family, 0, 0, 0, 0, protocol, 0, 0, 0)
            for message in self._dump(_GETROUTE, body):
                route = _route(message)
                if route is not None and protocol in (0, route.protocol):
                    found.append(route)
        return found

    def neighbours(self):
        """Return the permanent neighbour entries."""
        found = []
        for message in self._dump(_GETNEIGH, struct.pack("BBHiHBB", 0, 0, 0, 0, 0, 0, 0)):
            family, index, state = struct.unpack_from("BxxxiH", message)
            if family not in (socket.AF_INET, socket.AF_INET6) or not state & _NUD_PERMANENT:
                continue
            attributes = _attributes(message, 12)
            if 1 in attributes and 2 in attributes:
                protocol = attributes[12][0] if 12 in attributes else 0
                found.append(Neighbour(index, _address(family, attributes[1]), _mac(attributes[2]), protocol))
        return found

    def rules(self):
        """Return the policy routing rules that look up a table."""
        found = []
        for family in (socket.AF_INET, socket.AF_INET6):
            for message in self._dump(_GETRULE, struct.pack("BBBBBBBBI", family, 0, 0, 0, 0, 0, 0, 0, 0)):
                found.append(_rule(message))
        return found

    def _dump(self, kind, body):
        for _attempt in range(_ATTEMPTS):
            messages = self._dump_once(kind, body)
            if messages is not None:
                return messages
        raise FabricError("the kernel's network tables change too fast to be read: try again")

    def _dump_once(self, kind, body):
        """Return the messages of a dump, or None when the table changed under it."""
        self._sequence += 1
        self._socket.send(struct.pack("IHHII", 16 + len(body), kind, _REQUEST_DUMP, self._sequence, 0) + body)
        messages: t.List[bytes] = []
        whole = True
        while True:
            data = self._socket.recv(1 << 18)
            offset = 0
            while offset < len(data):
                length, type_, flags, sequence = struct.unpack_from("IHHI", data, offset)
                if sequence == self._sequence:
                    whole = whole and not flags & _DUMP_INTERRUPTED
                    if type_ == _NLMSG_DONE:
                        return messages if whole else None
                    if type_ == _NLMSG_ERROR:
                        number = -struct.unpack_from("i", data, offset + 16)[0]
                        raise OSError(number, "the kernel refused a netlink request of type %d" % kind)
                    messages.append(data[offset + 16 : offset + length])
                offset += (length + 3) & ~3


def _attributes(message, offset):
    """Return the attributes of a message by number."""
    found = {}
    end = len(message)
    unpack = struct.unpack_from
    while offset + 4 <= end:
        length, kind = unpack("HH", message, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = message[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def _number(data):
    return struct.unpack("I", data)[0]


def _text(data):
    return data.rstrip(b"\0").decode("utf-8", "replace")


def _mac(data):
    return ":".join("%02x" % byte for byte in data)


def _address(family, data):
    return socket.inet_ntop(family, data)


def _prefix(family, data, length):
    if data is None and length == 0:
        return "default"
    # An address of nothing but zeros may be left out.
    zeros = bytes(4 if family == socket.AF_INET else 16)
    return "%s/%d" % (_address(family, data or zeros), length)


def _version(family):
    return 4 if family == socket.AF_INET else 6


def _link(message):
    ifindex, flags = struct.unpack_from("xxxxiI", message)
    attributes = _attributes(message, 16)
    info = _attributes(attributes[18], 0) if 18 in attributes else {}
    kind = _text(info.get(1, b""))
    data = _attributes(info[2], 0) if kind == "tun" and 2 in info else {}
    if data.get(3, b"\0")[0] == _IFF_TAP:
        kind = "tap"
    return Link(
        name=_text(attributes[3]),
        ifindex=ifindex,
        kind=kind,
        up=bool(flags & _IFF_UP),
        mtu=_number(attributes[4]),
        mac=_mac(attributes.get(1, b"")),
        alias=_text(attributes.get(20, b"")),
        group=_number(attributes[27]) if 27 in attributes else 0,
        link=_number(attributes[5]) if 5 in attributes else 0,
        foreign_peer=37 in attributes,
        owner=_number(data[1]) if 1 in data else None,
    )


def _route(message):
    family, length, table, protocol, kind, flags = struct.unpack_from("BBxxBBxBI", message)
    if flags & _RTM_F_CLONED or kind not in ROUTE_TYPES:
        return None
    attributes = _attributes(message, 12)
    return Route(
        family=_version(family),
        table=_number(attributes[15]) if 15 in attributes else table,
        to=_prefix(family, attributes.get(1), length),
        metric=_number(attributes[6]) if 6 in attributes else 0,
        kind=ROUTE_TYPES[kind],
        via=_address(family, attributes[5]) if 5 in attributes else None,
        ifindex=_number(attributes[4]) if 4 in attributes else None,
        onlink=bool(flags & _RTNH_F_ONLINK),
        protocol=protocol,
        nexthops=tuple(_nexthops(family, attributes[9])) if 9 in attributes else (),
    )


def _nexthops(family, data):
    """Yield the gateways of a route that has several (struct rtnexthop)."""
    offset = 0
    while offset + 8 <= len(data):
        length, ifindex = struct.unpack_from("HxxI", data, offset)
        gateway = _attributes(data[offset : offset + length], 8).get(5)
        yield (_address(family, gateway) if gateway else None), ifindex
        offset += max((length + 3) & ~3, 8)


def _rule(message):
    family, to_length, source_length, table = struct.unpack_from("BBBxB", message)
    attributes = _attributes(message, 12)
    return Rule(
        family=_version(family),
        priority=_number(attributes[6]) if 6 in attributes else 0,
        source=_prefix(family, attributes.get(2), source_length),
        to=_prefix(family, attributes.get(1), to_length),
        iif=_text(attributes.get(3, b"")),
        table=_number(attributes[15]) if 15 in attributes else table,
        protocol=attributes[21][0] if 21 in attributes else 0,
    )
