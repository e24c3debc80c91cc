# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All technologies in one run: their order, what a failure leaves, and what is kept for the next boot."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.weft.fabric.plugins.module_utils import host_state
from ansible_collections.weft.fabric.plugins.module_utils.host_state import CONCERNS, Concern, HostRun
from ansible_collections.weft.fabric.plugins.module_utils.namespaces import NamespacesEngine
from ansible_collections.weft.fabric.plugins.module_utils.namespaces_step import REMOVE, REPLACE, Step
from ansible_collections.weft.fabric.plugins.module_utils.nftables import Current, NftablesEngine
from ansible_collections.weft.fabric.plugins.module_utils.nftables_model import Key, Table
from ansible_collections.weft.fabric.plugins.module_utils.packing import pack, unpack
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Engine, FabricError, Operation
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import host as compiled

ROLES = Path(__file__).parents[3] / "roles"

World = dict[str, set[str]]


class Machine:
    """What the engines of a test act on, and what was done, in order."""

    def __init__(self) -> None:
        self.things: World = {}
        self.log: list[str] = []
        self.saved: dict[str, t.Any] = {}

    def engine(self, name: str) -> type[Engine]:
        machine = self

        class Things(Engine):
            def read(self) -> set[str]:
                return set(machine.things.setdefault(name, set()))

            def diff(self, current: set[str]) -> list[Operation]:
                if self.params.get("broken"):
                    raise FabricError("thing x: does not go; remedy")
                return [Operation(f"add {thing}", thing, after=thing) for thing in self.params["things"] - current]

            def apply(self, operations: list[Operation]) -> None:
                for operation in operations:
                    machine.log.append(f"{name} {operation.payload}")
                    machine.things[name].add(operation.payload)

            def extra(self, current: set[str]) -> dict[str, t.Any]:
                return {"pending": self.params.get("pending", [])}

        Things.name = name
        return Things


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(host_state, "save_state", lambda name, params: made.saved.update({name: params}))
    return made


def run(machine: Machine, state: dict[str, t.Any], **how: bool) -> dict[str, t.Any]:
    concerns = tuple(Concern(c.name, machine.engine(c.name), c.kept) for c in CONCERNS)
    return HostRun(state, concerns=concerns, **how).run()


FULL = {
    "openflow_flows": {"things": {"flow"}},
    "namespaces": {"things": {"address", "link"}, "pending": ["b"]},
    "ovs_bridges": {"things": {"br-underlay"}, "pending": ["a", "b"]},
    "underlay": {"ovs_bridges": {"things": {"br-underlay"}}, "namespaces": {"things": {"address"}}},
}


def test_the_compiler_and_the_host_know_the_same_concerns() -> None:
    assert [c.name for c in CONCERNS if c.name != "boot_replay"] == list(compiled.CONCERNS)


@pytest.mark.parametrize("role", ["compute_node", "network_node"])
def test_a_host_that_loses_a_role_loses_what_it_had_of_it(role: str) -> None:
    # What a role leaves out is neither removed nor forgotten by the replay at boot.
    (task,) = yaml.safe_load((ROLES / role / "tasks/main.yml").read_text(encoding="utf-8"))
    assert task["ansible.builtin.import_role"]["name"] == "weft.fabric.host"
    assert "host_concerns" not in task.get("vars", {})


def test_the_underlay_comes_first_and_then_the_concerns_in_their_order(machine: Machine) -> None:
    run(machine, FULL)
    assert machine.log == ["ovs_bridges br-underlay", "namespaces address", "namespaces link", "openflow_flows flow"]


def test_a_router_translates_before_anything_reaches_it(machine: Machine) -> None:
    run(machine, {**FULL, "nftables": {"things": {"table"}}})
    assert machine.log.index("namespaces link") < machine.log.index("nftables table")
    assert machine.log.index("nftables table") < machine.log.index("openflow_flows flow")


def test_check_mode_foretells_each_change_once_and_makes_none(machine: Machine) -> None:
    foretold = run(machine, FULL, check_mode=True, save=True)
    assert machine.log == []
    assert machine.saved == {}
    done = run(machine, FULL)
    assert sorted(foretold["changes"]) == sorted(done["changes"])
    assert foretold["changes_digest"] == done["changes_digest"]
    assert done["changes_total"] == 4
    again = run(machine, FULL)
    assert not again["changed"]
    assert again["changes"] == []


def test_what_waits_is_told_once(machine: Machine) -> None:
    assert run(machine, FULL)["pending"] == ["a", "b"]


def test_state_is_kept_for_what_the_next_boot_needs(machine: Machine) -> None:
    run(machine, {**FULL, "boot_replay": {"things": {"unit"}}}, save=True)
    assert sorted(machine.saved) == ["namespaces", "openflow_flows", "ovs_bridges"]


def test_what_departs_does_so_before_all_others(machine: Machine) -> None:
    state = {**FULL, "vrrp_routers": {"things": {"router"}}}
    departures = (Concern("vrrp_routers", machine.engine("vrrp_routers"), False),)
    concerns = tuple(Concern(c.name, machine.engine(c.name), c.kept) for c in CONCERNS)
    predicted = HostRun(state, check_mode=True, concerns=concerns, departures=departures).run()
    done = HostRun(state, concerns=concerns, departures=departures).run()
    assert machine.log[0] == "vrrp_routers router"
    assert done["changes_digest"] == predicted["changes_digest"]


def test_a_failure_names_the_concern_and_what_had_been_made(machine: Machine) -> None:
    state = {**FULL, "ovs_bridges": {"broken": True}}
    with pytest.raises(FabricError) as told:
        run(machine, state, save=True)
    assert str(told.value) == (
        "ovs_bridges: thing x: does not go; remedy (3 changes had been made before; the next run goes on from there)"
    )
    # What was made is brought back at boot, what was not isn't.
    assert sorted(machine.saved) == ["namespaces"]
    assert "openflow_flows flow" not in machine.log


def test_a_failure_before_any_change_says_nothing_of_changes(machine: Machine) -> None:
    with pytest.raises(FabricError, match=r"remedy$"):
        run(machine, {"ovs_bridges": {"broken": True}})


def test_what_is_made_meanwhile_is_told_at_its_place(machine: Machine) -> None:
    state = {**FULL, "boot_replay": {"things": {"unit"}}}
    foretold = run(machine, state, check_mode=True)
    done = run(machine, state)
    assert done["changes"][-1] == "add unit"
    assert done["changes_digest"] == foretold["changes_digest"]
    assert not run(machine, state)["changed"]


def test_a_failure_of_what_is_made_meanwhile_stops_nothing_before_it(machine: Machine) -> None:
    state = {**FULL, "dhcp_servers": {"things": {"server"}}, "boot_replay": {"broken": True}}
    with pytest.raises(FabricError, match=r"^boot_replay: thing x: does not go; remedy \(5 changes had been made"):
        run(machine, state)
    assert machine.log[-1] == "dhcp_servers server"


def test_what_was_made_meanwhile_counts_when_another_fails(machine: Machine) -> None:
    state = {**FULL, "openflow_flows": {"broken": True}, "boot_replay": {"things": {"unit"}}}
    with pytest.raises(FabricError, match=r"^openflow_flows: .* \(4 changes had been made"):
        run(machine, state)


def test_a_state_arrives_as_it_was_sent() -> None:
    state = {"openflow_flows": {"bridges": [{"name": "br-int", "flows": ["actions=drop"] * 1000}]}, "e": "ä\n"}
    text = pack(state)
    assert unpack(text) == state
    assert len(text) < 1000


@pytest.mark.parametrize("text", ["", "!", "AAAA"])
def test_a_damaged_state_is_an_error(text: str) -> None:
    with pytest.raises(FabricError, match="the state is damaged"):
        unpack(text)


def test_a_prediction_tells_no_removal_from_a_namespace_that_goes_as_a_whole() -> None:
    found = {Key(name, "inet", "weft_fabric"): Table(Key(name, "inet", "weft_fabric")) for name in ("goes", "stays")}
    engine = NftablesEngine({"tables": [], "purge": True})
    engine.leaving = frozenset({"goes"})
    assert [operation.text for operation in engine.diff(Current(found, {}))] == [
        "remove table inet weft_fabric in stays"
    ]


def test_namespaces_tell_what_they_take_away() -> None:
    engine = NamespacesEngine({"namespaces": []})
    steps = [Step(REMOVE, None, "ip", "netns del goes"), Step(REMOVE, None, "del_link", "tap1")]
    broken = [Step(REPLACE, None, "ip", "netns del broken")]
    assert engine.removed_namespaces([Operation("a", steps), Operation("b", broken)]) == {"goes"}


def test_each_concern_tells_of_a_thousand_changes_at_most(machine: Machine) -> None:
    many = {f"thing{number:04}" for number in range(1200)}
    told = run(machine, {"namespaces": {"things": many}, "openflow_flows": {"things": many}}, check_mode=True)
    assert (len(told["changes"]), told["changes_total"]) == (2000, 2400)
