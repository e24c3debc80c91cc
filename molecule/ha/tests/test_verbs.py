# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's verbs: each tells what it will do, does it without a loss, and that lasts as long as it should."""

from __future__ import annotations

import time

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_ha import BROKEN, show
from ansible_collections.weft.fabric.tests.wire.lab import wait_for
from ansible_collections.weft.fabric.tests.wire.plays import fault, play


@pytest.fixture
def ha_routers(router, model):
    """All HA routers; whatever a test does, each is where the topology prefers it when the test has ended."""
    return [router(one.project, one.name) for one in model.routers() if one.ha]


@pytest.fixture(scope="module", autouse=True)
def afterwards(topology_source):
    yield
    play("weft.fabric.undrain", topology_source, "-e", "host=net1")
    play("weft.fabric.rebalance", topology_source)


def where(routers):
    return {str(found): found.primary(seconds=20) for found in routers}


def test_status_says_who_has_the_role_and_fails_when_nobody_does(ha_routers, topology_source):
    assert play("weft.fabric.router_status", topology_source).changed == []
    found = ha_routers[0]
    for node in found.nodes:
        found.on(node, f"systemctl stop {found.unit}")
    try:
        broken = play("weft.fabric.router_status", topology_source, check=False)
        assert broken.returncode != 0
        assert "no node is primary" in broken.output
    finally:
        for node in found.nodes:
            found.on(node, f"systemctl start {found.unit}")
    wait_for("a primary", lambda: len(found.primaries()) == 1, 20)


def test_one_router_moves_without_a_loss(router, traffic, topology_source, figure):
    found = router("red", "ha")
    before = found.primary()
    foretold = play("weft.fabric.router_failover", topology_source, "-e", "router=red/ha", "--check")
    assert foretold.changed
    assert found.primary() == before
    started = time.time()
    moved = play("weft.fabric.router_failover", topology_source, "-e", "router=red/ha")
    assert found.primary() != before
    assert "NOT MEASURED" not in moved.output
    assert "pings lost" in moved.output
    traffic.check_sessions()
    (gaps,) = traffic.longest_gaps((started, time.time()))
    figure(f"ha: router_failover in {moved.seconds:.1f} s, goal 0.1 s: {show(gaps)}")
    assert max(gaps.values()) < BROKEN
    again = play("weft.fabric.router_failover", topology_source, "-e", "router=red/ha", "-e", f"to={found.primary()}")
    assert again.changed == []


def test_a_drained_node_keeps_away_until_it_is_undrained(lab, ha_routers, topology_source, figure):
    drained = play("weft.fabric.drain", topology_source, "-e", "host=net1", "-e", "accept_outage=true")
    figure(f"ha: drain of net1 in {drained.seconds:.1f} s")
    away = dict.fromkeys(where(ha_routers), "net2")
    assert where(ha_routers) == away
    assert play("weft.fabric.drain", topology_source, "-e", "host=net1", "-e", "accept_outage=true").changed == []
    assert play("weft.fabric.site", topology_source).changed == []
    assert where(ha_routers) == away
    fault("power_cut", "net1")
    fault("power_on", "net1")
    found = ha_routers[0]
    wait_for("net1 as a backup", lambda: found.state("net1") is not None and found.state("net1")[0] == "backup", 60)
    assert where(ha_routers) == away
    play("weft.fabric.undrain", topology_source, "-e", "host=net1")
    assert where(ha_routers) == away, "to lift a handicap moves nothing"
    play("weft.fabric.rebalance", topology_source)
    assert where(ha_routers) == {str(found): found.nodes[0] for found in ha_routers}
    assert play("weft.fabric.rebalance", topology_source).changed == []


@pytest.mark.parametrize(
    ("verb", "given", "told"),
    [
        ("router_failover", "router=red/hx", "there is no router 'red/hx': did you mean red/ha?"),
        ("drain", "host=net9", "net9"),
        ("drain", "host=net1", "red/single"),
    ],
)
def test_a_mistake_is_told_before_anything_moves(verb, given, told, ha_routers, topology_source):
    before = where(ha_routers)
    refused = play(f"weft.fabric.{verb}", topology_source, "-e", given, check=False)
    assert refused.returncode != 0
    assert told in refused.output
    assert where(ha_routers) == before or verb == "drain"
