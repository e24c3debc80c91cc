# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there does not notice that nothing changes, nor that a role moves which it has no part in."""

from __future__ import annotations

import time

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_routers import ECHO, WORLD
from ansible_collections.weft.fabric.tests.wire.plays import play
from ansible_collections.weft.fabric.tests.wire.traffic import Held, PingTrack, Watched


@pytest.fixture
def watched(machines, world, model):
    web, plain, db = machines("red", "web-1"), machines("red", "web-2"), machines("red", "db-2")
    forwarded = str(model.projects["red"].floating_ips["ha-ports"].address)
    found = Watched(
        {
            "SNAT": PingTrack(plain.host, plain.namespace, WORLD),
            "east-west": PingTrack(plain.host, plain.namespace, db.address()),
            "east-west IPv6": PingTrack(web.host, web.namespace, db.autoconfigured().address(6)),
            "floating IP": PingTrack(world.host, None, web.floating),
            "a neighbour's floating IP": PingTrack(plain.host, plain.namespace, db.floating),
        },
        {
            "SNAT TCP": Held(plain.host, plain.namespace, "tcp", WORLD, ECHO),
            "SNAT UDP": Held(plain.host, plain.namespace, "udp", WORLD, ECHO),
            "port forwarding": Held(world.host, None, "tcp", forwarded, 2222),
            "floating IP TCP": Held(world.host, None, "tcp", db.floating, ECHO),
            "east-west TCP": Held(plain.host, plain.namespace, "tcp", db.address(), ECHO),
        },
    )
    yield found
    found.stop()


def test_a_run_that_changes_nothing_loses_nothing(watched, topology_source, figure):
    again = play("weft.fabric.site", topology_source)
    watched.check_sessions()
    figure(f"distributed: unchanged site in {again.seconds:.1f} s; 10 ms pings meanwhile: {watched.show()}")
    assert again.changes() == {}
    watched.check_nothing_lost()


def test_the_role_of_the_centralised_part_moves_as_any_other(watched, router, topology_source, figure):
    """All translated by it lives on, and all else does not notice. What a drained node had goes to the other."""
    found = router("red", "ha")
    before = found.primary()
    (other,) = [node for node in found.nodes if node != before]
    status = play("weft.fabric.router_status", topology_source)
    assert "red/ha (HA, distributed)" in status.output
    assert "routes on cmp1, cmp2" in status.output
    started = time.time()
    moved = play("weft.fabric.router_failover", topology_source, "-e", "router=red/ha")
    assert found.primary() == other
    assert "NOT MEASURED" not in moved.output
    assert "pings lost" in moved.output
    watched.check_sessions()
    (gaps,) = watched.longest_gaps((started, time.time()))
    figure(f"distributed: router_failover in {moved.seconds:.1f} s: SNAT {gaps['SNAT']:.2f} s; {watched.show()}")
    aside = {name: ping for name, ping in watched.pings.items() if name.startswith(("east-west", "floating"))}
    assert {name: lost for name, ping in aside.items() if (lost := ping.lost())} == {}
    assert max(gaps.values()) < Watched.BROKEN
    assert {address: nodes for address, nodes in found.holders().items() if nodes != [other]} == {}


def test_drain_undrain_and_rebalance(router, topology_source):
    found = router("red", "ha")
    primary = found.primary()
    (other,) = [node for node in found.nodes if node != primary]
    (alone,) = router("red", "single").nodes
    refused = play("weft.fabric.drain", topology_source, "-e", f"host={alone}", "--check", check=False)
    assert refused.returncode != 0
    assert f"red/single is not HA and stays on {alone}: its SNAT and IPv6 to the outside go down" in refused.output
    play("weft.fabric.drain", topology_source, "-e", f"host={primary}", "-e", "accept_outage=true")
    assert found.primary() == other
    play("weft.fabric.undrain", topology_source, "-e", f"host={primary}")
    play("weft.fabric.rebalance", topology_source, "-e", "router=red/ha")
    assert found.primary() == found.nodes[0]


def test_status_says_which_host_lacks_its_part(router, lab, topology_source):
    found = router("red", "single")
    assert found.model.places == ("cmp1", "cmp2")
    legs = [found.leg(network).binding.interface for network in ("app", "store")]
    taken = [f"ip -n {found.parts_namespace} address flush dev {leg} scope global" for leg in legs]
    lab("cmp2").run("; ".join(taken))
    try:
        broken = play("weft.fabric.router_status", topology_source, "-e", "router=red/single", check=False)
        assert broken.returncode != 0
        assert "red/single: cmp2 holds none of its part's addresses" in broken.output
    finally:
        mended = play("weft.fabric.site", topology_source, "--limit", "cmp2")
    assert mended.changed
    assert play("weft.fabric.router_status", topology_source, "-e", "router=red/single").changed == []


def test_two_routers_of_one_project_and_one_vrid_have_a_primary_each(router):
    """They share a network to hear their peers in, and each hears its own."""
    pair = [router("olive", name) for name in ("ha", "each")]
    vrids = [
        found.on(found.nodes[0], f"grep virtual_router_id /var/lib/weft-fabric/vrrp/{found.id}/keepalived.conf")
        for found in pair
    ]
    assert vrids[0] == vrids[1]
    for found in pair:
        assert len(found.primaries()) == 1
        assert {found.state(node)[0] for node in found.nodes} == {"primary", "backup"}
