# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to frames of routers, whose legs may be on several hosts with one MAC."""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.eui64 import link_local
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Topology
from ansible_collections.weft.fabric.tests.unit.topology.compile import frames
from ansible_collections.weft.fabric.tests.unit.topology.compile.builder import Builder
from ansible_collections.weft.fabric.tests.unit.topology.compile.fabric import Fabric, FabricHost

UNKNOWN_MAC = "fa:16:3e:ff:ff:ff"
LEG, OUTSIDE, OTHER = "router:blue:ha:blue:web", "gateway:blue:ha", "gateway:blue:single"
HERE, THERE = f"{LEG}@net1", f"{LEG}@net2"
LEGS = {HERE, THERE}
GATEWAYS = {f"{OUTSIDE}@net1", f"{OUTSIDE}@net2"}
WEB = {*LEGS, "web-1", "web-2"}


def routers(third: bool = False) -> Topology:
    """An HA router on two hosts, a second one on the first of them, and a tenant on each."""
    build = Builder().physnet("physnet1")
    for number in (1, 2):
        build.host(f"net{number}", f"198.51.100.{number}/24", {"physnet1": "eth2"}, interface="eth1")
    if third:
        build.host("cmp1", "198.51.100.3/24", interface="eth1")
    public = build.network("admin", "public", "flat", physical_network="physnet1", external=True, mtu=1500)
    build.subnet(public, "203.0.113.0/24")
    web = build.network("blue", "web", mac_learning=third)
    build.subnet(web, "10.0.0.0/24")
    build.subnet(web, "2001:db8::/64", ipv6_mode="slaac")
    build.port(web, "web-1", "net1", number=11)
    build.port(web, "web-2", "net2", number=12)
    if third:
        build.port(web, "web-3", "cmp1", number=13)
    build.router("blue", "ha", ["net1", "net2"], [web], public)
    build.router("blue", "single", ["net1"], [], public)
    return build.place_routers()


@pytest.fixture(scope="module")
def fabric() -> t.Iterator[Fabric]:
    with Fabric(routers()) as fabric:
        yield fabric


@pytest.mark.parametrize("source", ["web-1", "web-2"])
def test_a_frame_to_a_leg_comes_once_to_each_host_that_has_it(fabric: Fabric, source: str) -> None:
    frame = frames.udp(fabric.mac(source), fabric.mac(HERE), fabric.address(source), "192.0.2.1")
    assert fabric.send(source, frame) == {leg: [frame] for leg in LEGS}


@pytest.mark.parametrize("leg", sorted(LEGS))
@pytest.mark.parametrize("target", ["web-1", "web-2"])
def test_whoever_is_primary_reaches_every_port(fabric: Fabric, leg: str, target: str) -> None:
    frame = frames.udp(fabric.mac(leg), fabric.mac(target), "192.0.2.1", fabric.address(target))
    assert fabric.send(leg, frame) == {target: [frame]}


def test_a_frame_from_one_of_the_hosts_to_its_own_mac_makes_no_loop(fabric: Fabric) -> None:
    frame = frames.udp(fabric.mac(HERE), fabric.mac(HERE), "192.0.2.1", "10.0.0.1")
    assert fabric.send(HERE, frame) == {THERE: [frame]}


@pytest.mark.parametrize("source", sorted(WEB))
def test_a_broadcast_comes_once_to_every_other_port(fabric: Fabric, source: str) -> None:
    announcement = frames.arp(fabric.mac(source), fabric.address(source), fabric.address(source))
    assert fabric.send(source, announcement) == {port: [announcement] for port in WEB - {source}}


@pytest.mark.parametrize("source", ["web-1", "web-2"])
def test_questions_about_a_leg_are_answered_on_the_spot(fabric: Fabric, source: str) -> None:
    asker, owner = fabric.mac(source), fabric.mac(HERE)
    answer = frames.arp(owner, "10.0.0.1", fabric.address(source), 2, asker, target_mac=asker)
    assert fabric.send(source, frames.arp(asker, fabric.address(source), "10.0.0.1")) == {source: [answer]}
    sender = fabric.address(source, 6)
    for subject in ("2001:db8::1", str(link_local(owner))):
        # The highest flag: it comes from a router.
        answer = frames.advertisement(owner, asker, subject, sender, subject, owner, 0xE0)
        assert fabric.send(source, frames.solicitation(asker, sender, subject)) == {source: [answer]}


@pytest.mark.parametrize("leg", sorted(LEGS))
def test_a_router_is_answered_about_its_neighbours_on_the_spot(fabric: Fabric, leg: str) -> None:
    for target in ("web-1", "web-2"):
        mac = fabric.mac(leg)
        answer = frames.arp(fabric.mac(target), fabric.address(target), "10.0.0.1", 2, mac, target_mac=mac)
        assert fabric.send(leg, frames.arp(mac, "10.0.0.1", fabric.address(target))) == {leg: [answer]}


def test_a_router_may_forward_what_others_send_and_advertise_itself(fabric: Fabric) -> None:
    mac, all_nodes = fabric.mac(HERE), "33:33:00:00:00:01"
    advertisement = frames.icmpv6(mac, all_nodes, str(link_local(mac)), "ff02::1", frames.RA, bytes(12))
    assert fabric.send(HERE, advertisement) == {port: [advertisement] for port in WEB - {HERE}}
    routed = frames.udp(mac, fabric.mac("web-2"), "2001:db8:ffff::1", fabric.address("web-2", 6))
    assert fabric.send(HERE, routed) == {"web-2": [routed]}


def test_a_tenant_can_not_play_the_router(fabric: Fabric) -> None:
    mac = fabric.mac(HERE)
    assert fabric.send("web-1", frames.arp(fabric.mac("web-1"), "10.0.0.1", "10.0.0.12")) == {}
    assert fabric.send("web-1", frames.udp(mac, fabric.mac("web-2"), "192.0.2.1", "10.0.0.12")) == {}


def test_the_nodes_of_a_router_hear_each_other(fabric: Fabric) -> None:
    one, other = "ha:ha:net1", "ha:ha:net2"
    frame = frames.udp(fabric.mac(one), fabric.mac(other), fabric.address(one), fabric.address(other))
    assert fabric.send(one, frame) == {other: [frame]}


def test_a_gateway_s_frame_to_outside_leaves_through_the_uplink(fabric: Fabric) -> None:
    here = fabric.hosts["net1"]
    for gateway in (f"{OUTSIDE}@net1", OTHER):
        frame = frames.udp(fabric.mac(gateway), UNKNOWN_MAC, "203.0.113.120", "203.0.113.1")
        before = len(here.captured_on("eth2"))
        # The other host's bridge knows the MAC no better: it stays on the wire between the two.
        assert fabric.send(gateway, frame) == {}
        assert frame in here.captured_on("eth2")[before:]


def test_a_question_from_outside_comes_to_the_gateways(fabric: Fabric) -> None:
    question = frames.arp(UNKNOWN_MAC, "203.0.113.1", fabric.address(f"{OUTSIDE}@net1"))
    fabric.hosts["net1"].sandbox.appctl("netdev-dummy/receive", "eth2", question.hex())
    for gateway in (f"{OUTSIDE}@net1", OTHER):
        fabric.by_port[gateway].wait_for(gateway, lambda got: got == question)


def test_a_bridge_that_remembers_the_role_here_lets_frames_out_to_where_it_is_now(fabric: Fabric) -> None:
    # The provider bridge of net1 learns the gateway's MAC on its own side …
    held = frames.arp(fabric.mac(f"{OUTSIDE}@net1"), "203.0.113.150", "203.0.113.150")
    assert set(fabric.send(f"{OUTSIDE}@net1", held)) == {f"{OUTSIDE}@net2", OTHER}
    # … and the frame of a neighbour there reaches the other host all the same.
    frame = frames.udp(fabric.mac(OTHER), fabric.mac(f"{OUTSIDE}@net1"), "203.0.113.120", "203.0.113.121")
    assert fabric.send(OTHER, frame) == {gateway: [frame] for gateway in GATEWAYS}


def tunnels(trace: str) -> list[str]:
    """Return the tunnel end points that a trace sends to."""
    return re.findall(r"dst=(198\.51\.100\.\d)", trace) or re.findall(r"tnl_push\(tnl_port\((\S+?)\)", trace)


def test_a_third_host_sends_one_copy_to_each_host_that_has_the_leg() -> None:
    host = FabricHost(routers(third=True), "cmp1")
    try:
        host.start()
        source, leg = host.ports["web-3"].port, "fa:16:3e"
        legs = [port for port in host.view.networks[0].ports if port.name == LEG]
        leg = legs[0].mac_address
        for number in (1, 2):
            host.sandbox.appctl("tnl/arp/set", "br-underlay", f"198.51.100.{number}", f"02:00:00:00:00:0{number}")
        to_leg = host.trace("web-3", f"dl_src={source.mac_address},dl_dst={leg},ip,nw_src=10.0.0.13")
        flooded = host.trace("web-3", f"dl_src={source.mac_address},dl_dst={frames.BROADCAST},ip,nw_src=10.0.0.13")
        for trace in (to_leg, flooded):
            assert sorted(tunnels(trace)) == ["198.51.100.1", "198.51.100.2"]
    finally:
        host.stop()
