# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wanted of Open vSwitch: the module's arguments, normalised, and as a person reads them. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import text
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError


def unique(items, what):
    """Return the items; refuse a name that comes twice."""
    seen = set()
    for item in items:
        if item["name"] in seen:
            raise FabricError("%s %s is listed twice" % (what, item["name"]))
        seen.add(item["name"])
    return items


def text_map(mapping):
    """Return a user's dict with the values OVSDB wants; keys without a value are left out."""
    return {key: text(value) for key, value in (mapping or {}).items() if value is not None}


def wanted_bridges(params):
    """Return the bridges of the module's arguments, each name once."""
    return unique(params.get("bridges") or [], "bridge")


def wanted_ports(bridge):
    """Return a bridge's own ports and those that somebody else plugs in, as two lists."""
    own: t.List[t.Dict[str, t.Any]] = []
    foreign: t.List[t.Dict[str, t.Any]] = []
    for port in bridge.get("ports") or []:
        (foreign if port.get("iface_id") else own).append(port)
    return own, foreign


def is_present(item):
    """Tell whether an item of a list is wanted."""
    return item.get("state") in (None, "present")


def interface_of(port):
    """Return what is said about a port's interface, a dict without None."""
    return {key: value for key, value in (port.get("interface") or {}).items() if value is not None}


def show(value):
    """Return a value as a person reads it."""
    if value is None or value == "" or value == []:
        return "(none)"
    return ",".join(value) if isinstance(value, list) else str(value)


def show_map(mapping):
    """Return a map as one line."""
    return ",".join("%s=%s" % (key, mapping[key]) for key in sorted(mapping))


def describe_bridge(bridge):
    """Return a bridge (wanted or row) as one line."""
    columns = [column for column in ("datapath_type", "fail_mode") if bridge.get(column)]
    parts = [bridge["name"]] + ["%s=%s" % (column, bridge[column]) for column in columns]
    if bridge.get("protocols"):
        parts.append("protocols=" + ",".join(sorted(bridge["protocols"])))
    other_config = show_map(text_map(bridge.get("other_config")))
    return " ".join(parts + (["other_config:" + other_config] if other_config else []))


def describe_port(port):
    """Return the settings of a port (wanted or row) as the end of a line."""
    interface = interface_of(port)
    parts = ["tag=%d" % port["tag"]] if port.get("tag") is not None else []
    if interface.get("type"):
        parts.append("type=" + interface["type"])
    if interface.get("options"):
        parts.append("options:" + show_map(text_map(interface["options"])))
    if interface.get("mtu_request"):
        parts.append("mtu_request=%d" % interface["mtu_request"])
    if interface.get("mac"):
        parts.append("mac=" + interface["mac"].lower())
    return "".join(" " + part for part in parts)
