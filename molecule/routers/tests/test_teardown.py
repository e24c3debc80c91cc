# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that is taken out of the file goes, and leaves nothing; what is somebody else's stays as it is."""

from __future__ import annotations

from ansible_collections.weft.fabric.tests.wire.leftovers import LEFT_BEHIND, OF_PROJECTS, Foreign
from ansible_collections.weft.fabric.tests.wire.plays import edit, play

HOSTS = ("net1", "net2", "cmp1", "cmp2")


def test_an_empty_file_leaves_nothing_of_the_projects(lab, topology, topology_source, figure):
    play("weft.fabric.site", topology_source)
    foreign = Foreign(lab(name) for name in HOSTS)
    try:
        edit(topology, lambda data: data["projects"].clear())
        foretold = play("weft.fabric.site", topology, "--check")
        done = play("weft.fabric.site", topology)
        figure(f"routers: all projects removed in {done.seconds:.1f} s")
        assert foretold.changes() == done.changes()
        assert play("weft.fabric.site", topology).changed == []
        left = {name: lab(name).run(OF_PROJECTS).strip() for name in HOSTS}
        assert left == dict.fromkeys(HOSTS, "")
        foreign.check()

        play("weft.fabric.site", topology_source)
        foretold = play("weft.fabric.teardown", topology_source, "--check")
        done = play("weft.fabric.teardown", topology_source)
        assert foretold.changes() == done.changes()
        foreign.check(bridge_stands=False)
    finally:
        foreign.remove()
    assert {name: lab(name).run(LEFT_BEHIND).strip() for name in HOSTS} == dict.fromkeys(HOSTS, "")
    for name in HOSTS:
        assert "198.51.100." in lab(name).run("ip -o -4 address show dev eth1"), "the underlay address is not back"
