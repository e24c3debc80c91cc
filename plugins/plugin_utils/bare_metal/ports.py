# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which phases of a node its switch ports are set for, as read from the switches. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.switch_model import show_vlans, vlan_set
from ansible_collections.weft.fabric.plugins.module_utils.switch_names import key

Item = t.Mapping[str, t.Any]
#: what switch_ports_info read, by switch
Found = t.Mapping[str, t.Sequence[Item]]


def phases_of(phases: t.Mapping[str, t.Sequence[Item]], found: Found) -> frozenset[str]:
    """Return the phases for which every port of the node is set right now.

    phases is what the compiler says of a node: for each phase the switches, and the arguments of switch_ports for each.
    """
    return frozenset(name for name, items in phases.items() if items and all(_set_for(item, found) for item in items))


def describe(phases: t.Mapping[str, t.Sequence[Item]], found: Found) -> str:
    """Return in which VLANs the node's ports are, for people."""
    texts: dict[str, str] = {}
    for items in phases.values():
        for item in items:
            for port in item["arguments"]["ports"]:
                current = _current(item, port, found)
                texts[f"{item['switch']} {port['name']}"] = switching(current)
    return ", ".join(f"{place}: {text}" for place, text in sorted(texts.items()))


def switching(port: Item | None) -> str:
    """Return which VLANs a port is in."""
    if _is_absent(port) or port is None:
        return "no VLAN"
    shut = "" if port.get("enabled", True) else ", shut"
    if port.get("mode") == "access":
        return f"VLAN {port.get('vlan')}{shut}"
    if port.get("mode") == "trunk":
        native = f"VLAN {port['native_vlan']} and " if port.get("native_vlan") else ""
        return f"{native}tagged {show_vlans(vlan_set(port.get('allowed_vlans'), 'port')) or 'none'}{shut}"
    return f"no VLAN{shut}"


def _set_for(item: Item, found: Found) -> bool:
    if item["switch"] not in found:
        return False
    return all(_matches(port, _current(item, port, found)) for port in item["arguments"]["ports"])


def _current(item: Item, port: Item, found: Found) -> Item | None:
    driver = item["arguments"]["switch"]["driver"]
    wanted = key(driver, port["name"])
    return next((one for one in found.get(item["switch"], ()) if key(driver, one["name"]) == wanted), None)


def _is_absent(port: Item | None) -> bool:
    # In no VLAN, a port does no harm, shut or not: so it comes from the factory.
    return port is None or port.get("state") == "absent" or not port.get("mode")


def _matches(wanted: Item, current: Item | None) -> bool:
    if wanted.get("state") == "absent":
        return _is_absent(current)
    if current is None or _is_absent(current):
        return False
    if any(wanted.get(field) != current.get(field) for field in ("mode", "vlan") if wanted.get(field) is not None):
        return False
    if wanted.get("enabled", True) != current.get("enabled", True):
        return False
    if wanted.get("mode") != "trunk":
        return True
    vlans = [vlan_set(one.get("allowed_vlans"), "port") for one in (wanted, current)]
    return wanted.get("native_vlan") == current.get("native_vlan") and vlans[0] == vlans[1]
