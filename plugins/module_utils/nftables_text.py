# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules and elements as a person reads them: the syntax of nft(8). Pure.

Only for eyes. What is not known here is told as JSON.
"""

from __future__ import annotations

import json
import typing as t

_VERDICTS = frozenset(["accept", "drop", "return", "continue", "jump", "goto"])
_QUOTED = frozenset(["iifname", "oifname", "iif", "oif"])
_SILENT = frozenset(["==", "in"])


def element(value: t.Any) -> str:
    """Return an element of a set, or key and value of one of a map."""
    if isinstance(value, list) and len(value) == 2:
        return "%s : %s" % (_told(expression, value[0]), _told(_data, value[1]))
    return _told(expression, value)


def rule(expr: t.Sequence[t.Any], comment: t.Optional[str]) -> str:
    """Return a rule."""
    parts = [_told(_statement, entry) for entry in expr]
    if comment:
        parts.append('comment "%s"' % comment)
    return " ".join(parts)


def _told(render: t.Callable[[t.Any], str], value: t.Any) -> str:
    try:
        return render(value)
    except (KeyError, IndexError, TypeError, AttributeError):
        return _json(value)  # not the shape it should have: nft will say so


def _statement(value: t.Any) -> str:
    if not isinstance(value, dict) or len(value) != 1:
        return _json(value)
    name, operand = next(iter(value.items()))
    if operand is None:
        return str(name)
    if name == "counter":
        return "counter"
    if name in ("jump", "goto"):
        return "%s %s" % (name, operand["target"])
    render = _STATEMENTS.get(name)
    return _json(value) if render is None or not isinstance(operand, dict) else render(name, operand)


def _match(_name: str, operand: t.Dict[str, t.Any]) -> str:
    operator = "" if operand["op"] in _SILENT else operand["op"] + " "
    right = expression(operand["right"])
    meta = operand["left"].get("meta") if isinstance(operand["left"], dict) else None
    if meta and meta.get("key") in _QUOTED and isinstance(operand["right"], str) and right[0] != "@":
        right = '"%s"' % right
    return "%s %s%s" % (expression(operand["left"]), operator, right)


def _nat(name: str, operand: t.Dict[str, t.Any]) -> str:
    family = " " + operand["family"] if "family" in operand else ""
    to = expression(operand["addr"]) if "addr" in operand else ""
    if "port" in operand:
        to += ":" + expression(operand["port"])
    flags = operand.get("flags") or []
    to = " to " + to if to else ""
    return " ".join([name + family + to] + (flags if isinstance(flags, list) else [flags]))


def _vmap(_name: str, operand: t.Dict[str, t.Any]) -> str:
    return "%s vmap %s" % (expression(operand["key"]), expression(operand["data"]))


def _mangle(_name: str, operand: t.Dict[str, t.Any]) -> str:
    return "%s set %s" % (expression(operand["key"]), expression(operand["value"]))


def _reject(_name: str, operand: t.Dict[str, t.Any]) -> str:
    return "reject with %s %s" % (operand.get("type", ""), operand.get("expr", ""))


def _limit(_name: str, operand: t.Dict[str, t.Any]) -> str:
    return "limit rate %s%s/%s" % ("over " if operand.get("inv") else "", operand.get("rate"), operand.get("per"))


def _log(_name: str, operand: t.Dict[str, t.Any]) -> str:
    return 'log prefix "%s"' % operand["prefix"] if "prefix" in operand else _json({"log": operand})


_STATEMENTS: t.Dict[str, t.Callable[[str, t.Dict[str, t.Any]], str]] = {
    "match": _match,
    "dnat": _nat,
    "snat": _nat,
    "masquerade": _nat,
    "redirect": _nat,
    "vmap": _vmap,
    "mangle": _mangle,
    "reject": _reject,
    "limit": _limit,
    "log": _log,
}


def expression(value: t.Any) -> str:
    """Return an expression."""
    if isinstance(value, list):
        return ",".join(expression(entry) for entry in value)
    if not isinstance(value, dict):
        return str(value)
    if len(value) != 1:
        return _json(value)
    name, operand = next(iter(value.items()))
    render = _EXPRESSIONS.get(name)
    return _json(value) if render is None else render(operand)


def _meta(operand: t.Dict[str, t.Any]) -> str:
    return operand["key"] if operand["key"] in _QUOTED else "meta " + operand["key"]


def _ct(operand: t.Dict[str, t.Any]) -> str:
    return "ct %s%s" % (operand["dir"] + " " if "dir" in operand else "", operand["key"])


def _payload(operand: t.Dict[str, t.Any]) -> str:
    return "%s %s" % (operand["protocol"], operand["field"]) if "field" in operand else _json({"payload": operand})


def _map(operand: t.Dict[str, t.Any]) -> str:
    return "%s map %s" % (expression(operand["key"]), expression(operand["data"]))


def _data(value: t.Any) -> str:
    """Return what a map has for a key, which may be a verdict."""
    verdict = isinstance(value, dict) and len(value) == 1 and not _VERDICTS.isdisjoint(value)
    return _statement(value) if verdict else expression(value)


def _set(operand: t.Any) -> str:
    members = operand if isinstance(operand, list) else [operand]
    return "{ %s }" % ", ".join(element(entry) for entry in members)


def _option(operand: t.Dict[str, t.Any]) -> str:
    return "tcp option %s %s" % (operand["name"], operand.get("field", ""))


_EXPRESSIONS: t.Dict[str, t.Callable[[t.Any], str]] = {
    "meta": _meta,
    "ct": _ct,
    "payload": _payload,
    "map": _map,
    "set": _set,
    "tcp option": _option,
    "concat": lambda operand: " . ".join(expression(entry) for entry in operand),
    "range": lambda operand: "%s-%s" % (expression(operand[0]), expression(operand[1])),
    "prefix": lambda operand: "%s/%s" % (operand["addr"], operand["len"]),
    "fib": lambda operand: "fib %s %s" % (" . ".join(operand["flags"]), operand["result"]),
    "rt": lambda operand: "rt %s" % operand["key"],
    "&": lambda operand: "%s & %s" % (expression(operand[0]), _brackets(operand[1])),
    "|": lambda operand: " | ".join(expression(entry) for entry in operand),
    "elem": lambda operand: expression(operand["val"]) if "val" in operand else _json({"elem": operand}),
}


def _brackets(value: t.Any) -> str:
    return "(%s)" % "|".join(expression(entry) for entry in value) if isinstance(value, list) else expression(value)


def _json(value: t.Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
