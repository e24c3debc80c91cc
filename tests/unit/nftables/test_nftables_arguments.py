# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before nft sees it, and what counts as the same."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.weft.fabric.plugins.module_utils import nftables_canon as canon
from ansible_collections.weft.fabric.plugins.module_utils import nftables_desired, nftables_text
from ansible_collections.weft.fabric.plugins.module_utils.nftables_model import Key, listed
from ansible_collections.weft.fabric.plugins.module_utils.nftables_plan import TablePlan
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.nftables.router import router
from ansible_collections.weft.fabric.tests.unit.nftables.runs import (
    PORT_TYPE,
    ROUTER,
    Item,
    addresses,
    chain,
    dnat,
    floating,
    regular,
    rule,
    table,
)

RECORDED = Path(__file__).parent / "recorded"


def parse(*tables: Item) -> dict[Key, nftables_desired.Desired]:
    return nftables_desired.parse({"tables": list(tables)})


def named(kind: str, **fields: t.Any) -> Item:
    return {kind: {"name": "s", "type": "ipv4_addr", **fields}}


ACCEPT: Item = {"accept": None}

REFUSED: dict[str, tuple[Item, str]] = {
    "a name without the mark": (table(name="filter"), "'filter' is not a name for a table of the collection"),
    "a name with a blank": (table(name="weft a"), "'weft a' is not a name for a table"),
    "a namespace with a slash": (table(namespace="../x"), "is not a namespace name"),
    "an unknown family": ({**table(), "family": "bridge"}, "family 'bridge' is not one of inet, ip, ip6"),
    "an unknown object": (table({"flowtable": {"name": "f"}}), "is not one of chain, set, map, rule"),
    "two objects in one": (table({**regular("a"), **rule("a", ACCEPT)}), "is not one of chain, set, map, rule"),
    "a handle": (table({"chain": {"name": "a", "handle": 1}}), "chain has a field 'handle', which cannot be kept"),
    "a chain's name": (table(regular("a-b")), "'a-b' is not a name for a chain"),
    "a chain twice": (table(regular("a"), regular("a")), "chain a is there twice"),
    "half a base chain": (table({"chain": {"name": "a", "type": "nat"}}), "chain a needs type, hook and prio"),
    "a priority by name": (table(chain(prio=t.cast("int", "dstnat"))), "needs type, hook and prio, a number"),
    "a rule without a chain": (table(rule("a", ACCEPT)), "a rule is for chain a, which is not in the content"),
    "an empty rule": (table(regular("a"), rule("a")), "a rule of chain a needs expr, a list of statements"),
    "a comment with quotes": (table(regular("a"), rule("a", ACCEPT, comment='x"')), "is not a comment"),
    "a comment of two lines": (table(regular("a"), rule("a", ACCEPT, comment="x\ny")), "is not a comment"),
    "an unknown map": (table(chain(), rule("prerouting", dnat("m"))), "set m is used, but not in the content"),
    "an unknown target": (
        table(regular("a"), rule("a", {"jump": {"target": "b"}})),
        "chain b is used, but not in the content",
    ),
    "a set without type": (table({"set": {"name": "s"}}), "set s needs a type"),
    "a map without data": (table(named("map")), "map s needs a type, and map, the type of its data"),
    "data of two types": (
        table(named("map", map="ipv4_addr . inet_service")),
        "map s has data of several types, which nft cannot be told as JSON",
    ),
    "a dynamic set": (table(named("set", flags=["dynamic"])), "flag 'dynamic' cannot be kept"),
    "a timeout": (table(named("set", timeout=60)), "set has a field 'timeout', which cannot be kept"),
    "a set's comment": (table(named("set", comment="x")), "set has a field 'comment', which cannot be kept"),
    "half an element": (
        table(named("map", map="ipv4_addr", elem=["10.0.0.1"])),
        "an element is a list of key and value",
    ),
    "a key twice": (
        table(named("map", map="ipv4_addr", elem=[["192.0.2.1", "10.0.0.1"], ["192.0.2.1", "10.0.0.2"]])),
        "map s has two elements for one key: 192.0.2.1 : 10.0.0.2",
    ),
    "a broken prefix": (
        table(named("set", elem=[{"prefix": {"addr": "10.0.0.0", "len": 64}}])),
        "is not what nft writes",
    ),
    "conntrack of nothing": (
        table(conntrack=[{"map": "m", "direction": "orig-dst"}]),
        "conntrack names the map m, which is not in the content",
    ),
    "conntrack of names": (
        table(named("set", type="ifname"), conntrack=[{"map": "s", "direction": "orig-dst"}]),
        "the elements of s say nothing about connections",
    ),
    "conntrack sideways": (
        table(addresses(), conntrack=[{"map": "fip_dnat", "direction": "dst"}]),
        "direction 'dst' is not one of orig-dst, orig-src, reply-dst, reply-src",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    item, message = REFUSED[case]
    with pytest.raises(FabricError) as caught:
        parse(item)
    assert message in str(caught.value)


def test_a_table_twice_is_refused() -> None:
    with pytest.raises(FabricError, match=f"table inet weft_fabric in {ROUTER} is listed twice"):
        parse(table(), table())
    assert len(parse(table(), table(namespace=None), {**table(), "family": "ip"})) == 3


def test_arguments_that_are_not_given_are_none() -> None:
    given = {"name": "weft_a", "namespace": None, "family": None, "content": None, "conntrack": None}
    desired = next(iter(parse(given).values()))
    assert desired.present
    assert nftables_desired.parse({"tables": None}) == {}


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.json")), ids=lambda path: path.stem)
def test_what_nft_lists_is_what_it_was_given(path: Path) -> None:
    """Recorded from the program, one file for each version."""
    objects = [entry for entry in json.loads(path.read_text(encoding="utf-8"))["nftables"] if "metainfo" not in entry]
    key, desired = next(iter(parse(router()).items()))
    operations = TablePlan(listed(key, objects), desired).make()
    assert [operation.text for operation in operations] == []


SAME: list[tuple[t.Any, t.Any]] = [
    ({"set": ["udp", "tcp"]}, {"set": ["tcp", "udp"]}),
    ({"set": ["udp"]}, "udp"),
    ({"range": [22, 22]}, 22),
    ({"range": ["10.0.0.0", "10.0.0.255"]}, {"prefix": {"addr": "10.0.0.0", "len": 24}}),
    ({"prefix": {"addr": "10.0.0.1", "len": 32}}, "10.0.0.1"),
    ({"prefix": {"addr": "10.0.0.1", "len": 24}}, {"prefix": {"addr": "10.0.0.0", "len": 24}}),
    ({"prefix": {"addr": "FD00:0::", "len": 64}}, {"prefix": {"addr": "fd00::", "len": 64}}),
    ("2001:DB8:0:0::1", "2001:db8::1"),
    ({"counter": {"packets": 5, "bytes": 6}}, {"counter": None}),
    ({"limit": {"rate": 10, "per": "second", "burst": 5}}, {"limit": {"rate": 10, "per": "second"}}),
    (
        {"snat": {"addr": "192.0.2.1", "flags": ["fully-random"]}},
        {"snat": {"addr": "192.0.2.1", "flags": "fully-random"}},
    ),
    ({"|": ["fin", {"|": ["syn", "rst"]}]}, {"|": ["syn", "rst", "fin"]}),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same(one: t.Any, other: t.Any) -> None:
    assert canon.key(one) == canon.key(other)


DIFFERENT: list[tuple[t.Any, t.Any]] = [
    ({"concat": ["10.0.0.1", "10.0.0.2"]}, {"concat": ["10.0.0.2", "10.0.0.1"]}),
    ({"range": [1, 2]}, {"range": [1, 3]}),
    (["192.0.2.1", "192.0.2.2"], ["192.0.2.2", "192.0.2.1"]),
    ({"counter": "name"}, {"counter": None}),
    ({"snat": {"addr": "192.0.2.1"}}, {"dnat": {"addr": "192.0.2.1"}}),
    ("qr-A", "qr-a"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_not_the_same(one: t.Any, other: t.Any) -> None:
    assert canon.key(one) != canon.key(other)


WORDS = ["meta", "ct", "set", "|", "&", "concat", "elem", "map", "match", "left", "right", "op", "flags", "jump", "fib"]
TREES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=10,
)


@given(TREES)
def test_the_one_form_is_its_own(value: t.Any) -> None:
    assert canon.key(canon.canonical(value)) == canon.key(value)


@given(st.lists(TREES, max_size=3))
def test_whatever_it_is_it_can_be_told(value: list[t.Any]) -> None:
    assert isinstance(nftables_text.rule(value, None), str)
    assert isinstance(nftables_text.element(value), str)


@given(TREES)
def test_what_is_no_rule_is_an_error_of_its_own(value: t.Any) -> None:
    try:
        parse(table(addresses(), regular("a"), t.cast("Item", {"rule": {"chain": "a", "expr": value}})))
        parse(table({"set": {"name": "s", "type": "ipv4_addr", "elem": value}}))
    except FabricError:
        return


def test_texts() -> None:
    key, desired = next(iter(parse(floating({"203.0.113.120": "10.0.0.9"})).items()))
    assert [operation.after.replace(str(key), "").strip() for operation in TablePlan(None, desired).make()] == [
        "",
        "chain prerouting (nat hook prerouting priority -100 policy accept)",
        "map fip_dnat (ipv4_addr : ipv4_addr)",
        "map fip_dnat: 203.0.113.120 : 10.0.0.9",
        'chain prerouting: counter dnat ip to ip daddr map @fip_dnat comment "floating IPs"',
    ]


def test_concatenated_types_may_be_one_word() -> None:
    one, other = (
        parse(table({"map": {"name": "m", "type": types, "map": "ipv4_addr"}}))
        for types in (PORT_TYPE, " . ".join(PORT_TYPE))
    )
    [first], [second] = one.values(), other.values()
    assert TablePlan(first.table, second).make() == []
