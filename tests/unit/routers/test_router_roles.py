# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's hand on roles: real daemons on two nodes, and pings through the router while roles move."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import router_probe, router_roles, router_roles_info
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, reconcile
from ansible_collections.weft.fabric.plugins.module_utils.router_probe import Target, Way
from ansible_collections.weft.fabric.plugins.module_utils.router_roles import RouterRolesEngine
from ansible_collections.weft.fabric.plugins.plugin_utils.routers import judge
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip
from ansible_collections.weft.fabric.tests.unit.vrrp.fake_systemd import wait_for
from ansible_collections.weft.fabric.tests.unit.vrrp.machine import INSIDE, LEG_MAC, Node, Site

# Leaves room for a busy machine; what a move really costs, the scenarios in the lab measure.
PLANNED_MS = 300

ROUTER = {"name": "blue/r1", "id": "r", "kind": "HA", "ha": True, "nodes": ["n1", "n2"], "parts": []}


def paths(node: Node) -> router_roles.Paths:
    return router_roles.Paths(str(node.path / "vrrp"), node.paths.run, str(node.path / "drained"))


def act(node: Node, check_mode: bool = False, drained: bool | None = None, timeout: int = 5, **item: t.Any) -> t.Any:
    routers = [{"name": node.name, "label": "blue/r1", **item}] if item else []
    params = {"routers": routers, "drained": drained, "timeout": timeout}
    return reconcile(RouterRolesEngine(params, node.systemd, paths(node)), check_mode)


def look(node: Node) -> dict[str, t.Any]:
    return router_roles_info.describe(None, paths(node), node.systemd)


def status(node: Node) -> dict[str, t.Any]:
    found: dict[str, t.Any] = look(node)["status"][node.name]
    return found


def primaries(site: Site) -> list[int]:
    return [node.number for node in site.nodes if "169.254.0.7/24" in router_roles_info.held_addresses(node.namespace)]


def verdict(site: Site) -> judge.Verdict:
    """Judge both nodes, which in a test can't give the router one name."""
    answers = {f"n{node.number}": {**look(node), "status": {"r": status(node)}} for node in site.nodes}
    return judge.judge([ROUTER], answers)[0]


def test_a_move_in_three_steps_costs_nothing_and_is_foretold(site: Site, tmp_path: Path) -> None:
    one, two = site.start()
    foretold = act(one, check_mode=True, handicap=-10, expect="backup")
    assert primaries(site) == [1]
    way = Way("blue/r1", INSIDE, "eth0", "10.0.0.9", LEG_MAC, (Target("203.0.113.1", "outside"),))
    directory = str(tmp_path / "probe")
    started = router_probe.start([way], 30, directory)
    assert [entry["target"] for entry in started["measuring"]] == ["203.0.113.1"]
    assert not started["silent"]
    done = act(one, handicap=-10, expect="backup")
    assert done["changes"] == ["set the handicap of router blue/r1 to -10", "router blue/r1 gives up the role"]
    assert (foretold["changes"], foretold["changes_digest"]) == (done["changes"], done["changes_digest"])
    act(two, handicap=0, expect="primary")
    assert act(one, handicap=0)["changes"] == ["set the handicap of router blue/r1 to 0"]
    (result,) = router_probe.stop(directory)
    assert result["sent"] > 10
    assert result["longest_gap_ms"] < PLANNED_MS
    assert primaries(site) == [2]
    assert not act(one, handicap=0, expect="backup")["changed"]
    assert verdict(site).problems == []
    assert not Path(directory).exists()


def test_a_role_that_nobody_better_can_take_stays_and_that_is_an_error(site: Site) -> None:
    one, two = site.start()
    act(two, handicap=-50)
    with pytest.raises(FabricError, match=r"router blue/r1 is still primary on this host after 1 s: no other node"):
        act(one, timeout=1, handicap=-10, expect="backup")
    assert primaries(site) == [1]


def test_a_drained_node_gives_up_and_stays_away_until_it_is_undrained(site: Site) -> None:
    one, two = site.start()
    foretold = act(one, check_mode=True, drained=True)
    done = act(one, drained=True)
    assert foretold["changes"] == done["changes"]
    assert done["changes"] == [
        "drain this host",
        f"set the handicap of router {one.name} to -20",
        f"router {one.name} gives up the role",
    ]
    assert not act(one, drained=True)["changed"]
    assert look(one)["drained"]
    assert look(one)["routers"] == [{"name": one.name, "handicap": 0}]
    # A run of site does not undo it.
    one.run(one.item())
    assert (status(one)["priority"], primaries(site)) == (80, [2])
    # It still serves when the other one has failed.
    act(two, handicap=-50, expect="backup")
    one.wait_for_role("primary")
    act(two, handicap=0, expect="primary")
    one.wait_for_role("backup")
    assert act(one, drained=False)["changes"] == ["undrain this host", f"set the handicap of router {one.name} to 0"]
    assert not act(one, drained=False)["changed"]
    assert primaries(site) == [2]
    assert not (one.path / "drained").exists()


def test_a_drained_node_comes_back_from_a_reboot_as_drained(site: Site) -> None:
    one, two = site.start()
    act(one, drained=True)
    two.wait_for_role("primary")
    one.systemd.end_all()
    # What is in /run does not outlive a reboot.
    subprocess.run(["rm", "-r", str(one.run_path)], check=True)
    one.run(one.item())
    one.wait_for_role("backup")
    assert status(one)["handicap"] == router_roles.DRAINED_HANDICAP
    two.systemd.end(two.unit, 15)
    one.wait_for_role("primary")
    two.run(two.item())
    two.wait_for_role("primary")
    wait_for("the drained one to give way", lambda: primaries(site) == [2])


def test_two_that_do_not_hear_each_other_are_told_and_so_are_addresses_without_a_role(site: Site) -> None:
    one, two = site.start()
    assert verdict(site).problems == []
    assert verdict(site).primary == "n1"
    one.split(True)
    two.wait_for_role("primary")
    assert [text for text in verdict(site).problems if "primary at once" in text] == [
        "2 nodes are primary at once (n1, n2): they do not hear each other on the HA link"
    ]
    one.split(False)
    wait_for("one primary", lambda: len(primaries(site)) == 1)
    backup = next(node for node in site.nodes if node.number not in primaries(site))
    backup.wait_for_role("backup")
    ip("addr add 10.0.0.1/24 dev qr-1", namespace=backup.namespace)
    assert f"n{backup.number} is backup but holds 10.0.0.1/24" in verdict(site).problems
    ip("addr del 10.0.0.1/24 dev qr-1", namespace=backup.namespace)
    primary = next(node for node in site.nodes if node.number in primaries(site))
    ip("addr del 203.0.113.150/24 dev qg-1", namespace=primary.namespace)
    assert f"n{primary.number} is primary but does not hold 203.0.113.150/24" in verdict(site).problems


def test_a_router_that_is_not_there_is_refused_and_a_host_without_any_can_be_drained(tmp_path: Path) -> None:
    nowhere = router_roles.Paths(str(tmp_path / "vrrp"), str(tmp_path / "run"), str(tmp_path / "drained"))
    item = {"name": "1", "label": "blue/r1"}
    with pytest.raises(FabricError, match="router blue/r1: there is no such HA router on this host"):
        reconcile(RouterRolesEngine({"routers": [item]}, paths=nowhere))
    assert reconcile(RouterRolesEngine({"drained": True}, paths=nowhere))["changes"] == ["drain this host"]
    assert (tmp_path / "drained").read_text() == "-20\n"


@pytest.mark.parametrize("handicap", [1, -254, "-1"])
def test_a_handicap_is_a_small_negative_number(handicap: t.Any) -> None:
    with pytest.raises(FabricError, match="is not a number from -253 to 0"):
        RouterRolesEngine({"routers": [{"name": "1", "handicap": handicap}]})
