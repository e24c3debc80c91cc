# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries connections from a listening socket that it is given to an address in the namespace that it runs in.

Usage: relay.py DESCRIPTOR ADDRESS PORT
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading


def carry(source: socket.socket, target: socket.socket) -> None:
    """Copy until one end has said all it has to say, and tell the other."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def serve(client: socket.socket, address: tuple[str, int]) -> None:
    with client, contextlib.suppress(OSError), socket.create_connection(address, timeout=5) as server:
        server.settimeout(None)
        back = threading.Thread(target=carry, args=(server, client), daemon=True)
        back.start()
        carry(client, server)
        back.join()


def main() -> None:
    descriptor, host, port = sys.argv[1:]
    with socket.socket(fileno=int(descriptor)) as listener:
        while True:
            client, _address = listener.accept()
            threading.Thread(target=serve, args=(client, (host, int(port))), daemon=True).start()


if __name__ == "__main__":
    main()
