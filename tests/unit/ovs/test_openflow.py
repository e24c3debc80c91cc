# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows as text. The outputs were recorded from ovs-ofctl 3.1.0."""

from __future__ import annotations

import pytest

from ansible_collections.weft.fabric.plugins.module_utils.openflow import (
    OFPORT_NOBODY,
    FlowLine,
    PortNames,
    is_learned,
    is_ours,
    named,
    parse_diff,
    parse_dump,
    parse_wanted,
    show_flow,
)
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

DIFF = """\
-priority=0 actions=NORMAL
+priority=0 cookie=0x7765667400000002 actions=drop
+priority=100,in_port=1,vlan_tci=0x0000/0x1fff cookie=0x7765667400000001 actions=set_field:0x5->reg6,goto_table:24
+table=77 reg6=0x6 cookie=0x7765667400000002 idle_timeout=10 actions=pop_vlan,output:1
+table=3  actions=NORMAL
+ actions=drop
"""

DUMP = """\
 cookie=0x7765667400000001, priority=100,in_port=1,vlan_tci=0x0000/0x1fff actions=set_field:0x5->reg6,goto_table:24
 cookie=0x1, actions=drop
 table=3, actions=NORMAL
 cookie=0x7765667400000002, table=77, idle_timeout=10, dl_vlan=6 actions=pop_vlan,output:1
"""

NUMBERS = {"tap1": 1, "tap2": 2, "br-int": 65534, "vnet0": 7, "iface-id:vm-1": 7}


def resolve(flow: str, tolerant: bool = False) -> tuple[str | None, PortNames]:
    names = PortNames(NUMBERS, tolerant)
    wanted = names.resolve("cookie=0x7765667400000001," + flow, "br-int")
    return (None if wanted is None else wanted.line.replace("cookie=0x7765667400000001,", "", 1)), names


def test_a_diff_is_parsed() -> None:
    current, wanted = parse_diff(DIFF)
    assert current == [FlowLine("table=0 priority=0", 0, "", "NORMAL")]
    assert wanted == [
        FlowLine("table=0 priority=0", 0x7765667400000002, "", "drop"),
        FlowLine(
            "table=0 priority=100,in_port=1,vlan_tci=0x0000/0x1fff",
            0x7765667400000001,
            "",
            "set_field:0x5->reg6,goto_table:24",
        ),
        FlowLine("table=77 reg6=0x6", 0x7765667400000002, "idle_timeout=10", "pop_vlan,output:1"),
        FlowLine("table=3", 0, "", "NORMAL"),
        FlowLine("table=0", 0, "", "drop"),
    ]


def test_a_dump_is_parsed_to_the_same() -> None:
    assert parse_dump(DUMP) == [
        FlowLine(
            "table=0 priority=100,in_port=1,vlan_tci=0x0000/0x1fff",
            0x7765667400000001,
            "",
            "set_field:0x5->reg6,goto_table:24",
        ),
        FlowLine("table=0", 1, "", "drop"),
        FlowLine("table=3", 0, "", "NORMAL"),
        FlowLine("table=77 dl_vlan=6", 0x7765667400000002, "idle_timeout=10", "pop_vlan,output:1"),
    ]


@pytest.mark.parametrize(
    ("flow", "line"),
    [
        ('in_port="tap1" actions=output:"tap2"', "in_port=1 actions=output:2"),
        ('in_port="br-int" actions=output:"br-int"', "in_port=LOCAL actions=output:LOCAL"),
        ('actions=set_field:"br-int"->reg7,set_field:"tap2"->reg7', "actions=set_field:65534->reg7,set_field:2->reg7"),
        ('in_port="iface-id:vm-1" actions=drop', "in_port=7 actions=drop"),
        ("dl_vlan=5 actions=strip_vlan,output:1", "dl_vlan=5 actions=pop_vlan,output:1"),
    ],
)
def test_names_become_numbers(flow: str, line: str) -> None:
    assert resolve(flow)[0] == line


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        ('in_port="iface-id:x" actions=output:"tap1"', None),
        ('actions=output:"tap1",output:"iface-id:x"', f"actions=output:1,output:{OFPORT_NOBODY}"),
        ('actions=set_field:"iface-id:x"->reg7', f"actions=set_field:{OFPORT_NOBODY}->reg7"),
    ],
)
def test_what_others_plug_in_is_not_there_for_a_while(flow: str, expected: str | None) -> None:
    line, names = resolve(flow)
    assert line == expected
    assert names.pending == {"x"}
    assert names.absent == set()


def test_missing_ports_get_numbers_of_their_own() -> None:
    names = PortNames(NUMBERS)
    first, second = (names.resolve(f'in_port="{name}" actions=output:"gone1"', "br-int") for name in ("gone1", "gone2"))
    assert first is not None
    assert second is not None
    assert first.missing == ["gone1", "gone1"]
    assert second.missing == ["gone2", "gone1"]
    assert first.line.split("in_port=")[1] != second.line.split("in_port=")[1]
    assert first.line.split("output:")[1] == second.line.split("output:")[1]


def test_at_boot_a_dead_port_costs_its_own_flows_only() -> None:
    line, names = resolve('in_port="gone" actions=drop', tolerant=True)
    assert line is None
    assert names.absent == {"gone"}
    line, names = resolve('reg6=5 actions=output:"gone",output:"tap1"', tolerant=True)
    assert line == f"reg6=5 actions=output:{OFPORT_NOBODY},output:1"
    assert names.absent == {"gone"}


@pytest.mark.parametrize(
    ("flow", "cookie", "text"),
    [
        ("cookie=0x7765667400000005,table=1 actions=drop", 0x7765667400000005, "table=1 actions=drop"),
        ("table=1, cookie=0x7765667400000005 actions=drop", 0x7765667400000005, "table=1, actions=drop"),
        ("table=1,cookie=8603395311563440133,ip actions=drop", 8603395311563440133, "table=1,ip actions=drop"),
        ("actions=drop", 0x7765667400000000, "actions=drop"),
        ("actions=learn(cookie=0x1,table=3)", 0x7765667400000000, "actions=learn(cookie=0x1,table=3)"),
    ],
)
def test_the_cookie_is_taken_out(flow: str, cookie: int, text: str) -> None:
    assert parse_wanted(flow, "br-int") == (cookie, text)


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        ("actions=drop\ndelete table=0", "must be one line"),
        ("table=0 actions=drop\r", "must be one line"),
        ("table=0 actions=drop # all", "must be one line"),
        ("table=0 actions=\0drop", "must be one line"),
        ("table=0", "needs actions="),
        ("cookie=0x1,table=0 actions=drop", "must lie under the collection's mark"),
        ("cookie=0x77656c7200000001,table=0 actions=drop", "must lie under the collection's mark"),
        ("cookie=junk,table=0 actions=drop", "must lie under the collection's mark"),
        (None, "must be one line"),
    ],
)
def test_what_is_no_flow_of_ours_is_refused(flow: str, message: str) -> None:
    with pytest.raises(FabricError, match=message):
        parse_wanted(flow, "br-int")


def test_numbers_become_names_only_where_they_are_ports() -> None:
    text = "in_port=1,reg6=0x1 actions=set_field:0x2->reg7,set_field:0x1->reg6,output:2,output:3,resubmit(,1),group:1"
    assert named(text, {1: "tap1", 2: "tap2"}) == (
        'in_port="tap1",reg6=0x1 actions=set_field:"tap2"->reg7,set_field:0x1->reg6,output:"tap2",output:3,'
        "resubmit(,1),group:1"
    )


def test_a_flow_is_shown_in_the_syntax_it_is_written_in() -> None:
    assert show_flow(FlowLine("table=77 reg6=0x6", 1, "idle_timeout=10", "output:1"), {1: "tap1"}) == (
        'table=77,reg6=0x6,idle_timeout=10 actions=output:"tap1"'
    )
    assert show_flow(FlowLine("table=0", 1, "", "drop"), {}) == "table=0 actions=drop"


def test_marks() -> None:
    assert is_ours(0x7765667400000001)
    assert not is_ours(0x77656C7200000001)
    assert is_learned(0x77656C7200000001)
    assert not is_learned(1)
