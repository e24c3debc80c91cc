# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of LLDP (IEEE 802.1AB): what a switch tells of itself at the other end of a cable."""

from __future__ import annotations

import socket
import struct
import typing as t

ETHERTYPE = 0x88CC

Neighbour = t.Dict[str, t.Any]

_CHASSIS = {1: "component", 2: "interface_alias", 3: "port", 4: "mac", 5: "address", 6: "interface_name", 7: "local"}
_PORT = {1: "interface_alias", 2: "component", 3: "mac", 4: "address", 5: "interface_name", 6: "agent", 7: "local"}

_IEEE_8021 = b"\x00\x80\xc2"
_IEEE_8023 = b"\x00\x12\x0f"


def parse(frame: bytes) -> t.Optional[Neighbour]:
    """Return what an Ethernet frame tells, or None when it is none of LLDP, or a broken one."""
    if len(frame) < 14 or struct.unpack_from(">H", frame, 12)[0] != ETHERTYPE:
        return None
    found: Neighbour = {
        "source": _mac(frame[6:12]),
        "chassis_id": None,
        "chassis_id_type": None,
        "port_id": None,
        "port_id_type": None,
        "ttl": None,
        "port_description": None,
        "system_name": None,
        "system_description": None,
        "management_addresses": [],
        "vlan": None,
        "vlans": [],
        "aggregated": None,
        "mtu": None,
    }
    position, ended = 14, False
    while position + 2 <= len(frame) and not ended:
        head = struct.unpack_from(">H", frame, position)[0]
        kind, length = head >> 9, head & 0x1FF
        value = frame[position + 2 : position + 2 + length]
        if len(value) < length:
            return None
        ended = kind == 0
        _take(found, kind, value)
        position += 2 + length
    if found["chassis_id"] is None or found["port_id"] is None or not found["ttl"]:
        return None  # the three that each frame has; a time of 0 says that the port goes away
    return found


def _take(found: Neighbour, kind: int, value: bytes) -> None:
    if kind == 1 and len(value) > 1:
        found["chassis_id_type"] = _CHASSIS.get(value[0], str(value[0]))
        found["chassis_id"] = _identity(found["chassis_id_type"], value[1:])
    elif kind == 2 and len(value) > 1:
        found["port_id_type"] = _PORT.get(value[0], str(value[0]))
        found["port_id"] = _identity(found["port_id_type"], value[1:])
    elif kind == 3 and len(value) >= 2:
        found["ttl"] = struct.unpack_from(">H", value)[0]
    elif kind in (4, 5, 6):
        found[("port_description", "system_name", "system_description")[kind - 4]] = _text(value)
    elif kind == 8 and len(value) > 1:
        address = _address(value[1 : 1 + value[0]])
        if address:
            found["management_addresses"].append(address)
    elif kind == 127 and len(value) >= 4:
        _take_organisation(found, value[:3], value[3], value[4:])


def _take_organisation(found: Neighbour, organisation: bytes, kind: int, value: bytes) -> None:
    if organisation == _IEEE_8021 and kind == 1 and len(value) >= 2:
        found["vlan"] = struct.unpack_from(">H", value)[0] or None
    elif organisation == _IEEE_8021 and kind == 3 and len(value) >= 3:
        number = struct.unpack_from(">H", value)[0]
        found["vlans"].append({"vlan": number, "name": _text(value[3 : 3 + value[2]])})
    elif (organisation, kind) in ((_IEEE_8021, 7), (_IEEE_8023, 3)) and value:
        found["aggregated"] = bool(value[0] & 2)
    elif organisation == _IEEE_8023 and kind == 4 and len(value) >= 2:
        found["mtu"] = struct.unpack_from(">H", value)[0]


def _identity(kind: str, value: bytes) -> str:
    if kind == "mac" and len(value) == 6:
        return _mac(value)
    if kind == "address":
        return _address(value) or value.hex()
    return _text(value)


def _address(value: bytes) -> str:
    if value[:1] == b"\1" and len(value) == 5:
        return socket.inet_ntop(socket.AF_INET, value[1:])
    if value[:1] == b"\2" and len(value) == 17:
        return socket.inet_ntop(socket.AF_INET6, value[1:])
    return _mac(value[1:]) if value[:1] == b"\6" and len(value) == 7 else ""


def _text(value: bytes) -> str:
    told = value.decode("utf-8", "replace").rstrip("\0")
    # It comes from the cable, and goes to a terminal.
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in told)


def _mac(value: bytes) -> str:
    return ":".join("%02x" % byte for byte in value)
