# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of nft taken apart: chains with their rules, sets and maps with their elements. Pure.

The same for what is wanted and for what nft lists.
"""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import nftables_canon as canon
from ansible_collections.weft.fabric.plugins.module_utils import nftables_text as text

Object = t.Dict[str, t.Any]

#: tables whose name begins so are the collection's, and no others
MARK = "weft"

# What the place of an object in the arguments says already, or means nothing elsewhere.
_PLACE = frozenset(["family", "table", "handle"])

_HOOKED = ("type", "hook", "dev", "prio", "policy")


class Key(t.NamedTuple):
    """What identifies a table on a machine. No namespace: the host's own."""

    namespace: t.Optional[str]
    family: str
    name: str

    def __str__(self) -> str:
        place = "on the host" if self.namespace is None else "in " + self.namespace
        return "%s %s %s" % (self.family, self.name, place)


class Rule(object):
    """One rule. Two with the same key are the same rule."""

    def __init__(self, content: Object) -> None:
        self.expr: t.List[t.Any] = content.get("expr") or []
        self.comment: t.Optional[str] = content.get("comment")
        self.key = "%s # %s" % (canon.key(self.expr), self.comment or "")

    @property
    def text(self) -> str:
        return text.rule(self.expr, self.comment)


class Chain(object):
    """A chain. A regular one, which only other chains call, has an empty spec."""

    def __init__(self, content: Object) -> None:
        self.name: str = content["name"]
        self.spec: Object = {name: content[name] for name in _HOOKED if content.get(name) is not None}
        if self.spec:
            self.spec.setdefault("policy", "accept")
        self.rules: t.List[Rule] = []

    @property
    def hook(self) -> Object:
        """What cannot be changed while the chain stands."""
        return {name: value for name, value in self.spec.items() if name != "policy"}

    @property
    def text(self) -> str:
        if not self.spec:
            return "chain %s" % self.name
        device = " device %s" % text.expression(self.spec["dev"]) if "dev" in self.spec else ""
        return "chain %s (%s hook %s%s priority %s policy %s)" % (
            self.name,
            self.spec.get("type"),
            self.spec.get("hook"),
            device,
            self.spec.get("prio"),
            self.spec["policy"],
        )


class Element(t.NamedTuple):
    """An element of a set or map. raw is how nft is told, whole is what is compared."""

    raw: t.Any
    key: t.Any
    whole: str

    @property
    def text(self) -> str:
        return text.element(self.raw)


class Set(object):
    """A set or a map."""

    def __init__(self, kind: str, content: Object) -> None:
        self.kind = kind
        self.name: str = content["name"]
        self.types = _types(content.get("type"))
        self.spec: Object = {"kind": kind, "type": self.types, "flags": canon.words(content.get("flags"))}
        if kind == "map":
            self.spec["map"] = _types(content.get("map"))
        for name in ("size", "policy"):
            if content.get(name) is not None:
                self.spec[name] = content[name]
        self.elements: t.Dict[str, Element] = {}
        self.repeated: t.List[str] = []
        self.add(content.get("elem"))

    def add(self, elements: t.Any) -> None:
        """Add elements as nft writes them."""
        for raw in elements if isinstance(elements, list) else [] if elements is None else [elements]:
            key = raw[0] if isinstance(raw, list) and self.kind == "map" else raw
            if isinstance(key, dict) and set(key) == {"elem"}:
                key = key["elem"]["val"]
            element = Element(raw, canon.canonical(key), canon.key(raw))
            place = canon.key(key)
            if place in self.elements:
                self.repeated.append(element.text)
            self.elements[place] = element

    @property
    def text(self) -> str:
        types = " . ".join(self.types)
        if self.kind == "map":
            types += " : " + " . ".join(self.spec["map"])
        flags = " flags " + ",".join(self.spec["flags"]) if self.spec["flags"] else ""
        return "%s %s (%s%s)" % (self.kind, self.name, types, flags)


def _types(value: t.Any) -> t.List[str]:
    """Return the types of a concatenation, or the one type. nft 1.0.6 writes that of a map's data as one word."""
    if isinstance(value, str):
        return value.split(" . ")
    return list(value or [])


class Table(object):
    """A table and all that is in it."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.dormant = False  # its content is not known then
        self.chains: t.Dict[str, Chain] = {}
        self.sets: t.Dict[str, Set] = {}
        self.content: t.List[Object] = []  # as nft lists it
        self.others: t.List[t.Tuple[str, str]] = []  # kind and name of what the collection does not know

    def take(self, kind: str, content: Object) -> bool:
        """Take in one object. Return whether it is of a known kind."""
        if kind == "chain":
            self.chains[content["name"]] = Chain(content)
        elif kind in ("set", "map"):
            self.sets[content["name"]] = Set(kind, content)
        elif kind == "rule":
            self.chains[content["chain"]].rules.append(Rule(content))
        elif kind == "element":
            self.sets[content["name"]].add(content.get("elem"))
        else:
            return False
        return True


def listed(key: Key, objects: t.Optional[t.List[Object]]) -> Table:
    """Return a table that nft lists. What it says of a dormant one is of no use."""
    table = Table(key)
    table.dormant = objects is None
    for entry in objects or ():
        kind, content = next(iter(entry.items()))
        if kind == "table":
            continue
        table.content.append({kind: {name: value for name, value in content.items() if name not in _PLACE}})
        if not table.take(kind, content):
            table.others.append((kind, str(content.get("name"))))
    return table
