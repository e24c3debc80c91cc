# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cisco NX-OS, in its own model (Cisco-NX-OS-device)."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.switch_desired import natural
from ansible_collections.weft.fabric.plugins.module_utils.switch_driver import SWITCHING, Driver, access, differs, trunk
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import (
    Aggregate,
    Neighbour,
    Plan,
    Port,
    PortChange,
    State,
    VlanChange,
    show_vlans,
)
from ansible_collections.weft.fabric.plugins.module_utils.switch_xml import Maker, Node, child, children, number, text

_NX = Maker("http://cisco.com/ns/yang/cisco-nx-os-device")
_WORDS = (("Ethernet", "eth"), ("port-channel", "po"))
_MODES = {"active": "active", "passive": "passive", "static": "on"}
_MEMBER = "/System/intf-items/phys-items/PhysIf-list[id='%s']"
_DEFAULT = 1


def _inside(name: str) -> str:
    """Return a name as the model has it: eth1/1 for Ethernet1/1."""
    for word, short in _WORDS:
        if name.startswith(word):
            return short + name[len(word) :]
    return name


def _outside(name: str) -> str:
    for word, short in _WORDS:
        if re.match(short + "[0-9]", name):
            return word + name[len(short) :]
    return name


class NxosDriver(Driver):
    name = "nxos"

    # It keeps its configuration busy until a commit is confirmed, and refuses everybody meanwhile.
    confirmed_commit = False

    harmless = ("VLAN with the same name exists",)

    # Reading

    def read_filter(self, names: t.Optional[t.Sequence[str]]) -> t.List[Node]:
        phys, aggr, edge = self._wanted(names)
        trees: t.List[t.Optional[Node]] = [_NX("bd-items", _NX("bd-items"))]
        if names is None or names:
            trees.append(_NX("intf-items", _NX("phys-items", *phys), _NX("aggr-items", *aggr)))
            trees.append(_NX("stp-items", _NX("inst-items", _NX("if-items", *edge))))
        return [_NX("System", *trees)]

    def _wanted(self, names: t.Optional[t.Sequence[str]]) -> t.Tuple[t.List[Node], t.List[Node], t.List[Node]]:
        ids = [_inside(name) for name in names or ()]
        # Who is in an aggregate stands in the aggregate: those are read whole.
        return (
            [_NX("PhysIf-list", _NX("id", one)) for one in ids if not one.startswith("po")],
            [],
            [_NX("If-list", _NX("id", one)) for one in ids],
        )

    def parse(self, data: t.Any) -> State:
        system = child(data, "System")
        edges = {
            text(entry, "id")
            for entry in children(child(system, "stp-items", "inst-items", "if-items"), "If-list")
            if text(entry, "mode") in ("edge", "trunk")
        }
        members: t.Dict[str, str] = {}
        ports = []
        for entry in children(child(system, "intf-items", "aggr-items"), "AggrIf-list"):
            port = self._parse_port(entry, edges)
            inside = sorted(self._members(entry), key=natural)
            members.update(dict.fromkeys(inside, port.name))
            mode = text(entry, "pcMode") or "on"
            bundle = Aggregate(
                tuple(inside), mode if mode in ("active", "passive") else "static", number(entry, "minLinks") or 1
            )
            ports.append(port._replace(aggregate=bundle))
        for entry in children(child(system, "intf-items", "phys-items"), "PhysIf-list"):
            port = self._parse_port(entry, edges)
            above = members.get(port.name)
            # A member shows its aggregate's VLANs as if they were its own.
            ports.append(port.without_vlans()._replace(member_of=above, edge=False) if above else port)
        return self.state(ports, self._parse_vlans(system))

    def _members(self, entry: t.Any) -> t.Iterator[str]:
        for member in children(child(entry, "rsmbrIfs-items"), "RsMbrIfs-list"):
            found = re.search(r"\[id='?([^']*?)'?\]|\[(eth[^]]*)\]", text(member, "tDn") or "")
            if found:
                yield _outside(found.group(1) or found.group(2))

    def _parse_port(self, entry: t.Any, edges: t.Collection[t.Optional[str]]) -> Port:
        inside = text(entry, "id") or ""
        port = Port(
            _outside(inside),
            description=text(entry, "descr") or "",
            enabled=text(entry, "adminSt") != "down",
            edge=inside in edges,
            routed=text(entry, "layer") == "Layer3",
        )
        if port.routed:
            return port
        if text(entry, "mode") == "trunk":
            allowed, native = text(entry, "trunkVlans"), _vlan(text(entry, "nativeVlan"))
            found = trunk(port, None, None if allowed is None else [item for item in allowed.split(",") if item])
            # VLAN 1 is what stands there when nothing was said; where it is not allowed it carries nothing.
            said = native is not None and (native != _DEFAULT or native in found.allowed_vlans)
            return found._replace(native_vlan=native, allowed_vlans=found.allowed_vlans - {native}) if said else found
        vlan = _vlan(text(entry, "accessVlan"))
        return port if vlan == _DEFAULT else access(port, vlan)

    def _parse_vlans(self, system: t.Any) -> t.Dict[int, str]:
        found = {}
        for entry in children(child(system, "bd-items", "bd-items"), "BD-list"):
            vlan = _vlan(text(entry, "fabEncap"))
            if vlan is not None:
                found[vlan] = text(entry, "name") or ""
        return found

    # Writing

    def edit(self, plan: Plan) -> t.List[Node]:
        ports = [self._port(change) for change in plan.ports if not _is_aggregate(change)]
        aggregates = [self._port(change) for change in plan.ports if _is_aggregate(change)]
        edges = [self._edge(change) for change in plan.ports]
        trees: t.List[t.Optional[Node]] = []
        if plan.vlans:
            trees.append(_NX("bd-items", _NX("bd-items", *(self._vlan_node(change) for change in plan.vlans))))
        phys = _NX("phys-items", *ports) if any(ports) else None
        aggr = _NX("aggr-items", *aggregates) if any(aggregates) else None
        if phys or aggr:
            trees.append(_NX("intf-items", phys, aggr))
        if any(edges):
            trees.append(_NX("stp-items", _NX("inst-items", _NX("if-items", *edges))))
        return [_NX("System", *trees)] if trees else []

    def _port(self, change: PortChange) -> t.Optional[Node]:
        before, after = change
        name = "AggrIf-list" if _is_aggregate(change) else "PhysIf-list"
        key = _NX("id", _inside(change.name))
        if after is None:
            return _NX(name, key, operation="remove")
        leaves = [*self._bundle(before, after), *self._switching(before, after), *self._common(before, after)]
        return _NX(name, key, *leaves) if leaves else None

    def _common(self, before: t.Optional[Port], after: Port) -> t.Iterator[Node]:
        if differs(before, after, "description"):
            if after.description:
                yield _NX("descr", after.description)
            elif before is not None:
                yield _NX("descr", operation="remove")
        if differs(before, after, "enabled"):
            yield _NX("adminSt", "up" if after.enabled else "down")

    def _switching(self, before: t.Optional[Port], after: Port) -> t.Iterator[Node]:
        if not differs(before, after, *SWITCHING):
            return
        values: t.Dict[str, str] = {}
        if after.mode == "access":
            if after.vlan == _DEFAULT:
                raise FabricError("port %s: on NX-OS, a port in VLAN 1 is one in no VLAN; release it" % after.name)
            values = {"mode": "access", "accessVlan": "vlan-%d" % (after.vlan or 0)}
        elif after.mode == "trunk":
            values = {"mode": "trunk", "trunkVlans": show_vlans(after.vlans())}
            if after.native_vlan is not None:
                values["nativeVlan"] = "vlan-%d" % after.native_vlan
        if values:
            yield _NX("layer", "Layer2")
        for leaf in ("mode", "accessVlan", "nativeVlan", "trunkVlans"):
            if leaf in values:
                yield _NX(leaf, values[leaf])
            elif before is not None:
                yield _NX(leaf, operation="remove")

    def _bundle(self, before: t.Optional[Port], after: Port) -> t.Iterator[Node]:
        new = after.aggregate
        if new is None or (before is not None and before.aggregate == new):
            return
        yield _NX("pcId", after.name[len("port-channel") :])
        yield _NX("pcMode", _MODES[new.lacp])
        yield _NX("minLinks", new.min_links)
        entries = (_NX("RsMbrIfs-list", _NX("tDn", _MEMBER % _inside(member))) for member in new.members)
        yield _NX("rsmbrIfs-items", *entries, operation="replace")

    def _edge(self, change: PortChange) -> t.Optional[Node]:
        before, after = change
        was, now = (_edge_mode(port) for port in change)
        if was == now or (after is None and before is not None):
            return None
        key = _NX("id", _inside(change.name))
        return _NX("If-list", key, _NX("mode", now) if now else _NX("mode", operation="remove"))

    def _vlan_node(self, change: VlanChange) -> Node:
        key = _NX("fabEncap", "vlan-%d" % change.vlan_id)
        if change.after is None:
            return _NX("BD-list", key, operation="remove")
        return _NX("BD-list", key, _NX("name", change.after))

    # LLDP

    def neighbour_filter(self, names: t.Sequence[str]) -> t.List[Node]:
        return [_NX("System", _NX("lldp-items", _NX("inst-items", _NX("if-items"))))]

    def neighbours(self, data: t.Any) -> t.List[Neighbour]:
        entries = children(child(data, "System", "lldp-items", "inst-items", "if-items"), "If-list")
        return [
            Neighbour(
                _outside(text(entry, "id") or ""),
                text(seen, "sysName") or "",
                text(seen, "chassisIdV") or "",
                text(seen, "portIdV") or "",
                "bridge" in (text(seen, "enCap") or ""),
            )
            for entry in entries
            for seen in children(child(entry, "adj-items"), "AdjEp-list")
        ]


def _is_aggregate(change: PortChange) -> bool:
    return any(port is not None and port.aggregate is not None for port in change)


def _edge_mode(port: t.Optional[Port]) -> str:
    if port is None or not port.edge:
        return ""
    return "trunk" if port.mode == "trunk" else "edge"


def _vlan(value: t.Optional[str]) -> t.Optional[int]:
    """Return the number in "vlan-120"."""
    found = re.fullmatch(r"vlan-([0-9]+)", value or "")
    return int(found.group(1)) if found else None
