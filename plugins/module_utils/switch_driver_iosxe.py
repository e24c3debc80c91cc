# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cisco IOS-XE on switches, in its own models (Cisco-IOS-XE-native and what augments it)."""

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
    vlan_set,
)
from ansible_collections.weft.fabric.plugins.module_utils.switch_names import normalise
from ansible_collections.weft.fabric.plugins.module_utils.switch_xml import (
    Maker,
    Node,
    child,
    children,
    local,
    number,
    text,
)

_BASE = "http://cisco.com/ns/yang/Cisco-IOS-XE-"
_IOS = Maker(_BASE + "native")
_SW = Maker(_BASE + "switch")
_ETH = Maker(_BASE + "ethernet")
_STP = Maker(_BASE + "spanning-tree")
_VLAN = Maker(_BASE + "vlan")
_LLDP = Maker(_BASE + "lldp-oper")
_IA = Maker("http://cisco.com/yang/cisco-ia")

_NAME = re.compile(r"([A-Za-z-]+)([0-9][0-9/.]*)")
_CHANNEL = "Port-channel"
_MODES = {"active": "active", "passive": "passive", "static": "on"}


def _split(name: str) -> t.Tuple[str, str]:
    """Return the element that a kind of interface is, and the key of its list."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise FabricError("port %s: that is no port of IOS-XE" % name)
    return found.group(1), found.group(2)


class IosxeDriver(Driver):
    name = "iosxe"

    def __init__(self) -> None:
        # Newer trains have the switching of a port one level deeper. What is read tells.
        self._wrapped = False

    # Reading

    def read_filter(self, names: t.Optional[t.Sequence[str]]) -> t.List[Node]:
        entries = [] if names is None else [self._entry(name) for name in names]
        interfaces = _IOS("interface", *entries) if names is None or entries else None
        return [_IOS("native", interfaces, _IOS("vlan"))]

    def _entry(self, name: str, *inner: t.Optional[Node], operation: str = "") -> Node:
        kind, key = _split(name)
        return _IOS(kind, _IOS("name", key), *inner, operation=operation)

    def parse(self, data: t.Any) -> State:
        native = child(data, "native")
        # Each kind of interface is a list of its own.
        found = child(native, "interface")
        entries = [(local(entry) + (text(entry, "name") or ""), entry) for entry in ([] if found is None else found)]
        known = [(name, entry) for name, entry in entries if _is_port(name)]
        self._wrapped = self._wrapped or any(child(entry, "switchport-config") is not None for _name, entry in known)
        members: t.Dict[str, t.List[str]] = {}
        modes: t.Dict[str, str] = {}
        for name, entry in known:
            group = text(entry, "channel-group", "number")
            if group:
                members.setdefault(_CHANNEL + group, []).append(name)
                modes[_CHANNEL + group] = text(entry, "channel-group", "mode") or "on"
        ports = []
        for name, entry in known:
            port = self._parse_port(name, entry)
            if name.startswith(_CHANNEL):
                mode = modes.get(name, "active")
                lacp = mode if mode in ("active", "passive") else "static"
                links = number(entry, "port-channel", "min-links") or 1
                port = port._replace(
                    aggregate=Aggregate(tuple(sorted(members.get(name, ()), key=natural)), lacp, links)
                )
            ports.append(port)
        return self.state(ports, self._parse_vlans(child(native, "vlan")))

    def _parse_port(self, name: str, entry: t.Any) -> Port:
        group = text(entry, "channel-group", "number")
        fast = child(entry, "spanning-tree", "portfast")
        port = Port(
            name,
            description=text(entry, "description") or "",
            enabled=child(entry, "shutdown") is None,
            edge=fast is not None and child(fast, "disable") is None,
            member_of=_CHANNEL + group if group else None,
            routed=text(entry, "switchport-conf", "switchport") == "false",
        )
        switching = child(entry, "switchport-config", "switchport")
        if switching is None:
            switching = child(entry, "switchport")
        if child(switching, "mode", "trunk") is not None:
            allowed = text(switching, "trunk", "allowed", "vlan", "vlans")
            native = number(switching, "trunk", "native", "vlan")
            if native is None:
                native = number(switching, "trunk", "native", "vlan", "vlan-id")
            nothing = child(switching, "trunk", "allowed", "vlan", "none") is not None
            return trunk(port, native, [] if nothing else allowed.split(",") if allowed else None)
        if child(switching, "mode", "access") is not None:
            return access(port, number(switching, "access", "vlan", "vlan"))
        return port

    def _parse_vlans(self, found: t.Any) -> t.Dict[int, str]:
        vlans = {}
        for entry in children(found, "vlan-list"):
            for one in vlan_set((text(entry, "id") or "").split(","), "the VLAN database"):
                vlans[one] = text(entry, "name") or ""
        return vlans

    # Writing

    def edit(self, plan: Plan) -> t.List[Node]:
        groups = self._groups(plan)
        ports = [self._port(change, groups) for change in plan.ports]
        ports.extend(self._regrouped(plan))
        interfaces = _IOS("interface", *ports) if any(ports) else None
        vlans = _IOS("vlan", *(self._vlan(change) for change in plan.vlans)) if plan.vlans else None
        return [_IOS("native", interfaces, vlans)] if interfaces or vlans else []

    def _groups(self, plan: Plan) -> t.Dict[str, str]:
        """Return how the aggregates of a plan negotiate: on IOS-XE each member says so."""
        bundles = [port for change in plan.ports for port in (change.before, change.after) if port and port.aggregate]
        return {port.name: _MODES[port.aggregate.lacp] for port in bundles if port.aggregate}

    def _regrouped(self, plan: Plan) -> t.Iterator[Node]:
        """Yield the members that stay, of aggregates that negotiate otherwise than before."""
        for change in plan.ports:
            old = change.before.aggregate if change.before else None
            new = change.after.aggregate if change.after else None
            if old and new and old.lacp != new.lacp:
                for member in set(old.members) & set(new.members):
                    yield self._entry(member, self._channel_group(change.name, _MODES[new.lacp]))

    def _channel_group(self, aggregate: str, mode: str) -> Node:
        group = _ETH("number", aggregate[len(_CHANNEL) :])
        return _ETH("channel-group", group, _ETH("mode", mode), operation="replace")

    def _port(self, change: PortChange, groups: t.Dict[str, str]) -> t.Optional[Node]:
        before, after = change
        if after is None:
            return self._entry(change.name, operation="remove")
        inner = [
            *self._common(before, after),
            *self._bundle(before, after),
            *self._switching(before, after),
            *self._membership(before, after, groups),
            *self._edge(before, after),
        ]
        return self._entry(after.name, *inner) if inner or before is None else None

    def _common(self, before: t.Optional[Port], after: Port) -> t.Iterator[Node]:
        if differs(before, after, "description"):
            if after.description:
                yield _IOS("description", after.description)
            elif before is not None:
                yield _IOS("description", operation="remove")
        if differs(before, after, "enabled"):
            if not after.enabled:
                yield _IOS("shutdown")
            elif before is not None:
                yield _IOS("shutdown", operation="remove")

    def _bundle(self, before: t.Optional[Port], after: Port) -> t.Iterator[Node]:
        was = before.aggregate.min_links if before and before.aggregate else 1
        now = after.aggregate.min_links if after.aggregate else 1
        if was != now:
            leaf = _IOS("min-links", operation="remove") if now == 1 else _IOS("min-links", now)
            yield _IOS("port-channel", leaf)

    def _switching(self, before: t.Optional[Port], after: Port) -> t.Iterator[Node]:
        if not differs(before, after, *SWITCHING):
            return
        if after.mode is None:
            if before is not None:
                yield self._switchport(*(_SW(name, operation="remove") for name in ("mode", "access", "trunk")))
            return
        mode = _SW("mode", _SW(after.mode), operation="replace")
        if after.mode == "access":
            yield self._switchport(
                mode,
                _SW("access", _SW("vlan", _SW("vlan", after.vlan)), operation="replace"),
                _SW("trunk", operation="remove") if before is not None and before.mode == "trunk" else None,
            )
            return
        native = None
        if after.native_vlan is not None:
            native = _SW("native", self._native(after.native_vlan), operation="replace")
        elif before is not None and before.native_vlan is not None:
            native = _SW("native", operation="remove")
        # The whole list: to add to it and remove from it never comes to an end.
        allowed = _SW("allowed", _SW("vlan", _SW("vlans", show_vlans(after.vlans()))), operation="replace")
        yield self._switchport(
            mode,
            _SW("access", operation="remove") if before is not None and before.mode == "access" else None,
            _SW("trunk", allowed, native),
        )

    def _native(self, vlan: int) -> Node:
        return _SW("vlan", _SW("vlan-id", vlan)) if self._wrapped else _SW("vlan", vlan)

    def _switchport(self, *inner: t.Optional[Node]) -> Node:
        node = _IOS("switchport", *inner)
        return _IOS("switchport-config", node) if self._wrapped else node

    def _membership(self, before: t.Optional[Port], after: Port, groups: t.Dict[str, str]) -> t.Iterator[Node]:
        if not differs(before, after, "member_of"):
            return
        if after.member_of:
            yield self._channel_group(after.member_of, groups.get(after.member_of, "active"))
        elif before is not None:
            yield _ETH("channel-group", operation="remove")

    def _edge(self, before: t.Optional[Port], after: Port) -> t.Iterator[Node]:
        was, now = (_edge_kind(port) for port in (before, after))
        if was == now:
            return
        if now:
            fast = _STP("portfast", _STP("trunk") if now == "trunk" else None, operation="replace")
        else:
            fast = _STP("portfast", operation="remove")
        yield _STP("spanning-tree", fast)

    def _vlan(self, change: VlanChange) -> Node:
        key = _VLAN("id", change.vlan_id)
        if change.after is None:
            return _VLAN("vlan-list", key, operation="remove")
        return _VLAN("vlan-list", key, _VLAN("name", change.after))

    def save_request(self) -> t.Optional[Node]:
        return _IA("save-config")

    # LLDP

    def neighbour_filter(self, names: t.Sequence[str]) -> t.List[Node]:
        return [_LLDP("lldp-entries")]

    def neighbours(self, data: t.Any) -> t.List[Neighbour]:
        return [
            Neighbour(
                text(entry, "local-interface") or "",
                text(entry, "device-id") or "",
                "",
                text(entry, "connecting-interface") or "",
                child(entry, "capabilities", "bridge") is not None,
            )
            for entry in children(child(data, "lldp-entries"), "lldp-entry")
        ]


def _is_port(name: str) -> bool:
    try:
        normalise("iosxe", name)
    except ValueError:
        return False
    return True


def _edge_kind(port: t.Optional[Port]) -> str:
    if port is None or not port.edge:
        return ""
    return "trunk" if port.mode == "trunk" else "access"
