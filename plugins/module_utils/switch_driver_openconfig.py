# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches that speak OpenConfig, from interfaces and their VLANs to LACP, spanning tree, VLAN database and LLDP."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.switch_desired import natural
from ansible_collections.weft.fabric.plugins.module_utils.switch_driver import (
    SWITCHING,
    Driver,
    access,
    differs,
    trunk,
)
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import (
    Aggregate,
    Neighbour,
    Plan,
    Port,
    PortChange,
    State,
    VlanChange,
    range_texts,
)
from ansible_collections.weft.fabric.plugins.module_utils.switch_xml import (
    Maker,
    Node,
    child,
    children,
    flag,
    number,
    text,
    word,
)

_BASE = "http://openconfig.net/yang/"
_IF = Maker(_BASE + "interfaces")
_ETH = Maker(_BASE + "interfaces/ethernet")
_LAG = Maker(_BASE + "interfaces/aggregate")
_VLAN = Maker(_BASE + "vlan")
_LACP = Maker(_BASE + "lacp")
_STP = Maker(_BASE + "spanning-tree")
_STP_TYPES = _BASE + "spanning-tree/types"
_NI = Maker(_BASE + "network-instance")
_LLDP = Maker(_BASE + "lldp")
_IANA = "urn:ietf:params:xml:ns:yang:iana-if-type"

_MODES = {"access": "ACCESS", "trunk": "TRUNK"}

MANY_VLANS = 64


class OpenConfigDriver(Driver):
    name = "openconfig"

    # Reading

    def read_filter(self, names: t.Optional[t.Sequence[str]]) -> t.List[Node]:
        wanted: t.List[t.Optional[str]] = [None] if names is None else list(names)
        trees = []
        # An element without content would ask for everything.
        if wanted:
            trees.append(_IF("interfaces", *(self._port_filter(name) for name in wanted)))
            entries = (_STP("interface", _STP("name", name), _STP("config")) for name in wanted)
            trees.append(_STP("stp", _STP("interfaces", *entries)))
        if names is None:
            trees.append(_LACP("lacp", _LACP("interfaces", _LACP("interface", _LACP("name"), _LACP("config")))))
        vlan = _NI("vlan", _NI("vlan-id"), _NI("config"))
        instance = _NI("network-instance", _NI("name", "default"), _NI("vlans", vlan))
        trees.append(_NI("network-instances", instance))
        return trees

    def _port_filter(self, name: t.Optional[str]) -> Node:
        return _IF(
            "interface",
            _IF("name", name),
            _IF("config"),
            _ETH("ethernet", _ETH("config", _LAG("aggregate-id")), _VLAN("switched-vlan", _VLAN("config"))),
            _LAG("aggregation", _LAG("config"), _VLAN("switched-vlan", _VLAN("config"))),
        )

    def parse(self, data: t.Any) -> State:
        lacp = {
            text(entry, "name"): word(entry, "config", "lacp-mode").lower()
            for entry in children(child(data, "lacp", "interfaces"), "interface")
        }
        edges = {
            text(entry, "name"): word(entry, "config", "edge-port") == "EDGE_ENABLE"
            for entry in children(child(data, "stp", "interfaces"), "interface")
        }
        entries = children(child(data, "interfaces"), "interface")
        members: t.Dict[str, t.List[str]] = {}
        for entry in entries:
            above = text(entry, "ethernet", "config", "aggregate-id")
            if above:
                members.setdefault(self.key(above), []).append(text(entry, "name") or "")
        ports = []
        for entry in entries:
            name = text(entry, "name") or ""
            port = self._parse_port(name, entry)._replace(edge=edges.get(name, False))
            if word(entry, "config", "type") == "ieee8023adLag" or child(entry, "aggregation", "config") is not None:
                port = port._replace(aggregate=self._parse_aggregate(entry, name, members, lacp))
            ports.append(port)
        return self.state(ports, self._parse_vlans(data))

    def _parse_port(self, name: str, entry: t.Any) -> Port:
        port = Port(
            name,
            description=text(entry, "config", "description") or "",
            enabled=flag(entry, "config", "enabled", default=True),
            member_of=text(entry, "ethernet", "config", "aggregate-id") or None,
        )
        for container in ("ethernet", "aggregation"):
            config = child(entry, container, "switched-vlan", "config")
            mode = word(config, "interface-mode")
            if mode == "ACCESS":
                port = access(port, number(config, "access-vlan"))
            elif mode == "TRUNK":
                allowed = [item.text.strip() for item in children(config, "trunk-vlans")]
                port = trunk(port, number(config, "native-vlan"), allowed or None)
        return port

    def _parse_aggregate(
        self, entry: t.Any, name: str, members: t.Dict[str, t.List[str]], lacp: t.Dict[t.Optional[str], str]
    ) -> Aggregate:
        config = child(entry, "aggregation", "config")
        mode = "static" if word(config, "lag-type") == "STATIC" else lacp.get(name) or "active"
        names = tuple(sorted(members.get(self.key(name), ()), key=natural))
        return Aggregate(names, mode, number(config, "min-links") or 1)

    def _parse_vlans(self, data: t.Any) -> t.Dict[int, str]:
        found = {}
        for instance in children(child(data, "network-instances"), "network-instance"):
            if text(instance, "name") == "default":
                for entry in children(child(instance, "vlans"), "vlan"):
                    found[number(entry, "vlan-id") or 0] = text(entry, "config", "name") or ""
        return found

    # Writing

    def edit(self, plan: Plan) -> t.List[Node]:
        ports = [self._port(change) for change in plan.ports]
        lacp = [self._lacp(change) for change in plan.ports]
        edges = [self._edge(change) for change in plan.ports]
        vlans = [self._vlan(change) for change in plan.vlans]
        trees = []
        if vlans:
            instance = _NI("network-instance", _NI("name", "default"), _NI("vlans", *vlans))
            trees.append(_NI("network-instances", instance))
        if any(ports):
            trees.append(_IF("interfaces", *ports))
        if any(lacp):
            trees.append(_LACP("lacp", _LACP("interfaces", *lacp)))
        if any(edges):
            trees.append(_STP("stp", _STP("interfaces", *edges)))
        return trees

    def _port(self, change: PortChange) -> t.Optional[Node]:
        before, after = change
        if after is None:
            return _IF("interface", _IF("name", change.name), operation="remove")
        if not differs(before, after, "description", "enabled", "member_of", "aggregate", *SWITCHING):
            return None
        return _IF("interface", _IF("name", after.name), self._config(before, after), self._container(before, after))

    def _config(self, before: t.Optional[Port], after: Port) -> Node:
        # With newer models, what kind of interface it is decides whether it can have VLANs at all: always said.
        kind = "ieee8023adLag" if after.aggregate else "ethernetCsmacd"
        leaves: t.List[Node] = [_IF("name", after.name), _IF.named("type", kind, "ianaift", _IANA)]
        if differs(before, after, "description"):
            if after.description:
                leaves.append(_IF("description", after.description))
            elif before is not None:
                leaves.append(_IF("description", operation="remove"))
        if differs(before, after, "enabled"):
            leaves.append(_IF("enabled", "true" if after.enabled else "false"))
        return _IF("config", *leaves)

    def _container(self, before: t.Optional[Port], after: Port) -> t.Optional[Node]:
        make, name = (_LAG, "aggregation") if after.aggregate else (_ETH, "ethernet")
        bundle = self._bundle(before, after) if after.aggregate else self._membership(before, after)
        switched = self._switched(after) if differs(before, after, *SWITCHING) else None
        if before is None and switched is not None and switched.operation == "remove":
            switched = None
        return make(name, bundle, switched) if bundle or switched else None

    def _switched(self, after: Port) -> Node:
        """Return the whole container: the mode decides which leaves it may have, so that it can't be merged."""
        if after.mode is None:
            return _VLAN("switched-vlan", operation="remove")
        leaves = [_VLAN("interface-mode", _MODES[after.mode])]
        if after.mode == "access":
            leaves.append(_VLAN("access-vlan", after.vlan))
        else:
            if after.native_vlan is not None:
                leaves.append(_VLAN("native-vlan", after.native_vlan))
            # An empty list is every VLAN; one with the native VLAN in it never is.
            leaves.extend(_VLAN("trunk-vlans", item) for item in _trunk_vlans(after))
        return _VLAN("switched-vlan", _VLAN("config", *leaves, operation="replace"))

    def _bundle(self, before: t.Optional[Port], after: Port) -> t.Optional[Node]:
        old, new = before.aggregate if before else None, after.aggregate
        if new is None or (old is not None and old[1:] == new[1:]):
            return None
        kind = "STATIC" if new.lacp == "static" else "LACP"
        return _LAG("config", _LAG("lag-type", kind), _LAG("min-links", new.min_links))

    def _membership(self, before: t.Optional[Port], after: Port) -> t.Optional[Node]:
        if not differs(before, after, "member_of"):
            return None
        if after.member_of:
            return _ETH("config", _LAG("aggregate-id", after.member_of))
        return _ETH("config", _LAG("aggregate-id", operation="remove"))

    def _lacp(self, change: PortChange) -> t.Optional[Node]:
        old = change.before.aggregate if change.before else None
        new = change.after.aggregate if change.after else None
        was, now = (bundle.lacp if bundle else "static" for bundle in (old, new))
        if was == now:
            return None
        name = _LACP("name", change.name)
        if now == "static":
            return _LACP("interface", name, operation="remove")
        # Fast: a member that is dead while its link is up is found within three seconds and not ninety.
        interval, mode = _LACP("interval", "FAST"), _LACP("lacp-mode", now.upper())
        return _LACP("interface", name, _LACP("config", _LACP("name", change.name), interval, mode))

    def _edge(self, change: PortChange) -> t.Optional[Node]:
        was, now = (bool(port and port.edge) for port in change)
        if was == now:
            return None
        name = _STP("name", change.name)
        if not now:
            leaf = _STP("edge-port", operation="remove")
        else:
            leaf = _STP.named("edge-port", "EDGE_ENABLE", "oc-stp-types", _STP_TYPES)
        return _STP("interface", name, _STP("config", _STP("name", change.name), leaf))

    def _vlan(self, change: VlanChange) -> Node:
        key = _NI("vlan-id", change.vlan_id)
        if change.after is None:
            return _NI("vlan", key, operation="remove")
        config = _NI("config", _NI("vlan-id", change.vlan_id), _NI("name", change.after), _NI("status", "ACTIVE"))
        return _NI("vlan", key, config)

    # LLDP

    def neighbour_filter(self, names: t.Sequence[str]) -> t.List[Node]:
        wanted: t.List[t.Optional[str]] = [None] if len(names) > 8 else list(names)
        entries = (_LLDP("interface", _LLDP("name", name), _LLDP("neighbors")) for name in wanted)
        return [_LLDP("lldp", _LLDP("interfaces", *entries))]

    def neighbours(self, data: t.Any) -> t.List[Neighbour]:
        found = []
        for entry in children(child(data, "lldp", "interfaces"), "interface"):
            for seen in children(child(entry, "neighbors"), "neighbor"):
                state = child(seen, "state")
                found.append(
                    Neighbour(
                        text(entry, "name") or "",
                        text(state, "system-name") or "",
                        text(state, "chassis-id") or "",
                        text(state, "port-id") or "",
                        _bridges(seen),
                    )
                )
        return found


def _trunk_vlans(port: Port) -> t.List[t.Any]:
    """Return the VLANs of a trunk one by one, and as ranges only where that would be long.

    In models of 2016 to 2018 the pattern of a range has anchors, which YANG takes for characters: servers that
    are strict about it refuse every range.
    """
    vlans = port.vlans()
    return sorted(vlans) if len(vlans) <= MANY_VLANS else range_texts(vlans, "..")


def _bridges(neighbour: t.Any) -> bool:
    """Whether a neighbour says that it bridges, and that it has that switched on."""
    return any(
        "BRIDGE" in word(entry, "name") and flag(entry, "state", "enabled", default=True)
        for entry in children(child(neighbour, "capabilities"), "capability")
    )
