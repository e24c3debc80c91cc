# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What verbs do from wherever a node stands: every combination of facts, and every place where a run can be stopped."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.plan import VERBS, Refused, plan
from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.standing import (
    STANDINGS,
    Facts,
    Wanted,
    contradictions,
    standing,
)
from ansible_collections.weft.fabric.tests.unit.bare_metal.pretended_node import (
    ADDRESS,
    BLUE,
    NEW,
    OLD,
    OTHER_VOLUME,
    PLACES,
    RED,
    VOLUME,
    Machine,
    wanted,
)

POWERS = ("on", "off", "starting", None)
BOOTS = ("local", "ramdisk", "absent", "iscsi")
PHASES = (None, "tenant", "deployment", "cleaning", "inspection", "rescue")
RECORDS: list[dict[str, t.Any]] = [{}] + [
    {"phase": phase, "server": server, "image": image}
    for phase, server, image in itertools.product(PHASES[1:], (None, RED, BLUE), (None, OLD, NEW, VOLUME))
]
WANTS = (wanted(), wanted(None), wanted(image=NEW), wanted(image=VOLUME))
LONGEST = 20


def everything() -> t.Iterator[Facts]:
    for power, place, boot, record in itertools.product(POWERS, sorted(set(PLACES.values()), key=str), BOOTS, RECORDS):
        yield Facts(power, place, boot, record)


def refused(verb: str, facts: Facts, want: Wanted, force: bool) -> str | None:
    try:
        plan(verb, facts, want, force)
    except Refused as error:
        return str(error)
    return None


def deployed(server: str = RED, image: str = OLD) -> Machine:
    machine = Machine()
    machine.run("deploy", wanted(server, image))
    return machine


def test_every_combination_has_a_standing_and_what_contradicts_it_is_told() -> None:
    seen = set()
    for facts in everything():
        seen.add(standing(facts))
        for want in WANTS:
            assert all(isinstance(text, str) and text for text in contradictions(facts, want))
            for verb in VERBS:
                for force in (False, True):
                    refusal = refused(verb, facts, want, force)
                    assert refusal is None or len(refusal) > 20
    assert seen == set(STANDINGS)


def test_no_plan_moves_a_port_of_a_node_that_is_not_off_nor_powers_on_where_it_does_not_belong() -> None:
    """The two rules, from every combination of facts, for every verb, forced or not."""
    tried = 0
    for facts, want, verb, force in itertools.product(everything(), WANTS, VERBS, (False, True)):
        if verb == "power" and force:
            continue  # the operator has taken that upon himself
        place = next(name for name, phases in PLACES.items() if phases == facts.ports)
        machine = Machine(facts.power or "unknown", place, facts.boot, dict(facts.record), facts.device)
        try:
            machine.run(verb, want, force=force)
        except Refused:
            continue
        tried += 1
    assert tried > 1000


def test_a_server_is_deployed_and_a_second_run_does_nothing() -> None:
    machine = deployed()
    assert (machine.power, machine.place, machine.runs, machine.disk) == ("on", "tenant", "disk", (RED, OLD))
    assert standing(machine.facts()) == "active"
    assert contradictions(machine.facts(), wanted()) == []
    before = len(machine.log)
    machine.run("deploy", wanted())
    machine.run("rebuild", wanted())
    machine.run("adopt", wanted())
    machine.run("power", wanted(), power="on")
    assert len(machine.log) == before


@pytest.mark.parametrize("verb", ["deploy", "delete", "rebuild", "rescue", "inspect"])
def test_a_verb_that_is_stopped_anywhere_ends_well_when_it_is_run_again(verb: str) -> None:
    def begin() -> Machine:
        return Machine() if verb in ("deploy", "inspect") else deployed()

    want = wanted(image=NEW) if verb == "rebuild" else wanted()
    whole = begin()
    whole.run(verb, want)
    for stop in range(LONGEST):
        for again in range(LONGEST):
            machine = begin()
            machine.run(verb, want, stop_after=stop)
            machine.run(verb, want, stop_after=again)
            machine.run(verb, want)
            how = {"log": [], "writes": 0, "runs_made": 0}
            assert {**dataclasses.asdict(machine), **how} == {**dataclasses.asdict(whole), **how}


def test_an_image_that_is_verified_is_not_written_twice() -> None:
    for stop in range(LONGEST):
        machine = Machine()
        machine.run("deploy", wanted(), stop_after=stop)
        machine.run("deploy", wanted())
        assert machine.writes == 1, stop


@pytest.mark.parametrize("again", ["rebuild", "deploy"])
def test_a_forced_rebuild_that_is_stopped_writes_once_and_not_never(again: str) -> None:
    """Whoever goes on with it: the same command, or a deployment, which knows nothing of force."""
    for stop in range(1, LONGEST):
        machine = deployed()
        machine.run("rebuild", wanted(), stop_after=stop, force=True)
        begun = machine.record.get("phase") == "deployment" or machine.writes == 2
        machine.run(again, wanted(), force=again == "rebuild" and not begun)
        assert standing(machine.facts()) == "active"
        assert machine.writes == (2 if begun or again == "rebuild" else 1), stop
    # What was written under a name is not written again by who asks for none.
    machine.record, machine.power, machine.runs = {"phase": "deployment", "server": RED, "image": None}, "off", None
    writes = machine.writes
    machine.run("deploy", wanted())
    assert machine.writes == writes


@pytest.mark.parametrize("verb", ["deploy", "rebuild"])
def test_nothing_is_written_as_long_as_nobody_knows_the_image(verb: str) -> None:
    """As when the file with its checksum is not there: all else goes on."""
    unknown = dataclasses.replace(wanted(), image=None, image_problem="SHA256SUMS is not there.")
    with pytest.raises(Refused, match=r"SHA256SUMS is not there$"):
        Machine().run(verb, unknown)
    machine = deployed()
    assert contradictions(machine.facts(), unknown) == ["SHA256SUMS is not there."]
    machine.run("power", unknown, power="off")
    machine.run("power", unknown, power="on")
    machine.run("delete", unknown)
    assert machine.disk is None


def test_a_node_that_was_powered_off_in_between_goes_on() -> None:
    """As when a run ends with an error: the node is cut off wherever it is."""
    for stop in range(LONGEST):
        machine = Machine()
        machine.run("deploy", wanted(), stop_after=stop)
        machine.power, machine.runs = "off", None
        machine.run("deploy", wanted())
        assert standing(machine.facts()) == "active"
        assert machine.writes == 1


def test_what_is_another_servers_is_never_written_over() -> None:
    machine = deployed(BLUE)
    with pytest.raises(Refused, match=r"still carries server server-of-blue\. server_delete"):
        machine.run("deploy", wanted(RED))
    for stop in range(1, LONGEST):
        machine = deployed(BLUE)
        machine.run("delete", wanted(RED), stop_after=stop)
        if machine.disk is not None or machine.record:
            with pytest.raises(Refused):
                machine.run("deploy", wanted(RED))
        machine.run("delete", wanted(RED))
        machine.run("deploy", wanted(RED))
        assert machine.disk == (RED, OLD)


def booted(server: str = RED) -> Machine:
    machine = Machine()
    machine.run("boot_from_volume", wanted(server, VOLUME))
    return machine


def test_a_server_boots_from_its_volume_and_its_disk_is_not_touched() -> None:
    machine, want = booted(), wanted(image=VOLUME)
    assert (machine.power, machine.place, machine.runs, machine.writes) == ("on", "tenant", "volume", 0)
    assert machine.device == "pxe"
    assert standing(machine.facts()) == "active"
    assert contradictions(machine.facts(), want) == []
    before = len(machine.log)
    machine.run("boot_from_volume", want)
    machine.run("power", want, power="on")
    assert len(machine.log) == before
    machine.run("power", want, power="off")
    machine.run("boot_from_volume", want)
    assert machine.runs == "volume"


def test_a_volume_whose_password_is_new_is_told_without_a_restart() -> None:
    machine, before = booted(), len(booted().log)
    machine.run("boot_from_volume", wanted(image=VOLUME), force=True)
    assert machine.log[before:] == ["volume"]


def test_a_bmc_that_would_boot_the_disk_is_told_again() -> None:
    machine, want = booted(), wanted(image=VOLUME)
    machine.device = "disk"
    assert "boots from its disk each time" in " ".join(contradictions(machine.facts(), want))
    machine.run("boot_from_volume", want)
    assert machine.device == "pxe"


def stands(machine: Machine) -> dict[str, t.Any]:
    """Return how a machine stands, however it came to that."""
    return {**dataclasses.asdict(machine), "log": [], "runs_made": 0}


def test_a_boot_from_a_volume_that_is_stopped_anywhere_ends_well_when_it_is_run_again() -> None:
    for stop, again in itertools.product(range(LONGEST), range(LONGEST)):
        machine = Machine()
        machine.run("boot_from_volume", wanted(image=VOLUME), stop_after=stop)
        machine.run("boot_from_volume", wanted(image=VOLUME), stop_after=again)
        machine.run("boot_from_volume", wanted(image=VOLUME))
        assert stands(machine) == stands(booted())


def test_another_volume_needs_force_and_an_image_a_deletion() -> None:
    machine = booted()
    with pytest.raises(Refused, match="force=true"):
        machine.run("boot_from_volume", wanted(image=OTHER_VOLUME))
    machine.run("boot_from_volume", wanted(image=OTHER_VOLUME), force=True)
    assert machine.record["image"] == OTHER_VOLUME
    for verb in ("deploy", "rebuild"):
        with pytest.raises(Refused, match="server_delete frees it first"):
            machine.run(verb, wanted())
    with pytest.raises(Refused, match="server_delete"):
        deployed().run("boot_from_volume", wanted(image=VOLUME))
    with pytest.raises(Refused, match="still carries server"):
        booted(BLUE).run("boot_from_volume", wanted(image=VOLUME))


@pytest.mark.parametrize("verb", ["deploy", "rebuild", "adopt", "rescue", "unrescue"])
def test_what_is_about_disks_is_refused_to_a_server_that_boots_from_a_volume(verb: str) -> None:
    with pytest.raises(Refused, match="volume"):
        booted().run(verb, wanted(image=VOLUME), force=True)
    with pytest.raises(Refused, match="server_deploy"):
        Machine().run("boot_from_volume", wanted())


def test_a_node_that_ran_a_tenants_system_is_cleaned_though_it_booted_from_a_volume() -> None:
    machine = booted()
    machine.run("delete", wanted(image=VOLUME))
    assert "clean" in machine.log
    assert (machine.power, machine.place, machine.boot, machine.record) == ("off", "idle", "absent", {})


def test_another_image_is_written_by_rebuild_only() -> None:
    machine = deployed()
    with pytest.raises(Refused, match="server_rebuild"):
        machine.run("deploy", wanted(image=NEW))
    machine.run("rebuild", wanted(image=NEW))
    assert machine.disk == (RED, NEW)
    machine.run("rebuild", wanted(image=NEW), force=True)
    assert machine.writes == 3


def test_a_tenants_system_is_given_time_to_end_by_itself() -> None:
    assert plan("delete", deployed().facts(), wanted()).softly
    assert not plan("deploy", Machine(power="on", place="deployment").facts(), wanted()).softly


def test_rescue_and_back() -> None:
    machine = deployed()
    machine.run("rescue", wanted())
    assert (standing(machine.facts()), machine.disk) == ("rescue", (RED, OLD))
    with pytest.raises(Refused, match="node_unrescue"):
        machine.run("deploy", wanted())
    before = len(machine.log)
    machine.run("rescue", wanted())
    assert len(machine.log) == before
    machine.run("unrescue", wanted())
    assert standing(machine.facts()) == "active"
    for stop in range(LONGEST):
        machine = deployed()
        machine.run("rescue", wanted())
        machine.run("unrescue", wanted(), stop_after=stop)
        machine.run("unrescue", wanted())
        assert standing(machine.facts()) == "active"
        assert machine.writes == 1


def test_a_node_is_adopted_as_it_is() -> None:
    found = Machine(power="on", place="tenant", runs="disk")
    with pytest.raises(Refused, match="node_adopt takes it"):
        found.run("deploy", wanted())
    found.run("adopt", wanted())
    assert found.log == ["local"]
    with pytest.raises(Refused, match="not in its server's networks"):
        Machine(power="on").run("adopt", wanted())


def test_a_node_is_powered_on_only_where_it_belongs() -> None:
    with pytest.raises(Refused, match="does not belong"):
        Machine().run("power", wanted(), power="on")
    machine = deployed()
    machine.run("power", wanted(), power="off")
    assert standing(machine.facts()) == "stopped"
    machine.run("power", wanted(), power="on")
    assert standing(machine.facts()) == "active"


def test_what_is_on_in_a_strange_vlan_is_left_alone() -> None:
    for verb in ("deploy", "delete", "inspect", "rebuild"):
        with pytest.raises(Refused, match="VLANs of none of its phases"):
            Machine(power="on", place="strange", runs="disk").run(verb, wanted())
    # It may serve its tenant all the same: one of its switches may be out of order, or a file may say more than before.
    for server, verbs in ((wanted(), ("deploy", "rebuild")), (wanted(image=VOLUME), ("boot_from_volume",))):
        for verb in verbs:
            machine = Machine()
            machine.run(verb, server)
            machine.place = "strange"
            with pytest.raises(Refused, match="VLANs of none of its phases"):
                machine.run(verb, server)
            assert machine.run(verb, server, force=True).softly
            assert (machine.power, machine.place) == ("on", "tenant")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (Facts("on", PLACES["idle"]), "it is on where it should be off"),
        (Facts("off", PLACES["strange"]), "VLANs of none of its phases"),
        (Facts("on", PLACES["tenant"], "ramdisk"), "did not boot by that file"),
        (Facts("on", PLACES["tenant"], "local", {"phase": "tenant", "server": RED, "image": NEW}), "server_rebuild"),
        (Facts("on", PLACES["tenant"], "local", {"phase": "tenant", "server": BLUE}), "carries server server-of-blue"),
        (Facts("on", PLACES["tenant"]), "no run wrote it"),
        (
            Facts("on", PLACES["tenant"], "local", {"phase": "tenant", "server": RED, "image": OLD}, "pxe"),
            "boots from the network each time",
        ),
        (Facts("on", PLACES["tenant"], "iscsi", {"phase": "tenant", "server": RED, "image": VOLUME}), "server_delete"),
        (
            Facts("on", PLACES["deployment"], "ramdisk", {"phase": "deployment"}, None, (ADDRESS, "10.66.100.66")),
            "fetched by 10.66.100.66 as well",
        ),
    ],
)
def test_contradictions(facts: Facts, words: str) -> None:
    assert words in " ".join(contradictions(facts, wanted()))


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(["deploy", "boot_from_volume", "delete", "rebuild", "rescue", "unrescue",
                                           "inspect"]),
                          st.integers(0, LONGEST), st.sampled_from([RED, BLUE, None]),
                          st.sampled_from([OLD, NEW, VOLUME, OTHER_VOLUME])),
                max_size=8))  # fmt: skip
def test_any_history_ends_with_a_clean_node_or_a_server(history: list[tuple[str, int, str | None, str]]) -> None:
    """Whatever verbs were run and stopped, whoever asked: no rule is broken, and deletion and deployment still work."""
    machine = Machine()
    for verb, stop, server, image in history:
        try:
            machine.run(verb, wanted(server, image), stop_after=stop)
        except Refused:
            continue
    machine.run("delete", wanted(None))
    assert (machine.power, machine.place, machine.disk, machine.record) == ("off", "idle", None, {})
    machine.run("deploy", wanted(BLUE, NEW))
    assert (standing(machine.facts()), machine.disk) == ("active", (BLUE, NEW))
