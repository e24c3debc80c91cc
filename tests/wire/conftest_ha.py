# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes on through an HA router while something happens to it, and for how long it stood still."""

from __future__ import annotations

import time
import typing as t

import pytest

from .conftest_routers import ECHO, WORLD, Machines, World
from .traffic import Held, PingTrack, Watched

# A failover that takes this long is broken; how long it takes is measured and printed.
BROKEN = Watched.BROKEN


class Traffic(Watched):
    """10 ms pings, TCP sessions and UDP streams, out by SNAT and in by floating IP."""

    def __init__(self, machines: Machines, world: World) -> None:
        floating, plain = machines("red", "web-1").autoconfigured(), machines("red", "web-2")
        other = machines("red", "db-2").autoconfigured()
        pings = {
            "ping SNAT": PingTrack(plain.host, plain.namespace, WORLD),
            "ping floating IP": PingTrack(world.host, None, floating.floating or ""),
            "ping IPv6": PingTrack(floating.host, floating.namespace, other.address(6)),
        }
        sessions = {
            "TCP SNAT": Held(plain.host, plain.namespace, "tcp", WORLD, ECHO),
            "TCP floating IP": Held(world.host, None, "tcp", floating.floating or "", ECHO),
            "UDP SNAT": Held(plain.host, plain.namespace, "udp", WORLD, ECHO),
            "UDP floating IP": Held(world.host, None, "udp", floating.floating or "", ECHO),
        }
        Watched.__init__(self, pings, sessions)


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
