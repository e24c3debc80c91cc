# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes of userspace tunnels, on a private ovs-vswitchd that says itself which it has."""

from __future__ import annotations

import threading
import typing as t
from ipaddress import IPv6Address

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import announce, ovs_tunnel_routes
from ansible_collections.weft.fabric.plugins.module_utils.ovs_tunnel_routes import (
    OvsTunnelRoutesEngine,
    Route,
    announcements_of,
    parse_routes,
    route_items,
)
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, reconcile
from ansible_collections.weft.fabric.tests.unit.ovs_sandbox import OvsSandbox

RACK = {"to": "192.0.2.0/24", "bridge": "br-underlay", "source": "192.0.2.11"}
REST = {"to": "198.51.100.0/24", "bridge": "br-underlay", "via": "192.0.2.1", "source": "192.0.2.11"}


@pytest.fixture(scope="module")
def private() -> t.Iterator[OvsSandbox]:
    with OvsSandbox() as sandbox:
        for bridge in ("br-underlay", "br-foreign"):
            sandbox.vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=dummy")
        sandbox.vsctl("set", "bridge", "br-underlay", "external_ids:weft-fabric=bridges/br-underlay")
        sandbox.appctl("netdev-dummy/ip4addr", "br-underlay", "192.0.2.11/24")
        sandbox.appctl("netdev-dummy/ip4addr", "br-foreign", "203.0.113.11/24")
        yield sandbox


@pytest.fixture
def ovs(private: OvsSandbox) -> OvsSandbox:
    for route in parse_routes(private.appctl("ovs/route/show")).values():
        private.appctl("ovs/route/del", route.to)
    return private


def run(ovs: OvsSandbox, *routes: dict[str, t.Any], check: bool = False, purge: bool = True) -> list[str]:
    params = {"routes": list(routes), "socket": ovs.socket_path, "purge": purge}
    return reconcile(OvsTunnelRoutesEngine(params), check)["changes"]


def user_routes(ovs: OvsSandbox) -> list[str]:
    lines = ovs.appctl("ovs/route/show").splitlines()
    return sorted(line.removeprefix("User: ") for line in lines if line.startswith("User: "))


def test_routes_are_foretold_made_left_alone_and_removed(ovs: OvsSandbox) -> None:
    wanted = [
        "tunnel route 192.0.2.0/24 dev br-underlay from 192.0.2.11: add",
        "tunnel route 198.51.100.0/24 via 192.0.2.1 dev br-underlay from 192.0.2.11: add",
    ]
    assert run(ovs, RACK, REST, check=True) == wanted
    assert user_routes(ovs) == []
    assert run(ovs, RACK, REST) == wanted
    assert user_routes(ovs) == [
        "192.0.2.0/24 dev br-underlay SRC 192.0.2.11",
        "198.51.100.0/24 dev br-underlay GW 192.0.2.1 SRC 192.0.2.11",
    ]
    assert run(ovs, RACK, REST) == []
    assert run(ovs, RACK) == ["tunnel route 198.51.100.0/24 via 192.0.2.1 dev br-underlay from 192.0.2.11: remove"]
    assert user_routes(ovs) == ["192.0.2.0/24 dev br-underlay SRC 192.0.2.11"]
    run(ovs)
    assert user_routes(ovs) == []


def test_another_gateway_or_bridge_replaces_a_route(ovs: OvsSandbox) -> None:
    run(ovs, RACK, REST)
    changed = {**REST, "via": "192.0.2.254"}
    assert run(ovs, RACK, changed) == [
        (
            "tunnel route 198.51.100.0/24 via 192.0.2.254 dev br-underlay from 192.0.2.11: "
            "replace 198.51.100.0/24 via 192.0.2.1 dev br-underlay from 192.0.2.11"
        )
    ]
    assert run(ovs, RACK, changed) == []


def test_a_route_whose_source_is_another_address_is_added_anew(ovs: OvsSandbox) -> None:
    run(ovs, RACK)
    ovs.appctl("netdev-dummy/ip4addr", "br-underlay", "192.0.2.12/24")
    try:
        moved = {**RACK, "source": "192.0.2.12"}
        assert run(ovs, moved) == [
            (
                "tunnel route 192.0.2.0/24 dev br-underlay from 192.0.2.12: replace 192.0.2.0/24 dev br-underlay "
                "from 192.0.2.11"
            )
        ]
        assert run(ovs, moved) == []
    finally:
        ovs.appctl("netdev-dummy/ip4addr", "br-underlay", "192.0.2.11/24")


def test_nobody_has_to_ask_for_the_mac_of_a_neighbour_that_is_known(
    ovs: OvsSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a route that comes, its neighbours are told to Open vSwitch, and this host is told to them."""
    told: list[announce.Announcement] = []
    monkeypatch.setattr(announce, "send", told.extend)
    neighbours = [
        {"bridge": "br-underlay", "address": "192.0.2.12", "mac": "02:00:00:00:00:12"},
        {"bridge": "br-underlay", "address": "192.0.2.13"},
    ]
    params = {"routes": [RACK], "neighbours": neighbours, "socket": ovs.socket_path, "purge": True}
    assert len(reconcile(OvsTunnelRoutesEngine(params))["changes"]) == 1
    known = [line.split() for line in ovs.appctl("tnl/neigh/show").splitlines()]
    assert ["192.0.2.12", "02:00:00:00:00:12", "br-underlay"] in known
    assert not [words for words in known if words[0] == "192.0.2.13"]
    assert told == [announce.Announcement(None, "br-underlay", "192.0.2.11")]
    told.clear()
    assert reconcile(OvsTunnelRoutesEngine(params))["changes"] == []
    assert told == []


def test_over_ipv6_each_neighbour_is_told_by_itself() -> None:
    """Open vSwitch takes an advertisement only when its own tunnel end point is what it is addressed to."""
    route = {"to": "2001:db8::/64", "bridge": "br-underlay", "source": "2001:db8::1"}
    neighbours = [{"bridge": "br-underlay", "address": "2001:db8::2"}, {"bridge": "br-x", "address": "2001:db8::3"}]
    (announcement,) = announcements_of([route], neighbours)
    assert announcement == announce.Announcement(None, "br-underlay", "2001:db8::1", "2001:db8::2")
    frame = announce.frame(bytes(6), announcement.address, announcement.listener)
    assert frame[:6].hex() == "333300000001"
    assert IPv6Address(frame[22:38]) == IPv6Address("2001:db8::1")
    assert IPv6Address(frame[38:54]) == IPv6Address("2001:db8::2")


def test_somebody_elses_route_stays(ovs: OvsSandbox) -> None:
    ovs.appctl("ovs/route/add", "203.0.113.0/24", "br-foreign")
    run(ovs, RACK)
    assert run(ovs) == ["tunnel route 192.0.2.0/24 dev br-underlay from 192.0.2.11: remove"]
    assert user_routes(ovs) == ["203.0.113.0/24 dev br-foreign SRC 203.0.113.11"]
    assert run(ovs, {"to": "203.0.113.0/24", "state": "absent"}, purge=False) == [
        "tunnel route 203.0.113.0/24 dev br-foreign from 203.0.113.11: remove"
    ]


def test_what_was_read_can_be_fed_back(ovs: OvsSandbox) -> None:
    run(ovs, RACK, REST)
    items = route_items(ovs.socket_path)
    assert [item["to"] for item in items] == ["192.0.2.0/24", "198.51.100.0/24"]
    assert run(ovs, *items) == []


@pytest.mark.parametrize(
    ("route", "told"),
    [
        ({**RACK, "to": "192.0.2.1/24"}, "tunnel route 192.0.2.1/24: .*host bits set"),
        ({**RACK, "bridge": "br-nowhere"}, "ovs-vswitchd at .* refused ovs/route/add"),
    ],
)
def test_a_wrong_route_is_an_error(
    route: dict[str, str], told: str, ovs: OvsSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ovs_tunnel_routes, "NOTICE_SECONDS", 0.0)
    with pytest.raises(FabricError, match=told):
        run(ovs, route)


def test_a_route_listed_twice_is_an_error(ovs: OvsSandbox) -> None:
    with pytest.raises(FabricError, match=r"the tunnel route to 192\.0\.2\.0/24 is listed twice"):
        run(ovs, RACK, RACK)


def test_marks_and_gateways_are_understood() -> None:
    text = "Route Table:\nCached: 10.0.0.0/8 dev eth0 SRC 10.0.0.1\nUser: 2001:db8::/64 MARK 5 dev br0 GW fe80::1\n"
    assert parse_routes(text) == {"2001:db8::/64": Route("2001:db8::/64", "br0", "fe80::1", None)}


def test_an_address_may_come_a_moment_after_its_bridge(ovs: OvsSandbox) -> None:
    ovs.vsctl("add-br", "br-late", "--", "set", "bridge", "br-late", "datapath_type=dummy")
    later = threading.Timer(0.3, ovs.appctl, ("netdev-dummy/ip4addr", "br-late", "198.18.0.1/24"))
    later.start()
    try:
        run(ovs, {"to": "198.18.0.0/24", "bridge": "br-late", "source": "198.18.0.1"}, purge=False)
    finally:
        later.join()
    assert user_routes(ovs) == ["198.18.0.0/24 dev br-late SRC 198.18.0.1"]


def test_tunnels_are_listened_for_when_a_route_of_their_bridge_goes() -> None:
    """Open vSwitch stops listening on a bridge with any of its routes."""
    with OvsSandbox(override=False) as sandbox:
        sandbox.vsctl("add-br", "br-underlay", "--", "set", "bridge", "br-underlay", "datapath_type=dummy")
        sandbox.vsctl("set", "bridge", "br-underlay", "external_ids:weft-fabric=bridges/br-underlay")
        sandbox.appctl("netdev-dummy/ip4addr", "br-underlay", "192.0.2.11/24")
        sandbox.vsctl("add-br", "br-tun", "--", "set", "bridge", "br-tun", "datapath_type=dummy")
        tunnel = ("add-port", "br-tun", "vx1", "--", "set", "interface", "vx1", "type=vxlan", "options:key=flow")
        sandbox.vsctl(*tunnel, "options:remote_ip=192.0.2.12")
        run(sandbox, RACK, REST)
        assert "dst=192.0.2.11" in sandbox.appctl("tnl/ports/show", "-v")
        run(sandbox, RACK)
        assert "dst=192.0.2.11" in sandbox.appctl("tnl/ports/show", "-v")
