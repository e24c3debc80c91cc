# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role goes where and when somebody wants it, and never because of a change; sessions follow it."""

from __future__ import annotations

import time

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_ha import BROKEN, show
from ansible_collections.weft.fabric.tests.wire.conftest_routers import ECHO, WORLD
from ansible_collections.weft.fabric.tests.wire.lab import wait_for
from ansible_collections.weft.fabric.tests.wire.plays import edit, play
from ansible_collections.weft.fabric.tests.wire.traffic import Held

RUNS = 10
WATCHED = 3.0
WORSE = -10


@pytest.fixture
def found(router):
    """The HA router, with no handicap left when the test has ended."""
    router = router("red", "ha")
    yield router
    for node in router.nodes:
        router.handicap(node, 0)


def other(found, node):
    (name,) = [one for one in found.nodes if one != node]
    return name


def fail_over(found):
    """Move the role away from who has it, by the operator's handicap, and return who has it then."""
    before = found.primary()
    found.handicap(before, WORSE)
    wait_for("the role on the other node", lambda: found.primaries() == [other(found, before)], 10)
    after = found.primary()
    found.handicap(before, 0)
    return after


def test_exactly_one_node_holds_every_address(router, model):
    for one in model.routers():
        if one.ha:
            found = router(one.project, one.name)
            primary = found.primary(seconds=20)
            assert {address: nodes for address, nodes in found.holders().items() if nodes != [primary]} == {}
            (backup,) = [node for node in found.nodes if node != primary]
            assert found.link_locals(backup) == set()
            assert [found.state(node)[0] for node in (primary, backup)] == ["primary", "backup"]


def test_the_preferred_node_wins_an_election_of_all(found, lab):
    """As at the first run or after a power failure. Preferred nodes are spread over all, and so are the roles then."""
    preferred, *others = found.nodes

    def start(*nodes):
        for node in nodes:
            lab(node).run(f"systemctl start --no-block {found.unit}")

    def stop():
        for node in found.nodes:
            lab(node).run(f"systemctl stop {found.unit}")
        assert found.primaries() == []

    for order in (found.nodes, [*others, preferred]):
        stop()
        start(*order)
        assert found.primary() == preferred
    # It is a lead and no right: who has the role keeps it.
    stop()
    start(*others)
    first = found.primary()
    assert first in others
    start(preferred)
    wait_for("the preferred node to stand by", lambda: stands_by(found, lab, preferred), 20)
    assert found.keeps_primary(first, WATCHED)
    assert fail_over(found) == preferred


def stands_by(found, lab, node):
    return lab(node).try_run(f"grep -q backup {found.run_directory}/state").returncode == 0


def test_a_killed_conntrackd_is_back_and_answers(found, lab):
    """One that is killed leaves a lock and a socket behind, at which the next must not give up."""
    unit = f"weft-fabric-conntrackd@{found.id}"
    for node in found.nodes:
        host = lab(node)
        before = host.run(f"systemctl show -P MainPID {unit}")
        host.run(f"systemctl kill --signal=KILL {unit}")
        wait_for(
            f"conntrackd on {node}",
            lambda host=host, before=before: (
                host.run(f"systemctl show -P MainPID {unit}") != before
                and host.try_run(f"systemctl is-active -q {unit}").returncode == 0
            ),
            10,
        )
        assert "cache internal" in found.on(
            node, f"conntrackd -C /var/lib/weft-fabric/vrrp/{found.id}/conntrackd.conf -s"
        )


def test_daemons_have_the_network_of_their_router_and_the_mounts_of_their_host(found, lab):
    for node in found.nodes:
        host = lab(node)
        for unit in (found.unit, f"weft-fabric-conntrackd@{found.id}"):
            pid = host.run(f"systemctl show -P MainPID {unit}").strip()
            kinds = ("net", "mnt")
            daemon, system = (
                [host.run(f"readlink /proc/{process}/ns/{kind}").strip() for kind in kinds] for process in (pid, "1")
            )
            assert daemon[0] == f"net:[{host.run(f'stat -Lc %i /run/netns/{found.namespace}').strip()}]"
            assert daemon[0] != system[0]
            assert daemon[1] == system[1]


def test_planned_failover_there_and_back(found, traffic, figure):
    first = found.primary()
    for expected in (other(found, first), first):
        started = time.time()
        assert fail_over(found) == expected
        # The handicap is gone again: that is no reason to move.
        assert found.keeps_primary(expected, WATCHED)
        traffic.check_sessions()
        (gaps,) = traffic.longest_gaps((started, time.time()))
        figure(f"ha: planned failover to {expected}, goal 0.1 s: {show(gaps)}")
        assert {address: nodes for address, nodes in found.holders().items() if nodes != [expected]} == {}
        assert max(gaps.values()) < BROKEN


def test_nobody_gives_up_when_no_peer_is_better(found):
    primary = found.primary()
    since = {node: found.state(node) for node in found.nodes}
    found.handicap(other(found, primary), WORSE)
    found.handicap(primary, WORSE)
    assert found.keeps_primary(primary, WATCHED)
    assert {node: found.state(node) for node in found.nodes} == since


def test_ten_changes_in_ten_runs_move_nothing(found, traffic, topology, topology_source, figure):
    """Further routes come, and a floating IP goes and comes: each run is a reload of keepalived on both nodes."""

    def change(number):
        def apply(data):
            red = data["projects"]["red"]
            routes = red["routers"]["ha"].setdefault("routes", [])
            routes.append({"destination": f"10.200.{number}.0/24", "nexthop": "10.0.0.11"})
            if number % 2:
                red["floating_ips"]["web-4"] = {"network": "admin/public", "port": "web-4"}
            else:
                red["floating_ips"].pop("web-4")

        return apply

    def processes():
        return {node: found.on(node, f"systemctl show -P MainPID {found.unit}").strip() for node in found.nodes}

    since, pids = {node: found.state(node) for node in found.nodes}, processes()
    started = time.time()
    for number in range(RUNS):
        done = play("weft.fabric.site", edit(topology, change(number)), "--limit", ",".join(found.nodes))
        assert {host for host, _task in done.changed} == set(found.nodes)
    took = time.time() - started
    play("weft.fabric.site", topology_source, "--limit", ",".join(found.nodes))
    (gaps,) = traffic.longest_gaps((started, time.time()))
    lost = {name: ping.lost() for name, ping in traffic.pings.items()}
    figure(f"ha: {RUNS} changes in {RUNS} runs in {took:.1f} s, goal 0 lost: {show(gaps)}")
    assert {node: found.state(node) for node in found.nodes} == since, "the role moved"
    assert processes() == pids, "keepalived was started anew"
    traffic.check_sessions()
    assert {name: numbers for name, numbers in lost.items() if numbers} == {}


def entries(found, node, machine):
    """Return what a node knows of a machine's sessions with the world."""
    return found.on(node, f"conntrack -L -p tcp --orig-src {machine.address()} --orig-port-dst {ECHO} 2>/dev/null")


def test_the_backup_knows_the_sessions(found, machines, traffic):
    machine = machines("red", "web-2")
    backup = other(found, found.primary())
    (seen,) = traffic.sessions["TCP SNAT"].seen_as()
    port = seen.split(":")[1]
    wait_for(
        "the session on the backup",
        lambda: f"dport={port} " in entries(found, backup, machine) + " ",
        10,
    )


def test_without_an_entry_a_session_does_not_go_on(found, machines, world):
    """The router takes nothing up in its midst: so a session that outlives a failover was told to the new primary."""
    machine = machines("red", "web-2")
    session = Held(machine.host, machine.namespace, "tcp", WORLD, ECHO)
    try:
        assert session.answers_within(BROKEN)
        for node in (found.primary(), other(found, found.primary())):
            found.on(node, f"conntrack -D -p tcp --orig-src {machine.address()} --orig-port-dst {ECHO} || true")
        assert not session.answers_within(WATCHED), "a session goes on of which the router knew nothing"
        assert machine.ask(("tcp", WORLD, ECHO)) == [f"world {found.outside()}"]
    finally:
        session.stop()


def test_without_conntrackd_a_session_does_not_outlive_a_failover(found, machines, world, lab):
    """The negative of all the others: it is conntrackd that makes sessions live on."""
    machine = machines("red", "web-2")
    unit = f"weft-fabric-conntrackd@{found.id}"
    for node in found.nodes:
        lab(node).run(f"systemctl stop {unit}")
    try:
        session = Held(machine.host, machine.namespace, "tcp", WORLD, ECHO)
        try:
            assert session.answers_within(BROKEN)
            fail_over(found)
            assert not session.answers_within(WATCHED)
        finally:
            session.stop()
    finally:
        for node in found.nodes:
            lab(node).run(f"systemctl start {unit}")
    assert machine.ask(("tcp", WORLD, ECHO)) == [f"world {found.outside()}"]


def test_router_advertisements_follow_the_role(found, machines, lab):
    """The new primary advertises, the old one does not, and the machines keep their default route meanwhile."""
    machine = machines("red", "web-1").autoconfigured()
    route = machine.default_route_v6()
    primary = fail_over(found)
    unit = f"weft-fabric-ra@{found.id}"

    def running():
        return [node for node in found.nodes if lab(node).try_run(f"systemctl is-active -q {unit}").returncode == 0]

    wait_for("router advertisements from the primary alone", lambda: running() == [primary], 10)
    assert machine.default_route_v6().split()[:5] == route.split()[:5]
    assert "Prefix" in machine.solicit()
    assert machine.reaches(machines("red", "db-2").autoconfigured().address(6))
