# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lab's switch says of itself on its ports, by LLDP (IEEE 802.1AB): its name, and the port's."""

from __future__ import annotations

import errno
import socket
import struct

ETHERTYPE = 0x88CC
#: the nearest bridge: no bridge passes it on
GROUP = bytes.fromhex("0180c200000e")
#: seconds that a listener may believe it
TTL = 120
CHASSIS_MAC, PORT_INTERFACE_NAME = 4, 5
END, CHASSIS, PORT, TIME, SYSTEM = 0, 1, 2, 3, 5


def element(kind: int, value: bytes) -> bytes:
    return struct.pack(">H", kind << 9 | len(value)) + value


def frame(system: str, chassis: bytes, port: str, source: bytes) -> bytes:
    """The frame that a port sends now and then. chassis is a MAC address of the switch, source that of the port."""
    parts = [
        element(CHASSIS, bytes([CHASSIS_MAC]) + chassis),
        element(PORT, bytes([PORT_INTERFACE_NAME]) + port.encode()),
        element(TIME, struct.pack(">H", TTL)),
        element(SYSTEM, system.encode()),
        element(END, b""),
    ]
    return (GROUP + source + struct.pack(">H", ETHERTYPE) + b"".join(parts)).ljust(60, b"\0")


def speak(system: str, cables: dict[str, str]) -> None:
    """Send one frame on each interface; cables names the port of the switch that it is."""
    chassis = b""
    for port, interface in cables.items():
        # Open vSwitch, which reads the same interface, does not hear what is sent on it.
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as one:
            try:
                one.bind((interface, 0))
                source = one.getsockname()[4]
                chassis = chassis or source
                one.send(frame(system, chassis, port, source))
            except OSError as error:
                # Pulled out or shut, it says nothing, as on metal.
                if error.errno not in (errno.ENETDOWN, errno.ENODEV, errno.ENOBUFS):
                    raise
