# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that wait for one switch: one transaction does what all of them want, and none is held back by another."""

from __future__ import annotations

import contextlib
import json
import typing as t
from pathlib import Path

from ansible_collections.weft.fabric.plugins.module_utils import device_lock
from ansible_collections.weft.fabric.tests.unit.switches.runs import (
    VLANS,
    AtOnce,
    Item,
    NetconfServer,
    arguments,
    leaf,
    nothing_left,
    port,
    run,
    until,
)


@contextlib.contextmanager
def queueing(server: NetconfServer, state: Path, every: list[Item]) -> t.Iterator[AtOnce]:
    """Have runs wait for their turn at a switch, all of them when the block begins; it is theirs when it ends."""
    way = server.switch()
    with device_lock.machine_lock("leaf1", way["address"], way["port"], 5, "the test"):
        runs = AtOnce(every, [str(state.parent)] * len(every))
        until(lambda: len(list(state.glob("locks/*.notes/*.waiting"))) == len(every), "all of them wait", 30)
        yield runs


def access(server: NetconfServer, number: int, **more: t.Any) -> Item:
    return arguments(server, {"name": f"Ethernet{number}", "mode": "access", "vlan": 120}, **{"who": "alice", **more})


def test_who_waits_is_served_along_with_whose_turn_it_is(state: Path) -> None:
    with leaf() as server:
        with queueing(server, state, [access(server, number) for number in range(2, 8)]) as runs:
            pass
        told = runs.ended(6)
        assert told == {f"Ethernet{number}": [f"change Ethernet{number}: no VLAN -> access VLAN 120"]
                        for number in range(2, 8)}  # fmt: skip
        assert len(server.edits()) == 1
        assert server.names().count("commit") == 2, "one for a while, and one for good"
        lines = [json.loads(line) for line in (state / "switches.jsonl").read_text().splitlines()]
        assert {line["port"] for line in lines} == set(told)
        assert list(state.glob("locks/*.notes/*")) == []
        nothing_left(server)


def test_one_that_is_refused_holds_nobody_back(state: Path) -> None:
    with leaf({"name": "Ethernet4", "mode": "access", "vlan": 777}, vlans=[*VLANS, {"vlan_id": 777}]) as server:
        with queueing(server, state, [access(server, number) for number in range(2, 6)]) as runs:
            pass
        told = runs.ended(4)
        assert "777" in told.pop("Ethernet4")
        assert set(told) == {"Ethernet2", "Ethernet3", "Ethernet5"}
        assert all(len(changes) == 1 for changes in told.values())
        assert port(server, "Ethernet4")["vlan"] == 777
        nothing_left(server)


def test_only_what_may_be_done_alike_is_done_together(state: Path) -> None:
    """By another user's name, with other rules, and a port that is asked for twice."""
    with leaf() as server:
        every = [
            access(server, 2),
            access(server, 3, who="bob"),
            access(server, 4, create_vlans=True),
            access(server, 2),
        ]
        with queueing(server, state, every) as runs:
            pass
        runs.ended(4)
        assert len(server.edits()) == 3
        lines = [json.loads(line) for line in (state / "switches.jsonl").read_text().splitlines()]
        assert [(line["port"], line["who"]) for line in sorted(lines, key=lambda line: line["port"])] == [
            ("Ethernet2", "alice"), ("Ethernet3", "bob"), ("Ethernet4", "alice")
        ]  # fmt: skip


def test_what_a_killed_run_wanted_is_not_done(state: Path) -> None:
    """Whoever waits for its turn has made sure that its node is off; of one that is gone nobody has."""
    with leaf() as server:
        with queueing(server, state, [access(server, number) for number in (2, 3)]) as runs:
            runs.processes[1].kill()
            runs.processes[1].join()
        assert set(runs.ended(1)) == {"Ethernet2"}
        assert port(server, "Ethernet3").get("vlan") is None
        assert list(state.glob("locks/*.notes/*")) == []


def test_who_gives_up_waiting_wants_it_no_more(state: Path) -> None:
    with leaf() as server:
        with queueing(server, state, [access(server, 2, lock_timeout=1)]) as runs:
            assert "has been at it for more than 1 s" in runs.ended(1)["Ethernet2"]
            assert list(state.glob("locks/*.notes/*")) == []
        run(server, {"name": "Ethernet3", "mode": "access", "vlan": 120}, who="alice")
        assert port(server, "Ethernet2").get("vlan") is None
