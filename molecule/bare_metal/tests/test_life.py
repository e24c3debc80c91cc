# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two servers of two tenants, from registered nodes to machines that their tenants reach, and back to idle nodes."""

from __future__ import annotations

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.tests.wire.leaf import READING
from ansible_collections.weft.fabric.tests.wire.metal import (
    DEPLOYMENT,
    VLANS,
    at_rest,
    commands,
    flips,
    move,
    node_play,
    secret,
)
from ansible_collections.weft.fabric.tests.wire.metal_times import times

OTHER = {"red": "blue", "blue": "red"}
NODES = {"red": "n1", "blue": "n2"}


def address(model, project, server="db-1"):
    port = model.projects[project].ports[f"server-{server}-metal"]
    return str(port.addresses[0])


@pytest.mark.parametrize("project", ["red", "blue"])
def test_a_server_is_reached_by_its_tenant_at_the_address_that_was_foretold(story, model, tenants, project):
    own, other = tenants[project], tenants[OTHER[project]]
    target = address(model, project)
    assert own.reaches(target)
    assert not other.reaches(target, 2), f"{target} of {project} answers {OTHER[project]}"
    assert own.ssh(target, "hostname; cat /root/secret; ip -o -4 address show scope global") .split()[:2] == [
        "db-1", secret(project)
    ]  # fmt: skip
    assert f"{target}/24" in own.ssh(target, "ip -o -4 address show scope global")


def test_no_frame_of_a_node_is_where_it_does_not_belong(story):
    """On the trunks each node is in the deployment's VLAN first and in its tenant's then, and never elsewhere."""
    for project, name in NODES.items():
        frames = story.wires.frames(name)
        vlans = [frame.vlan for frame in frames]
        assert set(vlans) == {DEPLOYMENT, VLANS[project]}
        assert vlans == sorted(vlans, key=[DEPLOYMENT, VLANS[project]].index), f"{name} was in both at once"


def test_no_node_hears_the_other_once_it_is_a_tenants(story):
    """In the deployment's VLAN both are; what one says there to all, the other hears."""
    for project, name in NODES.items():
        begun = min(frame.when for frame in story.wires.frames(name) if frame.vlan == VLANS[project])
        for listener in set(NODES.values()) - {name}:
            assert [moment for moment in story.wires.overheard(listener, name) if moment >= begun] == []


def test_nodes_were_off_whenever_a_port_changed(story, nodes):
    for project, name in NODES.items():
        found = flips(name, story.since)
        assert [flip.after for flip in found] == [DEPLOYMENT, VLANS[project]]
        assert [flip for flip in found if not nodes[name].was_off_at(flip.when)] == []


def test_a_second_run_changes_nothing_and_tells_nobody_anything(story):
    assert story.again.changed == []
    assert set(story.asked_again) <= READING


def test_status_shows_both_and_finds_nothing_wrong(story):
    for name in NODES.values():
        assert f"{name}  " in story.status.output
    assert story.status.output.count("active") == len(NODES)


def test_a_server_is_deleted_and_its_node_serves_the_other_tenant(story, topology, tenants, nodes, leaf, figure):
    node, red = nodes["n1"], secret("red").encode()
    assert node.disk_contains(red)
    deleted = node_play("server_delete", topology, "server=red/db-1")
    assert at_rest(leaf, node)
    assert node.boots_nothing()
    assert node_play("server_delete", topology, "server=red/db-1").changed == []

    move(topology, "red", "blue")
    mark = node.mark()
    node_play("site", topology)
    done = node_play("server_deploy", topology, "server=blue/db-2")
    node.wait_console(r"^tiny: ready", 90, mark)
    target = address(build(str(topology)), "blue", "db-2")
    assert tenants["blue"].ssh(target, "cat /root/secret") == secret("blue")
    assert not tenants["red"].reaches(target, 2)
    assert not node.disk_contains(red), "the second tenant's disk still has what the first one wrote"
    figure(f"bare metal: deleted in {deleted.seconds:.0f} s, and deployed to another tenant in {done.seconds:.0f} s")
    for line in times(done, "n1"):
        figure(f"bare metal: one alone: {line}")


def test_a_bmc_that_says_nothing_harms_nobody(story, topology, nodes):
    """Its node is told, the other one is looked at, and neither gets a command."""
    since = story.since
    before = {name: commands(node, since) for name, node in nodes.items()}
    with nodes["n2"].fault("silent"):
        done = node_play("server_deploy", topology, check=False)
    assert list(done.failures) == ["n2"]
    assert "n2" in done.failures["n2"]
    assert {name: commands(node, since) for name, node in nodes.items()} == before
