# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables on a real kernel, read by nft."""

from __future__ import annotations

import json
import subprocess
import typing as t
from collections.abc import Sequence

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import command, nftables_info
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip
from ansible_collections.weft.fabric.tests.unit.nftables.router import router
from ansible_collections.weft.fabric.tests.unit.nftables.runs import (
    PORT,
    PORT_TYPE,
    ROUTER,
    TABLE,
    TCP_UDP,
    Item,
    addresses,
    chain,
    changes,
    floating,
    looked_up,
    match,
    meta,
    nft,
    payload,
    regular,
    rule,
    ruleset,
    run,
    table,
)

pytestmark = pytest.mark.usefixtures("host")

ACCEPT: Item = {"accept": None}
DROP: Item = {"drop": None}
ONE = {"203.0.113.120": "10.0.0.9"}
TWO = {**ONE, "203.0.113.121": "10.0.0.10"}


def listed(text: str = "list table inet weft_fabric") -> str:
    return " ".join(nft(text).split())


def test_a_table_is_made_changed_and_removed() -> None:
    assert changes(floating(ONE)) == [
        f"add table {TABLE}",
        f"add chain prerouting (nat hook prerouting priority -100 policy accept) to {TABLE}",
        f"add map fip_dnat (ipv4_addr : ipv4_addr) to {TABLE}",
        f"add 203.0.113.120 : 10.0.0.9 to map fip_dnat of {TABLE}",
        f'add rule to chain prerouting of {TABLE}: counter dnat ip to ip daddr map @fip_dnat comment "floating IPs"',
    ]
    assert "elements = { 203.0.113.120 : 10.0.0.9 }" in listed()
    assert 'dnat ip to ip daddr map @fip_dnat comment "floating IPs"' in listed()
    assert changes(floating(TWO)) == [f"add 203.0.113.121 : 10.0.0.10 to map fip_dnat of {TABLE}"]
    assert changes(floating({"203.0.113.121": "10.0.0.11"})) == [
        f"remove 203.0.113.120 : 10.0.0.9 from map fip_dnat of {TABLE}",
        f"change 203.0.113.121 : 10.0.0.10 to 203.0.113.121 : 10.0.0.11 in map fip_dnat of {TABLE}",
    ]
    assert "elements = { 203.0.113.121 : 10.0.0.11 }" in listed()
    assert changes(floating({}, state="absent")) == [f"remove table {TABLE}"]
    assert ruleset() == []


def test_check_mode_changes_nothing_and_diff_has_only_what_differs() -> None:
    run(floating(ONE), check_mode=True)
    assert ruleset() == []
    run(floating(ONE))
    before = ruleset()
    result = run(floating(TWO), check_mode=True)
    assert ruleset() == before
    added = f"{TABLE} map fip_dnat: 203.0.113.121 : 10.0.0.10\n"
    assert result["diff"] == {"before": "", "after": added}


def test_nothing_is_written_when_nothing_differs_and_once_for_a_namespace(recorder: list[Sequence[str]]) -> None:
    both = [floating(TWO), floating(ONE, name="weft_other")]
    run(*both)
    assert [list(words) for words in recorder] == [["nsenter", f"--net=/run/netns/{ROUTER}", "nft", "-j", "-f", "-"]]
    recorder.clear()
    run(*both)
    assert recorder == []


@pytest.fixture
def recorder() -> t.Iterator[list[Sequence[str]]]:
    """The programs that are run."""
    called: list[Sequence[str]] = []
    former = command._runners[0]

    def record(words: Sequence[str], data: str) -> command.Result:
        called.append(words)
        return former(words, data)

    command.use(record)
    yield called
    command.use(former)


def counted() -> dict[str, int]:
    """Return what the counter in each chain has counted, by the chain."""
    rules = [entry["rule"] for entry in ruleset() if "rule" in entry]
    statements = {entry["chain"]: statement for entry in rules for statement in entry["expr"] if "counter" in statement}
    return {name: statement["counter"]["packets"] for name, statement in statements.items()}


def test_counters_live_on_when_elements_and_other_chains_change() -> None:
    output = chain("output", 0, kind="filter")
    counting = rule("output", {"counter": None})
    run(table(addresses(ONE), output, counting))
    nft("add rule inet weft_fabric output drop")
    run(table(addresses(ONE), output, counting))
    ping = ["ip", "netns", "exec", ROUTER, "ping", "-c1", "-W1", "127.0.0.1"]
    subprocess.run(ping, check=True, stdout=subprocess.DEVNULL)
    before = counted()
    assert before["output"] > 0
    changes(table(addresses(TWO), output, counting, chain("input", 0, kind="filter"), rule("input", ACCEPT)))
    assert counted() == before


def drifts() -> list[tuple[str, list[str]]]:
    said = 'counter dnat ip to ip daddr map @fip_dnat comment "floating IPs"'
    return [
        (
            "delete element inet weft_fabric fip_dnat { 203.0.113.120 }",
            ["add 203.0.113.120 : 10.0.0.9 to map fip_dnat"],
        ),
        ("add element inet weft_fabric fip_dnat { 192.0.2.1 : 192.0.2.2 }", ["remove 192.0.2.1 : 192.0.2.2 from map"]),
        ("flush chain inet weft_fabric prerouting", [f"add rule to chain prerouting of {TABLE}: {said}"]),
        ("add rule inet weft_fabric prerouting tcp dport 22 drop", ["remove rule from chain prerouting"]),
        ("insert rule inet weft_fabric prerouting accept", [f"remove rule from chain prerouting of {TABLE}: accept"]),
        ("add chain inet weft_fabric stray", [f"remove chain stray from {TABLE}"]),
        ("add set inet weft_fabric stray { type ipv4_addr; }", [f"remove set stray (ipv4_addr) from {TABLE}"]),
        ("add counter inet weft_fabric stray", [f"remove counter stray from {TABLE}"]),
        ("add quota inet weft_fabric stray { over 1 mbytes }", [f"remove quota stray from {TABLE}"]),
        (
            "add chain inet weft_fabric prerouting { type nat hook prerouting priority -100; policy drop; }",
            [f"change chain prerouting of {TABLE}: to chain prerouting (nat hook prerouting priority -100"],
        ),
        ("add table inet weft_fabric { flags dormant; }", [f"replace table {TABLE}, which is dormant"]),
        ("delete table inet weft_fabric", [f"add table {TABLE}"]),
    ]


@pytest.mark.parametrize(("drift", "said"), drifts(), ids=[drift for drift, _said in drifts()])
def test_drift_is_healed(drift: str, said: list[str]) -> None:
    run(floating(ONE))
    before = listed()
    nft(drift)
    texts = changes(floating(ONE))
    assert [text for text, start in zip(texts, said, strict=False) if not text.startswith(start)] == []
    assert listed() == before


def test_strays_that_use_each_other_go_together() -> None:
    run(floating(ONE))
    before = listed()
    nft(
        "add chain inet weft_fabric inner; add chain inet weft_fabric outer\n"
        "add map inet weft_fabric verdicts { type ifname : verdict; elements = { eth0 : jump inner }; }\n"
        "add rule inet weft_fabric outer iifname vmap @verdicts; add rule inet weft_fabric prerouting jump outer\n"
    )
    changes(floating(ONE))
    assert listed() == before


def test_order_of_rules_is_kept() -> None:
    first, second = (rule("forward", match(meta("iifname"), name), ACCEPT) for name in ("eth0", "eth1"))
    forward = chain("forward", 0, kind="filter")
    run(table(forward, first, second))
    assert changes(table(forward, second, first)) == [
        f'add rule to chain forward of {TABLE}: iifname "eth1" accept',
        f'remove rule from chain forward of {TABLE}: iifname "eth1" accept',
    ]
    assert listed().index("eth1") < listed().index("eth0")


@pytest.mark.parametrize(
    "other",
    [chain("prerouting", -90), chain("prerouting", -150, kind="filter"), chain("prerouting", 100, hook="postrouting")],
)
def test_a_base_chain_with_another_hook_is_replaced_with_its_rules(other: Item) -> None:
    accept = rule("prerouting", {"counter": None}, ACCEPT)
    run(table(chain("prerouting"), accept))
    [said] = changes(table(other, accept))
    assert said.startswith(f"change chain prerouting of {TABLE}: to chain prerouting (")
    assert "accept" in listed()


def test_a_policy_changes_in_place() -> None:
    forward = rule("forward", {"counter": None}, ACCEPT)
    run(table(chain("forward", 0, kind="filter"), forward))
    handles = [entry["rule"]["handle"] for entry in ruleset() if "rule" in entry]
    changes(table(chain("forward", 0, kind="filter", policy="drop"), forward))
    assert "policy drop" in listed()
    assert [entry["rule"]["handle"] for entry in ruleset() if "rule" in entry] == handles


def test_a_chain_becomes_a_base_chain_and_back() -> None:
    other = regular("helper")
    calling = rule("forward", {"jump": {"target": "helper"}})
    forward = chain("forward", 0, kind="filter")
    run(table(forward, other, calling))
    changes(table(forward, chain("helper", 10, hook="forward", kind="filter"), rule("forward", ACCEPT)))
    changes(table(forward, other, calling))


def test_a_map_of_another_type_is_replaced_with_the_rules_that_use_it() -> None:
    by_port = {"map": {"name": "m", "type": PORT_TYPE, "map": "ipv4_addr"}}
    ports = [[{"concat": ["203.0.113.1", "udp", {"range": [3000, 3010]}]}, "10.0.0.9"]]
    ranges = {"map": {**by_port["map"], "flags": ["interval"], "elem": ports}}
    to = rule("prerouting", TCP_UDP, {"dnat": {"family": "ip", "addr": looked_up("m", *PORT)}})
    run(table(by_port, chain(), to))
    assert changes(table(ranges, chain(), to)) == [
        f"replace map m of {TABLE}: by map m (ipv4_addr . inet_proto . inet_service : ipv4_addr flags interval)",
        f"add 203.0.113.1 . udp . 3000-3010 : 10.0.0.9 to map m of {TABLE}",
    ]
    assert "203.0.113.1 . udp . 3000-3010 : 10.0.0.9" in listed()
    changes(table({"set": {"name": "m", "type": "ipv4_addr"}}, chain()))
    changes(table(by_port, chain(), to))


def prefix(address: str, length: int) -> Item:
    return {"prefix": {"addr": address, "len": length}}


def test_intervals_widen_split_and_go() -> None:
    def inside(*elements: t.Any) -> Item:
        return table({"set": {"name": "inside", "type": "ipv4_addr", "flags": ["interval"], "elem": list(elements)}})

    run(inside(prefix("10.0.0.0", 24), "10.9.0.1"))
    changes(inside(prefix("10.0.0.0", 23), "10.9.0.1"))
    changes(inside(prefix("10.0.0.0", 24), prefix("10.0.1.0", 24), {"range": ["10.9.0.1", "10.9.0.6"]}))
    assert changes(inside(prefix("10.0.1.0", 24), prefix("10.0.0.0", 24))) == [
        f"remove 10.9.0.1-10.9.0.6 from set inside of {TABLE}"
    ]
    changes(inside())


def test_ranges_of_ports_widen() -> None:
    def forwarded(first: int, last: int, to: str = "10.0.0.9") -> Item:
        elements = [[{"concat": ["203.0.113.1", "udp", {"range": [first, last]}]}, to]]
        fields = {"name": "m", "type": PORT_TYPE, "map": "ipv4_addr", "flags": "interval", "elem": elements}
        return table({"map": fields})

    run(forwarded(3000, 3010))
    assert len(changes(forwarded(3000, 3020))) == 2
    assert len(changes(forwarded(3005, 3015))) == 2
    assert len(changes(forwarded(3005, 3015, "10.0.0.10"))) == 1
    assert len(changes(forwarded(3005, 3005))) == 2


def test_verdicts_may_name_chains_that_come_later() -> None:
    verdicts = {"map": {"name": "by_leg", "type": "ifname", "map": "verdict"}}
    verdicts["map"]["elem"] = [["qr-a", {"jump": {"target": "helper"}}], ["qr-b", DROP]]
    forward = rule("forward", {"vmap": {"key": meta("iifname"), "data": "@by_leg"}})
    texts = changes(table(verdicts, forward, chain("forward", 0, kind="filter"), regular("helper")))
    assert f"add qr-a : jump helper to map by_leg of {TABLE}" in texts
    del verdicts["map"]["elem"][0]
    assert changes(table(verdicts, forward, chain("forward", 0, kind="filter"))) == [
        f"remove chain helper from {TABLE}",
        f"remove qr-a : jump helper from map by_leg of {TABLE}",
    ]


def test_purge_takes_what_bears_the_mark_and_nothing_else() -> None:
    foreign = "table inet mine {\nchain c {\ntcp dport 22 accept\n}\n}\n"
    ip("netns add blue", "netns add weft-t-b")
    ip("link set lo alias weft.fabric", namespace="weft-t-b")
    for namespace in (None, ROUTER, "blue", "weft-t-b"):
        nft(foreign + "table ip weft_stray { }\n", namespace)
    before = {namespace: [e for e in ruleset(namespace) if "mine" in str(e)] for namespace in (None, ROUTER, "blue")}
    assert changes(floating(ONE), floating(ONE, namespace=None), purge=True)[:3] == [
        "remove table ip weft_stray on the host",
        "remove table ip weft_stray in qrouter-1",
        "remove table ip weft_stray in weft-t-b",
    ]
    assert "weft_stray" in nft("list ruleset", "blue"), "a namespace of somebody else was looked into"
    assert changes(purge=True) == ["remove table inet weft_fabric on the host", f"remove table {TABLE}"]
    for namespace, content in before.items():
        assert [entry for entry in ruleset(namespace) if "mine" in str(entry)] == content


def test_without_purge_nothing_is_removed() -> None:
    nft("table ip weft_stray { }")
    changes(floating(ONE))
    assert "weft_stray" in nft("list ruleset")


def test_a_namespace_that_is_not_there_yet() -> None:
    wanted = floating(ONE, namespace="qrouter-2")
    predicted = run(wanted, check_mode=True)
    assert predicted["changes_total"] == 5
    with pytest.raises(FabricError, match=r"namespace qrouter-2 does not exist: weft\.fabric\.namespaces makes it"):
        run(wanted)
    ip("netns add qrouter-2")
    assert run(wanted)["changes"] == predicted["changes"]


def test_one_namespace_keeps_no_other_from_its_rules() -> None:
    """They are written several at a time, and each error names its namespace."""
    names = [f"qrouter-{number}" for number in range(10, 30)]
    ip(*(f"netns add {name}" for name in names if name not in ("qrouter-12", "qrouter-17")))
    wanted = [floating(ONE, namespace=name) for name in names]
    with pytest.raises(FabricError) as failure:
        run(*wanted)
    assert [name for name in names if f"namespace {name} does not exist" in str(failure.value)] == [
        "qrouter-12",
        "qrouter-17",
    ]
    for name in names:
        if name not in ("qrouter-12", "qrouter-17"):
            assert "203.0.113.120 : 10.0.0.9" in nft("list table inet weft_fabric", name)
    ip("netns add qrouter-12", "netns add qrouter-17")
    assert len(changes(*wanted)) == 2 * 5
    assert changes(*wanted) == []


def test_what_nft_refuses_changes_nothing() -> None:
    run(floating(ONE))
    before = ruleset()
    wrong = table(addresses(TWO), chain("prerouting"), rule("prerouting", match(payload("ip", "nothing"), 1), ACCEPT))
    with pytest.raises(FabricError, match=r"nothing was changed in qrouter-1: nft refuses the tables: .*nothing"):
        run(wrong)
    assert ruleset() == before


def test_what_nft_writes_in_another_form_is_told() -> None:
    implied = rule("prerouting", match(meta("nfproto"), "ipv4"), match(payload("ip", "daddr"), "192.0.2.1"), ACCEPT)
    with pytest.raises(
        FabricError, match=r"nft reads back something else than it was given: not .*meta nfproto ipv4 ip daddr .* but"
    ):
        run(table(chain(), implied))


def test_what_was_read_can_be_fed_back() -> None:
    run(floating(TWO), floating(ONE, namespace=None))
    found = nftables_info.describe(None, None, False)
    assert [(item["namespace"], item["name"]) for item in found] == [(None, "weft_fabric"), (ROUTER, "weft_fabric")]
    assert not run(*found, purge=True)["changed"]
    assert json.loads(json.dumps(found)) == found
    run(purge=True)
    changes(*found)


def test_info_is_limited_to_the_mark_names_and_namespaces() -> None:
    ip("netns add blue")
    nft("table inet weft_a { }\ntable ip mine { }", "blue")
    run(floating(ONE))

    def names(*arguments: t.Any) -> list[str]:
        return [item["name"] for item in nftables_info.describe(*arguments)]

    assert names(None, None, False) == ["weft_fabric"]
    assert names(None, ["blue"], False) == ["weft_a"]
    assert sorted(names(None, None, True)) == ["mine", "weft_a", "weft_fabric"]
    assert names(["weft_fabric"], None, True) == ["weft_fabric"]


def test_a_fuller_router() -> None:
    texts = changes(router())
    assert (
        f"add rule to chain prerouting of {TABLE}: meta l4proto {{ tcp, udp }} dnat ip to"
        " ip daddr . meta l4proto . th dport map @forward_address:ip daddr . meta l4proto . th dport map @forward_port"
    ) in texts
    said = "ct state new tcp flags & (fin|syn|rst|ack) != syn drop"
    assert f"add rule to chain forward of {TABLE}: {said}" in texts
