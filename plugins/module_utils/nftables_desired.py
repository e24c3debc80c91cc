# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables that are wanted: arguments checked before nft sees them. Pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import iproute
from ansible_collections.weft.fabric.plugins.module_utils.conntrack import DIRECTIONS
from ansible_collections.weft.fabric.plugins.module_utils.nftables_model import MARK, Key, Set, Table
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

FAMILIES = ("inet", "ip", "ip6")

_NAME = re.compile(r"\A[A-Za-z_][A-Za-z0-9_.]{0,127}\Z")
_TABLE = re.compile(r"\A%s[A-Za-z0-9_.]{0,100}\Z" % MARK)
_COMMENT = re.compile(r'\A[^"\\\x00-\x1f\x7f]{1,127}\Z')

_FIELDS: t.Dict[str, t.FrozenSet[str]] = {
    "chain": frozenset(["name", "type", "hook", "prio", "policy"]),
    "set": frozenset(["name", "type", "flags", "size", "policy", "elem"]),
    "map": frozenset(["name", "type", "map", "flags", "size", "policy", "elem"]),
    "rule": frozenset(["chain", "expr", "comment"]),
}
_ORDER = ("chain", "set", "map", "rule")
_FLAGS = frozenset(["interval", "constant"])

# What says which connections an element of a set means.
_TRACKED_TYPES = frozenset(["ipv4_addr", "ipv6_addr", "inet_proto", "inet_service"])


class Hook(t.NamedTuple):
    """Connections that end with the elements of a set or map."""

    set: str
    direction: str


class Desired(object):
    """A table as it shall be."""

    def __init__(self, table: Table, present: bool, hooks: t.List[Hook]) -> None:
        self.table = table
        self.present = present
        self.hooks = hooks


def parse(params: t.Mapping[str, t.Any]) -> t.Dict[Key, Desired]:
    """Return the tables by what identifies them."""
    found: t.Dict[Key, Desired] = {}
    for item in params.get("tables") or []:
        desired = _table(item)
        if desired.table.key in found:
            raise FabricError("table %s is listed twice: put it into one item" % str(desired.table.key))
        found[desired.table.key] = desired
    return found


def _table(item: t.Mapping[str, t.Any]) -> Desired:
    name = item.get("name")
    where = "table %s" % name
    if not isinstance(name, str) or not _TABLE.match(name):
        raise FabricError(
            "%r is not a name for a table of the collection: it begins with %r, and letters, digits, _ and . follow"
            % (name, MARK)
        )
    family = item.get("family") or "inet"
    if family not in FAMILIES:
        raise FabricError("%s: family %r is not one of %s" % (where, family, ", ".join(FAMILIES)))
    namespace = item.get("namespace")
    if namespace is not None:
        iproute.namespace(namespace, where)
    table = Table(Key(namespace, family, name))
    where = "table %s" % str(table.key)
    _fill(table, item.get("content") or [], where)
    _check_names(table, where)
    present = (item.get("state") or "present") == "present"
    return Desired(table, present, [_hook(table, entry, present, where) for entry in item.get("conntrack") or []])


def _fill(table: Table, content: t.Iterable[t.Any], where: str) -> None:
    objects: t.Dict[str, t.List[t.Dict[str, t.Any]]] = {kind: [] for kind in _ORDER}
    for entry in content:
        kind, fields = next(iter(entry.items())) if isinstance(entry, dict) and len(entry) == 1 else ("", None)
        if kind not in _FIELDS or not isinstance(fields, dict):
            raise FabricError("%s: %r is not one of %s with its fields" % (where, entry, ", ".join(_ORDER)))
        _check_fields(kind, fields, where)
        objects[kind].append(fields)
    for kind in _ORDER:
        for fields in objects[kind]:
            _take(table, kind, fields, where)


def _check_fields(kind: str, fields: t.Mapping[str, t.Any], where: str) -> None:
    unknown = sorted(set(fields) - _FIELDS[kind])
    if unknown:
        raise FabricError(
            "%s: %s has a field %r, which cannot be kept: known are %s"
            % (where, kind, unknown[0], ", ".join(sorted(_FIELDS[kind])))
        )
    name = fields.get("chain" if kind == "rule" else "name")
    if not isinstance(name, str) or not _NAME.match(name):
        raise FabricError("%s: %r is not a name for a %s: use letters, digits, _ and ." % (where, name, kind))
    comment = fields.get("comment")
    if comment is not None and (not isinstance(comment, str) or not _COMMENT.match(comment)):
        raise FabricError("%s: %r is not a comment: 1 to 127 characters, no quotes and no backslash" % (where, comment))


def _take(table: Table, kind: str, fields: t.Mapping[str, t.Any], where: str) -> None:
    name = fields.get("name")
    if name in (table.chains if kind == "chain" else table.sets):
        raise FabricError("%s: %s %s is there twice" % (where, kind, name))
    if kind == "chain":
        _check_chain(fields, where)
    if kind == "rule":
        _check_rule(table, fields, where)
    try:
        table.take(kind, dict(fields))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise FabricError("%s: %s %r is not what nft writes: %s" % (where, kind, dict(fields), error)) from error
    if kind in ("set", "map"):
        _check_set(table.sets[fields["name"]], fields, where)


def _check_chain(fields: t.Mapping[str, t.Any], where: str) -> None:
    hooked = [name for name in ("type", "hook", "prio") if fields.get(name) is not None]
    if (hooked or fields.get("policy")) and (len(hooked) != 3 or not isinstance(fields["prio"], int)):
        raise FabricError(
            "%s: chain %s needs type, hook and prio, a number, or none of them and no policy" % (where, fields["name"])
        )


def _check_rule(table: Table, fields: t.Mapping[str, t.Any], where: str) -> None:
    expr = fields.get("expr")
    if fields["chain"] not in table.chains:
        raise FabricError("%s: a rule is for chain %s, which is not in the content" % (where, fields["chain"]))
    if not isinstance(expr, list) or not expr or not all(isinstance(entry, dict) for entry in expr):
        raise FabricError("%s: a rule of chain %s needs expr, a list of statements" % (where, fields["chain"]))


def _check_set(found: Set, fields: t.Mapping[str, t.Any], where: str) -> None:
    name = "%s: %s %s" % (where, found.kind, found.name)
    if not found.types or (found.kind == "map" and not found.spec["map"]):
        raise FabricError("%s needs a type%s" % (name, ", and map, the type of its data" * (found.kind == "map")))
    if len(found.spec.get("map", ())) > 1:
        # nft 1.0.6 makes a set of it, without an error.
        raise FabricError(
            "%s has data of several types, which nft cannot be told as JSON: use one map for each, with the same keys"
            % name
        )
    unknown = sorted(set(found.spec["flags"]) - _FLAGS)
    if unknown:
        raise FabricError("%s: flag %r cannot be kept: known are %s" % (name, unknown[0], ", ".join(sorted(_FLAGS))))
    if found.kind == "map" and not all(isinstance(raw, list) and len(raw) == 2 for raw in fields.get("elem") or []):
        raise FabricError("%s: an element is a list of key and value" % name)
    if found.repeated:
        raise FabricError("%s has two elements for one key: %s" % (name, found.repeated[0]))


def _check_names(table: Table, where: str) -> None:
    """Refuse what nft would refuse with less to say: names of nothing."""
    told = [rule.expr for chain in table.chains.values() for rule in chain.rules]
    told += [element.raw for found in table.sets.values() for element in found.elements.values()]
    for kind, name in _names(told):
        if name not in (table.chains if kind == "chain" else table.sets):
            raise FabricError("%s: %s %s is used, but not in the content" % (where, kind, name))


def _names(value: t.Any) -> t.Iterator[t.Tuple[str, str]]:
    if isinstance(value, dict):
        for name, part in value.items():
            if name in ("jump", "goto") and isinstance(part, dict):
                yield "chain", part.get("target", "")
            else:
                yield from _names(part)
    elif isinstance(value, list):
        for part in value:
            yield from _names(part)
    elif isinstance(value, str) and value.startswith("@"):
        yield "set", value[1:]


def _hook(table: Table, entry: t.Mapping[str, t.Any], present: bool, where: str) -> Hook:
    name, direction = entry.get("map"), entry.get("direction")
    if direction not in DIRECTIONS:
        raise FabricError("%s: direction %r is not one of %s" % (where, direction, ", ".join(DIRECTIONS)))
    found = table.sets.get(name or "")
    if found is None and present:
        raise FabricError("%s: conntrack names the map %s, which is not in the content" % (where, name))
    if found is not None and not is_tracked(found):
        raise FabricError(
            "%s: the elements of %s say nothing about connections: its type is not an address, with protocol and port"
            " if need be" % (where, name)
        )
    return Hook(str(name), str(direction))


def is_tracked(found: Set) -> bool:
    """Tell whether the keys of a set mean connections."""
    addresses = [kind for kind in found.types if kind.endswith("_addr")]
    return len(addresses) == 1 and _TRACKED_TYPES.issuperset(found.types)
