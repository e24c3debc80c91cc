# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of switch_ports, checked as far as that can be without the switch. Pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import switch_names
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import (
    Aggregate,
    Port,
    marked,
    vlan_id,
    vlan_set,
)

# What every switch takes, and nothing that could end a line or an element.
_VLAN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_DESCRIPTION = re.compile(r"[\x20-\x7e]{0,200}")

Item = t.Mapping[str, t.Any]


class Wanted(t.NamedTuple):
    """What is asked of one port. A field that is None is not asked for."""

    name: str
    present: bool
    port: Port  # of it, mode and VLANs count where mode is given
    described: bool
    enabled: t.Optional[bool]
    edge: t.Optional[bool]
    expected: t.Optional[Port]
    neighbour: t.Optional[str]


class Desired(t.NamedTuple):
    """All that is asked of a switch; ports by the key of their name, in the order of the arguments."""

    driver: str
    ports: t.Dict[str, Wanted]
    vlans: t.Dict[int, t.Optional[str]]
    absent_vlans: t.FrozenSet[int]
    purge_vlans: bool
    create_vlans: bool

    def key(self, name: str) -> str:
        return switch_names.key(self.driver, name)

    def members(self) -> t.Dict[str, str]:
        """Return the aggregate of each port that is to be in one, by keys."""
        return {
            self.key(member): key
            for key, wanted in self.ports.items()
            if wanted.port.aggregate
            for member in wanted.port.aggregate.members
        }

    def names(self) -> t.List[str]:
        """Return the names of all ports that are spoken of."""
        members = [name for item in self.ports.values() if item.port.aggregate for name in item.port.aggregate.members]
        return [*(item.name for item in self.ports.values()), *members]


def parse(params: Item) -> Desired:
    """Return what is wanted, or tell what is wrong with it."""
    driver = params["switch"]["driver"]
    desired = Desired(
        driver,
        {},
        {},
        frozenset(item["vlan_id"] for item in params.get("vlans") or () if item.get("state") == "absent"),
        bool(params.get("purge_vlans")),
        bool(params.get("create_vlans")),
    )
    for item in params.get("vlans") or ():
        _add_vlan(desired, item)
    for item in params.get("ports") or ():
        wanted = _wanted(driver, item)
        if desired.key(wanted.name) in desired.ports:
            raise FabricError("port %s is listed twice" % wanted.name)
        desired.ports[desired.key(wanted.name)] = wanted
    _check_members(desired)
    return desired


def _add_vlan(desired: Desired, item: Item) -> None:
    number = vlan_id(item["vlan_id"], "vlans")
    name = item.get("name")
    if name is not None and not _VLAN_NAME.fullmatch(marked(name)):
        raise FabricError(
            "VLAN %d: %r is not a name for a VLAN. Use letters, digits, dots, dashes and underscores; with the mark "
            "of the collection, %s, it has 32 characters at most." % (number, marked(name), marked(""))
        )
    if number in desired.vlans:
        raise FabricError("VLAN %d is listed twice" % number)
    if item.get("state") != "absent":
        desired.vlans[number] = None if name is None else marked(name)


def port_name(driver: str, name: str) -> str:
    try:
        return switch_names.normalise(driver, name)
    except ValueError as error:
        raise FabricError(str(error)) from None


def _wanted(driver: str, item: Item) -> Wanted:
    name = port_name(driver, item["name"])
    present = item.get("state") != "absent"
    description = item.get("description")
    if description is not None and not _DESCRIPTION.fullmatch(description):
        raise FabricError("port %s: a description is one line of at most 200 ASCII characters" % name)
    if not present and any(item.get(field) is not None for field in ("mode", "aggregate", "description")):
        raise FabricError("port %s: with state absent it can have no mode, description or aggregate" % name)
    port = _switching(Port(name), item, "port %s" % name)._replace(
        description=description or "", aggregate=_aggregate(driver, name, item.get("aggregate"))
    )
    expected = item.get("expected_current")
    return Wanted(
        name,
        present,
        port,
        description is not None,
        item.get("enabled"),
        item.get("edge"),
        None if expected is None else _switching(Port(name), expected, "port %s, expected_current" % name),
        item.get("neighbour"),
    )


def _switching(port: Port, item: Item, where: str) -> Port:
    """Return a port with the mode and the VLANs that an item says."""
    mode, vlan, native = item.get("mode"), item.get("vlan"), item.get("native_vlan")
    allowed = vlan_set(item.get("allowed_vlans"), where)
    if mode == "access":
        if vlan is None or native is not None or allowed:
            raise FabricError("%s: mode access has a vlan, and no native_vlan and no allowed_vlans" % where)
        return port._replace(mode="access", vlan=vlan_id(vlan, where))
    if mode == "trunk":
        if vlan is not None or not (allowed or native is not None):
            # Switches take a trunk without a list for one that carries everything.
            raise FabricError("%s: mode trunk has allowed_vlans or a native_vlan or both, and no vlan" % where)
        number = None if native is None else vlan_id(native, where)
        return port._replace(mode="trunk", native_vlan=number, allowed_vlans=allowed - {number})
    if vlan is not None or native is not None or allowed:
        raise FabricError("%s: VLANs need a mode, access or trunk" % where)
    return port


def _aggregate(driver: str, name: str, item: t.Optional[Item]) -> t.Optional[Aggregate]:
    if item is None:
        return None
    members = tuple(port_name(driver, member) for member in item.get("members") or ())
    lacp, links = item.get("lacp") or "active", item.get("min_links") or 1
    if not members:
        raise FabricError("port %s: an aggregate needs members" % name)
    if not 1 <= links <= len(members):
        raise FabricError("port %s: min_links is %d, and there are %d members" % (name, links, len(members)))
    return Aggregate(tuple(sorted(members, key=natural)), lacp, links)


def natural(name: str) -> t.List[t.Tuple[int, str]]:
    """Return a key that sorts Ethernet2 before Ethernet10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"([0-9]+)", name)]


def _check_members(desired: Desired) -> None:
    seen: t.Dict[str, str] = {}
    for wanted in desired.ports.values():
        for member in wanted.port.aggregate.members if wanted.port.aggregate else ():
            key = desired.key(member)
            if key in seen:
                raise FabricError("port %s is a member of both %s and %s" % (member, seen[key], wanted.name))
            if key in desired.ports:
                raise FabricError(
                    "port %s is listed by itself and as a member of %s. A member has no VLANs of its own: list it in "
                    "one place." % (member, wanted.name)
                )
            seen[key] = wanted.name
