# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed in each of their phases: the same command again ends well, and no image is written twice."""

from __future__ import annotations

import pytest

from ansible_collections.weft.fabric.tests.wire.metal import PORTS, VLANS, at_rest, flips, node_play
from ansible_collections.weft.fabric.tests.wire.plays import play_killed

RED = "server=red/db-1"
#: task, seconds after its begin
DEPLOYMENT = [
    ("Set its switch ports", 0.5),
    ("Make keys for it, and have the ramdisk served", 0.5),
    ("Power it on", 0.5),
    ("Wait for its ramdisk", 8.0),
    ("Write its image", 5.0),
    ("Have the ramdisk power it off", 0.0),
    ("Wait until it is off", 0.5),
    ("Note down what is on its disk, and have it boot from there", 0.5),
    ("Boot it from its disk from now on", 0.5),
]
DELETION = [("Power it off", 0.5), ("Wait for its ramdisk", 8.0), ("Clean its disks", 1.0), ("Forget what it was", 0.5)]


def written(done):
    """Return what was written to disks by a run."""
    return [
        change
        for row in done.tasks
        if row["task"].endswith("Write its image")
        for change in row["result"].get("changes") or ()
    ]


@pytest.mark.parametrize(("task", "after"), DEPLOYMENT)
def test_a_deployment_that_is_killed_goes_on(topology, leaf, nodes, task, after):
    node_play("server_delete", topology, RED)
    assert at_rest(leaf, nodes["n1"])
    play_killed("weft.fabric.server_deploy", topology, "-e", RED, at=f"n1: {task}", after=after)
    stands = leaf.port(PORTS["n1"]).get("vlan")
    assert nodes["n1"].power() == "off" or stands != VLANS["red"], "it is on in the tenant's VLAN before it is done"
    done = node_play("server_deploy", topology, RED)
    assert leaf.port(PORTS["n1"])["vlan"] == VLANS["red"]
    assert nodes["n1"].power() == "on"
    if DEPLOYMENT.index((task, after)) > DEPLOYMENT.index(("Write its image", 5.0)):
        assert written(done) == [], "an image that was there was written again"
    assert node_play("server_deploy", topology, RED).changed == []


@pytest.mark.parametrize(("task", "after"), DELETION)
def test_a_deletion_that_is_killed_goes_on(topology, leaf, nodes, task, after):
    node_play("server_deploy", topology, RED)
    play_killed("weft.fabric.server_delete", topology, "-e", RED, at=f"n1: {task}", after=after)
    node_play("server_delete", topology, RED)
    assert at_rest(leaf, nodes["n1"])
    assert node_play("server_delete", topology, RED).changed == []


def test_no_port_ever_changed_while_its_node_was_on(nodes):
    """Whatever was killed above, and whenever."""
    for name, node in nodes.items():
        since = min((event.time for event in node.bmc_log()), default=0.0)
        assert [flip for flip in flips(name, since) if not node.was_off_at(flip.when)] == []
