# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One form for each expression of nft, since nft lists what it was given in a form of its own. Pure.

Only what is cheap is brought into one form: order where it has no meaning, addresses, single elements, counters.
What nft drops from a rule because another match implies it must not be written in the first place.
"""

from __future__ import annotations

import ipaddress
import json
import typing as t

_DEFAULT_BURST = 5


def canonical(value: t.Any) -> t.Any:
    """Return an expression, statement or element in the one form."""
    if isinstance(value, str):
        return _address(value)
    if isinstance(value, list):
        return [canonical(entry) for entry in value]
    if isinstance(value, dict) and len(value) == 1:
        return _single(*next(iter(value.items())))
    if isinstance(value, dict):
        return _fields(value)
    return value


def key(value: t.Any) -> str:
    """Return what two things have in common if they are the same: their text in the one form."""
    return json.dumps(canonical(value), sort_keys=True)


def words(value: t.Any) -> t.List[t.Any]:
    """Return flags as a sorted list: nft writes one alone as a word, or doesn't, depending on its version."""
    return sorted(value if isinstance(value, list) else [value], key=key) if value else []


def _fields(value: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    found = {name: words(part) if name == "flags" else canonical(part) for name, part in value.items()}
    if isinstance(found.get("right"), list):
        found["right"] = _bits(found["right"])  # bits, of which any may be set
    return found


def _single(name: str, value: t.Any) -> t.Any:
    if name == "set" and isinstance(value, list):
        members = sorted((canonical(entry) for entry in value), key=key)
        return members[0] if len(members) == 1 and not isinstance(members[0], list) else {"set": members}
    if name == "range" and isinstance(value, list) and len(value) == 2:
        return _range(*value)
    if name == "prefix" and isinstance(value, dict) and set(value) == {"addr", "len"}:
        return _prefix(value["addr"], value["len"])
    if name == "counter" and not isinstance(value, str):
        return {"counter": None}  # what it has counted is not what it is
    if name == "limit" and isinstance(value, dict) and "rate" in value:
        return {"limit": {"burst": _DEFAULT_BURST, **_fields(value)}}
    if name == "|":
        leaves = list(_leaves(value))
        if all(isinstance(leaf, str) for leaf in leaves):
            return sorted(leaves)
    if name == "&" and isinstance(value, list) and len(value) == 2:
        return {"&": [canonical(value[0]), _bits(canonical(value[1]))]}
    if name == "flags":
        return {"flags": words(value)}
    return {name: canonical(value)}


def _bits(value: t.Any) -> t.Any:
    if not isinstance(value, list):
        return value
    return value[0] if len(value) == 1 else sorted(value, key=key)


def _leaves(value: t.Any) -> t.Iterator[t.Any]:
    """Take a chain of "or" apart: old versions of nft nest it, new ones don't."""
    for entry in value if isinstance(value, list) else [value]:
        if isinstance(entry, dict) and set(entry) == {"|"}:
            yield from _leaves(entry["|"])
        elif isinstance(entry, list):
            yield from _leaves(entry)
        else:
            yield entry


def _address(text: str) -> str:
    if ":" not in text:
        return text
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _prefix(address: str, length: int) -> t.Any:
    network = ipaddress.ip_network("%s/%d" % (address, length), strict=False)
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    return {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}


def _range(first: t.Any, last: t.Any) -> t.Any:
    if first == last:
        return canonical(first)
    if isinstance(first, str):
        try:
            bounds = ipaddress.ip_address(first), ipaddress.ip_address(last)
            networks = [str(network) for network in ipaddress.summarize_address_range(*bounds)]
        except (ValueError, TypeError):
            return {"range": [first, last]}
        if len(networks) == 1:
            address, _slash, length = networks[0].partition("/")
            return _prefix(address, int(length))
        return {"range": [str(bound) for bound in bounds]}
    return {"range": [first, last]}
