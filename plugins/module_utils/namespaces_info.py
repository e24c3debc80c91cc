# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands on the host, in the shape the namespaces module takes."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import netns, rtnetlink
from ansible_collections.weft.fabric.plugins.module_utils.iproute import PROTOCOL
from ansible_collections.weft.fabric.plugins.module_utils.namespaces_current import Current, State, is_mark, read
from ansible_collections.weft.fabric.plugins.module_utils.namespaces_desired import MARK

Item = t.Dict[str, t.Any]


def describe(names: t.Optional[t.List[str]], everything: bool) -> t.List[Item]:
    """Return the namespaces of these names, or all of them; only what bears the mark unless everything is asked for."""
    alive, _broken = netns.names()
    chosen = [name for name in alive if names is None or name in names]
    current = read(dict.fromkeys(chosen), True)
    found = []
    for name in ([None] if names is None else []) + t.cast(t.List[t.Optional[str]], chosen):
        state = current.states.get(name)
        if state is not None:
            item = _namespace(current, state, everything)
            if name is None or state.ours or everything or item["links"]:
                found.append(item)
    return found


def _namespace(current: Current, state: State, everything: bool) -> Item:
    item: Item = {} if state.name is None else {"name": state.name}
    item["links"] = _links(current, state, everything)
    item["routes"] = [_route(state, route) for route in state.routes if route.protocol == PROTOCOL]
    item["neighbours"] = [
        {"ip": neighbour.address, "mac": neighbour.mac, "dev": state.device(neighbour.ifindex)}
        for neighbour in state.neighbours
        if neighbour.protocol == PROTOCOL
    ]
    item["rules"] = [_rule(rule) for rule in state.rules if rule.protocol == PROTOCOL]
    return item


def _links(current: Current, state: State, everything: bool) -> t.List[Item]:
    found = []
    with netns.entered(state.name):
        for link in state.links.values():
            if link.name == "lo":
                continue
            described = _marked_link(current, state, link) if is_mark(link.alias) else None
            if described is not None:
                found.append(described)
            elif everything and not is_mark(link.alias):
                found.append(_common(state, link, "existing"))
    return found


def _marked_link(current: Current, state: State, link: rtnetlink.Link) -> t.Optional[Item]:
    """Return a link of ours, or None for the host's end of a pair, which the other end tells of.

    None too for what another fabric made inside a container.
    """
    if state.name is not None and not state.ours and link.kind != "veth":
        return None
    if link.kind == "veth":
        peer, where = current.host_peer(state, link), None
        if peer is None and state.name is not None:
            peer, where = _paired(current, state, link)
        # Of a pair with both ends in the host the first is the inner one.
        if peer is None or (state.name is None and peer.ifindex > link.ifindex):
            return None
        item = _common(state, link, "veth")
        item["peer"] = peer.name
        item.update({"peer_namespace": where} if where is not None else {})
    else:
        item = _common(state, link, "tap")
        if link.owner is not None:
            item["owner"] = str(link.owner)
    item["mac"] = link.mac
    if link.kind == "veth":
        item["tx_checksum"] = netns.read_tx_checksum(link.name)
    if link.alias != MARK:
        item["resource"] = link.alias[len(MARK) + 1 :]
    return item


def _paired(
    current: Current, state: State, link: rtnetlink.Link
) -> t.Tuple[t.Optional[rtnetlink.Link], t.Optional[str]]:
    """Return the other end of a pair between two namespaces, and where it is. Both ends bear one mark."""
    for name in current.states:
        found = current.other_end(state, link, name) if name not in (None, state.name) else None
        if found is not None and found.alias == link.alias:
            return found, name
    return None, None


def _common(state: State, link: rtnetlink.Link, kind: str) -> Item:
    addresses = [entry.address for entry in state.addresses.get(link.name, []) if not entry.dynamic]
    return {"name": link.name, "kind": kind, "mtu": link.mtu, "addresses": addresses, "up": link.up}


def _route(state: State, route: rtnetlink.Route) -> Item:
    item: Item = {"to": route.to, "table": str(route.table), "metric": route.metric, "type": route.kind}
    if route.to == "default" and route.via is None:
        item["to"] = "0.0.0.0/0" if route.family == 4 else "::/0"
    if route.nexthops:
        item["nexthops"] = [{"via": via, "dev": state.device(ifindex)} for via, ifindex in route.nexthops]
    elif route.kind == "unicast":
        device = state.device(route.ifindex)
        item.update({"onlink": route.onlink}, **({"via": route.via} if route.via else {}))
        item.update({"dev": device} if device else {})
    return item


def _rule(rule: rtnetlink.Rule) -> Item:
    item: Item = {"priority": rule.priority, "table": str(rule.table), "ip_version": rule.family}
    item.update({"from": rule.source} if rule.source != "default" else {})
    item.update({"to": rule.to} if rule.to != "default" else {})
    item.update({"iif": rule.iif} if rule.iif else {})
    return item
