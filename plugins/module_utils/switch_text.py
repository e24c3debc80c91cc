# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How ports, VLANs and what changes of them are told to people, to audit records, and back to a play. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Operation
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import (
    ALL,
    Aggregate,
    Plan,
    Port,
    PortChange,
    VlanChange,
    range_texts,
    show_vlans,
)


def switching(port: Port) -> str:
    """Return which VLANs a port is in."""
    if port.member_of:
        return "member of %s" % port.member_of
    if port.mode == "access":
        return "access VLAN %s" % port.vlan
    if port.mode == "trunk":
        native = "native VLAN %d" % port.native_vlan if port.native_vlan else "no native VLAN"
        everything = port.vlans() == ALL
        return "trunk with %s, allowed %s" % (native, "all VLANs" if everything else show_vlans(port.allowed_vlans))
    return "no VLAN"


def _bundle(aggregate: t.Optional[Aggregate]) -> str:
    if aggregate is None:
        return "no aggregate"
    kind = "static" if aggregate.lacp == "static" else "LACP %s" % aggregate.lacp
    members = ", ".join(aggregate.members) or "no members"
    return "aggregate of %s (%s, at least %d up)" % (members, kind, aggregate.min_links)


def _facets(port: Port) -> t.List[t.Tuple[str, str]]:
    """Return each thing that can change by itself, and how it stands."""
    return [
        ("aggregate", _bundle(port.aggregate)),
        ("switching", switching(port)),
        ("description", "description %r" % port.description if port.description else "no description"),
        ("enabled", "enabled" if port.enabled else "disabled"),
        ("edge", "edge port" if port.edge else "no edge port"),
    ]


def describe(port: t.Optional[Port]) -> str:
    """Return all of a port in one line; what is usual is left out."""
    if port is None:
        return "not there"
    usual = {"no aggregate", "no description", "no edge port"}
    return ", ".join(text for _facet, text in _facets(port) if text not in usual)


def port_operation(change: PortChange) -> Operation:
    before, after = change.before, change.after
    if before is None:
        text = "make %s: %s" % (change.name, describe(after))
    elif after is None:
        text = "remove %s: %s" % (change.name, describe(before))
    else:
        pairs = zip(_facets(before), _facets(after))
        differing = ["%s -> %s" % (old, new) for (_facet, old), (_same, new) in pairs if old != new]
        text = "change %s: %s" % (change.name, "; ".join(differing))
    return Operation(text, change, *("%s: %s" % (change.name, describe(port)) if port else "" for port in change))


def vlan_operation(change: VlanChange) -> Operation:
    if change.before is None:
        text = "make VLAN %d %s" % (change.vlan_id, change.after)
    elif change.after is None:
        text = "remove VLAN %d %s" % (change.vlan_id, change.before)
    else:
        text = "rename VLAN %d: %s -> %s" % change
    lines = ["VLAN %d %s" % (change.vlan_id, name) if name is not None else "" for name in change[1:]]
    return Operation(text, change, *lines)


def operations(plan: Plan) -> t.List[Operation]:
    """Return what a plan does, a text for each port and VLAN."""
    made = [change for change in plan.vlans if change.after is not None]
    removed = [change for change in plan.vlans if change.after is None]
    return [
        *(vlan_operation(change) for change in made),
        *(port_operation(change) for change in plan.ports),
        *(vlan_operation(change) for change in removed),
    ]


def port_item(port: Port) -> t.Dict[str, t.Any]:
    """Return a port in the shape the module takes, without what does not apply to it."""
    item: t.Dict[str, t.Any] = {"name": port.name, "state": "present"}
    if port.mode == "access":
        item.update(mode="access", vlan=port.vlan)
    elif port.mode == "trunk":
        item.update(mode="trunk", native_vlan=port.native_vlan, allowed_vlans=vlan_list(port))
    item.update(description=port.description, enabled=port.enabled, edge=port.edge)
    if port.aggregate:
        item["aggregate"] = {
            "members": list(port.aggregate.members),
            "lacp": port.aggregate.lacp,
            "min_links": port.aggregate.min_links,
        }
    return item


def vlan_list(port: Port) -> t.List[t.Any]:
    """Return the VLANs a trunk allows, as numbers, or as one range where it allows them all."""
    if port.vlans() == ALL:
        return range_texts(ALL)
    return sorted(port.allowed_vlans)


def record(port: t.Optional[Port]) -> t.Optional[t.Dict[str, t.Any]]:
    """Return a port for an audit record."""
    if port is None:
        return None
    item = port_item(port)
    del item["name"], item["state"]
    if port.member_of:
        item["member_of"] = port.member_of
    if port.mode == "trunk":
        item["allowed_vlans"] = show_vlans(port.allowed_vlans)
    return item
