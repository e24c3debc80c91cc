# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows on a private Open vSwitch, read back by ovs-ofctl."""

from __future__ import annotations

import re
import subprocess
import time
import typing as t

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.weft.fabric.plugins.module_utils import command
from ansible_collections.weft.fabric.plugins.module_utils.ofctl import OfctlClient
from ansible_collections.weft.fabric.plugins.module_utils.openflow_flows import flow_items
from ansible_collections.weft.fabric.plugins.module_utils.ovs_snapshot import read_snapshot
from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import OvsdbClient
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, reconcile
from ansible_collections.weft.fabric.tests.unit.ovs.helpers import cycle, dump, flows_engine
from ansible_collections.weft.fabric.tests.unit.ovs_sandbox import OvsSandbox

FLOWS = [
    'cookie=0x7765667400000001,table=0,priority=100,in_port="tap1",dl_vlan=3 actions=set_field:5->reg6,goto_table:24',
    'cookie=0x7765667400000002,table=0,priority=100,in_port="tap2",dl_vlan=3 actions=set_field:5->reg6,goto_table:24',
    "table=0,priority=0 actions=drop",
    'cookie=0x7765667400000003,table=77,reg6=0x5 actions=output:"tap1",set_field:"tap2"->reg7,resubmit(,94)',
    "cookie=0x7765667400000003,table=94 actions=output:NXM_NX_REG7[]",
]


@pytest.fixture
def switch(box: OvsSandbox) -> OvsSandbox:
    """A bridge with three ports, and a flow of somebody else."""
    box.vsctl("add-br", "br-int", "--", "set", "Bridge", "br-int", "fail_mode=secure", "external_ids:weft-fabric=1")
    for name in ("tap1", "tap2", "tap3"):
        box.vsctl("add-port", "br-int", name)
    box.ofctl("add-flow", "br-int", "cookie=0x99,table=5,priority=7,ip actions=drop")
    return box


def plug(box: OvsSandbox, name: str, iface_id: str) -> None:
    box.vsctl("add-port", "br-int", name, "--", "set", "Interface", name, f"external_ids:iface-id={iface_id}")


def test_flows_are_made_as_foretold(switch: OvsSandbox) -> None:
    result = cycle(flows_engine(switch, {"br-int": FLOWS}))
    assert result["changes"] == ["br-int: add " + re.sub(r"^cookie=\w+,", "", flow) for flow in FLOWS]
    assert dump(switch, "br-int") == [
        "cookie=0x7765667400000000, priority=0 actions=drop",
        "cookie=0x7765667400000001, priority=100,in_port=1,dl_vlan=3 actions=set_field:0x5->reg6,goto_table:24",
        "cookie=0x7765667400000002, priority=100,in_port=2,dl_vlan=3 actions=set_field:0x5->reg6,goto_table:24",
        "cookie=0x7765667400000003, table=77, reg6=0x5 actions=output:1,set_field:0x2->reg7,resubmit(,94)",
        "cookie=0x7765667400000003, table=94, actions=output:NXM_NX_REG7[]",
        "cookie=0x99, table=5, priority=7,ip actions=drop",
    ]


def test_check_mode_changes_nothing(switch: OvsSandbox) -> None:
    before = dump(switch, "br-int")
    assert reconcile(flows_engine(switch, {"br-int": FLOWS}), check_mode=True)["changes_total"] == 5
    assert dump(switch, "br-int") == before


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda flows: flows.pop(1),
         ['br-int: delete table=0,priority=100,in_port="tap2",dl_vlan=3 actions=set_field:0x5->reg6,goto_table:24']),
        (lambda flows: flows.append('table=24,in_port="tap3" actions=drop'),
         ['br-int: add table=24,in_port="tap3" actions=drop']),
        (lambda flows: flows.__setitem__(4, flows[4].replace("output:NXM_NX_REG7[]", "drop")),
         ["br-int: change table=94 actions=drop"]),
        (lambda flows: flows.__setitem__(4, flows[4].replace("0003", "0004")),
         ["br-int: change table=94 actions=output:NXM_NX_REG7[]"]),
        (lambda flows: flows.__setitem__(2, "table=0,priority=1 actions=drop"),
         ["br-int: add table=0,priority=1 actions=drop", "br-int: delete table=0,priority=0 actions=drop"]),
    ],
    ids=["removed", "added", "actions", "cookie", "priority"],
)  # fmt: skip
def test_only_the_difference_is_touched(
    switch: OvsSandbox, change: t.Callable[[list[str]], object], expected: list[str]
) -> None:
    reconcile(flows_engine(switch, {"br-int": FLOWS}))
    wanted = list(FLOWS)
    change(wanted)
    assert cycle(flows_engine(switch, {"br-int": wanted}))["changes"] == expected
    assert "cookie=0x99, table=5, priority=7,ip actions=drop" in dump(switch, "br-int")


def test_unchanged_flows_keep_their_counters(switch: OvsSandbox) -> None:
    reconcile(flows_engine(switch, {"br-int": FLOWS}))
    switch.appctl("netdev-dummy/receive", "tap1", "in_port(1),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),"
                  "eth_type(0x8100),vlan(vid=3,pcp=0),encap(eth_type(0x88cc))")  # fmt: skip

    def packets(match: str) -> int:
        found = re.search(r"n_packets=(\d+)", switch.ofctl("dump-flows", "br-int", match))
        assert found is not None
        return int(found.group(1))

    assert wait_until(lambda: packets("in_port=tap1,table=0") == 1)
    changed = [*FLOWS[:2], 'cookie=0x7765667400000009,table=24,in_port="tap1" actions=drop', *FLOWS[3:]]
    cycle(flows_engine(switch, {"br-int": changed}))
    assert packets("in_port=tap1,table=0") == 1
    # The negative: a flow that goes and comes starts from 0.
    cycle(flows_engine(switch, {"br-int": changed[1:]}))
    cycle(flows_engine(switch, {"br-int": changed}))
    assert packets("in_port=tap1,table=0") == 0


def wait_until(condition: t.Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
    return False


def test_without_purge_nothing_goes(switch: OvsSandbox) -> None:
    reconcile(flows_engine(switch, {"br-int": FLOWS}))
    assert not reconcile(flows_engine(switch, {"br-int": FLOWS[:2]}, purge=False))["changed"]
    assert reconcile(flows_engine(switch, {"br-int": FLOWS[:2]}, purge=True))["changes_total"] == 3


def test_purge_reaches_bridges_that_are_not_listed_and_not_ours(switch: OvsSandbox) -> None:
    switch.vsctl("add-br", "br-ex", "--", "add-br", "br-old", "--", "set", "Bridge", "br-old", "protocols=OpenFlow10")
    reconcile(flows_engine(switch, {"br-int": FLOWS, "br-ex": ["table=0,priority=5,ip actions=drop"]}))
    result = cycle(flows_engine(switch, {}))
    assert result["changes"] == ["br-ex: delete table=0,priority=5,ip actions=drop"]
    assert dump(switch, "br-ex") == ["priority=0 actions=NORMAL"]
    assert len(dump(switch, "br-int")) == 6, "our own bridge goes with its flows, by ovs_bridges"


def test_an_absent_bridge_loses_our_flows_and_what_they_learned(switch: OvsSandbox) -> None:
    learned = "cookie=0x77656c7200000001,table=76,dl_dst=50:54:00:00:00:01 actions=output:1"
    reconcile(flows_engine(switch, {"br-int": FLOWS}))
    switch.ofctl("add-flow", "br-int", learned)
    assert not reconcile(flows_engine(switch, {"br-int": FLOWS}))["changed"], "learned flows come and go"
    cycle(flows_engine(switch, {"br-int": FLOWS[:1]}))
    assert any("0x77656c72" in flow for flow in dump(switch, "br-int"))
    engine = flows_engine(switch, {}, purge=False)
    engine.params["bridges"] = [{"name": "br-int", "state": "absent", "flows": FLOWS}]
    cycle(engine)
    assert dump(switch, "br-int") == ["cookie=0x99, table=5, priority=7,ip actions=drop"]


def test_a_deletion_in_one_table_leaves_the_others(switch: OvsSandbox) -> None:
    same = [f"table={number},priority=1,ip actions=drop" for number in (0, 1, 2)]
    reconcile(flows_engine(switch, {"br-int": same}))
    result = cycle(flows_engine(switch, {"br-int": same[1:]}))
    assert result["changes"] == ["br-int: delete table=0,priority=1,ip actions=drop"]
    assert len(dump(switch, "br-int", "ip")) == 3, "two of ours, and the one of somebody else"


def test_an_empty_list_with_purge_is_a_teardown(switch: OvsSandbox) -> None:
    reconcile(flows_engine(switch, {"br-int": FLOWS}))
    switch.ofctl("add-flow", "br-int", "cookie=0x77656c7200000001,table=76,dl_dst=50:54:00:00:00:01 actions=output:1")
    assert (switch.directory / "weft-fabric").is_dir()
    assert cycle(flows_engine(switch, {"br-int": []}))["changes_total"] == 6
    assert not (switch.directory / "weft-fabric").exists()
    assert dump(switch, "br-int") == ["cookie=0x99, table=5, priority=7,ip actions=drop"]


def test_a_flow_of_somebody_else_is_not_overwritten(switch: OvsSandbox) -> None:
    for check_mode in (True, False):
        with pytest.raises(FabricError, match=r"somebody else \(cookie 0x99\).*table=5,priority=7,ip.*wanted: table=5"):
            reconcile(flows_engine(switch, {"br-int": [*FLOWS, "table=5,priority=7,ip actions=NORMAL"]}), check_mode)
    assert len(dump(switch, "br-int")) == 1


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        ("table=3,nonsense=1 actions=drop", "unknown keyword nonsense.*Nothing was applied. The flow: table=3"),
        ("table=3 actions=fly", "unknown action fly.*The flow: table=3 actions=fly"),
        ("table=3 actions=set_field:1->eth_type", "read-only.*The flow: table=3"),
        ("table=300 actions=drop", "The flow: table=300"),
        ("table=3,priority=10 actions=pop_vlan,output:1", "does not allow this flow.*table=3,priority=10"),
        ("table=3 actions=group:77", "OFPBAC_BAD_OUT_GROUP.*table:3 "),
    ],
)
def test_a_wrong_flow_is_quoted_and_nothing_is_applied(switch: OvsSandbox, flow: str, message: str) -> None:
    with pytest.raises(FabricError, match=message):
        reconcile(flows_engine(switch, {"br-int": [*FLOWS[:3], flow, *FLOWS[3:]]}))
    assert len(dump(switch, "br-int")) == 1


FLOW_OF_IP = "table=0,priority=9,ip actions=NORMAL"


@pytest.mark.parametrize("other", ["table=0,dl_type=0x800,priority=9 actions=drop", "priority=9,ip actions=NORMAL"])
def test_two_flows_of_one_match_are_refused_by_name(switch: OvsSandbox, other: str) -> None:
    flow = "table=0,priority=9,ip actions=drop"
    for check_mode in (True, False):
        with pytest.raises(FabricError, match="same table, priority and match") as failure:
            reconcile(flows_engine(switch, {"br-int": [flow, *FLOWS, other]}), check_mode)
        assert flow in str(failure.value)
        assert other in str(failure.value)
    assert len(dump(switch, "br-int")) == 1


@pytest.mark.parametrize("other", ["table=0,dl_type=0x800,priority=9 actions=drop", FLOW_OF_IP])
def test_two_flows_of_one_match_are_refused_on_a_bare_bridge_too(switch: OvsSandbox, other: str) -> None:
    """There only the words are compared beforehand; what is the same in other words is found when one is missing."""
    switch.ofctl("del-flows", "br-int")
    flow = "table=0,priority=9,ip actions=drop"
    with pytest.raises(FabricError, match="same table, priority and match") as failure:
        reconcile(flows_engine(switch, {"br-int": [flow, *FLOWS, other]}))
    assert flow in str(failure.value)
    assert other in str(failure.value)
    assert (dump(switch, "br-int") == []) == (other == FLOW_OF_IP)


def test_what_is_not_there_yet_is_foretold(box: OvsSandbox) -> None:
    engine = flows_engine(box, {"br-int": FLOWS})
    foretold = reconcile(engine, check_mode=True)
    with pytest.raises(FabricError, match="bridge br-int does not exist, and 5 flows are wanted on it"):
        reconcile(engine)
    box.vsctl("add-br", "br-int", "--", "set", "Bridge", "br-int", "fail_mode=secure")
    assert reconcile(engine, check_mode=True)["changes_digest"] == foretold["changes_digest"]
    with pytest.raises(FabricError, match="br-int has no working port tap1, tap2, which flows name"):
        reconcile(engine)
    assert dump(box, "br-int") == []
    box.vsctl("add-port", "br-int", "tap1", "--", "add-port", "br-int", "tap2")
    assert reconcile(engine)["changes_digest"] == foretold["changes_digest"]


def test_a_port_more_in_a_flood_list_is_foretold_as_a_change(switch: OvsSandbox) -> None:
    flood = 'table=77,priority=1,reg6=0x6 actions=output:"tap1"'
    reconcile(flows_engine(switch, {"br-int": [flood]}))
    engine = flows_engine(switch, {"br-int": [flood + ',output:"tap9"', 'in_port="tap9" actions=drop']})
    foretold = reconcile(engine, check_mode=True)
    assert foretold["changes"] == [f'br-int: change {flood},output:"tap9"', 'br-int: add in_port="tap9" actions=drop']
    switch.vsctl("add-port", "br-int", "tap9")
    assert reconcile(engine)["changes_digest"] == foretold["changes_digest"]


def test_the_flows_of_a_port_that_went_are_told_of_by_its_name(switch: OvsSandbox) -> None:
    reconcile(flows_engine(switch, {"br-int": FLOWS}))
    engine = flows_engine(switch, {"br-int": FLOWS[:1]})
    foretold = reconcile(engine, check_mode=True)
    switch.vsctl("del-port", "tap2", "--", "add-port", "br-int", "tap9", "--", "set", "Interface", "tap9",
                 "ofport_request=2")  # fmt: skip
    assert switch.ofports()["tap9"] == 2
    done = reconcile(engine)
    assert done["changes"] == foretold["changes"]
    assert done["diff"] == foretold["diff"]
    assert any('in_port="tap2"' in text for text in done["changes"])


def test_a_damaged_memory_of_names_is_no_error(switch: OvsSandbox) -> None:
    reconcile(flows_engine(switch, {"br-int": FLOWS}))
    memory = switch.directory / "weft-fabric" / "ofports" / "br-int.json"
    memory.write_text("{")
    cycle(flows_engine(switch, {"br-int": FLOWS[:1]}))
    assert memory.read_text().startswith("{")
    assert "tap1" in memory.read_text()


def test_flows_wait_for_what_others_plug_in(switch: OvsSandbox) -> None:
    flood = 'table=60 actions=output:"tap1",output:"iface-id:vm-1"'
    engine = flows_engine(switch, {"br-int": [*FLOWS, 'table=0,in_port="iface-id:vm-1" actions=drop', flood]})
    result = cycle(engine)
    assert (result["changes_total"], result["pending"]) == (6, ["vm-1"])
    assert dump(switch, "br-int", "table=60") == ["cookie=0x7765667400000000, table=60, actions=output:1,output:65279"]
    plug(switch, "vnet0", "vm-1")
    result = cycle(engine)
    assert result["changes"] == ['br-int: add table=0,in_port="iface-id:vm-1" actions=drop', "br-int: change " + flood]
    assert result["pending"] == []
    number = switch.ofports()["vnet0"]
    assert f"cookie=0x7765667400000000, in_port={number} actions=drop" in dump(switch, "br-int")


def test_a_machine_that_comes_back_under_another_number_leaves_no_flows(switch: OvsSandbox) -> None:
    engine = flows_engine(switch, {"br-int": ['table=0,in_port="iface-id:vm-1" actions=drop']})
    plug(switch, "vnet0", "vm-1")
    reconcile(engine)
    old = switch.ofports()["vnet0"]
    switch.vsctl("del-port", "vnet0")
    plug(switch, "vnet1", "vm-1")
    new = switch.ofports()["vnet1"]
    assert new != old
    cycle(engine)
    assert dump(switch, "br-int", "table=0") == [f"cookie=0x7765667400000000, in_port={new} actions=drop"]


def test_the_tolerant_engine_leaves_out_what_is_missing(switch: OvsSandbox) -> None:
    flood = 'table=77,priority=1,reg6=0x6 actions=output:"tap1",output:"dead"'
    engine = flows_engine(switch, {"br-int": [*FLOWS[:2], flood, 'in_port="dead" actions=drop']})
    engine.tolerant = True
    assert cycle(engine)["absent"] == ["dead on br-int"]
    assert "cookie=0x7765667400000000, table=77, priority=1,reg6=0x6 actions=output:1,output:65279" in dump(
        switch, "br-int"
    )
    switch.vsctl("add-port", "br-int", "dead")
    assert cycle(engine)["changes_total"] == 2


def test_a_bridge_without_openflow_14_is_told_of(switch: OvsSandbox) -> None:
    switch.vsctl("set", "Bridge", "br-int", "protocols=OpenFlow10,OpenFlow13")
    with pytest.raises(FabricError, match=r"br-int does not speak OpenFlow14.*it speaks OpenFlow10, OpenFlow13"):
        reconcile(flows_engine(switch, {"br-int": FLOWS}))


def test_after_a_crash_all_flows_come_back(switch: OvsSandbox) -> None:
    engine = flows_engine(switch, {"br-int": FLOWS})
    reconcile(engine)
    before = dump(switch, "br-int", "table=0")
    switch.restart_vswitchd()
    assert dump(switch, "br-int") == []
    assert cycle(engine)["changes_total"] == 5
    assert dump(switch, "br-int", "table=0") == before


def test_one_bundle_for_each_bridge(switch: OvsSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[t.Sequence[str]] = []
    real = command.run

    def run(words: t.Sequence[str], data: str = "") -> command.Result:
        commands.append(words)
        return real(words, data)

    switch.vsctl("add-br", "br-tun")
    monkeypatch.setattr(command, "run", run)
    reconcile(flows_engine(switch, {"br-int": FLOWS, "br-tun": ["table=1 actions=drop"]}))
    assert sum("--bundle" in words for words in commands) == 2
    commands.clear()
    reconcile(flows_engine(switch, {"br-int": FLOWS, "br-tun": ["table=1 actions=drop"]}))
    assert [words[5] for words in commands] == ["diff-flows", "diff-flows"]


def test_no_command_may_hang(switch: OvsSandbox) -> None:
    engine = flows_engine(switch, {"br-int": FLOWS})
    engine.ofctl.timeout = 0.3
    pid = int((switch.directory / "ovs-vswitchd.pid").read_text())
    subprocess.run(["kill", "-STOP", str(pid)], check=True)
    try:
        with pytest.raises(FabricError, match=r"bridge br-int: ovs-ofctl got no answer within 0.3 s"):
            reconcile(engine)
    finally:
        subprocess.run(["kill", "-CONT", str(pid)], check=True)


def read_back(box: OvsSandbox, names: list[str] | None = None, everything: bool = False) -> list[dict[str, t.Any]]:
    with OvsdbClient(box.socket_path) as client:
        return flow_items(read_snapshot(client), OfctlClient(str(box.directory)), names, everything)


def test_what_was_read_can_be_fed_back(switch: OvsSandbox) -> None:
    assert read_back(switch) == []
    reconcile(flows_engine(switch, {"br-int": FLOWS}))
    found = read_back(switch)
    assert [item["name"] for item in found] == ["br-int"]
    assert 'in_port="tap1"' in " ".join(found[0]["flows"])
    assert not reconcile(flows_engine(switch, {"br-int": found[0]["flows"]}))["changed"]
    cycle(flows_engine(switch, {"br-int": []}))
    cycle(flows_engine(switch, {"br-int": found[0]["flows"]}))
    assert read_back(switch) == found


def test_reading_everything_shows_the_flows_of_others(switch: OvsSandbox) -> None:
    assert read_back(switch, ["br-int"]) == [{"name": "br-int", "flows": [], "state": "present"}]
    assert read_back(switch, ["br-int"], True)[0]["flows"] == ["cookie=0x99,table=5,priority=7,ip actions=drop"]
    assert read_back(switch, ["br-none"], True) == []


PORTS = st.sampled_from(["tap1", "tap2", "tap3", "br-int"])
MATCHES = st.one_of(
    PORTS.map(lambda name: f',in_port="{name}"'),
    st.integers(1, 4094).map(lambda vlan: f",dl_vlan={vlan}"),
    st.integers(0, 255).map(lambda octet: f",ip,nw_dst=192.0.2.{octet}"),
    st.just(",icmp6,icmp_type=135,nd_target=2001:db8::1"),
    st.integers(0, 2**32 - 1).map(lambda value: f",reg6={value}"),
)
ACTIONS = st.lists(
    st.one_of(
        PORTS.map(lambda name: f'output:"{name}"'),
        PORTS.map(lambda name: f'set_field:"{name}"->reg7'),
        st.integers(0, 2**32 - 1).map(lambda value: f"set_field:{value}->reg6"),
        st.just("push_vlan:0x8100,set_field:4101->vlan_vid"),
        st.just("set_field:fa:16:3e:00:00:01->eth_src"),
        st.just("move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]"),
        st.just("learn(table=76,hard_timeout=300,priority=2,delete_learned,cookie=0x77656c7200000001,"
                "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])"),
        st.just("resubmit(,94)"),
        st.just("IN_PORT"),
    ),
    min_size=1,
    max_size=4,
    unique=True,  # Open vSwitch refuses a third tag
)  # fmt: skip


@pytest.fixture(scope="module")
def shared_switch() -> t.Iterator[OvsSandbox]:
    with OvsSandbox() as box:
        box.vsctl("add-br", "br-int", "--", "set", "Bridge", "br-int", "fail_mode=secure")
        for name in ("tap1", "tap2", "tap3"):
            box.vsctl("add-port", "br-int", name)
        yield box


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.dictionaries(st.tuples(st.integers(0, 99), st.integers(0, 65535), MATCHES), ACTIONS, max_size=12))
def test_any_list_converges_from_any_other(
    shared_switch: OvsSandbox, wanted: dict[tuple[int, int, str], list[str]]
) -> None:
    flows = [
        f"table={table},priority={priority}{match} actions={','.join(actions)}"
        for (table, priority, match), actions in wanted.items()
    ]
    cycle(flows_engine(shared_switch, {"br-int": flows}))
    assert len(dump(shared_switch, "br-int")) == len(flows)
    fed_back = read_back(shared_switch, ["br-int"])[0]["flows"]
    assert len(fed_back) == len(flows)
    assert not reconcile(flows_engine(shared_switch, {"br-int": fed_back}))["changed"]
