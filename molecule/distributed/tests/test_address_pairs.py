# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One address that two machines share, behind a distributed router: it is where its holder is."""

from __future__ import annotations

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_routers import ECHO, WORLD
from ansible_collections.weft.fabric.tests.wire.lab import wait_for

VIP = "10.0.0.200"
HOLDERS = ("vip-1", "vip-2")


def take(machine):
    """Hold the address, and say so as VRRP daemons do."""
    machine.tenant.run(f"ip address replace {VIP}/32 dev eth0")
    machine.tenant.run(f"arping -U -c 1 -w 1 -I eth0 -s {VIP} {VIP}")


def drop(machine):
    machine.tenant.run(f"ip address delete {VIP}/32 dev eth0 || true")


@pytest.fixture
def holders(machines):
    found = [machines("red", name) for name in HOLDERS]
    yield found
    for machine in found:
        drop(machine)


def test_it_is_reached_from_the_other_subnet_and_from_outside_and_follows_its_holder(
    machines, world, model, router, holders, figure
):
    neighbours = [machines("red", name) for name in ("db-1", "db-2")]
    floating = str(model.projects["red"].floating_ips["vip"].address)
    assert neighbours[0].host.name != neighbours[1].host.name
    for neighbour in neighbours:
        assert not neighbour.reaches(VIP, 1), "nobody holds it yet"
    for holder in (*holders, holders[0]):
        for other in holders:
            drop(other)
        take(holder)
        for neighbour in neighbours:
            wait_for(f"{VIP} at {neighbour}", lambda neighbour=neighbour: neighbour.reaches(VIP, 1), 5)
            assert neighbour.ask(("tcp", VIP, ECHO)) == [f"{holder} {neighbour.address()}"]
        wait_for(f"{floating} outside", lambda: world.host.try_run(f"ping -n -c 1 -W 1 {floating}").returncode == 0, 5)
        assert world.ask(("tcp", floating, ECHO)) == [f"{holder} {WORLD}"]
    # Nobody knows beforehand on which host it is, so a network node translates.
    answers = world.host.run(f"arping -c 1 -w 2 -I eth2 {floating}").lower()
    assert router("red", "ha").gateway_mac in answers
