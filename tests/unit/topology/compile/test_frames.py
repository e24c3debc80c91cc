# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to frames: real ones, through real Open vSwitches that have what the compiler says."""

from __future__ import annotations

import typing as t
from ipaddress import IPv6Address

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.eui64 import link_local
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Topology
from ansible_collections.weft.fabric.tests.unit.topology.compile import frames
from ansible_collections.weft.fabric.tests.unit.topology.compile.builder import Builder
from ansible_collections.weft.fabric.tests.unit.topology.compile.fabric import Fabric

UNKNOWN_MAC = "fa:16:3e:ff:ff:ff"
OWN, OTHER, FREE = "10.0.0.11", "10.0.0.13", "10.0.0.99"
OWN_V6, OTHER_V6 = "2001:db8::b", "2001:db8::d"


def two_tenants() -> Topology:
    """Two tenants with the same addresses: the first with ports of all kinds, the second to see nothing of it."""
    build = Builder().host("h1", "198.51.100.1/24", interface="eth1").host("h2", "198.51.100.2/24", interface="eth1")
    for project in ("blue", "red"):
        web = build.network(project, "web")
        build.subnet(web, "10.0.0.0/24")
        build.subnet(web, "2001:db8::/64", ipv6_mode="dhcpv6-stateful")
        build.port(web, f"{project}1", "h1", number=11)
        build.port(web, f"{project}3", "h2", "veth", number=13)
    web = build.topology.network(("blue", "web"))
    build.port(web, "blue2", "h1", "internal", number=12)
    build.port(web, "blue4", "h2", "iface_id", number=14)
    build.dhcp(web, "h1")
    return build.topology


BLUE = {"blue1", "blue2", "blue3", "blue4", "dhcp-web-h1"}


@pytest.fixture(scope="module")
def fabric() -> t.Iterator[Fabric]:
    with Fabric(two_tenants()) as fabric:
        yield fabric


def test_unicast_to_a_port_on_the_same_host_comes_to_it_alone(fabric: Fabric) -> None:
    frame = frames.udp(fabric.mac("blue1"), fabric.mac("blue2"), OWN, "10.0.0.12")
    assert fabric.send("blue1", frame) == {"blue2": [frame]}


@pytest.mark.parametrize(("source", "target"), [("blue1", "blue3"), ("blue3", "blue1"), ("blue2", "blue4")])
def test_unicast_to_another_host_comes_to_its_port_alone_and_unchanged(
    fabric: Fabric, source: str, target: str
) -> None:
    for version in (4, 6):
        sender, receiver = fabric.address(source, version), fabric.address(target, version)
        frame = frames.udp(fabric.mac(source), fabric.mac(target), sender, receiver)
        assert fabric.send(source, frame) == {target: [frame]}


@pytest.mark.parametrize("source", ["blue1", "blue3", "blue4", "dhcp-web-h1"])
@pytest.mark.parametrize("destination", [frames.BROADCAST, "01:00:5e:00:00:fb"])
def test_broadcast_and_multicast_come_once_to_every_other_port_of_the_network(
    fabric: Fabric, source: str, destination: str
) -> None:
    frame = frames.udp(fabric.mac(source), destination, fabric.address(source), "224.0.0.251")
    assert fabric.send(source, frame) == {port: [frame] for port in BLUE - {source}}


@pytest.mark.parametrize("target", ["blue2", "blue3", "blue4", "dhcp-web-h1"])
def test_an_arp_question_about_a_known_address_is_answered_on_the_spot(fabric: Fabric, target: str) -> None:
    asker, owner, address = fabric.mac("blue1"), fabric.mac(target), fabric.address(target)
    answer = frames.arp(owner, address, OWN, operation=2, destination=asker, target_mac=asker)
    assert fabric.send("blue1", frames.arp(asker, OWN, address)) == {"blue1": [answer]}


def test_an_arp_question_about_an_unknown_address_is_asked_everywhere(fabric: Fabric) -> None:
    question = frames.arp(fabric.mac("blue1"), OWN, FREE)
    assert fabric.send("blue1", question) == {port: [question] for port in BLUE - {"blue1"}}


@pytest.mark.parametrize("sender", ["0.0.0.0", OWN])
def test_a_port_is_not_answered_about_its_own_address(fabric: Fabric, sender: str) -> None:
    question = frames.arp(fabric.mac("blue1"), sender, OWN)
    assert fabric.send("blue1", question) == {port: [question] for port in BLUE - {"blue1"}}


def test_a_unicast_arp_question_is_left_to_the_neighbour(fabric: Fabric) -> None:
    question = frames.arp(fabric.mac("blue1"), OWN, OTHER, destination=fabric.mac("blue3"))
    assert fabric.send("blue1", question) == {"blue3": [question]}


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("from_link_local", [False, True])
def test_a_neighbour_solicitation_is_answered_on_the_spot(fabric: Fabric, local: bool, from_link_local: bool) -> None:
    asker, owner = fabric.mac("blue1"), fabric.mac("blue3")
    subject = str(link_local(owner)) if local else OTHER_V6
    sender = str(link_local(asker)) if from_link_local else OWN_V6
    # The whole frame is compared, so its checksum is right too.
    answer = frames.advertisement(owner, asker, subject, sender, subject, owner)
    assert fabric.send("blue1", frames.solicitation(asker, sender, subject)) == {"blue1": [answer]}


def test_the_checksum_of_an_advertisement_is_right(fabric: Fabric) -> None:
    (answer,) = fabric.send("blue1", frames.solicitation(fabric.mac("blue1"), OWN_V6, OTHER_V6))["blue1"]
    packet = answer[14:]
    pseudo = packet[8:40] + bytes([0, 0, 0, len(packet) - 40, 0, 0, 0, frames.ICMPV6])
    assert frames.checksum(pseudo + packet[40:]) == 0
    assert packet[7] == 255


@pytest.mark.parametrize("option", [False, True])
def test_duplicate_address_detection_is_not_answered_but_heard(fabric: Fabric, option: bool) -> None:
    for port, subject in (("blue1", OWN_V6), ("dhcp-web-h1", OTHER_V6)):
        question = frames.solicitation(fabric.mac(port), "::", subject, option=option)
        assert fabric.send(port, question) == {other: [question] for other in BLUE - {port}}


def test_a_solicitation_that_names_no_mac_is_not_answered_but_heard(fabric: Fabric) -> None:
    question = frames.solicitation(fabric.mac("blue1"), OWN_V6, OTHER_V6, option=False)
    assert fabric.send("blue1", question) == {port: [question] for port in BLUE - {"blue1"}}


def before_it_has_an_address(mac: str) -> dict[str, bytes]:
    """Return what a host must be able to say at first."""
    local = str(link_local(mac))
    return {
        "dhcp discover": frames.udp(mac, frames.BROADCAST, "0.0.0.0", "255.255.255.255", (68, 67)),
        "arp probe": frames.arp(mac, "0.0.0.0", OWN),
        "mld report": frames.icmpv6(mac, "33:33:00:00:00:16", "::", "ff02::16", frames.MLD_REPORT, bytes(24)),
        "duplicate address detection": frames.solicitation(mac, "::", local, option=False),
        "router solicitation": frames.icmpv6(mac, "33:33:00:00:00:02", local, "ff02::2", 133, bytes(4)),
        "dhcpv6 solicit": frames.udp(mac, "33:33:00:01:00:02", local, "ff02::1:2", (546, 547)),
    }


@pytest.mark.parametrize("what", before_it_has_an_address(UNKNOWN_MAC))
def test_a_port_may_say_what_it_must_before_it_has_an_address(fabric: Fabric, what: str) -> None:
    frame = before_it_has_an_address(fabric.mac("blue1"))[what]
    assert fabric.send("blue1", frame) == {port: [frame] for port in BLUE - {"blue1"}}


def forbidden(mac: str, other: str) -> dict[str, bytes]:
    """Return what a port with this MAC must not be able to say; other is another port's MAC."""
    everyone, all_nodes = frames.BROADCAST, "33:33:00:00:00:01"
    local = str(link_local(mac))
    return {
        "another MAC": frames.udp(UNKNOWN_MAC, everyone, OWN, "10.0.0.255"),
        "another port's MAC": frames.udp(other, everyone, OWN, "10.0.0.255"),
        "another address": frames.udp(mac, everyone, OTHER, "10.0.0.255"),
        "another IPv6 address": frames.udp(mac, all_nodes, OTHER_V6, "ff02::1"),
        "another link-local address": frames.udp(mac, all_nodes, str(link_local(other)), "ff02::1"),
        "ARP of another address": frames.arp(mac, OTHER, OTHER),
        "ARP answer for another address": frames.arp(mac, OTHER, "10.0.0.12", 2, target_mac=other),
        "ARP with another sender MAC": frames.arp(mac, OWN, FREE, sender_mac=other),
        "ARP probe of another address": frames.arp(mac, "0.0.0.0", OTHER),
        "advertisement of another address": frames.advertisement(mac, all_nodes, OWN_V6, "ff02::1", OTHER_V6, mac),
        "advertisement from another address": frames.advertisement(mac, all_nodes, OTHER_V6, "ff02::1", OWN_V6, mac),
        "duplicate detection of another address": frames.solicitation(mac, "::", OTHER_V6, option=False),
        "router advertisement": frames.icmpv6(mac, all_nodes, local, "ff02::1", frames.RA, bytes(12)),
        "DHCP offer": frames.udp(mac, everyone, OWN, "255.255.255.255", (67, 68)),
        "DHCP offer from another port": frames.udp(mac, everyone, OWN, "255.255.255.255", (1067, 68)),
        "DHCPv6 reply": frames.udp(mac, all_nodes, local, "ff02::1", (547, 546)),
        "unknown protocol": frames.ethernet(mac, everyone, 0x88CC, bytes(46)),
        "tagged frame": frames.udp(mac, everyone, OWN, "10.0.0.255", vlan=1),
        "tagged frame of the other tenant": frames.udp(mac, everyone, OWN, "10.0.0.255", vlan=2),
    }


@pytest.mark.parametrize("what", forbidden(UNKNOWN_MAC, UNKNOWN_MAC))
def test_a_port_can_only_speak_for_itself(fabric: Fabric, what: str) -> None:
    assert fabric.send("blue1", forbidden(fabric.mac("blue1"), fabric.mac("blue3"))[what]) == {}


def test_the_dhcp_server_may_play_the_server(fabric: Fabric) -> None:
    offer = frames.udp(fabric.mac("dhcp-web-h1"), fabric.mac("blue3"), fabric.address("dhcp-web-h1"), OTHER, (67, 68))
    assert fabric.send("dhcp-web-h1", offer) == {"blue3": [offer]}


@pytest.mark.parametrize("destination", [UNKNOWN_MAC, "red1", "red3", "blue1"])
def test_unicast_to_nobody_to_the_other_tenant_or_to_oneself_goes_nowhere(fabric: Fabric, destination: str) -> None:
    mac = destination if ":" in destination else fabric.mac(destination)
    assert fabric.send("blue1", frames.udp(fabric.mac("blue1"), mac, OWN, "10.0.0.12")) == {}


def test_unknown_unicast_does_not_leave_the_host(fabric: Fabric) -> None:
    host = fabric.hosts["h1"]
    mac = fabric.mac("blue1")
    assert host.trace("blue1", f"dl_src={mac},dl_dst={UNKNOWN_MAC},ip,nw_src={OWN}") == "drop"
    assert host.trace("blue1", f"dl_src={mac},dl_dst={fabric.mac('red3')},ip,nw_src={OWN}") == "drop"
    assert "vni=0x1389" in host.trace("blue1", f"dl_src={mac},dl_dst={fabric.mac('blue3')},ip,nw_src={OWN}")


def test_a_tunnel_brings_only_frames_of_networks_on_the_host_and_takes_none_back(fabric: Fabric) -> None:
    host = fabric.hosts["h1"]
    tunnel = "vxlan-c6336402"
    mac, source = fabric.mac("blue1"), fabric.mac("blue3")
    assert host.trace(tunnel, f"tun_id=5001,dl_src={source},dl_dst={mac}") == host.device("blue1")
    assert host.trace(tunnel, f"tun_id=5002,dl_src={source},dl_dst={mac}") == "drop"
    assert host.trace(tunnel, f"tun_id=9999,dl_src={source},dl_dst={mac}") == "drop"
    assert host.trace(tunnel, f"tun_id=5001,dl_src={source},dl_dst={source}") == "drop"
    flooded = host.trace(tunnel, f"tun_id=5001,dl_src={source},dl_dst={frames.BROADCAST}")
    assert set(flooded.split(",")) == {host.device(port) for port in ("blue1", "blue2", "dhcp-web-h1")}


def test_a_port_without_flows_is_in_quarantine(fabric: Fabric) -> None:
    host = fabric.hosts["h2"]
    host.sandbox.vsctl("add-port", "br-int", "new", "--", "set", "Interface", "new", "type=dummy")
    assert host.trace("new", f"dl_src={UNKNOWN_MAC},dl_dst={fabric.mac('blue3')}") == "drop"
    assert host.trace("new", f"dl_src={UNKNOWN_MAC},dl_dst={frames.BROADCAST}") == "drop"
    flooded = host.trace("blue3", f"dl_src={fabric.mac('blue3')},dl_dst={frames.BROADCAST},ip,nw_src={OTHER}")
    assert "new" not in flooded
    assert host.device("blue4") in flooded


@pytest.mark.parametrize(
    ("kind", "underlays"),
    [
        ("gre", ("198.51.100.1/24", "198.51.100.2/24")),
        ("geneve", ("198.51.100.1/24", "198.51.100.2/24")),
        ("vxlan", ("2001:db8:1::1/64", "2001:db8:1::2/64")),
        ("geneve", ("2001:db8:1::1/64", "2001:db8:1::2/64")),
    ],
)
def test_every_tunnel_type_carries_frames_both_ways(kind: str, underlays: tuple[str, str]) -> None:
    build = Builder()
    web = build.network("blue", "web", kind)
    build.subnet(web, "10.0.0.0/24")
    for number, underlay in enumerate(underlays, 1):
        build.host(f"h{number}", underlay, interface="eth1")
        build.port(web, f"blue{number}", f"h{number}")
    with Fabric(build.topology) as fabric:
        for source, target in (("blue1", "blue2"), ("blue2", "blue1")):
            frame = frames.udp(fabric.mac(source), fabric.mac(target), fabric.address(source), fabric.address(target))
            assert fabric.send(source, frame) == {target: [frame]}


def test_link_local_addresses_follow_from_the_mac() -> None:
    assert link_local("fa:16:3e:00:00:01") == IPv6Address("fe80::f816:3eff:fe00:1")
