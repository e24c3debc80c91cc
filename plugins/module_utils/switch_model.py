# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a switch's ports and VLANs are, whoever made the switch. Pure.

Every driver reads a switch into this, and writes what differs between two of it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

FIRST, LAST = 1, 4094
ALL = frozenset(range(FIRST, LAST + 1))

# VLANs whose names begin so were made by the collection, and are the only ones it ever removes or renames.
MARK = "weft-"


class Aggregate(t.NamedTuple):
    members: t.Tuple[str, ...]
    lacp: str  # active, passive or static
    min_links: int = 1


class Port(t.NamedTuple):
    """A port as it is, or as it is to be. The name is spelled as the switch spells it."""

    name: str
    mode: t.Optional[str] = None  # access, trunk, or None: in no VLAN
    vlan: t.Optional[int] = None
    native_vlan: t.Optional[int] = None
    # Without the native one, which every trunk carries.
    allowed_vlans: t.FrozenSet[int] = frozenset()
    description: str = ""
    enabled: bool = True
    edge: bool = False
    aggregate: t.Optional[Aggregate] = None
    member_of: t.Optional[str] = None
    # It has addresses of its own and no VLANs.
    routed: bool = False

    def vlans(self) -> t.FrozenSet[int]:
        """Return all VLANs that it carries."""
        single = {vlan for vlan in (self.vlan, self.native_vlan) if vlan is not None}
        return self.allowed_vlans | single

    def without_vlans(self) -> Port:
        return self._replace(mode=None, vlan=None, native_vlan=None, allowed_vlans=frozenset())


class State(t.NamedTuple):
    """What was read from a switch: ports by the key of their name, and the names of VLANs."""

    ports: t.Dict[str, Port]
    vlans: t.Dict[int, str]


class PortChange(t.NamedTuple):
    """before None: the port is made. after None: it is removed. Both only happen to aggregates."""

    before: t.Optional[Port]
    after: t.Optional[Port]

    @property
    def name(self) -> str:
        return (self.after or self.before or Port("")).name


class VlanChange(t.NamedTuple):
    """A name None: the VLAN is not there."""

    vlan_id: int
    before: t.Optional[str]
    after: t.Optional[str]


class Plan(t.NamedTuple):
    """What is to be written, in the order in which it is told."""

    vlans: t.Tuple[VlanChange, ...] = ()
    ports: t.Tuple[PortChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.vlans or self.ports)

    def reversed(self) -> Plan:
        """Return the plan that undoes this one."""
        return Plan(
            tuple(VlanChange(change.vlan_id, change.after, change.before) for change in reversed(self.vlans)),
            tuple(PortChange(change.after, change.before) for change in reversed(self.ports)),
        )


class Neighbour(t.NamedTuple):
    """Who LLDP sees at the other end."""

    port: str
    system_name: str = ""
    chassis_id: str = ""
    port_id: str = ""
    bridge: bool = False


def vlan_id(value: t.Any, where: str) -> int:
    """Return a VLAN's number, or refuse what is none."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if isinstance(value, bool) or not FIRST <= number <= LAST:
        raise FabricError("%s: %r is not a VLAN; VLANs are %d to %d" % (where, value, FIRST, LAST))
    return number


def vlan_set(values: t.Optional[t.Iterable[t.Any]], where: str) -> t.FrozenSet[int]:
    """Return the VLANs of a list of numbers and ranges such as "100-199"."""
    found: t.Set[int] = set()
    for value in values or ():
        first, dash, last = str(value).replace("..", "-").partition("-")
        low = vlan_id(first.strip(), where)
        high = vlan_id(last.strip(), where) if dash else low
        if high < low:
            raise FabricError("%s: the range %s ends before it begins" % (where, value))
        found.update(range(low, high + 1))
    return frozenset(found)


def ranges(vlans: t.Iterable[int]) -> t.List[t.Tuple[int, int]]:
    """Return VLANs as first and last of each run of them."""
    found: t.List[t.Tuple[int, int]] = []
    for number in sorted(vlans):
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def range_texts(vlans: t.Iterable[int], dash: str = "-") -> t.List[str]:
    return [str(first) if first == last else "%d%s%d" % (first, dash, last) for first, last in ranges(vlans)]


def show_vlans(vlans: t.Iterable[int]) -> str:
    """Return VLANs as a person writes them."""
    return ",".join(range_texts(vlans)) or "none"


def marked(name: str) -> str:
    """Return the name of a VLAN with our mark."""
    return name if name.startswith(MARK) else MARK + name
