# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds one session with answer.py: says a number every 10 ms, and writes down what comes back, and when.

Each line of the output is the time, the number, and the peer's address and port as the server saw them; or the time and
"end" with a reason, when the session has ended.

python3 hold.py tcp|udp ADDRESS PORT [SECONDS BETWEEN TWO NUMBERS]
"""

import selectors
import signal
import socket
import sys
import time


def tell(*words):
    print(f"{time.time():.4f}", *words, flush=True)


def read(text):
    """Write down the answers in some lines."""
    for line in text.splitlines():
        _name, address, port, number = line.split()
        tell(number, address, port)


class Session:
    """One socket, never opened again."""

    def __init__(self, protocol, address, port):
        self.stream = protocol == "tcp"
        kind = socket.SOCK_STREAM if self.stream else socket.SOCK_DGRAM
        family, kind, number, _name, where = socket.getaddrinfo(address, port, type=kind)[0]
        self.socket = socket.socket(family, kind, number)
        self.socket.settimeout(10)
        self.socket.connect(where)
        if self.stream:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.waiting = b""  # what the kernel has no room for while nothing gets through
        self.rest = b""

    def say(self, number):
        if not self.stream:
            try:
                self.socket.send(str(number).encode())
            except OSError:
                pass  # a datagram may be lost, also by a router that says so
            return
        self.waiting += b"%d\n" % number
        try:
            self.waiting = self.waiting[self.socket.send(self.waiting) :]
        except BlockingIOError:
            pass

    def hear(self):
        try:
            data = self.socket.recv(65536)
        except (BlockingIOError, ConnectionRefusedError):
            if self.stream:
                raise
            return
        if self.stream and not data:
            raise ConnectionError("closed by the other side")
        if self.stream:
            whole, _newline, self.rest = (self.rest + data).rpartition(b"\n")
            read(whole.decode())
        else:
            read(data.decode())


def main():
    protocol, address, port = sys.argv[1:4]
    interval = float(sys.argv[4]) if len(sys.argv) > 4 else 0.01
    session = Session(protocol, address, int(port))
    selector = selectors.DefaultSelector()
    selector.register(session.socket, selectors.EVENT_READ)
    started, number = time.monotonic(), 0
    while True:
        due = started + number * interval
        if time.monotonic() >= due:
            session.say(number)
            number += 1
            continue
        if selector.select(due - time.monotonic()):
            session.hear()


if __name__ == "__main__":
    # A shell starts what goes on in the background deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        tell("end", "asked to")
    except OSError as error:
        tell("end", error)
