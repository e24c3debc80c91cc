# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One question to the kernel over generic netlink: is a family there? (Open vSwitch's datapath is one.)"""

from __future__ import annotations

import errno
import socket
import struct

NETLINK_GENERIC = 16
GENL_ID_CTRL = 0x10
CTRL_CMD_GETFAMILY = 3
CTRL_ATTR_FAMILY_NAME = 2
NLM_F_REQUEST = 1
NLMSG_ERROR = 2
TIMEOUT = 5  # seconds


def has_family(name):
    """Tell whether the kernel has a generic netlink family. None: it can't be told (no netlink here)."""
    content = name.encode("ascii") + b"\0"
    attribute = struct.pack("=HH", 4 + len(content), CTRL_ATTR_FAMILY_NAME) + content
    attribute += b"\0" * (-len(attribute) % 4)
    body = struct.pack("=BBH", CTRL_CMD_GETFAMILY, 1, 0) + attribute
    header = struct.pack("=IHHII", 16 + len(body), GENL_ID_CTRL, NLM_F_REQUEST, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC) as connection:
            connection.settimeout(TIMEOUT)
            connection.bind((0, 0))
            connection.send(header + body)
            answer = connection.recv(8192)
    except OSError:
        return None
    kind = struct.unpack_from("=H", answer, 4)[0]
    if kind != NLMSG_ERROR:
        return True
    error = -struct.unpack_from("=i", answer, 16)[0]
    # ENOENT is the kernel's "no such family"; anything else (no permission) proves nothing.
    return False if error == errno.ENOENT else None
