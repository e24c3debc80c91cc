# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the engine the way a play does, a small router to run it on, and nft to look at it."""

from __future__ import annotations

import json
import subprocess
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.nftables import NftablesEngine
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import reconcile

Item = dict[str, t.Any]

ROUTER = "qrouter-1"
TABLE = f"inet weft_fabric in {ROUTER}"


def run(*tables: Item, purge: bool = False, check_mode: bool = False) -> Item:
    """Reconcile once."""
    return t.cast(Item, reconcile(NftablesEngine({"tables": list(tables), "purge": purge}), check_mode))


def changes(*tables: Item, purge: bool = False) -> list[str]:
    """Reconcile as a play does: predict, do, and find nothing left to do. Return what was changed."""
    predicted = run(*tables, purge=purge, check_mode=True)
    done = run(*tables, purge=purge)
    assert done == predicted, "check mode predicted something else"
    for check_mode in (True, False):
        again = run(*tables, purge=purge, check_mode=check_mode)
        assert not again["changed"], f"the second run changed {again['changes']}"
    return t.cast("list[str]", done["changes"])


def table(*content: Item, namespace: str | None = ROUTER, name: str = "weft_fabric", **options: t.Any) -> Item:
    return {"namespace": namespace, "family": "inet", "name": name, "content": list(content), **options}


def chain(
    name: str = "prerouting", prio: int = -100, hook: str | None = None, kind: str = "nat", **more: t.Any
) -> Item:
    fields = {"name": name, "type": kind, "hook": hook or name, "prio": prio, "policy": "accept"}
    return {"chain": {**fields, **more}}


def regular(name: str) -> Item:
    return {"chain": {"name": name}}


def rule(chain_name: str, *expr: Item, comment: str | None = None) -> Item:
    return {"rule": {"chain": chain_name, "expr": list(expr), **({"comment": comment} if comment else {})}}


def addresses(elements: dict[str, str] | None = None, name: str = "fip_dnat") -> Item:
    """A map of addresses."""
    pairs = [[key, value] for key, value in (elements or {}).items()]
    return {"map": {"name": name, "type": "ipv4_addr", "map": "ipv4_addr", **({"elem": pairs} if pairs else {})}}


def payload(protocol: str, field: str) -> Item:
    return {"payload": {"protocol": protocol, "field": field}}


def meta(key: str) -> Item:
    return {"meta": {"key": key}}


def match(left: Item, right: t.Any, op: str = "==") -> Item:
    return {"match": {"op": op, "left": left, "right": right}}


def looked_up(name: str, *key: Item) -> Item:
    return {"map": {"key": key[0] if len(key) == 1 else {"concat": list(key)}, "data": "@" + name}}


def dnat(name: str = "fip_dnat") -> Item:
    return {"dnat": {"family": "ip", "addr": looked_up(name, payload("ip", "daddr"))}}


def floating(elements: dict[str, str], **options: t.Any) -> Item:
    """The table of a router with floating IPs, as small as it can be."""
    inward = rule("prerouting", {"counter": None}, dnat(), comment="floating IPs")
    return table(addresses(elements), chain("prerouting"), inward, **options)


PORT = (payload("ip", "daddr"), meta("l4proto"), payload("th", "dport"))
PORT_TYPE = ["ipv4_addr", "inet_proto", "inet_service"]
TCP_UDP = match(meta("l4proto"), {"set": ["tcp", "udp"]})


def nft(text: str, namespace: str | None = ROUTER) -> str:
    """Run nft, apart from the code under test."""
    words = ["ip", "netns", "exec", namespace, "nft"] if namespace else ["nft"]
    done = subprocess.run([*words, "-f", "-"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ruleset(namespace: str | None = ROUTER) -> list[Item]:
    """Return all that nft knows of a namespace."""
    words = ["ip", "netns", "exec", namespace, "nft"] if namespace else ["nft"]
    done = subprocess.run([*words, "-j", "list", "ruleset"], capture_output=True, text=True, check=True)
    return [entry for entry in json.loads(done.stdout)["nftables"] if "metainfo" not in entry]
