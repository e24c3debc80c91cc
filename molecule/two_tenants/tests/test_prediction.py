# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check run foretells is what the real run then does, from nothing and back to nothing."""

from __future__ import annotations

from ansible_collections.weft.fabric.tests.wire.leftovers import LEFT_BEHIND
from ansible_collections.weft.fabric.tests.wire.plays import play

HOSTS = ("net1", "net2", "cmp1", "cmp2")


def test_check_foretells_the_first_run_exactly(lab, topology_source, figure):
    play("weft.fabric.teardown", topology_source)
    foretold = play("weft.fabric.site", topology_source, "--check", "--diff")
    assert foretold.changed
    for name in HOSTS:
        assert lab(name).run(LEFT_BEHIND).strip() == "", "a check run changed something"
    done = play("weft.fabric.site", topology_source)
    again = play("weft.fabric.site", topology_source)
    after = play("weft.fabric.site", topology_source, "--check")
    figure(
        f"two_tenants: site --check {foretold.seconds:.1f} s, cold {done.seconds:.1f} s, "
        f"unchanged {again.seconds:.1f} s"
    )
    assert foretold.changes() == done.changes()
    assert again.changed == []
    assert after.changed == []


def test_teardown_leaves_nothing_and_site_brings_it_back(lab, topology_source):
    foretold = play("weft.fabric.teardown", topology_source, "--check")
    play("weft.fabric.status", topology_source)
    done = play("weft.fabric.teardown", topology_source)
    assert foretold.changes() == done.changes()
    for name in HOSTS:
        assert lab(name).run(LEFT_BEHIND).strip() == ""
        assert "198.51.100." in lab(name).run("ip -o -4 address show dev eth1"), "the underlay address is not back"
    play("weft.fabric.site", topology_source)
