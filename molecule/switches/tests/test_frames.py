# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames on a physical switch: who hears whom, before, during and after a change; seen at all ports."""

from __future__ import annotations

import shutil
import typing as t
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_switches import MEMBERS, NOTHING, PORTS, SENT
from ansible_collections.weft.fabric.tests.wire.frames import Caught, Probes, Vlans, Way, look, seen, ways
from ansible_collections.weft.fabric.tests.wire.lab import Host, wait_for
from ansible_collections.weft.fabric.tests.wire.leaf import READING, UPLINK, Leaf
from ansible_collections.weft.fabric.tests.wire.plays import Play, edit, fault, play

# Only what is caught somewhere: many probes would be a load of their own.
STREAMS = {
    "cmp1:eth2": (110, 120),
    "cmp2:eth2": (110,),
    "rack1:eth3": (0,),
    "rack1:eth4": (0, 110),
    "world:eth2": (120,),
}
# Open vSwitch looks at its flows again within half a second of a change, each by itself.
SETTLING = 1.0


@dataclass
class Change:
    """Ethernet3 goes from red's VLAN to blue's: what was foretold, done, asked of the switch, and heard meanwhile."""

    foretold: Play
    asked_by_check: list[str]
    done: Play
    asked: list[str]
    again: Play
    asked_again: list[str]
    startup: dict[str, t.Any]
    before: set[Way]
    after: set[Way]
    caught: list[Caught]


@pytest.fixture(scope="module")
def change(lab: t.Callable[[str], Host], leaf: Leaf, tmp_path_factory: pytest.TempPathFactory) -> Change:
    source = Path(__file__).parents[3] / "examples/switches/topology.yml"
    topology = tmp_path_factory.mktemp("change") / "topology.yml"
    shutil.copy(source, topology)
    shutil.copy(source.with_suffix(".lock.yml"), topology.with_suffix(".lock.yml"))
    edit(topology, lambda data: data["switches"]["leaf1"]["ports"]["Ethernet3"].update(network="blue/web"))
    changed: dict[str, Vlans] = {**PORTS, "rack1:eth3": (120, NOTHING)}

    def run(*options: str) -> tuple[Play, list[str]]:
        mark = leaf.mark()
        done = play("weft.fabric.switches", topology, *options)
        return done, leaf.requests(mark)

    try:
        foretold, asked_by_check = run("--check", "--diff")
        probes = Probes(lab, STREAMS, PORTS)
        probes.wait()
        done, asked = run()
        probes.wait(2 * SETTLING)
        caught = probes.stop()
        again, asked_again = run()
        startup = leaf.port("Ethernet3", "startup")
    finally:
        play("weft.fabric.switches", source)
    return Change(
        foretold, asked_by_check, done, asked, again, asked_again, startup,
        ways(PORTS, STREAMS), ways(changed, STREAMS), caught,
    )  # fmt: skip


def test_a_frame_reaches_its_vlans_members_and_nobody_else(lab):
    assert look(lab, SENT, PORTS) == ways(PORTS, SENT)


def test_a_check_run_only_reads_and_foretells_all(change):
    assert set(change.asked_by_check) <= READING, "a check run asked the switch for more than to read"
    assert change.foretold.changes() == change.done.changes()
    assert change.done.changes() == {"leaf1": ["change Ethernet3: access VLAN 110 -> access VLAN 120"]}


def test_a_change_is_one_edit_and_is_confirmed_and_saved_once(change):
    assert change.asked.count("edit-config") == 1
    # One that has to be confirmed, and the confirmation.
    assert change.asked.count("commit") == 2
    assert change.asked.count("copy-config") == 1
    assert change.startup["vlan"] == 120


def test_a_second_run_only_reads(change):
    assert change.again.changed == []
    assert set(change.asked_again) <= READING


def test_no_frame_goes_astray_while_a_port_changes_its_vlan(change, figure):
    """A port is in its old VLAN or in its new one: never in both, nor in none for long, and no other port notices."""
    old, new = change.before - change.after, change.after - change.before
    assert old
    assert new
    assert seen(change.caught) == change.before | change.after
    last_old = max(one.sent_at for one in change.caught if one.way in old)
    first_new = min(one.sent_at for one in change.caught if one.way in new)
    assert last_old - first_new < SETTLING
    assert first_new - last_old < SETTLING
    for way in change.before & change.after:
        times = [one.sent_at for one in change.caught if one.way == way]
        gap = max(later - earlier for earlier, later in zip(times, times[1:], strict=False))
        assert gap < SETTLING, f"{way}: nothing for {gap:.2f} s"
    figure(f"switches: a port changes its VLAN: {1000 * (first_new - last_old):.0f} ms between the old and the new one")


def test_a_vlan_comes_with_a_network_and_goes_with_it(lab, leaf, topology, topology_source):
    def add(data: dict[str, t.Any]) -> None:
        network = {"type": "vlan", "physical_network": "physnet1", "segmentation_id": 150}
        subnets = {"lan-v4": {"cidr": "10.150.0.0/24", "enable_dhcp": False}}
        binding = {"kind": "veth", "namespace": "green-1"}
        ports = {"green-1": {"network": "lan", "host": "cmp2", "binding": binding}}
        data["projects"]["green"] = {"networks": {"lan": {**network, "subnets": subnets}}, "ports": ports}

    sent, caught = {"cmp2:eth2": (110, 150)}, ("cmp1:eth2", "rack1:eth3", "rack1:eth4", "world:eth2")
    there = {Way("cmp2:eth2", 150, "world:eth2", 150)}
    before = look(lab, sent, caught)
    assert not before & there
    uplink = leaf.port(UPLINK)
    play("weft.fabric.switches", edit(topology, add))
    assert 150 in leaf.vlans()
    wait_for("VLAN 150", lambda: look(lab, sent, caught) == before | there, 5)
    play("weft.fabric.switches", topology_source)
    assert 150 not in leaf.vlans()
    wait_for("the end of VLAN 150", lambda: look(lab, sent, caught) == before, 5)
    assert leaf.port(UPLINK) == uplink


def test_an_aggregate_carries_on_with_a_member_less(lab, leaf, blue, bonded, figure):
    assert leaf.bridge_port("Port-Channel1")["lacp"] == "active"
    rack = [f"rack1:{member}" for member in MEMBERS]
    copies = {way.receiver for way in look(lab, {"cmp1:eth2": (120,)}, rack)}
    assert len(copies) == 1, "a frame comes over one member"
    ping = blue.ping("10.0.0.250")
    for member in MEMBERS:
        fault("link_down", "rack1", member)
        wait_for(f"the end of {member}", lambda m=member: "may_enable: false" in bond_member(lab, m), 10)
        assert blue.reaches("10.0.0.250")
        fault("link_up", "rack1", member)
        wait_for(f"{member} again", lambda m=member: "may_enable: true" in bond_member(lab, m), 10)
    result = ping.stop()
    figure(f"switches: both members of an aggregate pulled in turn: {result}")
    assert result.longest_gap < 2 * SETTLING


def bond_member(lab: t.Callable[[str], Host], member: str) -> str:
    """Return what the rack's end says about a member of its bond."""
    text = lab("rack1").run("ovs-appctl bond/show bond0")
    return text.partition(f" {member}:")[2].partition("\n\n")[0]
