# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes on through an HA router while something happens to it, and for how long it stood still."""

from __future__ import annotations

import time
import typing as t

import pytest

from .conftest_routers import ECHO, WORLD, Machines, World
from .traffic import Held, PingTrack

# A failover that takes this long is broken; how long it takes is measured and printed.
BROKEN = 5.0


class Traffic:
    """10 ms pings, TCP sessions and UDP streams, out by SNAT and in by floating IP."""

    def __init__(self, machines: Machines, world: World) -> None:
        floating, plain = machines("red", "web-1").autoconfigured(), machines("red", "web-2")
        other = machines("red", "db-2").autoconfigured()
        self.pings = {
            "ping SNAT": PingTrack(plain.host, plain.namespace, WORLD),
            "ping floating IP": PingTrack(world.host, None, floating.floating or ""),
            "ping IPv6": PingTrack(floating.host, floating.namespace, other.address(6)),
        }
        self.sessions = {
            "TCP SNAT": Held(plain.host, plain.namespace, "tcp", WORLD, ECHO),
            "TCP floating IP": Held(world.host, None, "tcp", floating.floating or "", ECHO),
            "UDP SNAT": Held(plain.host, plain.namespace, "udp", WORLD, ECHO),
            "UDP floating IP": Held(world.host, None, "udp", floating.floating or "", ECHO),
        }

    def _all(self) -> dict[str, PingTrack | Held]:
        return {**self.pings, **self.sessions}

    def check_sessions(self) -> None:
        """All of them go on, and their servers have seen each under one address and port all the time."""
        dead = {name: one.ended() for name, one in self.sessions.items() if not one.answers_within(BROKEN)}
        assert dead == {}
        seen = {name: one.seen_as() for name, one in self.sessions.items()}
        assert {name: addresses for name, addresses in seen.items() if len(addresses) != 1} == {}

    def longest_gaps(self, *windows: tuple[float, float]) -> list[dict[str, float]]:
        """Return for each stretch of time how long each kind of traffic stood still at most."""
        timelines = {name: one.timeline() for name, one in self._all().items()}
        return [{name: line.longest_gap(*window) for name, line in timelines.items()} for window in windows]

    def stop(self) -> None:
        for one in self._all().values():
            one.stop()


def show(gaps: dict[str, float]) -> str:
    return ", ".join(f"{name} {gap:.2f}" for name, gap in gaps.items())


@pytest.fixture
def traffic(machines: Machines, world: World) -> t.Iterator[Traffic]:
    """Traffic of all kinds that has been going on for a moment."""
    found = Traffic(machines, world)
    try:
        started = time.time()
        found.check_sessions()
        assert time.time() - started < BROKEN
        yield found
    finally:
        found.stop()
