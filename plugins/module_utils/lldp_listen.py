# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening for LLDP on all NICs at the same time, with no program to be started."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import select
import socket
import struct
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import lldp_frames
from ansible_collections.weft.fabric.plugins.module_utils.disk_list import text
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_UP = 1
_SOL_PACKET, _ADD_MEMBERSHIP, _MULTICAST = 263, 1, 0

# The nearest bridge, the nearest that is no relay, the nearest of a customer.
_GROUPS = tuple(bytes.fromhex("0180c20000" + last) for last in ("0e", "03", "00"))
_MAX_NEIGHBOURS = 8

# So long may two ends take to agree on a speed.
_LINK_SECONDS = 6.0


Heard = t.Dict[str, t.List[lldp_frames.Neighbour]]
Look = t.TypeVar("Look")


def listen(
    names: t.Sequence[str], seconds: float, look: t.Callable[[], Look], sys: str = "/sys"
) -> t.Tuple[Heard, Look]:
    """Return who was heard on each NIC, and what look() sees. Ends early when somebody was heard on all with a carrier.

    Those that are down are up meanwhile: without it nothing is heard, and neither carrier nor speed are known.
    """
    heard: t.Dict[str, t.List[lldp_frames.Neighbour]] = {name: [] for name in names}
    with contextlib.ExitStack() as stack:
        sockets = {}
        for name in names:
            stack.enter_context(_is_up(name))
            sockets[stack.enter_context(contextlib.closing(_socket(name)))] = name
        started = time.monotonic()
        while sockets and not all(heard.values()):
            passed = time.monotonic() - started
            if passed >= seconds or (passed > _LINK_SECONDS and not _missing(heard, sys)):
                break
            for one in select.select(list(sockets), [], [], min(seconds - passed, 1.0))[0]:
                _hear(one, heard[sockets[one]])
        return heard, look()


def _missing(heard: Heard, sys: str) -> t.List[str]:
    """Return the NICs at whose other end somebody is who was not heard."""
    return [
        name
        for name, neighbours in heard.items()
        if not neighbours and text(sys, "class", "net", name, "carrier") == "1"
    ]


def _hear(one: socket.socket, neighbours: t.List[lldp_frames.Neighbour]) -> None:
    try:
        frame, origin = one.recvfrom(65535)
    except OSError as error:
        if error.errno in (errno.ENETDOWN, errno.EAGAIN):
            return
        raise
    if origin[2] == socket.PACKET_OUTGOING:
        return
    found = lldp_frames.parse(frame)
    if found is not None and len(neighbours) < _MAX_NEIGHBOURS:
        known = [(other["chassis_id"], other["port_id"]) for other in neighbours]
        if (found["chassis_id"], found["port_id"]) not in known:
            neighbours.append(found)


def _socket(name: str) -> socket.socket:
    try:
        one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(lldp_frames.ETHERTYPE))
    except PermissionError as error:
        raise FabricError("listening for LLDP needs root's rights: %s" % error) from error
    try:
        one.bind((name, lldp_frames.ETHERTYPE))
        index = socket.if_nametoindex(name)
        for group in _GROUPS:
            one.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, struct.pack("=iHH8s", index, _MULTICAST, 6, group))
        one.setblocking(False)
    except OSError as error:
        one.close()
        raise FabricError("NIC %s cannot be listened on: %s" % (name, error)) from error
    return one


@contextlib.contextmanager
def _is_up(name: str) -> t.Iterator[None]:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as control:
        request = struct.pack("=16sh22x", name.encode("utf-8"), 0)
        try:
            flags = struct.unpack_from("=h", fcntl.ioctl(control, _SIOCGIFFLAGS, request), 16)[0]
            if not flags & _UP:
                fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("=16sh22x", name.encode("utf-8"), flags | _UP))
        except OSError as error:
            raise FabricError("NIC %s cannot be brought up: %s" % (name, error)) from error
        try:
            yield
        finally:
            if not flags & _UP:
                with contextlib.suppress(OSError):  # it may be gone
                    fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("=16sh22x", name.encode("utf-8"), flags))
