# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of many routers that are started at a time, each leaves the first election to the others' start. Once."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import vrrp_plan, vrrp_program
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.vrrp.machine import Node, Site, template

DELAYED = "Delaying startup for %d seconds"


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host so slow that one router is many."""
    monkeypatch.setattr(vrrp_plan, "_STARTS_A_SECOND", 1)


@pytest.mark.parametrize(("routers", "seconds"), [(0, 0), (1, 0), (9, 0), (10, 1), (50, 5), (99, 9), (1000, 9)])
def test_how_long_many_wait(routers: int, seconds: int) -> None:
    assert vrrp_plan.crowd_delay(routers) == seconds


@pytest.mark.parametrize("place_delay", [0, 4])
def test_a_configuration_has_a_line_for_each_delay(place_delay: int) -> None:
    text = template("keepalived.conf.j2", startup_delay=place_delay, advert_interval=0.1)
    found = [line.split() for line in text.splitlines() if "@crowd" in line]
    delays = range(1, vrrp_program.CROWD_DELAY + 1)
    assert found == [[f"@crowd-{more}", "vrrp_startup_delay", str(place_delay + more)] for more in delays]


def test_a_router_alone_takes_its_role_at_once(node: Node) -> None:
    node.run(node.item(peers=[]))
    node.wait_for_role("primary")
    assert "Delaying" not in node.log()


@pytest.mark.usefixtures("crowded")
def test_one_of_many_is_silent_until_its_delay_is_over(site: Site) -> None:
    """And the preferred node still wins."""
    one, two = site.nodes
    two.run(two.item(config=two.config(delay=6)))
    began = time.monotonic()
    one.run(one.item())
    one.wait_for_role("primary")
    assert time.monotonic() - began >= 1
    two.wait_for_role("backup")
    assert site.primaries() == [1]
    assert (DELAYED % 1 in one.log(), DELAYED % 7 in two.log()) == (True, True)


@pytest.mark.usefixtures("crowded")
def test_who_starts_again_later_is_alone(node: Node) -> None:
    item = node.item(peers=[])
    node.run(item)
    node.wait_for_role("primary")
    node.systemd.stop([node.unit])
    node.systemd.log(node.unit).unlink()
    node.systemd.start([node.unit])
    node.wait_for_role("primary")
    assert "Delaying" not in node.log()


@pytest.mark.usefixtures("crowded")
def test_a_run_that_ends_before_the_start_leaves_no_more_than_a_late_start(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(names: t.Sequence[str]) -> None:
        raise FabricError("systemctl start failed: no memory")

    item = node.item(peers=[], conntrackd=None)
    with monkeypatch.context() as patched:
        patched.setattr(node.systemd, "start", refused)
        with pytest.raises(FabricError, match="no memory"):
            node.run(item)
    node.run(item)
    node.wait_for_role("primary")
    assert not node.run(item)["changed"]
    node.run({"name": node.name, "state": "absent"}, purge=True)
    assert not Path(node.paths.run).exists()


def test_a_line_for_a_crowd_that_keepalived_does_not_know_is_refused(node: Node) -> None:
    with pytest.raises(FabricError, match="nothing was changed: keepalived refuses"):
        node.run(node.item(config=node.config().replace("@crowd-1 vrrp_startup_delay", "@crowd-1 vrrp_start_delay")))
