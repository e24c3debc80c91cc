# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to frames of distributed routers: their legs have one MAC on every host, which no wire ever sees."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.eui64 import link_local
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Topology
from ansible_collections.weft.fabric.tests.unit.topology.compile import frames
from ansible_collections.weft.fabric.tests.unit.topology.compile.builder import Builder
from ansible_collections.weft.fabric.tests.unit.topology.compile.fabric import WIRE_MAC, Fabric, FabricHost

UNKNOWN_MAC = "fa:16:3e:ff:ff:ff"
ALL_NODES, ALL_ROUTERS = "33:33:00:00:00:01", "33:33:00:00:00:02"
RS = 133
NETWORKS = {"web": "10.0.0.1", "learning": "10.0.1.1", "rack": "10.0.2.1"}
V6 = "2001:db8::1"
# An address that two machines may hold.
SHARED = "10.0.0.99"


def leg(network: str, host: str) -> str:
    return f"router:blue:r1:blue:{network}@{host}"


def distributed() -> Topology:
    """A distributed router in a tunnel network, one where MACs are learned, and one on a physical network."""
    build = Builder().physnet("physnet1")
    for number in (1, 2):
        build.host(f"cmp{number}", f"198.51.100.{number}/24", {"physnet1": "eth2"}, interface="eth1")
    networks = []
    for index, (name, kind) in enumerate((("web", "vxlan"), ("learning", "vxlan"), ("rack", "vlan"))):
        physical = {"physical_network": "physnet1"} if kind == "vlan" else {}
        network = build.network("blue", name, kind, mac_learning=name == "learning", **physical)
        networks.append(network)
        build.subnet(network, f"10.0.{index}.0/24")
        if name == "web":
            build.subnet(network, "2001:db8::/64", ipv6_mode="slaac")
        for number in (1, 2):
            pairs = [(f"{SHARED}/32", None)] if name == "web" else []
            build.port(network, f"{name}-{number}", f"cmp{number}", number=10 + number, pairs=pairs)
    build.router("blue", "r1", [], networks, distributed=True)
    return build.place_routers()


@pytest.fixture(scope="module")
def fabric() -> t.Iterator[Fabric]:
    with Fabric(distributed()) as fabric:
        yield fabric


def ports_of(network: str) -> set[str]:
    return {leg(network, "cmp1"), leg(network, "cmp2"), f"{network}-1", f"{network}-2"}


def routed(fabric: Fabric, network: str, host: str, target: str, source_mac: str | None = None) -> bytes:
    """Return a frame that the router sends to a machine."""
    mac = source_mac or fabric.mac(leg(network, host))
    return frames.udp(mac, fabric.mac(target), "192.0.2.1", fabric.address(target))


def dvr_mac(fabric: Fabric, host: str) -> str:
    return fabric.topology.hosts[host].dvr_mac_address


def on_wire(fabric: Fabric, host: str, interface: str, frame: bytes) -> bool:
    """Tell whether a frame has left a host, in a tunnel or as it is."""
    return any(frame in got for got in fabric.hosts[host].captured_on(interface))


@pytest.mark.parametrize("network", NETWORKS)
def test_a_routed_frame_leaves_with_the_host_s_mac_and_arrives_with_the_gateway_s(fabric: Fabric, network: str) -> None:
    target = f"{network}-2"
    frame = routed(fabric, network, "cmp1", target)
    assert fabric.send(leg(network, "cmp1"), frame) == {target: [frame]}
    wire = "eth2" if network == "rack" else "eth1"
    vlan = fabric.topology.network(("blue", "rack")).segmentation_id if network == "rack" else None
    inside = routed(fabric, network, "cmp1", target, dvr_mac(fabric, "cmp1"))
    if vlan is not None:
        inside = inside[:12] + b"\x81\x00" + vlan.to_bytes(2, "big") + inside[12:]
    assert on_wire(fabric, "cmp1", wire, inside)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_routed_frame_to_a_machine_on_the_same_host_stays_there(fabric: Fabric, network: str) -> None:
    frame = routed(fabric, network, "cmp1", f"{network}-1")
    assert fabric.send(leg(network, "cmp1"), frame) == {f"{network}-1": [frame]}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("number", [1, 2])
def test_a_frame_to_the_gateway_comes_to_the_leg_on_its_host_alone(fabric: Fabric, network: str, number: int) -> None:
    source = f"{network}-{number}"
    frame = frames.udp(fabric.mac(source), fabric.mac(leg(network, "cmp1")), fabric.address(source), "192.0.2.1")
    assert fabric.send(source, frame) == {leg(network, f"cmp{number}"): [frame]}


@pytest.mark.parametrize("network", NETWORKS)
def test_the_mac_of_a_leg_is_never_the_source_of_what_leaves(fabric: Fabric, network: str) -> None:
    here, mac = leg(network, "cmp1"), fabric.mac(leg(network, "cmp1"))
    fabric.send(here, routed(fabric, network, "cmp1", f"{network}-2"))
    fabric.send(here, frames.arp(mac, NETWORKS[network], "10.0.9.9"))
    fabric.send(here, frames.udp(mac, frames.BROADCAST, NETWORKS[network], "255.255.255.255"))
    fabric.send(here, frames.udp(mac, UNKNOWN_MAC, NETWORKS[network], "10.0.9.9"))
    source = frames.mac_bytes(mac)
    assert not any(got[6:12] == source for got in fabric.hosts["cmp1"].captured_on("eth2"))
    # Behind outer Ethernet, IP, UDP and VXLAN headers.
    assert not any(got[56:62] == source for got in fabric.hosts["cmp1"].captured_on("eth1"))


@pytest.mark.parametrize("network", ["web", "learning", "rack"])
def test_a_question_about_an_unknown_address_is_asked_everywhere(fabric: Fabric, network: str) -> None:
    here = leg(network, "cmp1")
    question = frames.arp(fabric.mac(here), NETWORKS[network], f"{NETWORKS[network][:-1]}99")
    assert fabric.send(here, question) == {port: [question] for port in ports_of(network) - {here}}


def test_a_solicitation_for_an_unknown_address_is_asked_everywhere(fabric: Fabric) -> None:
    here = leg("web", "cmp1")
    question = frames.solicitation(fabric.mac(here), V6, "2001:db8::99")
    assert fabric.send(here, question) == {port: [question] for port in ports_of("web") - {here}}


@pytest.mark.parametrize("network", NETWORKS)
def test_an_answer_comes_to_all_who_may_have_asked(fabric: Fabric, network: str) -> None:
    """It names the leg's MAC, and nobody knows which host's router it is for."""
    source, mac = f"{network}-2", fabric.mac(leg(network, "cmp1"))
    answer = frames.arp(fabric.mac(source), fabric.address(source), NETWORKS[network], 2, mac, target_mac=mac)
    assert fabric.send(source, answer) == {leg(network, host): [answer] for host in ("cmp1", "cmp2")}


def test_an_advertisement_comes_to_all_who_may_have_asked(fabric: Fabric) -> None:
    mac, gateway = fabric.mac("web-2"), fabric.mac(leg("web", "cmp1"))
    address = fabric.address("web-2", 6)
    answer = frames.advertisement(mac, gateway, address, V6, address, mac)
    assert fabric.send("web-2", answer) == {leg("web", host): [answer] for host in ("cmp1", "cmp2")}


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_question_about_the_gateway_is_answered_on_the_spot(fabric: Fabric, network: str, number: int) -> None:
    source, gateway = f"{network}-{number}", fabric.mac(leg(network, "cmp1"))
    asker = fabric.mac(source)
    question = frames.arp(asker, fabric.address(source), NETWORKS[network])
    answer = frames.arp(gateway, NETWORKS[network], fabric.address(source), 2, asker, target_mac=asker)
    assert fabric.send(source, question) == {source: [answer]}


def multicasts(fabric: Fabric) -> dict[str, bytes]:
    """Return what a router says to many, and only those on its host shall hear."""
    mac = fabric.mac(leg("web", "cmp1"))
    own = str(link_local(mac))
    return {
        "router advertisement": frames.icmpv6(mac, ALL_NODES, own, "ff02::1", frames.RA, bytes(12)),
        "multicast report": frames.icmpv6(mac, "33:33:00:00:00:16", own, "ff02::16", frames.MLD_REPORT, bytes(4)),
        "unasked advertisement": frames.advertisement(mac, ALL_NODES, V6, "ff02::1", V6, mac, 0xA0),
        "broadcast": frames.udp(mac, frames.BROADCAST, "10.0.0.1", "255.255.255.255"),
    }


@pytest.mark.parametrize("what", ["router advertisement", "multicast report", "unasked advertisement", "broadcast"])
def test_what_a_leg_says_to_many_stays_on_its_host(fabric: Fabric, what: str) -> None:
    frame = multicasts(fabric)[what]
    assert fabric.send(leg("web", "cmp1"), frame) == {"web-1": [frame]}


def test_a_router_advertisement_to_one_machine_stays_on_its_host(fabric: Fabric) -> None:
    mac = fabric.mac(leg("web", "cmp1"))
    for target, got in (("web-1", True), ("web-2", False)):
        address = fabric.address(target, 6)
        frame = frames.icmpv6(mac, fabric.mac(target), str(link_local(mac)), address, frames.RA, bytes(12))
        assert fabric.send(leg("web", "cmp1"), frame) == ({target: [frame]} if got else {})


def test_who_looks_for_a_router_finds_the_one_on_its_host(fabric: Fabric) -> None:
    mac = fabric.mac("web-2")
    frame = frames.icmpv6(mac, ALL_ROUTERS, str(link_local(mac)), "ff02::2", RS, bytes(4))
    assert fabric.send("web-2", frame) == {leg("web", "cmp2"): [frame]}


def test_the_new_holder_of_a_shared_address_is_heard_by_all_legs(fabric: Fabric) -> None:
    frame = frames.arp(fabric.mac("web-1"), SHARED, SHARED)
    assert fabric.send("web-1", frame) == {port: [frame] for port in ports_of("web") - {"web-1"}}


def test_a_network_that_learns_does_not_learn_where_a_host_s_mac_is(fabric: Fabric) -> None:
    fabric.send(leg("learning", "cmp1"), routed(fabric, "learning", "cmp1", "learning-2"))
    sandbox = fabric.hosts["cmp2"].sandbox
    learned = [sandbox.ofctl("-O", "OpenFlow14", "dump-flows", bridge) for bridge in ("br-int", "br-tun")]
    assert not any(f"dl_dst={dvr_mac(fabric, 'cmp1')}" in flows for flows in learned)
    assert any(f"dl_dst={fabric.mac('learning-1')}" in flows for flows in learned)


# The wire of a physical network


def from_wire(fabric: Fabric, frame: bytes) -> dict[str, list[bytes]]:
    return fabric.from_wire("cmp1", ("blue", "rack"), frame)


def test_a_machine_on_the_wire_gets_no_answer_from_a_leg(fabric: Fabric) -> None:
    assert from_wire(fabric, frames.arp(WIRE_MAC, "10.0.2.200", NETWORKS["rack"])) == {}


def test_a_machine_on_the_wire_is_not_routed_for(fabric: Fabric) -> None:
    mac = fabric.mac(leg("rack", "cmp1"))
    assert from_wire(fabric, frames.udp(WIRE_MAC, mac, "10.0.2.200", "192.0.2.1")) == {}


def test_a_machine_on_the_wire_may_answer_a_leg(fabric: Fabric) -> None:
    mac = fabric.mac(leg("rack", "cmp1"))
    answer = frames.arp(WIRE_MAC, "10.0.2.200", NETWORKS["rack"], 2, mac, target_mac=mac)
    assert from_wire(fabric, answer) == {leg("rack", "cmp1"): [answer]}


def test_a_question_from_the_wire_about_a_machine_comes_to_it(fabric: Fabric) -> None:
    question = frames.arp(WIRE_MAC, "10.0.2.200", fabric.address("rack-1"))
    assert from_wire(fabric, question)["rack-1"] == [question]


def test_a_machine_on_the_wire_is_reached(fabric: Fabric) -> None:
    here = leg("rack", "cmp1")
    frame = frames.udp(fabric.mac(here), WIRE_MAC, "192.0.2.1", "10.0.2.200")
    fabric.send(here, frame)
    assert any(
        got[:12] == frames.mac_bytes(WIRE_MAC) + frames.mac_bytes(dvr_mac(fabric, "cmp1"))
        for got in fabric.hosts["cmp1"].captured_on("eth2")
    )


# With a way outside


AGENT, CENTRE = "fip:public:cmp1", "snat:blue:r1:blue:web"
FLOATING = ("203.0.113.150", "203.0.113.151")
ELSEWHERE = "192.0.2.150"  # in the other subnet of the external network


def leading_out(third: bool = False) -> Topology:
    """The same with an external network: the second host is the network node, the first has floating IPs."""
    build = Builder().physnet("physnet1")
    for number in (1, 2):
        build.host(f"cmp{number}", f"198.51.100.{number}/24", {"physnet1": "eth2"}, interface="eth1")
    if third:
        build.host("net1", "198.51.100.3/24", interface="eth1")
    public = build.network("admin", "public", "flat", physical_network="physnet1", external=True, mtu=1500)
    build.subnet(public, "203.0.113.0/24")
    build.subnet(public, "192.0.2.0/24")
    web = build.network("blue", "web")
    build.subnet(web, "10.0.0.0/24")
    build.subnet(web, "2001:db8::/64", ipv6_mode="slaac")
    machines = [build.port(web, f"web-{number}", f"cmp{number}", number=10 + number) for number in (1, 2)]
    machines.append(build.port(web, "web-3", "cmp1", number=13))
    fourth = build.port(web, "web-4", "cmp1", number=14)
    if third:
        build.dhcp(web, "net1")
    router = build.router("blue", "r1", ["cmp2"], [web], public, distributed=True)
    for address, machine in zip(FLOATING, machines[::2], strict=True):
        build.floating_ip(router, public, address, machine)
    build.floating_ip(router, public, ELSEWHERE, fourth)
    return build.place_routers()


@pytest.fixture(scope="module")
def outside() -> t.Iterator[Fabric]:
    with Fabric(leading_out()) as fabric:
        yield fabric


@pytest.mark.parametrize(
    ("asked", "sender"),
    [("203.0.113.1", FLOATING[0]), ("192.0.2.1", ELSEWHERE), ("198.51.100.7", ELSEWHERE)],
    ids=["one subnet", "the other", "neither"],
)
def test_a_question_of_floating_ips_bears_one_of_the_same_subnet(outside: Fabric, asked: str, sender: str) -> None:
    """Linux would put in an address that is known nowhere outside, or none."""
    mac = outside.mac(AGENT)
    question = frames.arp(mac, "169.254.64.3", asked)
    got = outside.send(AGENT, question)
    seen = frames.arp(mac, sender, asked)
    assert seen in outside.hosts["cmp1"].captured_on("eth2")
    assert question not in outside.hosts["cmp1"].captured_on("eth2")
    assert got == {"gateway:blue:r1": [seen]}


def test_a_floating_ip_is_announced_as_it_is(outside: Fabric) -> None:
    frame = frames.arp(outside.mac(AGENT), FLOATING[1], FLOATING[1])
    assert outside.send(AGENT, frame) == {"gateway:blue:r1": [frame]}


def test_what_leads_out_is_reached_and_answers_past_the_legs(outside: Fabric) -> None:
    gateway, centre = outside.mac(leg("web", "cmp1")), outside.mac(CENTRE)
    away = frames.udp(gateway, centre, outside.address("web-1"), "192.0.2.1")
    assert outside.send(leg("web", "cmp1"), away) == {CENTRE: [away]}
    back = frames.udp(centre, outside.mac("web-1"), "192.0.2.1", outside.address("web-1"))
    assert outside.send(CENTRE, back) == {"web-1": [back]}


def test_what_leads_out_is_no_router_that_machines_look_for(outside: Fabric) -> None:
    mac = outside.mac("web-1")
    frame = frames.icmpv6(mac, ALL_ROUTERS, str(link_local(mac)), "ff02::2", RS, bytes(4))
    assert outside.send("web-1", frame) == {name: [frame] for name in (leg("web", "cmp1"), "web-3", "web-4")}


def test_a_host_without_a_leg_speaks_to_one_that_has_it() -> None:
    """Each host that heard its DHCP server would route what it says."""
    host = FabricHost(leading_out(third=True), "net1")
    try:
        host.start()
        (network,) = [network for network in host.view.networks if network.network.name == "web"]
        assert not network.distributed
        server = network.dhcp_server
        assert server is not None
        mac = network.distributed_ports[0].mac_address
        for number in (1, 2):
            host.sandbox.appctl("tnl/arp/set", "br-underlay", f"198.51.100.{number}", f"02:00:00:00:00:0{number}")
        trace = host.trace(server.port.name, f"dl_src={server.port.mac_address},dl_dst={mac},ip,nw_src=10.0.0.15")
        assert trace.count("tnl_push") == 1
    finally:
        host.stop()
