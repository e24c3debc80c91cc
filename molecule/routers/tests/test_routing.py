# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routers without translation, further routes, several next hops, and two routers that meet in a shared network."""

from __future__ import annotations

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_routers import ECHO, WORLD
from ansible_collections.weft.fabric.tests.wire.lab import Capture
from ansible_collections.weft.fabric.tests.wire.traffic import REFUSED, SILENCE

# What is behind both of the next hops of green/left.
BEHIND = "10.30.0.1"
BOTH = (("tcp", WORLD, ECHO), ("udp", WORLD, ECHO))


@pytest.fixture
def way_back(world, router):
    """The world knows the way into green/open."""
    world.route("10.20.0.0/24", router("green", "open").outside())
    yield
    world.forget("10.20.0.0/24")


def test_without_snat_the_source_is_kept(machines, way_back):
    machine = machines("green", "open-1")
    assert machine.ask(*BOTH) == [f"world {machine.address()}"] * 2


def test_without_snat_and_a_way_back_nothing_answers(machines, world):
    machine = machines("green", "open-1")
    capture = Capture(world.host, "eth2", f"src host {machine.address()}")
    assert set(machine.ask(*BOTH)) <= {SILENCE, REFUSED}
    assert capture.stop(), "nothing left the fabric at all"


def test_without_snat_the_world_reaches_in(machines, world, way_back):
    found = [machines("green", name) for name in ("open-1", "open-2")]
    assert world.ask(("tcp", found[0].address(), ECHO)) == [f"{found[0]} {WORLD}"]
    # Who has a floating IP leaves with it, here too.
    assert found[1].ask(*BOTH) == [f"world {found[1].floating}"] * 2
    assert world.ask(("udp", found[1].floating, ECHO)) == [f"{found[1]} {WORLD}"]


def test_two_routers_meet_in_a_shared_network(machines):
    """Each knows the other's network by a route; the packets go over both, and back."""
    left, right = machines("green", "left-1"), machines("yellow", "right-1")
    for sender, receiver in ((left, right), (right, left)):
        assert sender.reaches(receiver.address())
        assert sender.ask(("tcp", receiver.address(), ECHO)) == [f"{receiver} {sender.address()}"]
    for hops_left, said_by in ((1, "10.21.0.1"), (2, "172.16.0.2")):
        command = f"ip netns exec {left.namespace} ping -n -c 1 -W 1 -t {hops_left} {right.address()}"
        assert f"From {said_by} " in left.host.try_run(command).stdout


def test_a_network_without_a_route_to_it_is_not_reached(machines):
    """The other networks of the project are behind other routers, and nobody has said how to get there."""
    right = machines("yellow", "right-1")
    targets = [machines("green", "open-1").address(), machines("red", "web-2").address(), BEHIND, WORLD]
    assert set(right.ask(*(("tcp", target, ECHO) for target in targets))) <= {SILENCE, REFUSED}


@pytest.fixture(scope="module")
def hops(machines):
    """The two machines behind which the destination of a route is: each has its address."""
    found = [machines("admin", name) for name in ("hop-1", "hop-2")]
    for hop in found:
        hop.tenant.run(f"ip address replace {BEHIND}/32 dev lo")
    return found


def test_several_next_hops_share_the_traffic(machines, hops, figure):
    """Connections are spread over both hops, and each stays with its own; both answer from the shared address."""
    left = machines("green", "left-1")
    answers = [answer for _turn in range(4) for answer in left.ask(*[("tcp", BEHIND, ECHO)] * 16)]
    by_hop = {hop.name: answers.count(f"{hop} {left.address()}") for hop in hops}
    figure(f"routers: 64 connections over two next hops: {by_hop}")
    assert sum(by_hop.values()) == len(answers), answers
    assert min(by_hop.values()) >= 8


def test_next_to_a_route_nothing_is_reached(machines, hops):
    left = machines("green", "left-1")
    for hop in hops:
        hop.tenant.run("ip address replace 10.31.0.1/32 dev lo")
    assert set(left.ask(("tcp", "10.31.0.1", ECHO), ("tcp", "10.30.0.2", ECHO))) <= {SILENCE, REFUSED}
