# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A distributed router that machines at a switch have as their gateway: they find the one place where it leads outside.

The first host has a machine and so a leg; the second has these too, and what leads outside.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Topology
from ansible_collections.weft.fabric.tests.unit.topology.compile import frames
from ansible_collections.weft.fabric.tests.unit.topology.compile.builder import Builder
from ansible_collections.weft.fabric.tests.unit.topology.compile.fabric import WIRE, WIRE_MAC, Fabric

RACK = ("blue", "rack")
GATEWAY, GATEWAY_V6 = "10.0.2.1", "2001:db8:2::1"
MACHINE, MACHINE_V6 = "10.0.2.200", "2001:db8:2::200"
CENTRE = "snat:blue:r1:blue:rack"
HOSTS = ("cmp1", "cmp2")
ALL_NODES = "33:33:00:00:00:01"


def leg(host: str) -> str:
    return f"router:blue:r1:blue:rack@{host}"


def topology(hosts: t.Iterable[str] = ("cmp2",)) -> Topology:
    build = Builder().physnet("physnet1")
    for number, host in enumerate(HOSTS, 1):
        build.host(host, f"198.51.100.{number}/24", {"physnet1": WIRE}, interface="eth1")
    public = build.network("admin", "public", "flat", physical_network="physnet1", external=True, mtu=1500)
    build.subnet(public, "203.0.113.0/24")
    web, rack = build.network("blue", "web"), build.network("blue", "rack", "vlan", physical_network="physnet1")
    build.subnet(web, "10.0.0.0/24")
    build.subnet(rack, "10.0.2.0/24")
    build.subnet(rack, "2001:db8:2::/64")
    for number, host in enumerate(HOSTS, 1):
        build.port(rack, f"rack-{number}", host, number=10 + number)
    build.router("blue", "r1", hosts, [web, rack], public, distributed=True)
    return build.place_routers()


@pytest.fixture(scope="module")
def fabric() -> t.Iterator[Fabric]:
    with Fabric(topology()) as fabric:
        yield fabric


def on_wire(fabric: Fabric, host: str, frame: bytes, source: str | None = None) -> bool:
    """Tell whether a host has put a frame onto the wire, in the network's VLAN; source: from which MAC."""
    vlan = (fabric.topology.network(RACK).segmentation_id or 0).to_bytes(2, "big")
    sender = frame[6:12] if source is None else frames.mac_bytes(source)
    tagged = frame[:6] + sender + b"\x81\x00" + vlan + frame[12:]
    return any(got.startswith(tagged.rstrip(b"\0")) for got in fabric.hosts[host].captured_on(WIRE))


QUESTIONS = {
    "ARP": frames.arp(WIRE_MAC, MACHINE, GATEWAY),
    "ND": frames.solicitation(WIRE_MAC, MACHINE_V6, GATEWAY_V6),
}


@pytest.mark.parametrize("protocol", QUESTIONS)
def test_a_question_about_the_gateway_comes_to_the_one_place_alone(fabric: Fabric, protocol: str) -> None:
    question = QUESTIONS[protocol]
    assert fabric.from_wire("cmp1", RACK, question) == {}
    assert fabric.from_wire("cmp2", RACK, question) == {CENTRE: [question]}


def told(fabric: Fabric, destination: str, mac: str | None = None) -> dict[str, bytes]:
    """Return what says that the gateway is at a MAC: that of the one place."""
    mac = mac or fabric.mac(CENTRE)
    return {
        "question": frames.arp(mac, GATEWAY, GATEWAY, destination=destination),
        "answer": frames.arp(mac, GATEWAY, MACHINE, 2, destination, target_mac=WIRE_MAC),
        "advertisement": frames.advertisement(mac, destination, GATEWAY_V6, "ff02::1", GATEWAY_V6, mac, 0xA0),
    }


@pytest.mark.parametrize("destination", [frames.BROADCAST, WIRE_MAC], ids=["everybody", "one"])
@pytest.mark.parametrize("what", ["question", "answer", "advertisement"])
def test_what_the_one_place_says_of_the_gateway_goes_to_the_wire_only(
    fabric: Fabric, what: str, destination: str
) -> None:
    frame = told(fabric, destination)[what]
    assert fabric.send(CENTRE, frame) == {}
    assert on_wire(fabric, "cmp2", frame)
    assert fabric.from_wire("cmp1", RACK, frame) == {}


def test_an_advertisement_that_comes_from_no_router_goes_nowhere(fabric: Fabric) -> None:
    mac = fabric.mac(CENTRE)
    frame = frames.advertisement(mac, ALL_NODES, GATEWAY_V6, "ff02::1", GATEWAY_V6, mac, 0x20)
    assert fabric.send(CENTRE, frame) == {}
    assert not on_wire(fabric, "cmp2", frame)


def test_what_the_one_place_says_of_its_own_address_is_heard_by_all(fabric: Fabric) -> None:
    frame = frames.arp(fabric.mac(CENTRE), fabric.address(CENTRE), fabric.address(CENTRE))
    assert fabric.send(CENTRE, frame) == {name: [frame] for name in (*map(leg, HOSTS), "rack-1", "rack-2")}


@pytest.mark.parametrize("host", HOSTS)
def test_a_leg_asks_the_wire_with_the_address_of_the_one_place(fabric: Fabric, host: str) -> None:
    """A machine that learned the leg's MAC for its gateway would speak to nobody."""
    mac, sender = fabric.mac(leg(host)), fabric.address(CENTRE)
    question = frames.arp(mac, GATEWAY, MACHINE)
    fabric.send(leg(host), question)
    host_mac = fabric.topology.hosts[host].dvr_mac_address
    assert on_wire(fabric, host, frames.arp(mac, sender, MACHINE), host_mac)
    assert not on_wire(fabric, host, question, host_mac)
    answer = frames.arp(WIRE_MAC, MACHINE, sender, 2, mac, target_mac=mac)
    assert fabric.from_wire(host, RACK, answer) == {leg(host): [answer]}


def test_what_a_machine_sends_to_its_gateway_comes_to_the_one_place(fabric: Fabric) -> None:
    frame = frames.udp(WIRE_MAC, fabric.mac(CENTRE), MACHINE, "192.0.2.1")
    assert fabric.from_wire("cmp1", RACK, frame) == {}
    assert fabric.from_wire("cmp2", RACK, frame) == {CENTRE: [frame]}


def test_on_a_host_the_gateway_is_the_leg(fabric: Fabric) -> None:
    for number, host in enumerate(HOSTS, 1):
        name = f"rack-{number}"
        mac, gateway = fabric.mac(name), fabric.mac(leg(host))
        question = frames.arp(mac, fabric.address(name), GATEWAY)
        answer = frames.arp(gateway, GATEWAY, fabric.address(name), 2, mac, target_mac=mac)
        assert fabric.send(name, question) == {name: [answer]}


def test_the_one_place_has_the_gateway_s_addresses() -> None:
    """As long as it is one; of several nodes the primary has them, so keepalived is told."""
    own, gateways = "10.0.2.", [f"{GATEWAY}/32", f"{GATEWAY_V6}/128"]
    (namespace,) = [
        item
        for item in compile_host(topology(), "cmp2", "namespaces")["namespaces"]["namespaces"]
        if (item.get("name") or "").startswith("snat-")
    ]
    (link,) = [link for link in namespace["links"] if any(own in address for address in link["addresses"])]
    assert link["addresses"][-2:] == gateways
    assert link["announce"]
    assert not any(entry["ip"] in (GATEWAY, GATEWAY_V6) for entry in namespace["neighbours"])
    both = compile_host(topology(HOSTS), "cmp2", "namespaces")["namespaces"]["namespaces"]
    assert not any(
        gateways[0] in link.get("addresses", ())
        for item in both
        if (item.get("name") or "").startswith("snat-")
        for link in item["links"]
    )
    (router,) = compile_host(topology(HOSTS), "cmp2", "vrrp_routers")["vrrp_routers"]["routers"]
    for address in gateways:
        assert f"{address} dev {link['name']} no_track" in router["config"]


@pytest.mark.parametrize("place", ["net1", "cmp1"])
def test_a_host_without_a_leg_speaks_to_the_one_place(place: str) -> None:
    """Its DHCP server, that is: it passes on questions about names. The one place is on the same host or on another."""
    build = Builder().physnet("physnet1")
    for number, host in enumerate(("net1", "cmp1"), 1):
        build.host(host, f"198.51.100.{number}/24", {"physnet1": WIRE}, interface="eth1")
    public = build.network("admin", "public", "flat", physical_network="physnet1", external=True, mtu=1500)
    build.subnet(public, "203.0.113.0/24")
    rack = build.network("blue", "rack", "vlan", physical_network="physnet1")
    build.subnet(rack, "10.0.2.0/24")
    build.port(rack, "rack-1", "cmp1", number=11)
    build.dhcp(rack, "net1")
    build.router("blue", "r1", [place], [rack], public, distributed=True)
    with Fabric(build.place_routers()) as fabric:
        server, centre = "dhcp-rack-net1", fabric.mac(CENTRE)
        (gateway,) = {port.mac_address for port in fabric.topology.router_ports[RACK] if port.distributed}
        sent, came = (
            frames.udp(fabric.mac(server), target, fabric.address(server), "192.0.2.53") for target in (gateway, centre)
        )
        assert fabric.send(server, sent) == {CENTRE: [came]}
