# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Widening and narrowing: what of a switch's state comes before the hosts need it, and what after. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.switch_model import vlan_set
from ansible_collections.weft.fabric.plugins.module_utils.switch_names import key

Item = t.Mapping[str, t.Any]
Items = t.Sequence[Item]


def widened(state: Item, current: Items) -> list[dict[str, t.Any]]:
    """Return the ports of a switch's state so that none of them loses a VLAN that it has now.

    state is what compile_switch() returns, current the ports as switch_ports_info tells them. What can't be
    both as it is and as it shall be, such as a port that moves from one access VLAN to another, is as it shall be.
    """
    driver = state["switch"]["driver"]
    ours = vlan_set(state["policy"]["allowed_vlans"], "allowed_vlans")
    now = {key(driver, item["name"]): item for item in current}
    spoken_for = {key(driver, name) for item in state["ports"] if not _is_absent(item) for name in _names(item)}
    found = []
    for item in state["ports"]:
        before = now.get(key(driver, item["name"]))
        if not _is_absent(item):
            found.append(dict(item) if before is None or _is_absent(before) else _with(item, before, ours))
        elif before is not None and spoken_for & {key(driver, name) for name in _members(before)}:
            # An aggregate has to give up a member before that can be anything else.
            found.append(dict(item))
    return found


def _is_absent(item: Item) -> bool:
    return item.get("state") == "absent"


def _members(item: Item) -> list[str]:
    return list((item.get("aggregate") or {}).get("members") or ())


def _names(item: Item) -> list[str]:
    return [item["name"], *_members(item)]


def _with(item: Item, before: Item, ours: frozenset[int]) -> dict[str, t.Any]:
    """Return a port as it shall be, with what it has now. What it has and isn't ours, the module judges."""
    wide = dict(item)
    if before.get("enabled"):
        wide["enabled"] = True
    if item.get("mode") != "trunk":
        return wide
    had = vlan_set(before.get("allowed_vlans"), item["name"]) & ours
    untagged = before.get("vlan") if before.get("mode") == "access" else before.get("native_vlan")
    tagged = set(item.get("allowed_vlans") or ())
    native = item.get("native_vlan")
    if native is None and untagged in ours - tagged:
        native = wide["native_vlan"] = untagged
    wide["allowed_vlans"] = sorted((tagged | had) - {native})
    return wide
