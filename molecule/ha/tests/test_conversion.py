# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A centralised router becomes highly available, and centralised again, by editing the file; traffic goes on."""

from __future__ import annotations

import time

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_ha import BROKEN, show
from ansible_collections.weft.fabric.tests.wire.conftest_routers import WORLD
from ansible_collections.weft.fabric.tests.wire.lab import wait_for
from ansible_collections.weft.fabric.tests.wire.plays import edit, play
from ansible_collections.weft.fabric.tests.wire.traffic import PingTrack

# A machine behind the router that is converted.
MACHINE = ("red", "app-1")


@pytest.fixture
def pings(machines):
    machine = machines(*MACHINE)
    found = {"ping SNAT": PingTrack(machine.host, machine.namespace, WORLD)}
    yield found
    for ping in found.values():
        ping.stop()


# A route that the router has as long as it is highly available.
ROUTE = {"destination": "10.99.0.0/16", "nexthop": "10.0.2.11"}


def become(ha):
    def change(data):
        data["projects"]["red"]["routers"]["single"].update(ha=ha, routes=[ROUTE] if ha else [])

    return change


def routed(lab, router):
    """Return the nodes that know the way."""
    namespace = router("red", "single").namespace
    command = f"ip -n {namespace} route show {ROUTE['destination']} 2>/dev/null"
    return [node for node in ("net1", "net2") if "via" in lab(node).try_run(command).stdout]


def test_a_router_is_converted_there_and_back(pings, topology, topology_source, lab, router, figure):
    for step, ha in (("centralised to HA", True), ("HA to centralised", False)):
        edit(topology, become(ha))
        foretold = play("weft.fabric.site", topology, "--check")
        started = time.time()
        done = play("weft.fabric.site", topology)
        ended = time.time()
        # What is lost shows up when the next answer has come.
        for name, ping in pings.items():
            wait_for(f"an answer to {name}", lambda ping=ping, ended=ended: ping.timeline().answered(ended, ended + 60))
        gaps = {name: ping.timeline().longest_gap(started, ended) for name, ping in pings.items()}
        figure(f"ha: {step} in {done.seconds:.1f} s: {show(gaps)}")
        assert foretold.changes() == done.changes()
        assert max(gaps.values()) < BROKEN
        assert len(routed(lab, router)) == int(ha), "keepalived's routes come and go with it"
        assert play("weft.fabric.site", topology).changed == []
    play("weft.fabric.site", topology_source)
