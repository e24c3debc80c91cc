# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay: joins standard input and output to a TCP connection made inside a network namespace.

Usage: weft-fabric-relay NAMESPACE ADDRESS PORT, as the ProxyCommand of an ssh to a node that boots. This file is
installed as it stands, so it imports nothing of the collection.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import os
import re
import socket
import sys
import threading

_NAMESPACE = re.compile(r"\A[A-Za-z0-9_][A-Za-z0-9_.:+-]{0,199}\Z")
_CLONE_NEWNET = 0x40000000
_PATIENCE = 10.0  # seconds for the connection to come about
_CHUNK = 1 << 16


def enter(namespace):
    """Go into a network namespace for good."""
    if not _NAMESPACE.match(namespace):
        raise ValueError("%r is not the name of a namespace" % namespace)
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(os.path.join("/run/netns", namespace), os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, "namespace %s: %s" % (namespace, os.strerror(number)))
    finally:
        os.close(descriptor)


def join(connection, source=0, sink=1):
    """Carry bytes both ways until the far end has said all."""
    # Each way has its own thread: one that waits for a reader does not keep the other from being one.
    threading.Thread(target=_forth, args=(source, connection), daemon=True).start()
    while True:
        view = memoryview(connection.recv(_CHUNK))
        if not view:
            return
        while view:
            view = view[os.write(sink, view) :]


def _forth(source, connection):
    with contextlib.suppress(OSError):  # what is wrong with the connection, the other thread tells
        while True:
            data = os.read(source, _CHUNK)
            if not data:
                break
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)


def main(arguments):
    """Run from the command line. Return the exit code."""
    try:
        namespace, address, port = arguments
        target = (str(ipaddress.ip_address(address)), int(port))
        enter(namespace)
        with socket.create_connection(target, _PATIENCE) as connection:
            connection.settimeout(None)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            join(connection)
    except ValueError as error:
        sys.stderr.write("weft-fabric-relay NAMESPACE ADDRESS PORT: %s\n" % error)
        return 2
    except OSError as error:
        sys.stderr.write("weft-fabric-relay %s: %s\n" % (" ".join(arguments), error))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
