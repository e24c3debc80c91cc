# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to frames of ports and networks that are out of the ordinary."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import pipeline
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Topology
from ansible_collections.weft.fabric.tests.unit.topology.compile import frames, topologies
from ansible_collections.weft.fabric.tests.unit.topology.compile.builder import Builder
from ansible_collections.weft.fabric.tests.unit.topology.compile.fabric import Fabric
from ansible_collections.weft.fabric.tests.unit.topology.compile.test_frames import forbidden

SHARED_MAC = "00:00:5e:00:01:01"
UNKNOWN_MAC = "fa:16:3e:ff:ff:ff"
WEB = {"web-1", "web-2", "gateway", "free", "taken"}


@pytest.fixture(scope="module")
def pairs() -> t.Iterator[Fabric]:
    with Fabric(topologies.address_pairs()) as fabric:
        yield fabric


@pytest.fixture
def learning() -> t.Iterator[Fabric]:
    with Fabric(topologies.learning()) as fabric:
        yield fabric


@pytest.mark.parametrize("source", ["gateway", "taken"])
def test_a_shared_mac_is_delivered_to_all_who_may_hold_it(pairs: Fabric, source: str) -> None:
    frame = frames.udp(pairs.mac(source), SHARED_MAC, pairs.address(source), "10.0.0.100")
    assert pairs.send(source, frame) == {"web-1": [frame], "web-2": [frame]}


def test_the_holder_of_a_shared_mac_does_not_get_its_own_frame_back(pairs: Fabric) -> None:
    frame = frames.udp(pairs.mac("web-1"), SHARED_MAC, pairs.address("web-1"), "10.0.0.100")
    assert pairs.send("web-1", frame) == {"web-2": [frame]}


@pytest.mark.parametrize("target", ["10.0.0.100", "10.9.0.7"])
def test_an_address_that_several_may_hold_is_not_answered_for(pairs: Fabric, target: str) -> None:
    question = frames.arp(pairs.mac("gateway"), "10.0.0.1", target)
    assert pairs.send("gateway", question) == {port: [question] for port in WEB - {"gateway"}}


def test_an_ipv6_address_that_several_may_hold_is_not_answered_for(pairs: Fabric) -> None:
    question = frames.solicitation(pairs.mac("gateway"), pairs.address("gateway", 6), "2001:db8:100::100")
    assert pairs.send("gateway", question) == {port: [question] for port in WEB - {"gateway"}}


def test_an_address_pair_lets_its_port_speak_for_it_with_its_mac_only(pairs: Fabric) -> None:
    announcement = frames.arp(SHARED_MAC, "10.0.0.100", "10.0.0.100")
    assert pairs.send("web-1", announcement) == {port: [announcement] for port in WEB - {"web-1"}}
    assert pairs.send("gateway", announcement) == {}
    assert pairs.send("web-1", frames.arp(pairs.mac("web-1"), "10.0.0.100", "10.0.0.100")) == {}
    routed = frames.udp(pairs.mac("gateway"), pairs.mac("web-2"), "10.9.0.7", "10.0.0.12")
    assert pairs.send("gateway", routed) == {"web-2": [routed]}
    assert pairs.send("web-1", frames.udp(pairs.mac("web-1"), pairs.mac("web-2"), "10.9.0.7", "10.0.0.12")) == {}


@pytest.mark.parametrize(
    "what", [name for name in forbidden(UNKNOWN_MAC, UNKNOWN_MAC) if "tagged" not in name and "solic" not in name]
)
def test_a_port_without_port_security_may_say_what_others_may_not(pairs: Fabric, what: str) -> None:
    # Which also shows that there is nothing wrong with the frames that the others' test sees dropped.
    frame = forbidden(pairs.mac("free"), pairs.mac("web-1"))[what]
    assert pairs.send("free", frame) == {port: [frame] for port in WEB - {"free"}}


def test_a_port_without_port_security_stays_in_its_network(pairs: Fabric) -> None:
    for vlan in (0, 1, 2, 4095):
        frame = frames.udp(pairs.mac("free"), frames.BROADCAST, "10.0.0.14", "10.0.0.255", vlan=vlan)
        assert pairs.send("free", frame) == {}


def hosts_behind(kind: str) -> tuple[str, str]:
    """Return the ports of a learning network: the one with unknown MACs behind it, and a plain one elsewhere."""
    return f"{kind}-bridge", f"{kind}-plain"


@pytest.mark.parametrize("kind", ["vxlan", "vlan"])
def test_a_learning_network_finds_an_unknown_mac_by_flooding_and_then_knows_it(learning: Fabric, kind: str) -> None:
    bridge, plain = hosts_behind(kind)
    question = frames.udp(learning.mac(plain), UNKNOWN_MAC, learning.address(plain), "10.0.0.50")
    assert learning.send(plain, question) == {bridge: [question]}, "unknown: flooded"
    assert learned(learning, "h2") == {}
    answer = frames.udp(UNKNOWN_MAC, learning.mac(plain), "10.0.0.50", learning.address(plain))
    assert learning.send(bridge, answer) == {plain: [answer]}
    assert learning.send(plain, question) == {bridge: [question]}, "known: straight to it"
    for host in ("h1", "h2"):
        assert UNKNOWN_MAC in " ".join(learned(learning, host).get("br-int", []))


def test_what_was_learned_is_used(learning: Fabric) -> None:
    host = learning.hosts["h2"]
    plain = f"dl_src={learning.mac('vxlan-plain')},dl_dst={UNKNOWN_MAC},ip,nw_src=10.0.0.12"
    assert "vni=0x1389" in host.trace("vxlan-plain", plain)
    from_elsewhere = frames.udp(UNKNOWN_MAC, frames.BROADCAST, "10.0.0.50", "10.0.0.255")
    learning.send("vxlan-bridge", from_elsewhere)
    assert (
        f"table=21, n_packets=0, n_bytes=0, hard_timeout=300, priority=20,vlan_tci=0x0001/0x0fff,dl_dst={UNKNOWN_MAC}"
        in (" ".join(learned(learning, "h2")["br-tun"]))
    )


def test_what_was_learned_goes_with_its_network(learning: Fabric) -> None:
    learning.send("vxlan-bridge", frames.udp(UNKNOWN_MAC, frames.BROADCAST, "10.0.0.50", "10.0.0.255"))
    host = learning.hosts["h1"]
    assert UNKNOWN_MAC in " ".join(learned(learning, "h1")["br-int"])
    (network,) = (network for network in host.view.networks if network.is_tunnel)
    for local in network.local:
        host.sandbox.ofctl("del-flows", "br-int", f"cookie=0x{local.cookie:x}/-1")
    host.sandbox.ofctl("del-flows", "br-int", f"cookie=0x{network.cookie:x}/-1")
    assert UNKNOWN_MAC not in " ".join(learned(learning, "h1").get("br-int", []))


def test_a_known_mac_cannot_be_taken_over_by_learning(learning: Fabric) -> None:
    stolen = frames.udp(learning.mac("vxlan-plain"), frames.BROADCAST, "10.0.0.12", "10.0.0.255")
    learning.send("vxlan-bridge", stolen)
    host = learning.hosts["h1"]
    towards = f"dl_src={UNKNOWN_MAC},dl_dst={learning.mac('vxlan-plain')},ip,nw_src=10.0.0.50"
    assert "vni=0x1389" in host.trace("vxlan-bridge", towards)
    frame = frames.udp(learning.mac("vxlan-bridge"), learning.mac("vxlan-plain"), "10.0.0.11", "10.0.0.12")
    assert learning.send("vxlan-bridge", frame) == {"vxlan-plain": [frame]}


def learned(fabric: Fabric, host: str) -> dict[str, list[str]]:
    """Return the flows that learn() made on a host, by bridge."""
    mask = f"cookie=0x{pipeline.COOKIE_MARK_LEARNED << 32:x}/0x{pipeline.COOKIE_MASK:x}"
    found = {}
    for bridge in ("br-int", "br-tun"):
        lines = fabric.hosts[host].sandbox.ofctl("dump-flows", bridge, mask).splitlines()
        flows = [line for line in lines if "cookie=" in line]
        if flows:
            found[bridge] = flows
    return found


def provider() -> Topology:
    """Return two VLAN networks and a flat one on two hosts, wired by their physical interfaces alone."""
    build = Builder().physnet("physnet1").physnet("physnet2")
    for host in ("h1", "h2"):
        build.host(host, physnets={"physnet1": "eth2", "physnet2": "eth3"})
    for name, kind, physnet, vlan in (
        ("blue", "vlan", "physnet1", 200),
        ("red", "vlan", "physnet1", 300),
        ("grey", "flat", "physnet2", None),
    ):
        lan = build.network(name, "lan", kind, physical_network=physnet, segmentation_id=vlan)
        build.subnet(lan, "10.0.0.0/24")
        for number in (1, 2):
            build.port(lan, f"{name}{number}", f"h{number}", number=10 + number)
    return build.topology


@pytest.fixture(scope="module")
def wired() -> t.Iterator[Fabric]:
    with Fabric(provider()) as fabric:
        yield fabric


@pytest.mark.parametrize("project", ["blue", "red", "grey"])
def test_provider_networks_reach_the_other_host_and_no_other_network(wired: Fabric, project: str) -> None:
    source, target = f"{project}1", f"{project}2"
    for destination in (wired.mac(target), frames.BROADCAST):
        frame = frames.udp(wired.mac(source), destination, "10.0.0.11", "10.0.0.12")
        assert wired.send(source, frame) == {target: [frame]}


@pytest.mark.parametrize(
    ("project", "interface", "tag"),
    [("blue", "eth2", b"\x81\x00\x00\xc8"), ("red", "eth2", b"\x81\x00\x01\x2c"), ("grey", "eth3", b"")],
)
def test_the_wire_sees_the_tag_of_the_physical_network(wired: Fabric, project: str, interface: str, tag: bytes) -> None:
    mac = wired.mac(f"{project}1")
    wired.send(f"{project}1", frames.udp(mac, UNKNOWN_MAC, "10.0.0.11", "10.0.0.99"))
    head = frames.mac_bytes(UNKNOWN_MAC) + frames.mac_bytes(mac)
    sent = [frame for frame in wired.hosts["h1"].captured_on(interface) if frame.startswith(head)]
    assert [frame[: 14 + len(tag)] for frame in sent] == [head + tag + b"\x08\x00"]


def test_the_wire_brings_only_what_is_tagged_for_a_network_here(wired: Fabric) -> None:
    host = wired.hosts["h1"]

    def came_in(interface: str, tag: str) -> str:
        return host.trace(interface, f"{tag},dl_src={UNKNOWN_MAC},dl_dst={frames.BROADCAST}")

    def delivered(port: str, answer: str) -> bool:
        return host.device(port) in answer

    assert delivered("blue1", came_in("eth2", "dl_vlan=200"))
    assert not delivered("red1", came_in("eth2", "dl_vlan=200"))
    assert delivered("red1", came_in("eth2", "dl_vlan=300"))
    assert delivered("grey1", came_in("eth3", "vlan_tci=0x0000"))
    nobody = [came_in("eth2", "dl_vlan=1"), came_in("eth2", "vlan_tci=0x0000"), came_in("eth3", "dl_vlan=3")]
    assert not [answer for answer in nobody for port in host.ports if delivered(port, answer)]


def test_a_frame_from_the_wire_is_not_sent_back_to_it(wired: Fabric) -> None:
    answer = wired.hosts["h1"].trace("eth2", f"dl_vlan=200,dl_src={UNKNOWN_MAC},dl_dst={frames.BROADCAST}")
    assert "eth2" not in answer


def test_a_provider_bridge_lets_no_local_vlan_of_others_out(wired: Fabric) -> None:
    host = wired.hosts["h1"]
    grey = host.view.topology.network(("grey", "lan")).local_vlan
    assert host.trace("phy-br-physnet1", f"dl_vlan={grey},dl_dst={frames.BROADCAST}") == "drop"
    assert "eth3" in host.trace("phy-br-physnet2", f"dl_vlan={grey},dl_dst={frames.BROADCAST}")
