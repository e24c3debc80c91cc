# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations with the kernel's packet filter: netlink messages of the netfilter family."""

from __future__ import annotations

import os
import socket
import struct
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

_NETLINK_NETFILTER = 12
_REQUEST_DUMP, _REQUEST_ACK = 0x301, 0x5
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_DUMP_INTERRUPTED = 0x10
_NESTED = 0x8000

_TIMEOUT = 30  # seconds


class Interrupted(FabricError):
    """What was listed changed meanwhile: the list may have gaps."""


class Message(t.NamedTuple):
    """What the kernel says of one thing."""

    family: int
    attributes: t.Dict[int, bytes]


class Socket(object):
    """A conversation about the namespace it was begun in. purpose is what error messages call it."""

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.settimeout(_TIMEOUT)
        self._sequence = 0

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()

    def dump(self, kind: int, family: int, body: bytes = b"") -> t.Iterator[Message]:
        """List things, one after the other, as there may be a million."""
        self._send(kind, _REQUEST_DUMP, family, body)
        whole = True
        for answer, flags, content in self._answers():
            whole = whole and not flags & _DUMP_INTERRUPTED
            if answer == _NLMSG_DONE:
                break
            number = _error(answer, content)
            if number:
                raise self._failure(number)
            yield Message(content[0], attributes(content, 4))
        if not whole:
            raise Interrupted("the kernel's tables change too fast to be read: try again")

    def order(self, kind: int, family: int, body: bytes, accepted: int = 0) -> bool:
        """Have something done. Return whether it was, or was refused with the one error that is accepted."""
        self._send(kind, _REQUEST_ACK, family, body)
        answer, _flags, content = next(self._answers())
        number = _error(answer, content)
        if number not in (0, accepted):
            raise self._failure(number)
        return number == 0

    def _send(self, kind: int, flags: int, family: int, body: bytes) -> None:
        self._sequence += 1
        head = struct.pack("=IHHIIBBH", 20 + len(body), kind, flags, self._sequence, 0, family, 0, 0)
        self._socket.send(head + body)

    def _answers(self) -> t.Iterator[t.Tuple[int, int, bytes]]:
        while True:
            data = self._socket.recv(1 << 18)
            offset = 0
            while offset < len(data):
                length, kind, flags, sequence = struct.unpack_from("=IHHI", data, offset)
                if sequence == self._sequence:
                    yield kind, flags, data[offset + 16 : offset + length]
                offset += (length + 3) & ~3

    def _failure(self, number: int) -> FabricError:
        return FabricError("the kernel cannot %s: %s" % (self._purpose, os.strerror(number)))


def _error(kind: int, content: bytes) -> int:
    return -int(struct.unpack_from("=i", content)[0]) if kind == _NLMSG_ERROR else 0


def attribute(kind: int, content: bytes) -> bytes:
    """Return an attribute as it goes into a message."""
    return struct.pack("=HH", 4 + len(content), kind) + content + b"\0" * (-len(content) % 4)


def nest(kind: int, content: bytes) -> bytes:
    """Return an attribute that holds others."""
    return attribute(kind | _NESTED, content)


def attributes(data: bytes, offset: int = 0) -> t.Dict[int, bytes]:
    """Return the attributes in a message by number."""
    found = {}
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found
