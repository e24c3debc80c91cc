# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A router becomes one kind after the other by editing two words of the file, while traffic goes through it."""

from __future__ import annotations

import time

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_routers import ECHO, WORLD
from ansible_collections.weft.fabric.tests.wire.lab import wait_for
from ansible_collections.weft.fabric.tests.wire.plays import edit, play
from ansible_collections.weft.fabric.tests.wire.traffic import Held, PingTrack, Watched

# The sessions that a step ends are those that another namespace translates from then on: docs/routers.md promises so.
# East-west nothing is translated, and no session ends.
TRANSLATED = {"TCP SNAT", "TCP floating IP"}

# A conversion that takes traffic away for so many seconds is broken; how long it does is measured and printed.
BROKEN = 20.0

# (step, ha, distributed, the sessions that it ends)
STEPS = (
    ("centralised to HA", True, False, set()),
    ("HA to HA and distributed", True, True, TRANSLATED),
    ("HA and distributed to distributed", False, True, set()),
    ("distributed to centralised", False, False, TRANSLATED),
)


@pytest.fixture
def ends(machines, world):
    """Sender without a floating IP, its neighbour with one, and who is in the other subnet on the other host."""
    plain, floating, other = (machines("green", name) for name in ("left-2", "left-1", "right-1"))
    floating.tenant.dhcp(6)
    wait_for("a default route", lambda: floating.default_route_v6() or (floating.solicit() and None), 20)
    return plain, floating, other.autoconfigured()


@pytest.fixture
def pings(ends, world):
    plain, floating, other = ends
    found = {
        "east-west": PingTrack(plain.host, plain.namespace, other.address()),
        "east-west IPv6": PingTrack(floating.host, floating.namespace, other.address(6)),
        "SNAT": PingTrack(plain.host, plain.namespace, WORLD),
        "floating IP": PingTrack(world.host, None, floating.floating),
    }
    yield found
    for ping in found.values():
        ping.stop()


def sessions(ends, world):
    plain, floating, other = ends
    return {
        "TCP east-west": Held(plain.host, plain.namespace, "tcp", other.address(), ECHO),
        "TCP SNAT": Held(plain.host, plain.namespace, "tcp", WORLD, ECHO),
        "TCP floating IP": Held(world.host, None, "tcp", floating.floating, ECHO),
    }


def become(ha, distributed):
    return lambda data: data["projects"]["green"]["routers"]["changing"].update(ha=ha, distributed=distributed)


def test_a_router_is_converted_into_each_kind_and_back(ends, pings, world, topology, figure):
    for step, ha, distributed, ended in STEPS:
        watched = Watched(pings, sessions(ends, world))
        edit(topology, become(ha, distributed))
        foretold = play("weft.fabric.site", topology, "--check")
        started = time.time()
        done = play("weft.fabric.site", topology)
        over = time.time()
        # What is lost shows up when the next answer has come.
        for name, ping in pings.items():
            wait_for(f"an answer to {name}", lambda ping=ping, over=over: ping.timeline().answered(over, over + 60))
        alive = watched.alive()
        (gaps,) = Watched(pings, {}).longest_gaps((started, time.time()))
        for session in watched.sessions.values():
            session.stop()
        figure(
            f"distributed: {step} in {done.seconds:.1f} s: "
            + ", ".join(f"{name} {gap:.2f} s" for name, gap in gaps.items())
            + f"; sessions that live on: {', '.join(name for name, lives in alive.items() if lives)}"
        )
        assert foretold.changes() == done.changes()
        assert max(gaps.values()) < BROKEN
        assert {name for name, lives in alive.items() if not lives} == ended
        # New ones get through all the same, and as they should.
        plain, floating, other = ends
        assert plain.ask(("tcp", other.address(), ECHO)) == [f"{other} {plain.address()}"]
        assert floating.ask(("tcp", WORLD, ECHO)) == [f"world {floating.floating}"]
        assert world.ask(("tcp", floating.floating, ECHO)) == [f"{floating} {WORLD}"]
    assert play("weft.fabric.site", topology).changed == []
