# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed in each of their phases: the same command again ends well, and no image is written twice."""

from __future__ import annotations

import time
import typing as t

import pytest

from ansible_collections.weft.fabric.tests.wire.metal import (
    PORTS,
    RED,
    VLANS,
    astray,
    at_rest,
    flips,
    node_play,
    secret,
)
from ansible_collections.weft.fabric.tests.wire.plays import play_killed


class Kill(t.NamedTuple):
    """When a run is killed: so many seconds after a task of n1 has begun, for the n-th time.

    A task that is skipped begins, too: of two with one name the second is the second in every run.
    """

    task: str
    after: float = 0.5
    times: int = 1

    def __str__(self) -> str:
        return f"{self.task}{f' ({self.times})' if self.times > 1 else ''} + {self.after:g} s"


SWITCH, FILES, DEVICE = (
    "Set its switch ports",
    "Make keys for it, and have the ramdisk served",
    "Boot it from the network next time",
)
OFF, ON, WAIT, RESUME = "Power it off", "Power it on", "Wait for its ramdisk", "Try to get into it"
WRITE, CLEAN, READ, FORGET = "Write its image", "Clean its disks", "Read its disks again", "Forget what it was"
LEAVE, GONE = "Have the ramdisk power it off", "Wait until it is off"
LOCAL, DISK = "Note down what is on its disk, and have it boot from there", "Boot it from its disk from now on"

#: One run after the other, each killed a phase later than the one before; what a run finds done it does not do again.
DEPLOYMENT = [
    Kill(SWITCH),
    Kill(FILES),
    Kill(DEVICE),
    Kill(ON),
    Kill(RESUME, 5.0),
    Kill(WRITE, 6.0),
    Kill(LEAVE, 0.0),
    Kill(GONE),
    # The next steps take less than half a second, too.
    Kill(LOCAL, 0.1),
    Kill(DISK, 0.1),
    Kill(ON, times=2),
]
DELETION = [
    Kill(OFF),
    Kill(SWITCH),
    Kill(FILES),
    Kill(ON),
    Kill(RESUME, 5.0),
    Kill(CLEAN, 1.0),
    Kill(READ),
    Kill(LEAVE, 0.0),
    Kill(FORGET, 0.1),
    Kill(SWITCH, times=2),
]
#: A deployment that is killed once, and the deletion that makes room for the next one.
PAIRS = [
    (Kill(WAIT, 8.0), Kill(OFF)),
    (Kill(WRITE, 6.0), Kill(CLEAN, 1.0)),
    (Kill(GONE), Kill(LEAVE, 0.0)),
    (Kill(SWITCH, times=2), Kill(SWITCH, times=2)),
]
#: A rebuild goes the same way from another beginning; how often the image is written by whoever goes on, and whether
#: that one still says force: once it is noted down that the server is there, force would have it written once more.
#: What writes in the ramdisk outlives the run that has started it, and may be done before somebody comes to look.
REBUILDS = [
    (Kill(OFF, 2.0), {1}, True),
    (Kill(DEVICE), {1}, True),
    (Kill(WRITE, 6.0), {0, 1}, True),
    (Kill(LEAVE, 0.0), {0}, True),
    (Kill(ON, times=2), {0}, False),
]


@pytest.fixture(scope="module", autouse=True)
def begun() -> float:
    return time.time()


def written(tasks: list[dict[str, t.Any]]) -> list[str]:
    """Return the images that were written to disks by a run."""
    return [
        change
        for row in tasks
        if row["task"].endswith("Write its image")
        for change in row["result"].get("changes") or ()
        if ": image " in change
    ]


def kill(verb: str, topology, when: Kill, *words: str) -> list[dict[str, t.Any]]:
    extra = [word for setting in (RED, *words) for word in ("-e", setting)]
    return play_killed(
        f"weft.fabric.{verb}", topology, *extra, at=f"n1: {when.task}", after=when.after, times=when.times
    )


def is_active(leaf, node) -> bool:
    return leaf.port(PORTS["n1"])["vlan"] == VLANS["red"] and node.power() == "on"


def test_deployments_that_are_killed_in_one_phase_after_the_other_come_to_the_end(topology, leaf, blank, calm):
    found = [change for when in DEPLOYMENT for change in written(kill("server_deploy", topology, when))]
    done = node_play("server_deploy", topology, RED)
    assert is_active(leaf, blank)
    assert len(found) + len(written(done.tasks)) <= 1, "an image that was there was written again"
    assert node_play("server_deploy", topology, RED).changed == []


def test_deletions_that_are_killed_in_one_phase_after_the_other_come_to_the_end(topology, leaf, nodes, calm):
    node_play("server_deploy", topology, RED)
    for when in DELETION:
        kill("server_delete", topology, when)
    node_play("server_delete", topology, RED)
    assert at_rest(leaf, nodes["n1"])
    assert nodes["n1"].boots_nothing()
    assert node_play("server_delete", topology, RED).changed == []


@pytest.mark.parametrize(("deployment", "deletion"), PAIRS, ids=str)
def test_a_deployment_and_a_deletion_that_are_killed_go_on(topology, leaf, blank, calm, deployment, deletion):
    before = written(kill("server_deploy", topology, deployment))
    done = node_play("server_deploy", topology, RED)
    assert is_active(leaf, blank)
    assert len(before) + len(written(done.tasks)) <= 1, "an image that was there was written again"
    assert node_play("server_deploy", topology, RED).changed == []

    kill("server_delete", topology, deletion)
    node_play("server_delete", topology, RED)
    assert at_rest(leaf, blank)
    assert blank.boots_nothing()
    assert node_play("server_delete", topology, RED).changed == []


@pytest.mark.parametrize(("when", "writes", "force"), REBUILDS, ids=str)
def test_a_rebuild_that_is_killed_goes_on(topology, leaf, nodes, calm, tenant, address, when, writes, force):
    """The same image again, which only force does: neither is it forgotten, nor done twice."""
    node_play("server_deploy", topology, RED)
    tenant.ssh(address, "echo lost >/root/mine; sync")
    kill("server_rebuild", topology, when, "force=true")
    done = node_play("server_rebuild", topology, RED, f"force={force}")
    assert is_active(leaf, nodes["n1"])
    assert len(written(done.tasks)) in writes
    assert tenant.ssh(address, "ls /root/mine 2>/dev/null; cat /root/secret") == secret("red")
    assert node_play("server_rebuild", topology, RED).changed == []


def test_no_port_ever_changed_while_its_node_was_on(nodes, begun):
    """Whatever was killed above, and whenever."""
    assert flips("n1", begun) != []
    for name, node in nodes.items():
        assert [flip for flip in flips(name, begun) if not node.was_off_at(flip.when)] == []


def test_no_node_was_ever_powered_on_where_it_does_not_belong(nodes, begun):
    """The BMC's log against the switch's audit."""
    assert astray(nodes["n1"], "red", begun) == []
    assert astray(nodes["n2"], "blue", begun) == []
