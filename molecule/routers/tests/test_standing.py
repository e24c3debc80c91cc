# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there does not notice that nothing changes, or that something is put beside it."""

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_routers import ECHO, WORLD, Machine
from ansible_collections.weft.fabric.tests.wire.lab import wait_for
from ansible_collections.weft.fabric.tests.wire.plays import edit, play
from ansible_collections.weft.fabric.tests.wire.tenant import Tenant
from ansible_collections.weft.fabric.tests.wire.traffic import Held, PingTrack


@pytest.fixture(scope="module")
def way_back(world, router):
    for prefix in ("2001:db8:1:1::/64", "2001:db8:1:2::/64"):
        world.route(prefix, router("red", "ha").outside(6))
    yield
    for prefix in ("2001:db8:1:1::/64", "2001:db8:1:2::/64"):
        world.forget(prefix)


@contextlib.contextmanager
def traffic(machines, world):
    """Ping through routers of both kinds in all ways at once, with a session and a stream; nothing may be lost."""
    web, plain = machines("red", "web-1"), machines("red", "web-2")
    app, app_plain = machines("red", "app-1"), machines("red", "app-2")
    db, store = machines("red", "db-2"), machines("red", "store-2")
    # (sender's host, its namespace, target)
    ways = {
        "east-west, ha": (web.host, web.namespace, db.address()),
        "east-west, single": (app.host, app.namespace, store.address()),
        "SNAT, ha": (plain.host, plain.namespace, WORLD),
        "SNAT, single": (app_plain.host, app_plain.namespace, WORLD),
        "floating IP, ha": (world.host, None, web.floating),
        "floating IP, single": (world.host, None, store.floating),
        "IPv6, ha": (world.host, None, web.autoconfigured().address(6)),
    }
    pings = {name: PingTrack(*way) for name, way in ways.items()}
    held = [
        Held(plain.host, plain.namespace, "tcp", WORLD, ECHO),
        Held(world.host, None, "tcp", store.floating, ECHO),
        Held(plain.host, plain.namespace, "udp", WORLD, ECHO),
    ]
    found = {}
    try:
        yield found
        for one in held:
            assert one.answers_within(5), f"{one.name} ended: {one.ended()}"
            assert len(one.seen_as()) == 1
        found.update({name: (ping.summary(), ping.lost()) for name, ping in pings.items()})
    finally:
        for one in (*pings.values(), *held):
            one.stop()


def show(found):
    return "; ".join(f"{name}: {summary}" for name, (summary, _lost) in found.items())


def assert_nothing_lost(found):
    assert {name: lost for name, (_summary, lost) in found.items() if lost} == {}


def test_a_run_that_changes_nothing_loses_nothing(machines, world, way_back, topology_source, figure):
    with traffic(machines, world) as found:
        again = play("weft.fabric.site", topology_source)
    figure(f"routers: unchanged site in {again.seconds:.1f} s; 10 ms pings meanwhile: {show(found)}")
    assert again.changed == []
    assert_nothing_lost(found)


def add(data):
    """A network with a port, a floating IP for it, and another router, next to what is there."""
    red = data["projects"]["red"]
    red["networks"]["new"] = {"subnets": {"new-v4": {"cidr": "10.0.7.0/24"}}}
    red["ports"]["new-1"] = {"network": "new", "host": "cmp2", "binding": {"kind": "veth", "namespace": "red-new-1"}}
    red["routers"]["ha"]["interfaces"].append({"network": "new"})
    red["floating_ips"]["new-1"] = {"network": "admin/public", "port": "new-1"}
    red["networks"]["newer"] = {"subnets": {"newer-v4": {"cidr": "10.0.8.0/24"}}}
    red["routers"]["another"] = {
        "ha": True,
        "external_gateway": {"network": "admin/public"},
        "interfaces": [{"network": "newer"}],
    }


def test_something_put_beside_it_and_taken_away_again_loses_nothing(
    lab, machines, world, way_back, topology, topology_source, router, figure
):
    roles = {node: router("red", "ha").state(node) for node in router("red", "ha").nodes}
    edit(topology, add)
    foretold = play("weft.fabric.site", topology, "--check")
    with traffic(machines, world) as found:
        done = play("weft.fabric.site", topology)
    figure(f"routers: network, floating IP and router added in {done.seconds:.1f} s; meanwhile: {show(found)}")
    assert foretold.changes() == done.changes()
    assert_nothing_lost(found)
    assert play("weft.fabric.site", topology).changed == []

    added = Tenant(lab("cmp2"), "red-new-1")
    added.dhcp()
    assert added.reaches(WORLD)
    assert added.reaches(machines("red", "web-2").address())

    foretold = play("weft.fabric.site", topology_source, "--check")
    with traffic(machines, world) as found:
        done = play("weft.fabric.site", topology_source)
    figure(f"routers: the same removed in {done.seconds:.1f} s; meanwhile: {show(found)}")
    assert foretold.changes() == done.changes()
    assert_nothing_lost(found)
    assert "red-new-1" not in lab("cmp2").run("ip netns list")
    assert {node: router("red", "ha").state(node) for node in router("red", "ha").nodes} == roles, "the role moved"


def test_a_floating_ip_that_moves_ends_its_own_sessions_only(machines, world, router, topology, topology_source):
    """web-3's floating IP goes to web-2: who talked to web-3 is cut off, who talked to web-4 is not."""
    moved, other = machines("red", "web-3"), machines("red", "web-4")
    held = [Held(world.host, None, "tcp", machine.floating, ECHO) for machine in (moved, other)]
    outward = Held(moved.host, moved.namespace, "udp", WORLD, ECHO)

    def move(data):
        red = data["projects"]["red"]
        # web-2 gives up its forwarded ports: an address inside has one way in.
        forwardings = red["floating_ips"]["ha-ports"]["port_forwardings"]
        red["floating_ips"]["ha-ports"]["port_forwardings"] = [one for one in forwardings if one["port"] != "web-2"]
        red["floating_ips"]["web-3"].update(port="web-2", address=moved.floating)

    try:
        play("weft.fabric.site", edit(topology, move))
        assert not held[0].answers_within(3), "the session of an address that has gone elsewhere goes on"
        assert held[1].answers_within(5), held[1].ended()
        target: Machine = machines("red", "web-2")
        assert world.ask(("tcp", moved.floating, ECHO)) == [f"{target} {WORLD}"]
        assert target.ask(("tcp", WORLD, ECHO)) == [f"world {moved.floating}"]
        gateway = router("red", "ha").outside()
        wait_for("the stream to leave with another address", lambda: f"{gateway}:" in " ".join(outward.seen_as()), 10)
    finally:
        for one in (*held, outward):
            one.stop()
        play("weft.fabric.site", topology_source)
    assert world.ask(("tcp", moved.floating, ECHO)) == [f"{moved} {WORLD}"]
