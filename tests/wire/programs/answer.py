# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers each line by TCP and each datagram by UDP: with its own name, the sender's address and port, and the text.

python3 answer.py NAME PORTS...    a port, or a range of them: 7 3000-3010; the same by TCP and by UDP
"""

import selectors
import signal
import socket
import sys


def ports(words):
    """Yield each port of some words like 7 and 3000-3010."""
    for word in words:
        first, _dash, last = word.partition("-")
        yield from range(int(first), int(last or first) + 1)


def answer(name, peer, text):
    """Return what is answered to a text. IPv4 arrives at an IPv6 socket in IPv6's clothes."""
    return f"{name} {peer[0].removeprefix('::ffff:')} {peer[1]} {text}".encode()


def listen(kind, port):
    """Return a socket for both IP versions."""
    found = socket.socket(socket.AF_INET6, kind)
    found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("::", port))
    found.setblocking(False)
    return found


class Server:
    """All sockets of the process."""

    def __init__(self, name):
        self.name = name
        self.selector = selectors.DefaultSelector()

    def open(self, port):
        stream, datagrams = listen(socket.SOCK_STREAM, port), listen(socket.SOCK_DGRAM, port)
        stream.listen(128)
        self.selector.register(stream, selectors.EVENT_READ, self.accept)
        self.selector.register(datagrams, selectors.EVENT_READ, self.datagram)

    def accept(self, listening):
        connection, peer = listening.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        rest = [b""]
        self.selector.register(connection, selectors.EVENT_READ, lambda ready: self.stream(ready, peer, rest))

    def datagram(self, ready):
        data, peer = ready.recvfrom(65536)
        try:
            ready.sendto(answer(self.name, peer, data.decode()), peer)
        except OSError:
            pass  # nobody is there any more, or no way leads there now

    def stream(self, connection, peer, rest):
        try:
            data = connection.recv(65536)
            *lines, rest[0] = (rest[0] + data).split(b"\n")
            for line in lines:
                # Blocks when the other side reads nothing, which these tests' clients always do.
                connection.setblocking(True)
                connection.sendall(answer(self.name, peer, line.decode()) + b"\n")
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(connection)
            connection.close()

    def serve(self):
        while True:
            for key, _events in self.selector.select():
                key.data(key.fileobj)


def main():
    # A shell starts what goes on in the background deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    server = Server(sys.argv[1])
    for port in ports(sys.argv[2:]):
        server.open(port)
    print("ready", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
