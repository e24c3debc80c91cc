# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a switch is to what is wanted of it: the changes between them. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import switch_names
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.switch_desired import Desired, Wanted, natural
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import (
    ALL,
    MARK,
    Aggregate,
    Plan,
    Port,
    PortChange,
    State,
    VlanChange,
)

# It is on every switch, whether its VLAN database says so or not.
DEFAULT_VLAN = 1


class Planner(object):
    """Collects the changes. One object, one use."""

    def __init__(
        self,
        desired: Desired,
        state: State,
        allowed_vlans: t.AbstractSet[int] = ALL,
        uplinks: t.Collection[str] = (),
        all_listed: bool = True,
    ):
        self.desired = desired
        self.state = state
        self.allowed_vlans = allowed_vlans
        self.uplinks = uplinks
        #: whether the switch lists each of its ports; where not, one that isn't listed is one without configuration
        self.all_listed = all_listed
        self._after: t.Dict[str, t.Optional[Port]] = {}

    def plan(self) -> Plan:
        for key, wanted in self.desired.ports.items():
            self._after[key] = self._port(key, wanted)
        for key, aggregate in self.desired.members().items():
            self._after[key] = self._joined(key, aggregate)
        for key in self._left():
            self._after[key] = self._freed(key)
        ports = [PortChange(self._before(key, after), after) for key, after in self._after.items()]
        changes = [change for change in ports if change.before != change.after]
        return Plan(tuple(self._vlans()), tuple(sorted(changes, key=_order)))

    def _before(self, key: str, after: t.Optional[Port]) -> t.Optional[Port]:
        found = self.state.ports.get(key)
        if found is None and after is not None and after.aggregate is None and not self.all_listed:
            return Port(after.name)
        return found

    # Ports

    def _port(self, key: str, wanted: Wanted) -> t.Optional[Port]:
        current = self._current(key, wanted)
        if current is None:
            return None
        if not wanted.present:
            return None if current.aggregate else self._freed(key, current)
        after = self._bundled(current, wanted)
        if wanted.port.mode:
            after = after._replace(
                mode=wanted.port.mode,
                vlan=wanted.port.vlan,
                native_vlan=wanted.port.native_vlan,
                allowed_vlans=wanted.port.allowed_vlans,
            )
        if wanted.described:
            after = after._replace(description=wanted.port.description)
        if wanted.enabled is not None:
            after = after._replace(enabled=wanted.enabled)
        if wanted.edge is not None:
            after = after._replace(edge=wanted.edge)
        return after

    def _current(self, key: str, wanted: Wanted) -> t.Optional[Port]:
        """Return a port as it is; None for an aggregate that is gone and is to be."""
        found = self.state.ports.get(key)
        if found is not None:
            return self._left_alone(key, found)
        if wanted.port.aggregate:
            return Port(wanted.name)
        if not self.all_listed:
            return Port(wanted.name)
        if not wanted.present and switch_names.is_aggregate(self.desired.driver, wanted.name):
            return None
        raise FabricError("port %s does not exist on the switch. %s" % (wanted.name, self._known()))

    def _left_alone(self, key: str, port: Port) -> Port:
        """Return a port as it is once the aggregate that gives it up has done so."""
        return port._replace(member_of=None) if port.member_of and self.gives_up(key) else port

    def gives_up(self, key: str) -> bool:
        """Whether the aggregate that a port is in now is listed, and without it."""
        port = self.state.ports.get(key)
        if port is None or port.member_of is None:
            return False
        wanted = self.desired.ports.get(self.desired.key(port.member_of))
        if wanted is None or (wanted.present and wanted.port.aggregate is None):
            return False
        return self.desired.members().get(key) != self.desired.key(port.member_of)

    def _known(self) -> str:
        names = sorted((port.name for port in self.state.ports.values()), key=natural)
        if not names:
            return "It tells of no ports at all."
        told = ", ".join(names[:8])
        return "It has %s%s." % (told, " and %d more" % (len(names) - 8) if len(names) > 8 else "")

    def _bundled(self, current: Port, wanted: Wanted) -> Port:
        asked = wanted.port.aggregate
        if asked is None:
            return current
        # Spelled as the switch does, so that nothing seems to differ that does not.
        members = tuple(sorted((self._spelled(name) for name in asked.members), key=natural))
        return current._replace(aggregate=Aggregate(members, asked.lacp, asked.min_links))

    def _spelled(self, name: str) -> str:
        found = self.state.ports.get(self.desired.key(name))
        return found.name if found else name

    def _joined(self, key: str, aggregate: str) -> Port:
        """Return a port as a member: in no VLAN of its own, and up when its aggregate is."""
        wanted = self.desired.ports[aggregate]
        found = self.state.ports.get(key)
        if found is None:
            asked = wanted.port.aggregate or Aggregate((), "active")
            name = next(name for name in asked.members if self.desired.key(name) == key)
            if self.all_listed:
                raise FabricError(
                    "port %s, a member of %s, does not exist on the switch. %s" % (name, wanted.name, self._known())
                )
            found = Port(name)
        above = self.state.ports.get(aggregate)
        return found.without_vlans()._replace(
            member_of=above.name if above else wanted.name, enabled=wanted.enabled is not False, edge=False
        )

    def _left(self) -> t.List[str]:
        """Return the keys of ports whose aggregate gives them up, and of which nothing else is said."""
        spoken_of = set(self._after)
        return [
            key
            for key, port in self.state.ports.items()
            if port.member_of and key not in spoken_of and self.gives_up(key)
        ]

    def _freed(self, key: str, port: t.Optional[Port] = None) -> Port:
        """Return a port in no VLAN and out of service: where nobody says otherwise, it must reach nobody."""
        free = (port or self.state.ports[key]).without_vlans()
        keep = free.member_of if port is not None else None
        return free._replace(member_of=keep, description="", enabled=False)

    # VLANs

    def wanted_vlans(self) -> t.Set[int]:
        """Return the VLANs that must be there: those listed, and those that the listed ports carry."""
        carried = {vlan for wanted in self.desired.ports.values() if wanted.present for vlan in wanted.port.vlans()}
        return carried | set(self.desired.vlans)

    def missing_vlans(self) -> t.Set[int]:
        return self.wanted_vlans() - set(self.state.vlans) - {DEFAULT_VLAN}

    def _vlans(self) -> t.Iterator[VlanChange]:
        for number in sorted(self.wanted_vlans() | self.desired.absent_vlans | set(self.state.vlans)):
            change = VlanChange(number, self.state.vlans.get(number), self._vlan_after(number))
            if change.before != change.after:
                yield change

    def _vlan_after(self, number: int) -> t.Optional[str]:
        before, asked = self.state.vlans.get(number), self.desired.vlans.get(number)
        if number in self.wanted_vlans():
            if before is None:
                may = self.desired.create_vlans and number != DEFAULT_VLAN
                return (asked or "%s%d" % (MARK, number)) if may else None
            return asked if asked and before.startswith(MARK) else before
        if before is not None and before.startswith(MARK) and self._is_to_go(number):
            return before if self.users(number) else None
        return before

    def _is_to_go(self, number: int) -> bool:
        purged = self.desired.purge_vlans and number in self.allowed_vlans
        return purged or number in self.desired.absent_vlans

    def users(self, number: int) -> t.List[str]:
        """Return the ports that are still in a VLAN after this run.

        Uplinks do not count, nor does a trunk that carries everything: they carry what there is.
        """
        after = dict(self.state.ports)
        after.update({key: port for key, port in self._after.items() if port is not None})
        gone = {key for key, port in self._after.items() if port is None}
        return [
            port.name
            for key, port in after.items()
            if key not in self.uplinks and key not in gone and number in port.vlans() and len(port.vlans()) < 4094
        ]

    def kept_vlans(self) -> t.List[str]:
        """Return why VLANs stay that were to go."""
        reasons = []
        for number in sorted(set(self.state.vlans) - self.wanted_vlans()):
            name, users = self.state.vlans[number], self.users(number)
            if number in self.desired.absent_vlans and not name.startswith(MARK):
                reasons.append("VLAN %d %s stays: its name does not begin with %s" % (number, name, MARK))
            elif name.startswith(MARK) and users and self._is_to_go(number):
                reasons.append("VLAN %d %s stays: %s still carries it" % (number, name, ", ".join(sorted(users))))
        return reasons


def _order(change: PortChange) -> t.Tuple[bool, t.List[t.Tuple[int, str]]]:
    """Aggregates come first: members name them."""
    port = change.after or change.before or Port("")
    return port.aggregate is None, natural(port.name)
