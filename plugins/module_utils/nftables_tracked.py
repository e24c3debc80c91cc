# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which connections end with which elements, and what of it an interrupted run has left to do."""

from __future__ import annotations

import ipaddress
import json
import os
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.conntrack import Match
from ansible_collections.weft.fabric.plugins.module_utils.nftables_desired import Desired, Hook, is_tracked
from ansible_collections.weft.fabric.plugins.module_utils.nftables_model import Element, Set, Table
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import read_file, write_file

# Which connections a run is about to end. Once the elements are gone no difference tells of them any more.
# It dies with the connections, at the next boot.
INTENT_FILE = "/run/weft-fabric/nftables.intent"

# The data of maps that translate what they are asked for.
_TRANSLATED = frozenset(["ipv4_addr", "ipv6_addr", "inet_service"])

_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "dccp": 33, "ipv6-icmp": 58, "sctp": 132, "udplite": 136}

Matches = t.Dict[t.Optional[str], t.List[Match]]


def ended(current: t.Optional[Table], desired: Desired) -> t.List[Match]:
    """Return the connections that end with the elements that go, change or come."""
    found: t.List[Match] = []
    if current is not None and not desired.hooks:
        found += _translated(current, desired.table.sets if desired.present else ())
    for hook in desired.hooks:
        old = current.sets.get(hook.set) if current is not None else None
        new = desired.table.sets.get(hook.set) if desired.present else None
        before = {} if old is None else old.elements
        after = {} if new is None else new.elements
        if old is not None and is_tracked(old):
            found += [_match(hook, old, before[key]) for key in before if not _same(before[key], after.get(key))]
        if new is not None and hook.direction == "orig-dst" and _translates(new):
            # Its address may have been there before it. What came to it then would go on to be the router's own.
            come = [_match(hook, new, after[key]) for key in after if key not in before]
            found += [match._replace(untranslated=True) for match in come]
    return found


def _translated(current: Table, staying: t.Container[str]) -> t.Iterator[Match]:
    """Yield the connections that the maps of a table have translated which nobody speaks of any more.

    They would go on to whom they were translated, even when the address belongs to somebody else by then. What they
    are is read from the rules that use a map.
    """
    for chain in current.chains.values():
        for rule in chain.rules:
            for kind, name, key in _translations(rule.expr):
                used = current.sets.get(name)
                if used is None or name in staying:
                    continue
                if kind == "snat":
                    yield from _left_with(used)
                elif is_tracked(used) and _asks_for(key, "daddr"):
                    hook = Hook(name, "orig-dst")
                    yield from (_match(hook, used, element) for element in used.elements.values() if _is_told(element))


def _translations(expr: t.Iterable[t.Any]) -> t.Iterator[t.Tuple[str, str, t.Any]]:
    """Yield what a rule translates by maps: destinations or sources, the map, and what is looked up in it."""
    for statement in expr:
        for kind in ("dnat", "snat"):
            told = statement.get(kind) if isinstance(statement, dict) else None
            looked_up = told.get("addr") if isinstance(told, dict) else None
            asked = looked_up.get("map") if isinstance(looked_up, dict) else None
            if asked is not None and isinstance(asked["data"], str):
                yield kind, asked["data"].lstrip("@"), asked["key"]


def _left_with(used: Set) -> t.Iterator[Match]:
    """Yield the connections whose source became an address that a map holds."""
    if used.kind == "map" and used.spec["map"][0] in ("ipv4_addr", "ipv6_addr"):
        for element in used.elements.values():
            address = element.raw[1]
            if isinstance(address, str):
                yield Match("reply-dst", _network(address))


def _asks_for(key: t.Any, field: str) -> bool:
    """Tell whether what is looked up has a field of a packet in it."""
    parts = key["concat"] if isinstance(key, dict) and "concat" in key else [key]
    return any(isinstance(part, dict) and part.get("payload", {}).get("field") == field for part in parts)


def _is_told(element: Element) -> bool:
    """Tell whether the address of an element is one, or a prefix: a range of them is not looked for."""
    parts = element.key["concat"] if isinstance(element.key, dict) and "concat" in element.key else [element.key]
    ranges = [part["range"][0] for part in parts if isinstance(part, dict) and "range" in part]
    return all(isinstance(first, int) for first in ranges)


def _same(element: Element, other: t.Optional[Element]) -> bool:
    return other is not None and other.whole == element.whole


def _translates(found: Set) -> bool:
    return found.kind == "map" and found.spec["map"][0] in _TRANSLATED


def _match(hook: Hook, found: Set, element: Element) -> Match:
    key = element.key
    parts = key["concat"] if isinstance(key, dict) and "concat" in key else [key]
    fields = dict(zip(found.types, parts))
    address = next(value for kind, value in fields.items() if kind.endswith("_addr"))
    protocol = fields.get("inet_proto")
    return Match(
        direction=hook.direction,
        network=_network(address),
        protocol=None if protocol is None else _PROTOCOLS.get(protocol, protocol),
        ports=_ports(fields.get("inet_service")),
    )


def _network(value: t.Any) -> str:
    if isinstance(value, dict) and "prefix" in value:
        return "%s/%d" % (value["prefix"]["addr"], value["prefix"]["len"])
    return str(ipaddress.ip_network(value))


def _ports(value: t.Any) -> t.Optional[t.Tuple[int, int]]:
    if value is None:
        return None
    first, last = value["range"] if isinstance(value, dict) else (value, value)
    return int(first), int(last)


def read_intent() -> Matches:
    """Return which connections an interrupted run has left to end, by namespace."""
    text = read_file(INTENT_FILE)
    noted = json.loads(text) if text else []
    return {namespace: [_noted(*match) for match in matches] for namespace, matches in noted}


def _noted(
    direction: str, network: str, protocol: t.Optional[int], ports: t.Optional[t.List[int]], untranslated: bool
) -> Match:
    return Match(direction, network, protocol, (ports[0], ports[1]) if ports else None, untranslated)


def write_intent(matches: Matches) -> None:
    """Note which connections are about to end."""
    write_file(INTENT_FILE, json.dumps(list(matches.items()), sort_keys=True) + "\n")


def drop_intent() -> None:
    """They have ended."""
    try:
        os.unlink(INTENT_FILE)
    except FileNotFoundError:
        pass
