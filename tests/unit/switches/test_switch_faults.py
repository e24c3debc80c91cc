# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong on a switch: each ends in an error that names switch, port and cause, with the switch as it was."""

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.switches.runs import (
    Background,
    Item,
    NetconfServer,
    broken,
    leaf,
    nothing_left,
    port,
    refusal,
    run,
    state,
    until,
)
from ansible_collections.weft.fabric.tests.wire import netconf_openconfig as openconfig
from ansible_collections.weft.fabric.tests.wire.netconf_server import RpcError

ACCESS = {"name": "Ethernet2", "mode": "access", "vlan": 120}
TEN = [{"name": f"Ethernet{number}", "mode": "access", "vlan": 120} for number in range(1, 10)]
FIRST = {"base:1.1", "candidate", "confirmed-commit:1.0", "rollback-on-error", "validate:1.0"}
PLAIN = {"base:1.1", "candidate", "rollback-on-error", "validate:1.1"}
RUNNING = {"base:1.1", "writable-running", "rollback-on-error", "validate:1.1"}
DEVICES = {"persist id": None, "confirmed commit 1.0": FIRST, "plain commit": PLAIN, "running": RUNNING}

by_device = pytest.mark.parametrize("features", DEVICES.values(), ids=list(DEVICES))


def faulty(features: set[str] | None = None, **faults: t.Any) -> NetconfServer:
    server = broken(**faults)
    if features is not None:
        server.device.features = set(features)
        server.capabilities = server.device.capabilities()
    return server


# Locks


def test_a_lock_that_is_held_for_a_while_is_waited_for() -> None:
    with faulty(lock_held_by=7, lock_refusals=3) as server:
        run(server, ACCESS)
        assert server.names().count("lock") == 4
        assert port(server, "Ethernet2")["vlan"] == 120
        nothing_left(server)


def test_a_lock_that_is_held_for_ever_is_not_waited_for_for_ever() -> None:
    with faulty(lock_held_by=7) as server:
        began = time.monotonic()
        message = refusal(server, ACCESS, lock_timeout=2)
        assert 2 <= time.monotonic() - began < 4
        assert message == (
            "switch leaf1: candidate is locked, and was for all of 2 s, by NETCONF session 7. Nothing was changed."
        )
        assert server.edits() == []


def test_a_holder_that_is_no_session_is_told_as_such() -> None:
    with faulty(lock_held_by=0) as server:
        assert "by somebody who is not a NETCONF session: an operator" in refusal(server, ACCESS, lock_timeout=1)


def test_another_run_of_this_machine_is_named() -> None:
    with leaf() as server:
        server.faults.delay["edit-config"] = 3
        slow = Background(lambda: run(server, ACCESS, who="alice"))
        until(lambda: "lock" in server.names(), "the first run is at it")
        with pytest.raises(FabricError) as caught:
            run(server, ACCESS, lock_timeout=1)
        slow.join()
        assert "process" in str(caught.value)
        assert "(alice) has been at it for more than 1 s" in str(caught.value)


def test_a_lock_that_is_refused_for_another_reason_is_not_asked_for_again() -> None:
    with faulty(errors={"lock": RpcError("access-denied", "user weft may not lock")}) as server:
        assert "candidate cannot be locked: lock: user weft may not lock (access-denied)" in refusal(server, ACCESS)
        assert server.names().count("lock") == 1


# What somebody left in candidate

FOREIGN = openconfig.ports({"name": "Ethernet1", "mode": "access", "vlan": 130}, {"name": "Ethernet2"})


@pytest.mark.parametrize("refused_as", ["resource-denied", "unrefused"])
def test_a_dirty_candidate_is_never_thrown_away_unless_told(refused_as: str) -> None:
    with faulty(foreign_candidate=FOREIGN, dirty_error="resource-denied") as server:
        if refused_as == "unrefused":
            # Some give the lock away all the same.
            server.device.dirty = None
        before = state(server)
        with pytest.raises(FabricError, match="holds changes that somebody made and did not commit"):
            run(server, ACCESS)
        assert state(server) == before
        assert openconfig.port(server.device.stores["candidate"], "Ethernet1")["vlan"] == 130
        assert "discard-changes" not in server.names()
        run(server, ACCESS, discard_foreign=True)
        assert port(server, "Ethernet1")["vlan"] == 110
        assert port(server, "Ethernet2")["vlan"] == 120
        nothing_left(server)


# A switch that says ok and does something else


@by_device
def test_a_commit_that_does_nothing_is_found_out(features: set[str] | None) -> None:
    with faulty(features, silent_commit=True, drop=["switched-vlan"] if features is RUNNING else ()) as server:
        assert refusal(server, ACCESS) == (
            "switch leaf1: it said ok, and did something else: port Ethernet2 should be access VLAN 120, enabled, and "
            "is no VLAN, enabled. Running is as it was before"
        )


@by_device
def test_an_edit_of_which_a_part_is_dropped_is_found_out_and_undone(features: set[str] | None) -> None:
    wanted = {**ACCESS, "description": "web-1"}
    with faulty(features, drop=["switched-vlan"]) as server:
        assert "port Ethernet2 should be access VLAN 120" in refusal(server, wanted)


@by_device
def test_a_switch_that_makes_something_else_of_it_is_brought_back(features: set[str] | None) -> None:
    def alter(running: t.Any) -> None:
        for vlan in running.iter(f"{{{openconfig.VLAN}}}access-vlan"):
            if vlan.text == "120":
                vlan.text = "1"

    with faulty(features, alter=alter) as server:
        message = refusal(server, ACCESS)
        assert "should be access VLAN 120, enabled, and is access VLAN 1, enabled. Running is as it was" in message


# A switch that refuses


@by_device
def test_one_port_of_nine_is_refused_and_none_is_changed(features: set[str] | None) -> None:
    with faulty(features, refuse_ports={"Ethernet5": "hardware says no"}) as server:
        message = refusal(server, *TEN)
        assert message.startswith("switch leaf1: port Ethernet5: edit-config: hardware says no (operation-failed).")
        assert message.endswith("Running is as it was before")


def test_a_running_that_is_left_half_done_is_brought_back() -> None:
    with faulty({"base:1.1", "writable-running"}, refuse_ports={"Ethernet5": "hardware says no"}) as server:
        assert "port Ethernet5: edit-config: hardware says no" in refusal(server, *TEN)


@by_device
def test_a_port_that_is_refused_only_by_the_commit(features: set[str] | None) -> None:
    with faulty(features, refuse_ports={"Ethernet5": "no resources"}, refuse_at="commit") as server:
        server.device.features -= {"validate:1.0", "validate:1.1"}
        server.capabilities = server.device.capabilities()
        assert "port Ethernet5: " in refusal(server, *TEN)


def test_a_vlan_that_the_switch_refuses() -> None:
    with faulty(refuse_vlans={120: "VLAN 120 is reserved"}) as server:
        assert "switch leaf1: port Ethernet2: edit-config: VLAN 120 is reserved" in refusal(server, ACCESS)


def test_an_error_that_names_nothing_names_all_it_may_be_of() -> None:
    with faulty(errors={"commit": "system busy"}) as server:
        message = refusal(server, *TEN)
        assert "(it did not say which of the changes it refuses; they were of Ethernet1, Ethernet2" in message


def test_a_port_that_does_not_exist() -> None:
    with leaf() as server:
        message = refusal(server, {"name": "Ethernet77", "mode": "access", "vlan": 120})
        assert message.startswith(
            "switch leaf1: port Ethernet77 does not exist on the switch. It has Ethernet1, Ethernet2, Ethernet3"
        )
        assert server.edits() == []


def test_warnings_are_passed_on_and_are_no_errors() -> None:
    with faulty(warnings={"edit-config": "port is in use", "commit": "took long"}) as server:
        result = run(server, ACCESS)
        assert result["warnings"] == [
            "switch leaf1: it warns: edit-config: port is in use",
            "switch leaf1: it warns: commit: took long",
        ]
        assert port(server, "Ethernet2")["vlan"] == 120


def test_saving_that_fails_is_told_as_what_it_is_and_done_by_the_next_run() -> None:
    with faulty(errors={"copy-config": "flash is full"}) as server:
        with pytest.raises(FabricError, match=r"changed as asked, and could not save .* flash is full"):
            run(server, ACCESS)
        assert port(server, "Ethernet2")["vlan"] == 120
        nothing_left(server)
        server.faults.errors.clear()
        assert run(server, ACCESS)["saved"]


# Connections that end

REQUESTS = ["lock", "get-config", "edit-config"]


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_lost_before_the_commit_changes_nothing(request_: str, when: str) -> None:
    with faulty(break_off={request_: when}, break_off_at=2 if request_ == "get-config" else 1) as server:
        message = refusal(server, ACCESS)
        assert f"{request_}: the connection ended. Nothing was" in message


@pytest.mark.parametrize("number", [1, 2], ids=["commit", "confirmation"])
@pytest.mark.parametrize("when", ["after", "reply"])
def test_a_commit_whose_answer_is_lost_is_looked_at_and_finished(number: int, when: str) -> None:
    with faulty(break_off={"commit": when}, break_off_at=number) as server:
        run(server, ACCESS)
        assert port(server, "Ethernet2")["vlan"] == 120
        assert len(server.edits()) == 1, "an edit was sent again"
        nothing_left(server)


def test_a_commit_that_never_arrived_is_not_sent_again() -> None:
    with faulty(break_off={"commit": "before"}) as server:
        message = refusal(server, ACCESS)
        assert "commit: the connection ended, after the switch was told to change. Running is as it was" in message
        assert len(server.edits()) == 1


def test_a_confirmation_that_never_arrived_is_given_by_its_name() -> None:
    with faulty(break_off={"commit": "before"}, break_off_at=2) as server:
        run(server, ACCESS)
        assert port(server, "Ethernet2")["vlan"] == 120
        assert "persist-id" in [call for call in server.calls if call.name == "commit"][-1].xml
        nothing_left(server)


@pytest.mark.parametrize("when", ["after", "reply"])
def test_a_session_dropped_before_its_commit_is_confirmed_rolls_back(when: str) -> None:
    with faulty(FIRST, break_off={"commit": when}) as server:
        message = refusal(server, ACCESS)
        assert "the connection ended, after the switch was told to change. Running is as it was before" in message


def test_a_connection_lost_while_reading_back() -> None:
    with faulty(break_off={"get-config": "before"}, break_off_at=3) as server:
        run(server, ACCESS)
        assert port(server, "Ethernet2")["vlan"] == 120
        assert len(server.edits()) == 1
        nothing_left(server)


@pytest.mark.parametrize("when", ["before", "after"])
def test_running_whose_edit_lost_its_answer_is_looked_at(when: str) -> None:
    with faulty(RUNNING, break_off={"edit-config": when}) as server:
        if when == "after":
            run(server, ACCESS)
            assert port(server, "Ethernet2")["vlan"] == 120
        else:
            assert "Running is as it was before" in refusal(server, ACCESS)
        assert len(server.edits()) == 1
        nothing_left(server)


def test_a_commit_that_takes_longer_than_the_answer_is_waited_for() -> None:
    with faulty(delay={"commit": 2.5}) as server:
        server.faults.delay["commit"] = 2.5
        wait = Background(lambda: run(server, ACCESS, switch={"timeout": 1}))
        until(lambda: "commit" in server.names(), "the commit is done")
        server.faults.delay.clear()
        wait.join()
        assert port(server, "Ethernet2")["vlan"] == 120
        assert len(server.edits()) == 1
        nothing_left(server)


def test_a_connection_lost_while_saving_or_unlocking_does_no_harm() -> None:
    for request_ in ("copy-config", "unlock", "close-session"):
        with faulty(break_off={request_: "before"}) as server:
            assert run(server, ACCESS)["changed"]
            assert port(server, "Ethernet2")["vlan"] == 120
            assert openconfig.port(server.startup, "Ethernet2")["vlan"] == 120
            nothing_left(server)


def test_a_switch_that_is_gone_for_good_is_not_said_to_be_unchanged() -> None:
    with faulty(break_off={"commit": "after"}) as server:
        server.faults.alter = lambda _running: setattr(server.faults, "no_subsystem", True)
        with pytest.raises(FabricError) as caught:
            run(server, ACCESS, switch={"timeout": 1, "connect_timeout": 1})
        assert "What it did is NOT KNOWN" in str(caught.value)
        assert "goes back by itself within 30 s" in str(caught.value)


def test_failures_are_on_record_too(tmp_path: Path) -> None:
    with faulty(silent_commit=True) as server:
        refusal(server, ACCESS)
        [line] = (tmp_path / "weft-fabric/switches.jsonl").read_text().splitlines()
        assert json.loads(line)["result"].startswith("failed: it said ok, and did something else: port Ethernet2")


# Refused by us

REFUSED: dict[str, tuple[Item, Item, str]] = {
    "an uplink": (ACCESS, {"policy": {"uplinks": ["Eth2"]}}, "port Ethernet2 is an uplink, and uplinks are never"),
    "a port that is not allowed": (
        ACCESS,
        {"policy": {"allowed_ports": ["Ethernet1"]}},
        "port Ethernet2 is not one of the allowed ports",
    ),
    "a VLAN outside the list": (
        {**ACCESS, "vlan": 200},
        {},
        "port Ethernet2: VLAN 200 is outside the allowed VLANs, 100-199",
    ),
    "a VLAN that is not there": (
        {**ACCESS, "vlan": 150},
        {},
        "port Ethernet2: VLAN 150 is not in the switch's VLAN database",
    ),
    "a port in somebody else's VLAN": (
        {"name": "Ethernet1", "mode": "access", "vlan": 120},
        {"policy": {"owned_vlans": ["120-199"]}},
        "port Ethernet1 is now access VLAN 110, enabled, and VLAN 110 is not ours to take it from",
    ),
    "an expectation that does not hold": (
        {"name": "Ethernet1", "mode": "access", "vlan": 120, "expected_current": {"mode": "access", "vlan": 130}},
        {},
        "port Ethernet1: expected_current says access VLAN 130, and the switch says access VLAN 110",
    ),
    "a member of an aggregate": (
        {"name": "Ethernet8", "mode": "access", "vlan": 120},
        {},
        "port Ethernet8 is a member of Port-Channel9",
    ),
    "a member of another aggregate": (
        {"name": "Port-Channel1", "mode": "access", "vlan": 120, "aggregate": {"members": ["Ethernet8"]}},
        {},
        "port Ethernet8 is a member of Port-Channel9",
    ),
    "a port with a switch behind it": (
        {"name": "Ethernet4", "mode": "access", "vlan": 120},
        {},
        "port Ethernet4: LLDP sees a bridge there, spine1 (port et1)",
    ),
    "a port with another host behind it": (
        {"name": "Ethernet4", "mode": "access", "vlan": 120, "neighbour": "cmp1"},
        {},
        "port Ethernet4: LLDP sees a bridge there, spine1 (port et1)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("check_mode", [True, False], ids=["check", "real"])
def test_refused(case: str, check_mode: bool) -> None:
    item, more, message = REFUSED[case]
    with rack() as server:
        found = refusal(server, item, check_mode=check_mode, **more)
        assert found.startswith("switch leaf1: refused, and nothing was changed: ")
        assert message in found
        assert server.edits() == []
        assert "lock" not in server.names()


def rack() -> NetconfServer:
    seen = openconfig.neighbours(
        Ethernet4={"system_name": "spine1", "port_id": "et1", "capabilities": ["MAC_BRIDGE", "ROUTER"]},
        Ethernet5={"system_name": "cmp1.example.org", "port_id": "eth1", "capabilities": ["MAC_BRIDGE"]},
    )
    bundle = {"name": "Port-Channel9", "mode": "access", "vlan": 110, "aggregate": {"members": ["Ethernet8"]}}
    return leaf(bundle, state=seen)


def test_taken_all_the_same_when_the_caller_knows_of_it() -> None:
    with rack() as server:
        known = {"name": "Ethernet1", "mode": "access", "vlan": 120}
        policy = {"owned_vlans": [120]}
        run(server, {**known, "expected_current": {"mode": "access", "vlan": 110}}, policy=policy)
        run(server, {"name": "Ethernet5", "mode": "access", "vlan": 120, "neighbour": "cmp1"})
        assert port(server, "Ethernet1")["vlan"] == port(server, "Ethernet5")["vlan"] == 120


def test_members_have_the_neighbour_of_their_aggregate() -> None:
    bundle = {"name": "Port-Channel1", "mode": "access", "vlan": 120, "aggregate": {"members": ["Ethernet5"]}}
    with rack() as server:
        assert "port Ethernet5: LLDP sees a bridge there, cmp1" in refusal(server, bundle)
        run(server, {**bundle, "neighbour": "cmp1"})
        assert port(server, "Ethernet5")["aggregate_id"] == "Port-Channel1"


def test_a_switch_that_tells_no_neighbours_is_told_of() -> None:
    with faulty(errors={"get": "no such data"}) as server:
        [warning] = run(server, ACCESS)["warnings"]
        assert warning.startswith("switch leaf1: it tells no LLDP neighbours")


def test_what_changed_between_the_first_look_and_the_lock_is_seen() -> None:
    with leaf() as server:
        server.faults.delay["lock"] = 1.0
        wait = Background(lambda: run(server, {"name": "Ethernet1", "mode": "access", "vlan": 120}))
        until(lambda: "get" in server.names(), "the first look is over")
        for store in ("running", "candidate"):
            for vlan in server.device.stores[store].iter(f"{{{openconfig.VLAN}}}access-vlan"):
                vlan.text = "120"
        wait.join()
        assert wait.result["changes"] == []
        assert server.edits() == []
        nothing_left(server)
