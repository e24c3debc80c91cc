# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check run foretells of routers is what the real run then does, from nothing."""

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
        f"routers: site --check {foretold.seconds:.1f} s, cold {done.seconds:.1f} s, unchanged {again.seconds:.1f} s"
    )
    assert foretold.changes() == done.changes()
    assert again.changed == []
    assert after.changed == []
