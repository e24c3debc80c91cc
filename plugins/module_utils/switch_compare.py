# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How what a switch has compares with a plan: what is not as asked, what leads back, and who is to blame. Pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.netconf_session import RpcError
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import (
    Plan,
    PortChange,
    State,
    VlanChange,
)
from ansible_collections.weft.fabric.plugins.module_utils.switch_text import describe

MAX_TOLD = 5

Key = t.Callable[[str], str]


def wrong(plan: Plan, state: State, key: Key) -> t.List[str]:
    """Return what is not as the plan wants it, with both values."""
    problems = []
    for change in plan.ports:
        found = state.ports.get(key(change.name))
        if found != change.after:
            problems.append("port %s should be %s, and is %s" % (change.name, describe(change.after), describe(found)))
    for vlan in plan.vlans:
        name = state.vlans.get(vlan.vlan_id)
        if name != vlan.after:
            problems.append(
                "VLAN %d should be %s, and is %s" % (vlan.vlan_id, vlan.after or "gone", name or "not there")
            )
    return _some(problems)


def towards(plan: Plan, before: State, state: State, key: Key) -> Plan:
    """Return the plan that leads from what is back to what was, for what the plan touches and nothing else."""
    ports = [PortChange(state.ports.get(key(change.name)), before.ports.get(key(change.name))) for change in plan.ports]
    vlans = [
        VlanChange(change.vlan_id, state.vlans.get(change.vlan_id), before.vlans.get(change.vlan_id))
        for change in plan.vlans
    ]
    return Plan(
        tuple(change for change in vlans if change.before != change.after),
        tuple(change for change in ports if change.before != change.after),
    )


def drifted(one: State, other: State) -> t.List[str]:
    """Return the names of what differs between two states."""
    ports = [
        (one.ports.get(key) or other.ports[key]).name
        for key in sorted({*one.ports, *other.ports})
        if one.ports.get(key) != other.ports.get(key)
    ]
    vlans = [
        "VLAN %d" % number
        for number in sorted({*one.vlans, *other.vlans})
        if one.vlans.get(number) != other.vlans.get(number)
    ]
    return _some(ports + vlans)


def blame(plan: Plan, error: RpcError) -> str:
    """Return what the switch said, after the port or VLAN that it said it of."""
    said = "%s %s" % (error.path, error.message)
    names = sorted((change.name for change in plan.ports), key=len, reverse=True)
    for name in names:
        if re.search(r"(?<![A-Za-z0-9/-])%s(?![0-9/.:])" % re.escape(name), said):
            return "port %s: %s" % (name, error)
    for vlan in plan.vlans:
        if re.search(r"vlan[^0-9]{0,20}\b%d\b" % vlan.vlan_id, said, re.IGNORECASE):
            return "VLAN %d: %s" % (vlan.vlan_id, error)
    if len(names) == 1:
        return "port %s: %s" % (names[0], error)
    told = ", ".join(_some(sorted(names)))
    return "%s (it did not say which of the changes it refuses; they were of %s)" % (error, told or "VLANs")


def _some(texts: t.List[str]) -> t.List[str]:
    more = len(texts) - MAX_TOLD
    return texts[:MAX_TOLD] + (["and %d more" % more] if more > 0 else [])
