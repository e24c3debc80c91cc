# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names are found or refused before any host is touched, and a router is measured from where it is honest."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.routers.scope import ScopeError, find, ways
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import ROUTER_SNAT_OWNER, Topology
from ansible_collections.weft.fabric.tests.unit.routers.fabric import SPREAD, TOPOLOGY


@pytest.fixture
def topology(tmp_path: Path) -> Topology:
    path = tmp_path / "topology.yml"
    path.write_text(TOPOLOGY, encoding="utf-8")
    return build(str(path))


def test_without_a_name_it_is_about_all_routers(topology: Topology) -> None:
    scope = find(topology)
    assert [item["name"] for item in scope.described()] == ["blue/r1", "blue/r2", "blue/r3", "red/r1"]
    assert scope.hosts == ["net1", "net2", "net3"]
    assert scope.described()[1]["kind"] == "centralised"


def test_a_host_has_the_routers_that_are_on_it(topology: Topology) -> None:
    scope = find(topology, host="net3")
    assert [item["name"] for item in scope.described()] == ["blue/r3"]
    assert scope.described()[0]["nodes"] == ["net3", "net1", "net2"]


@pytest.mark.parametrize(
    ("router", "host", "to", "error"),
    [
        ("blue/r11", None, None, "there is no router 'blue/r11': did you mean blue/r1?"),
        ("r3", None, None, "there is no router 'r3': did you mean blue/r3?"),
        ("gren/r3", None, None, "there is no router 'gren/r3': did you mean blue/r3?"),
        ("xyz", None, None, "there is no router 'xyz': there are blue/r1, blue/r2, blue/r3, red/r1"),
        (None, "nte1", None, "there is no host 'nte1': did you mean net1?"),
        (None, "cmp1", None, "host cmp1 is no network node, so no router has its role there"),
        ("blue/r1", None, "ne2", "there is no host 'ne2': did you mean net2?"),
        ("blue/r1", None, "net3", "router blue/r1 is not on net3: its nodes are net1, net2"),
        ("blue/r2", None, None, "router blue/r2 is not HA and has no standby"),
        (None, None, None, "which router? Say either -e router=PROJECT/ROUTER or -e host=HOST"),
        ("blue/r1", "net1", None, "which router? Say either -e router=PROJECT/ROUTER or -e host=HOST"),
    ],
)
def test_a_wrong_name_is_refused(
    topology: Topology, router: str | None, host: str | None, to: str | None, error: str
) -> None:
    with pytest.raises(ScopeError) as told:
        find(topology, [router] if router else [], host, to, needs_choice=True)
    assert str(told.value).startswith(error)


def test_a_drain_wants_a_host_and_is_about_it_even_without_routers(topology: Topology) -> None:
    with pytest.raises(ScopeError, match="which host"):
        find(topology, needs_host=True)
    topology.projects = {}
    assert find(topology, host="net3", needs_host=True).hosts == ["net3"]


def test_a_third_host_measures_if_there_is_one_as_far_as_it_can(topology: Topology) -> None:
    found = ways(topology, topology.routers())
    (way,) = found["cmp1"]
    assert (way["router"], way["namespace"], way["interface"]) == ("blue/r1", "web-1", "eth0")
    assert [target["what"] for target in way["targets"]] == [
        "gateway of admin/public, through the router",
        "DHCP server of blue/db, through the router",
        "the router itself",
    ]
    assert way["targets"][0]["address"] == "203.0.113.1"
    assert way["targets"][2]["address"] == "10.0.0.1"
    leg = topology.router_ports[("blue", "web")][0]
    assert way["mac"] == leg.mac_address
    measured = {way["router"]: host for host, items in found.items() for way in items}
    # A router without a port or a DHCP server of ours in its networks can't be measured.
    assert sorted(measured) == ["blue/r1", "blue/r3", "red/r1"]
    assert all(way["namespace"].startswith("qdhcp-") for host in found if host != "cmp1" for way in found[host])


@pytest.fixture
def spread(tmp_path: Path) -> Topology:
    path = tmp_path / "spread.yml"
    path.write_text(SPREAD, encoding="utf-8")
    return build(str(path))


def test_a_status_is_about_the_parts_of_distributed_routers_too(spread: Topology) -> None:
    scope = find(spread, with_parts=True)
    described = {item["name"]: (item["kind"], item["nodes"], item["parts"]) for item in scope.described()}
    assert described["blue/r1"] == (
        "HA, distributed",
        ["net1", "net2"],
        ["cmp1", "net1", "net2", "net3"],
    )  # r3 is a neighbour
    assert described["red/r1"] == ("HA, distributed", [], ["cmp1"])
    assert described["blue/r3"] == ("HA", ["net3", "net1", "net2"], [])
    assert scope.hosts == ["cmp1", "net1", "net2", "net3"]
    names = [item["name"] for item in find(spread, host="cmp1", with_parts=True).described()]
    assert names == ["blue/r1", "red/r1"]


def test_who_moves_roles_needs_no_host_that_has_none(spread: Topology) -> None:
    scope = find(spread)
    assert scope.hosts == ["net1", "net2", "net3"]
    assert all(item["parts"] == [] for item in scope.described())
    with pytest.raises(ScopeError, match="host cmp1 is no network node"):
        find(spread, host="cmp1", needs_host=True)
    with pytest.raises(ScopeError, match="router red/r1 is distributed and leads nowhere outside"):
        find(spread, ["red/r1"], needs_choice=True)


def test_a_distributed_router_is_measured_through_what_can_move(spread: Topology) -> None:
    found = {way["router"]: (host, way) for host, items in ways(spread, spread.routers()).items() for way in items}
    assert sorted(found) == ["blue/r1", "blue/r3"]
    host, way = found["blue/r1"]
    centralised = [port for port in spread.router_ports[("blue", "web")] if port.device_owner == ROUTER_SNAT_OWNER]
    assert (host, way["mac"]) == ("cmp1", centralised[0].mac_address)
    assert [target["what"] for target in way["targets"]] == [
        "gateway of admin/public, through the router",
        "the router itself",
    ]
