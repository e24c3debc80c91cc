# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small words that flows are made of, in the very form in which ovs-ofctl prints them (OpenFlow 1.4).

A flow that is written as it is printed needs no normalising to be compared, and reads in a diff as in a dump.
"""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import pipeline
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import IPNetwork

UNTAGGED = "vlan_tci=0x0000/0x1fff"
BROADCAST = "ff:ff:ff:ff:ff:ff"
MULTICAST = "01:00:00:00:00:00/01:00:00:00:00:00"
UNICAST = "00:00:00:00:00:00/01:00:00:00:00:00"
MULTICAST_V6 = "33:33:00:00:00:00/ff:ff:00:00:00:00"

COOKIE_SHARED = pipeline.COOKIE_MARK << 32  # of flows that belong to no single resource
LEARNED_SECONDS = 300  # Neutron's and every switch's default
_VLAN_PRESENT = 0x1000


class Flows:
    """The flows of one bridge."""

    def __init__(self, bridge: str) -> None:
        self.bridge = bridge
        self.lines: list[str] = []
        self._numbers = {table.name: table.number for table in pipeline.TABLES if table.bridge == bridge}

    def add(self, cookie: int, table: str | int, priority: int, match: str, actions: str) -> None:
        """Add a flow; a table is named as in the pipeline."""
        number = table if isinstance(table, int) else self._numbers[table]
        separator = "," if match else ""
        self.lines.append(f"cookie=0x{cookie:x},table={number},priority={priority}{separator}{match} actions={actions}")

    def goto(self, table: str) -> str:
        return f"goto_table:{self._numbers[table]}"

    def resubmit(self, table: str) -> str:
        return f"resubmit(,{self._numbers[table]})"

    def number(self, table: str) -> int:
        return int(self._numbers[table])

    def as_arguments(self) -> dict[str, t.Any]:
        """Return the item of openflow_flows."""
        return {"name": self.bridge, "flows": self.lines}


def reg(register: str, value: int) -> str:
    """Return the match of a register."""
    return f"{register}=0x{value:x}"


def set_reg(register: str, value: int) -> str:
    """Return the action that sets a register to a number."""
    return f"set_field:0x{value:x}->{register}"


def push_vlan(vlan: int) -> str:
    """Return the actions that put a tag on an untagged frame."""
    return f"push_vlan:0x8100,{set_vlan(vlan)}"


def set_vlan(vlan: int) -> str:
    """Return the action that changes the tag of a tagged frame."""
    return f"set_field:{_VLAN_PRESENT | vlan}->vlan_vid"


def load_vlan(vlan: int) -> str:
    """Return the action inside learn() that puts a tag on a frame (learn() knows no push_vlan)."""
    return f"load:0x{_VLAN_PRESENT | vlan:x}->NXM_OF_VLAN_TCI[]"


def output(port: str) -> str:
    """Return the action that sends to a port, by name."""
    return f'output:"{port}"'


def in_port(port: str) -> str:
    """Return the match of the port a frame came in through, by name."""
    return f'in_port="{port}"'


def with_address(field: str, cidr: IPNetwork) -> str:
    """Return the match of an address range, with its leading comma; nothing for a range that is everything."""
    if cidr.prefixlen == 0:
        return ""
    if cidr.prefixlen == cidr.max_prefixlen:
        return f",{field}={cidr.network_address}"
    return f",{field}={cidr}"
