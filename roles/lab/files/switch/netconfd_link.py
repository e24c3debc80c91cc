# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way to netconfd on the lab's switch, one message at a time.

netconfd 2.13 reads its socket, handles the first message of what it has read, and looks at the rest when more comes:
two messages that reach it together, such as a client's hello and its first request, leave the client without an answer.
So each message waits here until the server has taken the one before it out of the socket.
"""

from __future__ import annotations

import array
import fcntl
import socket
import termios
import time
from collections.abc import Iterator

SOCKET = "/run/lab/netconfd.sock"
END = b"]]>]]>"
NEWER = b"urn:ietf:params:netconf:base:1.1"
# The server believes whoever speaks like its own subsystem program: who may be here at all, sshd has decided.
GREETING = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ncx-connect xmlns="http://netconfcentral.org/ns/yuma-ncx" version="1"'
    ' user="{user}" address="{address}" transport="ssh" port="830"'
    ' magic="x56o8937ab17eg922z34rwhobskdbyswfehkpsqq3i55a0an960ccw24a4ek864aOpal1t2p"/>\n'
)
# How long the server may leave a message in its socket.
PATIENCE = 30.0


class Link:
    """A connection to the server."""

    def __init__(self, user: str, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(SOCKET)
        self.send(GREETING.format(user=user, address=address).encode() + END)

    def send(self, message: bytes) -> None:
        """Send a message with its framing, and wait until the server has taken it."""
        self.socket.sendall(message)
        waiting, end = array.array("i", [1]), time.monotonic() + PATIENCE
        while True:
            fcntl.ioctl(self.socket, termios.TIOCOUTQ, waiting)
            if not waiting[0]:
                return
            if time.monotonic() > end:
                raise TimeoutError(f"the NETCONF server has not taken a message for {PATIENCE:g} s")
            time.sleep(0.001)


class Splitter:
    """Cuts what a client sends into messages, each with its framing (RFC 6242)."""

    def __init__(self) -> None:
        self._buffer, self._chunked, self._message = b"", False, b""

    def messages(self, data: bytes) -> Iterator[bytes]:
        self._buffer += data
        while True:
            message = self._chunks() if self._chunked else self._marked()
            if message is None:
                return
            yield message

    def _marked(self) -> bytes | None:
        if END not in self._buffer:
            return None
        message, _end, self._buffer = self._buffer.partition(END)
        # The server speaks both; after the client's hello it is for the client to say which it is.
        self._chunked = NEWER in message
        return message + END

    def _chunks(self) -> bytes | None:
        """Take as many chunks as are whole; return the message when its end is among them."""
        while self._buffer.startswith(b"\n#") and b"\n" in self._buffer[2:]:
            size = self._buffer[2 : self._buffer.index(b"\n", 2)]
            length = len(size) + 3 + (0 if size == b"#" else int(size))
            if len(self._buffer) < length:
                break
            self._message, self._buffer = self._message + self._buffer[:length], self._buffer[length:]
            if size == b"#":
                whole, self._message = self._message, b""
                return whole
        return None
