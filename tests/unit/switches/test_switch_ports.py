# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of a switch over real SSH: what is written, in which requests, and that it is what was asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import switch_info
from ansible_collections.weft.fabric.tests.unit.switches.runs import (
    VLANS,
    AtOnce,
    NetconfServer,
    arguments,
    changes,
    leaf,
    nothing_left,
    port,
    refusal,
    run,
)
from ansible_collections.weft.fabric.tests.wire import netconf_openconfig as openconfig

ACCESS = {"name": "Ethernet2", "mode": "access", "vlan": 120}
TRUNK = {"name": "Ethernet3", "mode": "trunk", "native_vlan": 100, "allowed_vlans": ["110", "120-121"]}
AGGREGATE = {
    "name": "Port-Channel1",
    "mode": "trunk",
    "allowed_vlans": [120],
    "aggregate": {"members": ["Ethernet5", "Ethernet6"], "lacp": "active"},
}


def test_an_access_port_is_made_changed_and_released() -> None:
    with leaf() as server:
        assert changes(server, ACCESS) == ["change Ethernet2: no VLAN -> access VLAN 120"]
        assert port(server, "Ethernet2") == {**ACCESS, "enabled": True}
        full = {**ACCESS, "vlan": 130, "description": "web-1", "enabled": True, "edge": True}
        assert changes(server, full) == [
            (
                "change Ethernet2: access VLAN 120 -> access VLAN 130; no description -> description 'web-1'; "
                "no edge port -> edge port"
            )
        ]
        assert changes(server, {"name": "Ethernet2", "state": "absent"}) == [
            "change Ethernet2: access VLAN 130 -> no VLAN; description 'web-1' -> no description; enabled -> disabled"
        ]
        assert port(server, "Ethernet2") == {"name": "Ethernet2", "enabled": False}


def test_a_trunk_is_exact_and_replaces_what_was_there() -> None:
    with leaf(vlans=[*VLANS, {"vlan_id": 121}]) as server:
        changes(server, TRUNK)
        assert port(server, "Ethernet3")["allowed_vlans"] == [100, 110, 120, 121]
        assert port(server, "Ethernet3")["native_vlan"] == 100
        assert changes(server, {**TRUNK, "native_vlan": None, "allowed_vlans": [130]}) == [
            (
                "change Ethernet3: trunk with native VLAN 100, allowed 110,120-121 -> "
                "trunk with no native VLAN, allowed 130"
            )
        ]
        assert port(server, "Ethernet3") == {
            "name": "Ethernet3", "enabled": True, "mode": "trunk", "allowed_vlans": [130],
        }  # fmt: skip
        changes(server, {"name": "Ethernet3", "mode": "access", "vlan": 110})
        assert port(server, "Ethernet3") == {"name": "Ethernet3", "enabled": True, "mode": "access", "vlan": 110}


def test_a_trunk_with_nothing_but_its_native_vlan_does_not_carry_everything() -> None:
    with leaf() as server:
        changes(server, {"name": "Ethernet3", "mode": "trunk", "native_vlan": 100})
        assert port(server, "Ethernet3")["allowed_vlans"] == [100]


def test_an_aggregate_is_made_grows_shrinks_and_goes() -> None:
    with leaf() as server:
        assert changes(server, AGGREGATE) == [
            (
                "make Port-Channel1: aggregate of Ethernet5, Ethernet6 (LACP active, at least 1 up), "
                "trunk with no native VLAN, allowed 120, enabled"
            ),
            "change Ethernet5: no VLAN -> member of Port-Channel1",
            "change Ethernet6: no VLAN -> member of Port-Channel1",
        ]
        assert port(server, "Ethernet5")["aggregate_id"] == "Port-Channel1"
        assert port(server, "Port-Channel1")["allowed_vlans"] == [120]
        bigger = {"members": ["Ethernet5", "Ethernet7"], "lacp": "passive", "min_links": 2}
        assert changes(server, {**AGGREGATE, "aggregate": bigger}) == [
            (
                "change Port-Channel1: aggregate of Ethernet5, Ethernet6 (LACP active, at least 1 up) -> "
                "aggregate of Ethernet5, Ethernet7 (LACP passive, at least 2 up)"
            ),
            "change Ethernet6: member of Port-Channel1 -> no VLAN; enabled -> disabled",
            "change Ethernet7: no VLAN -> member of Port-Channel1",
        ]
        assert port(server, "Ethernet6") == {"name": "Ethernet6", "enabled": False}
        changes(server, {**AGGREGATE, "aggregate": {**bigger, "lacp": "static"}})
        assert changes(server, {"name": "Port-Channel1", "state": "absent"}) == [
            (
                "remove Port-Channel1: aggregate of Ethernet5, Ethernet7 (static, at least 2 up), "
                "trunk with no native VLAN, allowed 120, enabled"
            ),
            "change Ethernet5: member of Port-Channel1 -> no VLAN; enabled -> disabled",
            "change Ethernet7: member of Port-Channel1 -> no VLAN; enabled -> disabled",
        ]
        assert port(server, "Port-Channel1") == {}


def test_a_member_can_leave_for_vlans_of_its_own() -> None:
    with leaf() as server:
        run(server, AGGREGATE)
        alone = {"name": "Ethernet6", "mode": "access", "vlan": 110}
        smaller = {**AGGREGATE, "aggregate": {"members": ["Ethernet5"]}}
        assert changes(server, smaller, alone)[1:] == [
            "change Ethernet6: member of Port-Channel1 -> access VLAN 110",
        ]


def test_all_ports_go_in_one_edit_and_one_commit() -> None:
    ports = [{"name": f"Ethernet{number}"} for number in range(1, 49)]
    wanted = [{**one, "mode": "access", "vlan": 120, "description": one["name"], "enabled": True} for one in ports]
    with NetconfServer(openconfig.ports(*ports, vlans=VLANS)) as server:
        assert len(run(server, *wanted)["changes"]) == 48
        assert server.names() == [
            "get-config", "get", "lock", "get-config", "edit-config", "commit", "get-config", "commit", "copy-config",
            "unlock", "close-session",
        ]  # fmt: skip
        assert all(port(server, one["name"])["vlan"] == 120 for one in ports)


def test_an_edit_is_all_or_nothing_and_tested_before_it_is_set() -> None:
    with leaf() as server:
        run(server, ACCESS)
        [edit] = server.edits()
        for option in ("test-option>test-then-set<", "error-option>rollback-on-error<", 'operation="replace"'):
            assert option in edit.xml
        assert "validate" not in server.names()


def test_only_what_is_asked_is_read() -> None:
    with leaf() as server:
        run(server, ACCESS, check_mode=True)
        assert "<name>Ethernet2</name>" in server.calls[0].xml
        assert "Ethernet1" not in server.calls[0].xml


def test_a_name_that_the_switch_spells_otherwise_is_found() -> None:
    with NetconfServer(openconfig.ports({"name": "eth1/2"}, vlans=VLANS)) as server:
        assert changes(server, {"name": "Ethernet1/2", "mode": "access", "vlan": 110}) == [
            "change eth1/2: no VLAN -> access VLAN 110"
        ]


def test_vlans_are_made_with_the_ports_that_need_them_and_go_when_nobody_does() -> None:
    more = {"vlans": [{"vlan_id": 140, "name": "web"}], "create_vlans": True, "purge_vlans": True}
    wanted = {"name": "Ethernet2", "mode": "access", "vlan": 140}
    first = [
        {"vlan_id": 110, "name": "weft-110"},
        {"vlan_id": 150, "name": "weft-old"},
        {"vlan_id": 151, "name": "own"},
    ]
    with leaf(vlans=first) as server:
        assert changes(server, wanted, **more) == [
            "make VLAN 140 weft-web",
            "change Ethernet2: no VLAN -> access VLAN 140",
            "remove VLAN 150 weft-old",
        ]
        assert openconfig.vlans(server.running) == {110: "weft-110", 140: "weft-web", 151: "own"}
        assert (
            changes(server, {"name": "Ethernet2", "state": "absent"}, purge_vlans=True)[-1]
            == "remove VLAN 140 weft-web"
        )


def test_a_vlan_that_a_port_is_in_stays_and_that_is_told() -> None:
    with leaf() as server:
        result = run(server, ACCESS, vlans=[{"vlan_id": 110, "state": "absent"}])
        assert result["warnings"] == ["switch leaf1: VLAN 110 weft-110 stays: Ethernet1 still carries it"]
        assert 110 in openconfig.vlans(server.running)


def test_vlans_alone() -> None:
    with leaf(vlans=[{"vlan_id": 120, "name": "weft-a"}, {"vlan_id": 130, "name": "theirs"}]) as server:
        wanted = [{"vlan_id": 120, "name": "b"}, {"vlan_id": 121}, {"vlan_id": 130, "name": "ours"}]
        assert changes(server, vlans=wanted, create_vlans=True) == [
            "rename VLAN 120: weft-a -> weft-b",
            "make VLAN 121 weft-121",
        ]
        assert "Ethernet1" not in server.calls[0].xml


@pytest.mark.parametrize(
    ("features", "requests"),
    [
        ({"candidate", "confirmed-commit:1.0", "validate:1.0"}, ["edit-config", "commit", "get-config", "commit"]),
        ({"candidate"}, ["edit-config", "commit", "get-config"]),
        ({"writable-running", "rollback-on-error"}, ["edit-config", "get-config"]),
    ],
)
def test_switches_that_can_do_less(features: set[str], requests: list[str]) -> None:
    with leaf(features={"base:1.1", *features}) as server:
        run(server, ACCESS)
        assert server.names() == ["get-config", "get", "lock", "get-config", *requests, "unlock", "close-session"]
        assert port(server, "Ethernet2")["vlan"] == 120
        nothing_left(server)


def test_running_is_locked_too_where_others_can_write_to_it() -> None:
    with leaf(features={"base:1.1", "candidate", "writable-running"}) as server:
        run(server, ACCESS)
        assert [call.target for call in server.calls if call.name == "lock"] == ["candidate", "running"]
        nothing_left(server)


def test_capabilities_count_by_their_whole_names() -> None:
    base = "urn:ietf:params:netconf"
    odd = [
        f"{base}:base:1.0",
        f"{base}:capability:candidate:1.0?x=1",
        "http://example.com/urn:ietf:params:netconf:capability:confirmed-commit:1.1",
        f"{base}:capability:confirmed-commit-not:1.1",
        f"{base}:capability:startup-later:1.0",
    ]
    with leaf(capabilities=odd) as server:
        run(server, ACCESS)
        assert server.names().count("commit") == 1
        assert "copy-config" not in server.names()


def test_capabilities_that_are_none() -> None:
    with leaf(capabilities=["urn:ietf:params:netconf:base:1.0", ""]) as server:
        message = refusal(server, ACCESS)
        assert message.startswith("switch leaf1: its list of capabilities cannot be read")


def test_a_switch_that_can_be_written_to_in_no_way_says_so() -> None:
    with leaf(features={"base:1.1"}) as server:
        assert "switch leaf1: its NETCONF server offers neither :candidate nor :writable-running" in refusal(
            server, ACCESS
        )


def test_saving(tmp_path: Path) -> None:
    with leaf() as server:
        assert not run(server, ACCESS, persist="none")["saved"]
        assert openconfig.port(server.startup, "Ethernet2").get("vlan") is None
        # The next run that is to save sees that, and does nothing else.
        server.forget()
        predicted = run(server, ACCESS, check_mode=True)
        assert (
            run(server, ACCESS)["changes"]
            == predicted["changes"]
            == ["save running to startup, which differs in Ethernet2"]
        )
        assert openconfig.port(server.startup, "Ethernet2")["vlan"] == 120
        assert "edit-config" not in server.names()
    with leaf(features={"base:1.1", "candidate"}) as server:
        assert "persist is startup, and it has no startup datastore" in refusal(server, ACCESS, persist="startup")
        assert not run(server, ACCESS)["saved"]


def test_what_was_read_can_be_fed_back() -> None:
    with leaf(vlans=[*VLANS, {"vlan_id": 121}]) as server:
        run(server, ACCESS, TRUNK, AGGREGATE)
        found = switch_info.describe_ports(server.switch(), None)
        assert found["members"] == {"Ethernet5": "Port-Channel1", "Ethernet6": "Port-Channel1"}
        assert not run(server, *found["ports"], vlans=found["vlans"])["changed"]
        [one] = switch_info.describe_ports(server.switch(), ["Ethernet 3"])["ports"]
        assert one["allowed_vlans"] == [110, 120, 121]
        ours = switch_info.describe_vlans(server.switch(), everything=False)["vlans"]
        assert [item["vlan_id"] for item in ours] == [100, 110, 120, 130]


def test_neighbours_are_read() -> None:
    seen = openconfig.neighbours(Ethernet1={"system_name": "cmp1", "port_id": "eth1", "capabilities": ["ROUTER"]})
    with leaf(state=seen) as server:
        [one] = switch_info.describe_ports(server.switch(), None)["neighbours"]
        assert (one["port"], one["system_name"], one["port_id"], one["bridge"]) == ("Ethernet1", "cmp1", "eth1", False)


# Several at once


@pytest.mark.parametrize("controllers", [1, 8])
def test_eight_runs_at_once_all_succeed_and_no_edit_interleaves(controllers: int, tmp_path: Path) -> None:
    # With a state directory each they are as far from each other as on machines of their own: NETCONF's lock is left.
    homes = [str(tmp_path / str(number % controllers)) for number in range(8)]
    with leaf() as server:
        every = [
            arguments(server, {"name": f"Ethernet{number}", "mode": "access", "vlan": 120}, lock_timeout=50)
            for number in range(2, 10)
        ]
        assert all(isinstance(answer, list) for answer in AtOnce(every, homes).ended(8).values())
        assert all(port(server, f"Ethernet{number}")["vlan"] == 120 for number in range(2, 10))
        writing = [call.session for call in server.calls if call.name in {"edit-config", "commit"}]
        assert writing == sorted(writing, key=writing.index), "an edit came between another's edit and commit"
        refused = sum(call.name == "lock" and call.answer != "ok" for call in server.calls)
        assert (refused == 0) is (controllers == 1), "those on one machine wait without asking the switch"
        nothing_left(server)


def test_audit(state: Path) -> None:
    with leaf() as server:
        run(server, ACCESS, {"name": "Ethernet1", "state": "absent"}, who="alice, site.yml")
        run(server, ACCESS, who="bob")
        lines = [json.loads(line) for line in (state / "switches.jsonl").read_text().splitlines()]
        assert [line["port"] for line in lines] == ["Ethernet1", "Ethernet2"]
        assert set(lines[1]) == {
            "when", "who", "switch", "session", "port", "before", "after", "duration", "result",
        }  # fmt: skip
        assert lines[1]["who"] == "alice, site.yml"
        assert (lines[1]["switch"], lines[1]["result"]) == ("leaf1", "ok")
        assert lines[1]["before"] == {"description": "", "enabled": True, "edge": False}
        assert lines[1]["after"] == {"mode": "access", "vlan": 120, "description": "", "enabled": True, "edge": False}
        assert (state / "switches.jsonl").stat().st_mode & 0o777 == 0o600
        assert server.password not in (state / "switches.jsonl").read_text()


def test_what_cannot_be_recorded_is_not_done() -> None:
    with leaf() as server:
        message = refusal(server, ACCESS, audit_file="/proc/nowhere/audit.jsonl")
        assert "the audit file cannot be written, so nothing was changed" in message
        assert server.edits() == []
