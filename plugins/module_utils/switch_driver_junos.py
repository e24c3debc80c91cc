# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Juniper Junos on switches with the enhanced layer 2 software (ELS), in its own configuration tree."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.switch_desired import natural
from ansible_collections.weft.fabric.plugins.module_utils.switch_driver import SWITCHING, Driver, access, differs, trunk
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import (
    ALL,
    Aggregate,
    Plan,
    Port,
    PortChange,
    State,
    VlanChange,
    range_texts,
    vlan_set,
)
from ansible_collections.weft.fabric.plugins.module_utils.switch_xml import Maker, Node, child, children, number, text

_J = Maker("http://xml.juniper.net/xnm/1.1/xnm")


class JunosDriver(Driver):
    """Where others have `remove`, Junos has `delete`, and only warns of what is not there."""

    name = "junos"
    keeps_commits = True

    # A port without configuration does not stand in it.
    lists_ports = False

    # Reading

    def read_filter(self, names: t.Optional[t.Sequence[str]]) -> t.List[Node]:
        entries = [_J("interface", _J("name", name)) for name in names or ()]
        interfaces = _J("interfaces", *entries) if names is None or entries else None
        return [_J("configuration", interfaces, _J("vlans"), _J("protocols", _J("rstp")))]

    def parse(self, data: t.Any) -> State:
        configuration = child(data, "configuration")
        vlans, numbers = self._parse_vlans(child(configuration, "vlans"))
        edges = {
            _physical(text(entry, "name") or "")
            for entry in children(child(configuration, "protocols", "rstp"), "interface")
            if child(entry, "edge") is not None
        }
        entries = children(child(configuration, "interfaces"), "interface")
        members: t.Dict[str, t.List[str]] = {}
        for entry in entries:
            above = _bundle_of(entry)
            if above:
                members.setdefault(above, []).append(text(entry, "name") or "")
        ports = []
        for entry in entries:
            name = text(entry, "name") or ""
            port = self._parse_port(name, entry, numbers)._replace(edge=name in edges)
            options = child(entry, "aggregated-ether-options")
            if name.startswith("ae"):
                lacp = "static"
                if child(options, "lacp") is not None:
                    lacp = "passive" if child(options, "lacp", "passive") is not None else "active"
                inside = tuple(sorted(members.get(name, ()), key=natural))
                port = port._replace(aggregate=Aggregate(inside, lacp, number(options, "minimum-links") or 1))
            ports.append(port)
        return self.state(ports, vlans)

    def _parse_port(self, name: str, entry: t.Any, numbers: t.Dict[str, int]) -> Port:
        port = Port(
            name,
            description=text(entry, "description") or "",
            enabled=child(entry, "disable") is None,
            member_of=_bundle_of(entry),
        )
        for unit in children(entry, "unit"):
            family = child(unit, "family")
            if child(family, "inet") is not None or child(family, "inet6") is not None:
                return port._replace(routed=True)
            switching = child(family, "ethernet-switching")
            if switching is None or text(unit, "name") != "0":
                continue
            vlans = self._numbers(switching, numbers)
            if text(switching, "interface-mode") == "trunk":
                return trunk(port, number(entry, "native-vlan-id"), range_texts(vlans))
            if vlans:
                return access(port, min(vlans))
        return port

    def _numbers(self, switching: t.Any, numbers: t.Dict[str, int]) -> t.Set[int]:
        """Return the VLANs of a port, which may be named, numbered, or ranges."""
        found: t.Set[int] = set()
        for member in children(child(switching, "vlan"), "members"):
            value = (member.text or "").strip()
            if value == "all":
                found |= ALL
            elif value in numbers:
                found.add(numbers[value])
            elif value.replace("-", "").isdigit():
                found |= vlan_set([value], "VLANs of a port")
        return found

    def _parse_vlans(self, found: t.Any) -> t.Tuple[t.Dict[int, str], t.Dict[str, int]]:
        numbers = {text(entry, "name") or "": number(entry, "vlan-id") for entry in children(found, "vlan")}
        known = {name: vlan for name, vlan in numbers.items() if vlan is not None}
        return {vlan: name for name, vlan in known.items()}, known

    # Writing

    def edit(self, plan: Plan) -> t.List[Node]:
        ports = [self._port(change) for change in plan.ports]
        edges = [self._edge(change) for change in plan.ports]
        vlans = [node for change in plan.vlans for node in self._vlan(change)]
        return [
            _J(
                "configuration",
                _J("interfaces", *ports) if any(ports) else None,
                _J("protocols", _J("rstp", *edges)) if any(edges) else None,
                _J("vlans", *vlans) if vlans else None,
            )
        ]

    def _port(self, change: PortChange) -> t.Optional[Node]:
        before, after = change
        key = _J("name", change.name)
        if after is None:
            return _J("interface", key, operation="delete")
        inner = [
            *self._common(before, after),
            *self._switching(before, after),
            *self._membership(before, after),
            *self._bundle(before, after),
        ]
        return _J("interface", key, *inner) if inner else None

    def _common(self, before: t.Optional[Port], after: Port) -> t.Iterator[Node]:
        if differs(before, after, "description"):
            if after.description:
                yield _J("description", after.description)
            elif before is not None:
                yield _J("description", operation="delete")
        if differs(before, after, "enabled"):
            if not after.enabled:
                yield _J("disable")
            elif before is not None:
                yield _J("disable", operation="delete")

    def _switching(self, before: t.Optional[Port], after: Port) -> t.Iterator[Node]:
        if not differs(before, after, *SWITCHING):
            return
        had = before is not None and before.mode is not None
        if before is not None and before.native_vlan is not None and after.native_vlan is None:
            yield _J("native-vlan-id", operation="delete")
        elif after.native_vlan is not None:
            yield _J("native-vlan-id", after.native_vlan)
        if after.mode is None:
            if had:
                yield _J("unit", _J("name", "0"), _J("family", _J("ethernet-switching", operation="delete")))
            return
        members = [_J("members", item) for item in range_texts(after.vlans())]
        # A list of members grows with every edit unless it is replaced.
        vlan = _J("vlan", *members, operation="replace" if had else "")
        switching = _J("ethernet-switching", _J("interface-mode", after.mode), vlan)
        yield _J("unit", _J("name", "0"), _J("family", switching))

    def _membership(self, before: t.Optional[Port], after: Port) -> t.Iterator[Node]:
        if not differs(before, after, "member_of"):
            return
        if after.member_of:
            yield _J("ether-options", _J("ieee-802.3ad", _J("bundle", after.member_of)))
        elif before is not None:
            yield _J("ether-options", _J("ieee-802.3ad", operation="delete"))

    def _bundle(self, before: t.Optional[Port], after: Port) -> t.Iterator[Node]:
        old, new = before.aggregate if before else None, after.aggregate
        if new is None or (old is not None and old[1:] == new[1:]):
            return
        links = _J("minimum-links", new.min_links)
        if new.lacp != "static":
            # Fast: a member that is dead while its link is up is found within three seconds and not ninety.
            operation = "replace" if old else ""
            lacp = _J("lacp", _J(new.lacp), _J("periodic", "fast"), operation=operation)
        elif old is not None and old.lacp != "static":
            lacp = _J("lacp", operation="delete")
        else:
            lacp = None
        yield _J("aggregated-ether-options", links, lacp)

    def _edge(self, change: PortChange) -> t.Optional[Node]:
        was, now = (bool(port and port.edge) for port in change)
        if was == now:
            return None
        return _J("interface", _J("name", change.name), _J("edge") if now else _J("edge", operation="delete"))

    def _vlan(self, change: VlanChange) -> t.Iterator[Node]:
        """Yield what a VLAN needs; its name is its key, so that another name is another VLAN."""
        if change.before is not None:
            yield _J("vlan", _J("name", change.before), operation="delete")
        if change.after is not None:
            yield _J("vlan", _J("name", change.after), _J("vlan-id", change.vlan_id))


def _physical(name: str) -> str:
    return name[:-2] if name.endswith(".0") else name


def _bundle_of(entry: t.Any) -> t.Optional[str]:
    for options in ("ether-options", "gigether-options"):
        for kind in ("ieee-802.3ad", "802.3ad"):
            found = text(entry, options, kind, "bundle")
            if found:
                return found
    return None
