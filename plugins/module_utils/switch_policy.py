# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused, whatever the arguments ask for: one wrong port can cut off a rack. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.switch_desired import Desired, Wanted, port_name
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import (
    Neighbour,
    Plan,
    Port,
    PortChange,
    show_vlans,
    vlan_set,
)
from ansible_collections.weft.fabric.plugins.module_utils.switch_plan import Planner
from ansible_collections.weft.fabric.plugins.module_utils.switch_text import describe, switching


class Policy(object):
    """What the collection may do to one switch."""

    def __init__(self, params: t.Mapping[str, t.Any], desired: Desired):
        given = params.get("policy") or {}
        driver = desired.driver

        def keys(names: t.Iterable[str]) -> t.FrozenSet[str]:
            return frozenset(desired.key(port_name(driver, name)) for name in names)

        self.desired = desired
        self.allowed_vlans = vlan_set(given.get("allowed_vlans"), "policy, allowed_vlans")
        owned = given.get("owned_vlans")
        self.owned_vlans = self.allowed_vlans if owned is None else vlan_set(owned, "policy, owned_vlans")
        self.uplinks = keys(given.get("uplinks") or ())
        allowed = given.get("allowed_ports")
        self.allowed_ports = keys(desired.names() if allowed is None else allowed)

    def of_arguments(self) -> t.List[str]:
        """Return what the switch need not be asked for."""
        desired, problems = self.desired, []
        for name in desired.names():
            key = desired.key(name)
            if key in self.uplinks:
                problems.append("port %s is an uplink, and uplinks are never touched" % name)
            elif key not in self.allowed_ports:
                problems.append("port %s is not one of the allowed ports" % name)
        for wanted in desired.ports.values():
            foreign = wanted.port.vlans() - self.allowed_vlans
            if foreign:
                problems.append(
                    "port %s: VLAN %s is outside the allowed VLANs, %s"
                    % (wanted.name, show_vlans(foreign), show_vlans(self.allowed_vlans))
                )
        listed = (set(desired.vlans) | set(desired.absent_vlans)) - self.allowed_vlans
        if listed:
            problems.append(
                "VLAN %s is outside the allowed VLANs, %s" % (show_vlans(listed), show_vlans(self.allowed_vlans))
            )
        return problems

    def of_plan(self, planner: Planner, plan: Plan, neighbours: t.Sequence[Neighbour]) -> t.List[str]:
        """Return what stands in the way of a plan on the switch as it is."""
        problems: t.List[str] = []
        for change in plan.ports:
            problems.extend(self._of_change(planner, change, neighbours))
        missing = planner.missing_vlans()
        if missing and not self.desired.create_vlans:
            problems.extend(self._of_missing(missing))
        return problems

    def _of_missing(self, missing: t.Set[int]) -> t.Iterator[str]:
        told: t.Set[int] = set()
        for wanted in self.desired.ports.values():
            absent = wanted.port.vlans() & missing
            if absent and wanted.present:
                told |= absent
                yield (
                    "port %s: VLAN %s is not in the switch's VLAN database. Make it there, or allow the run to "
                    "(create_vlans)." % (wanted.name, show_vlans(absent))
                )
        if missing - told:
            yield "VLAN %s is not in the switch's VLAN database, and create_vlans is false" % show_vlans(missing - told)

    def _of_change(self, planner: Planner, change: PortChange, neighbours: t.Sequence[Neighbour]) -> t.Iterator[str]:
        key, before = self.desired.key(change.name), change.before
        wanted = self.desired.ports.get(key)
        if key in self.uplinks:
            yield "port %s is an uplink, and uplinks are never touched" % change.name
        if before is None:
            return
        moves_by_itself = change.after is None or change.after.member_of != before.member_of
        if before.member_of and not (planner.gives_up(key) or (wanted is None and not moves_by_itself)):
            yield (
                "port %s is a member of %s. Write to the aggregate, or list the aggregate without this member."
                % (change.name, before.member_of)
            )
        if before.routed:
            yield "port %s is a routed one; somebody who knows why must make it a switched one first" % change.name
        yield from self._of_bridges(change.name, self._expected_neighbour(key), neighbours)
        if change.after is None or before._replace(
            description="", enabled=True, edge=False, aggregate=None
        ) != change.after._replace(description="", enabled=True, edge=False, aggregate=None):
            yield from self._of_owner(wanted, before)

    def _expected_neighbour(self, key: str) -> t.Optional[str]:
        """Return who is at the other end of a port; of a member it is its aggregate that says so."""
        wanted = self.desired.ports.get(key) or self.desired.ports.get(self.desired.members().get(key, ""))
        return wanted.neighbour if wanted else None

    def _of_bridges(self, name: str, expected: t.Optional[str], neighbours: t.Sequence[Neighbour]) -> t.Iterator[str]:
        for found in neighbours:
            if not found.bridge or self.desired.key(found.port) != self.desired.key(name):
                continue
            if not _is_named(found, expected):
                yield (
                    "port %s: LLDP sees a bridge there, %s (port %s). It looks like the way to another switch; where "
                    "it is a host that bridges, name it as the port's neighbour."
                    % (name, found.system_name or found.chassis_id or "without a name", found.port_id or "unknown")
                )

    def _of_owner(self, wanted: t.Optional[Wanted], before: Port) -> t.Iterator[str]:
        """Refuse a port that is in somebody else's VLAN, unless the caller has said that he knows of it."""
        expected = wanted.expected if wanted else None
        if expected is not None:
            if _same_vlans(expected, before):
                return
            yield (
                "port %s: expected_current says %s, and the switch says %s. Somebody has changed it since."
                % (before.name, switching(expected), switching(before))
            )
            return
        foreign = before.vlans() - self.owned_vlans
        if foreign:
            yield (
                "port %s is now %s, and VLAN %s is not ours to take it from. If that is right, say so with "
                "expected_current, or add it to owned_vlans." % (before.name, describe(before), show_vlans(foreign))
            )


def _same_vlans(one: Port, other: Port) -> bool:
    return one[1:5] == other[1:5]


def _is_named(found: Neighbour, name: t.Optional[str]) -> bool:
    if not name or not found.system_name:
        return False
    return found.system_name == name or found.system_name.split(".")[0] == name.split(".")[0]
