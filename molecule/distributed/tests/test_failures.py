# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes on without any network node, and how hosts come back."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_routers import ECHO, WORLD
from ansible_collections.weft.fabric.tests.wire.lab import wait_for
from ansible_collections.weft.fabric.tests.wire.plays import fault, play
from ansible_collections.weft.fabric.tests.wire.traffic import Held, PingTrack, Watched

NETWORK_NODES = ("net1", "net2")
# How long it is watched what goes on without them.
WATCHED = 3.0


@pytest.fixture
def local(machines, world):
    """What needs no network node."""
    web, plain, db = machines("red", "web-1"), machines("red", "web-2"), machines("red", "db-2")
    app, store = machines("red", "app-1"), machines("red", "store-2")
    found = Watched(
        {
            "east-west": PingTrack(plain.host, plain.namespace, db.address()),
            "east-west, no HA": PingTrack(store.host, store.namespace, app.address()),
            "east-west IPv6": PingTrack(web.host, web.namespace, db.autoconfigured().address(6)),
            "in by floating IP": PingTrack(world.host, None, web.floating),
            "out with floating IP": PingTrack(db.host, db.namespace, WORLD),
            "a neighbour's floating IP": PingTrack(app.host, app.namespace, store.floating),
        },
        {
            "TCP floating IP": Held(world.host, None, "tcp", web.floating, ECHO),
            "TCP east-west": Held(plain.host, plain.namespace, "tcp", db.address(), ECHO),
        },
    )
    yield found
    found.stop()


@pytest.fixture
def snat(machines):
    """A machine that reaches the world by a network node only."""
    return machines("red", "web-2")


def test_without_any_network_node_east_west_and_floating_ips_go_on(local, snat, lab, router, topology_source, figure):
    assert snat.reaches(WORLD)
    with ThreadPoolExecutor() as both:
        list(both.map(lambda node: fault("power_cut", node), NETWORK_NODES))
    for node in NETWORK_NODES:
        lab(node).forget_connection()
    assert not snat.reaches(WORLD), "a network node is still there"
    end = time.monotonic() + WATCHED
    wait_for("some time to pass", lambda: time.monotonic() > end)
    local.check_sessions()
    figure(f"distributed: both network nodes without power: {local.show()}")
    local.check_nothing_lost()
    started = time.monotonic()
    with ThreadPoolExecutor() as both:
        list(both.map(lambda node: fault("power_on", node), NETWORK_NODES))
    router("red", "ha").primary(seconds=40)
    wait_for("SNAT after a power cut of both nodes", lambda: snat.reaches(WORLD, 1), 20)
    figure(f"distributed: SNAT right {time.monotonic() - started:.1f} s after power was back; {local.show()}")
    local.check_sessions()
    local.check_nothing_lost()
    again = play("weft.fabric.site", topology_source)
    assert again.changed == [], again.changes()


def test_a_compute_node_comes_back_from_a_power_cut_without_ansible(machines, world, lab, topology_source, figure):
    host = lab("cmp1")
    fault("power_cut", "cmp1")
    host.forget_connection()
    machines.forget("cmp1")
    started = time.monotonic()
    fault("power_on", "cmp1")
    wait_for(
        "the replay at boot",
        lambda: host.try_run("systemctl is-active weft-fabric-replay").stdout.strip() == "active",
        30,
    )
    # The tenants' machines have lost their power too.
    web, plain, app = (machines("red", name) for name in ("web-1", "web-2", "app-1"))
    db = machines("red", "db-2")
    wait_for("a floating IP", lambda: world.host.try_run(f"ping -n -c 1 -W 1 {web.floating}").returncode == 0, 20)
    figure(f"distributed: power cut of cmp1: floating IP right {time.monotonic() - started:.1f} s after power was back")
    assert world.ask(("tcp", web.floating, ECHO), ("udp", app.floating, ECHO)) == [f"{web} {WORLD}", f"{app} {WORLD}"]
    assert web.ask(("tcp", WORLD, ECHO)) == [f"world {web.floating}"]
    assert plain.reaches(WORLD)
    assert plain.ask(("tcp", db.address(), ECHO)) == [f"{db} {plain.address()}"]
    assert db.ask(("tcp", plain.address(), ECHO)) == [f"{plain} {db.address()}"]
    assert web.autoconfigured().reaches(db.autoconfigured().address(6))
    again = play("weft.fabric.site", topology_source)
    assert again.changed == [], again.changes()
