# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Distributed routers come from nothing as was foretold, and leave nothing; what is somebody else's stays as it is."""

from __future__ import annotations

from ansible_collections.weft.fabric.tests.wire.leftovers import LEFT_BEHIND, OF_PROJECTS, Foreign
from ansible_collections.weft.fabric.tests.wire.plays import edit, play

HOSTS = ("net1", "net2", "cmp1", "cmp2")


def test_all_goes_and_comes_and_goes(lab, topology, topology_source, figure):
    foreign = Foreign(lab(name) for name in HOSTS)
    try:
        edit(topology, lambda data: data["projects"].clear())
        foretold = play("weft.fabric.site", topology, "--check")
        gone = play("weft.fabric.site", topology)
        assert foretold.changes() == gone.changes()
        assert {name: lab(name).run(OF_PROJECTS).strip() for name in HOSTS} == dict.fromkeys(HOSTS, "")
        foreign.check()

        foretold = play("weft.fabric.site", topology_source, "--check")
        done = play("weft.fabric.site", topology_source)
        assert foretold.changes() == done.changes()
        assert play("weft.fabric.site", topology_source).changed == []

        foretold = play("weft.fabric.teardown", topology_source, "--check")
        torn_down = play("weft.fabric.teardown", topology_source)
        assert foretold.changes() == torn_down.changes()
        foreign.check(bridge_stands=False)
        figure(
            f"distributed: all projects removed in {gone.seconds:.1f} s, made in {done.seconds:.1f} s,"
            f" torn down in {torn_down.seconds:.1f} s"
        )
    finally:
        foreign.remove()
    assert {name: lab(name).run(LEFT_BEHIND).strip() for name in HOSTS} == dict.fromkeys(HOSTS, "")
