# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to packets at a router: real ones, through a real kernel that has what the compiler says."""

from __future__ import annotations

import select
import socket
import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import netns
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import PortForwarding, Router, Topology
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip, private_network
from ansible_collections.weft.fabric.tests.unit.topology.compile import routed
from ansible_collections.weft.fabric.tests.unit.topology.compile.builder import Builder
from ansible_collections.weft.fabric.tests.unit.topology.compile.routed import WORLD, arrives, source_seen, tcp

OUTSIDE = "203.0.113.1"
OUTSIDE_V6 = "2001:db8:cafe::1"
# Two machines of each network, one with a floating IP and one without.
ADDRESSES = {"web-1": "10.0.0.11", "web-2": "10.0.0.12", "db-1": "10.0.1.21", "db-2": "10.0.1.22"}
FLOATING = {"web-1": "203.0.113.111", "db-1": "203.0.113.121"}
FORWARDED = "203.0.113.130"
MIDDLE_MTU = 1400
# Behind somebody else's router outside.
BEYOND_OUTSIDE = "10.50.0.0/16"


def topology(enable_snat: bool) -> tuple[Topology, Router]:
    """A router with two networks inside, floating IPs and forwarded ports, all on one host."""
    build = Builder().physnet("physnet1")
    build.host("net1", "198.51.100.1/24", {"physnet1": "eth2"}, datapath_type="system")
    public = build.network("admin", "public", "flat", physical_network="physnet1", external=True, mtu=1500)
    build.subnet(public, "203.0.113.0/24")
    build.subnet(public, "2001:db8:cafe::/64", ipv6_mode="slaac")
    networks = []
    for index, name in enumerate(("web", "db")):
        network = build.network("blue", name, mtu=1450 if name == "web" else MIDDLE_MTU)
        networks.append(network)
        build.subnet(network, f"10.0.{index}.0/24")
        build.subnet(network, f"2001:db8:{index + 1}::/64", ipv6_mode="slaac")
        for number in (1, 2):
            port = f"{name}-{number}"
            build.port(
                network,
                port,
                "net1",
                "veth",
                number=10 + index * 10 + number,
                binding={"namespace": port, "interface": "eth0"},
            )
    # Two routers of somebody else inside, of which each leads to 10.9.0.0/16.
    beyond = [("10.9.0.0/16", ADDRESSES["web-1"]), ("10.9.0.0/16", ADDRESSES["web-2"])]
    routes = [*beyond, (BEYOND_OUTSIDE, OUTSIDE)]
    router = build.router("blue", "r1", ["net1"], networks, public, enable_snat, routes=routes)
    ports = build.topology.projects["blue"].ports
    for name, address in FLOATING.items():
        build.floating_ip(router, public, address, ports[name])
    inside = ports["db-2"].addresses[0]
    build.floating_ip(
        router,
        public,
        FORWARDED,
        None,
        PortForwarding("tcp", (2222, 2222), "db-2", (22, 22), inside),
        PortForwarding("udp", (2222, 2222), "db-2", (23, 23), inside),
        PortForwarding("udp", (3000, 3010), "db-2", (3000, 3010), inside),
        PortForwarding("udp", (5000, 5002), "db-2", (6000, 6002), inside),
    )
    return build.place_routers(), router


class Fabric:
    """The host, with everything wired."""

    def __init__(self, enable_snat: bool) -> None:
        self.topology, self.router = topology(enable_snat)
        self.namespace = f"qrouter-{self.router.id}"
        gateway = next(port for port in self.topology.router_ports["admin", "public"])
        self.gateway, self.gateway_v6 = (str(address) for address in gateway.addresses)
        self.first_changes = routed.apply(self.topology, "net1")
        routed.wire(self.topology, "net1")
        public = self.topology.network(("admin", "public"))
        routed.add_world(public, public.local_vlan or 0)
        # The world knows the way in; whether it is let in is the router's affair.
        ip(
            f"route add 10.0.0.0/8 via {self.gateway}",
            f"route add 2001:db8::/44 via {self.gateway_v6}",
            namespace=WORLD,
        )

    def v6(self, port: str) -> str:
        return str(self.topology.projects["blue"].ports[port].addresses[1])


@pytest.fixture(scope="module")
def fabric() -> t.Iterator[Fabric]:
    with private_network():
        yield Fabric(enable_snat=True)


@pytest.fixture(scope="module")
def routed_fabric() -> t.Iterator[Fabric]:
    with private_network():
        yield Fabric(enable_snat=False)


def test_a_second_run_changes_nothing(fabric: Fabric) -> None:
    assert all(fabric.first_changes.values())
    assert routed.apply(fabric.topology, "net1") == {"namespaces": [], "nftables": []}


PAIRS = [(sender, target) for sender in ADDRESSES for target in ADDRESSES if sender != target]


@pytest.mark.parametrize(("sender", "target"), PAIRS)
def test_inside_to_inside_nothing_is_translated(fabric: Fabric, sender: str, target: str) -> None:
    assert source_seen(sender, ADDRESSES[target], target) == ADDRESSES[sender]
    assert source_seen(sender, fabric.v6(target), target) == fabric.v6(sender)


@pytest.mark.parametrize("sender", ADDRESSES)
@pytest.mark.parametrize("target", FLOATING)
def test_inside_to_a_floating_ip(fabric: Fabric, sender: str, target: str) -> None:
    assert source_seen(sender, FLOATING[target], target) == FLOATING.get(sender, fabric.gateway)


@pytest.mark.parametrize("sender", ADDRESSES)
def test_inside_to_outside(fabric: Fabric, sender: str) -> None:
    assert source_seen(sender, OUTSIDE, WORLD) == FLOATING.get(sender, fabric.gateway)


@pytest.mark.parametrize("target", FLOATING)
def test_outside_to_a_floating_ip(fabric: Fabric, target: str) -> None:
    assert source_seen(WORLD, FLOATING[target], target) == OUTSIDE


def test_who_comes_by_a_further_route_from_outside_keeps_the_address(fabric: Fabric) -> None:
    ip("addr replace 10.50.0.1/32 dev lo", namespace=WORLD)
    with routed.udp("web-1", 4000) as there, netns.entered(WORLD), socket.socket(type=socket.SOCK_DGRAM) as here:
        here.bind(("10.50.0.1", 0))
        here.sendto(b"question", (FLOATING["web-1"], 4000))
        assert there.recvfrom(100)[1][0] == "10.50.0.1"


@pytest.mark.parametrize("target", ADDRESSES)
def test_outside_is_not_let_in_to_hidden_addresses(fabric: Fabric, target: str) -> None:
    neighbour = "db-1" if target != "db-1" else "db-2"
    assert not arrives(WORLD, ADDRESSES[target], target, witness=(neighbour, ADDRESSES[target]))


@pytest.mark.parametrize("target", ADDRESSES)
def test_ipv6_is_routed_in_and_out(fabric: Fabric, target: str) -> None:
    assert source_seen(WORLD, fabric.v6(target), target) == OUTSIDE_V6
    assert source_seen(target, OUTSIDE_V6, WORLD) == fabric.v6(target)


FORWARDINGS = [(2222, 23), (3000, 3000), (3010, 3010), (5000, 6000), (5002, 6002)]


@pytest.mark.parametrize(("port", "at"), FORWARDINGS)
def test_a_forwarded_port(fabric: Fabric, port: int, at: int) -> None:
    assert source_seen(WORLD, FORWARDED, "db-2", port, at) == OUTSIDE
    assert source_seen("web-2", FORWARDED, "db-2", port, at) == fabric.gateway
    assert source_seen("db-1", FORWARDED, "db-2", port, at) == FLOATING["db-1"]


def test_a_forwarded_port_of_tcp(fabric: Fabric) -> None:
    near, far = tcp(WORLD, FORWARDED, "db-2", 2222, 22)
    with near, far:
        assert far.getpeername()[0] == OUTSIDE


@pytest.mark.parametrize("port", [22, 2999, 3011, 5003])
def test_a_port_that_is_not_forwarded(fabric: Fabric, port: int) -> None:
    with routed.udp("db-2", port) as there, routed.udp(WORLD) as here, routed.udp("db-1") as witness:
        here.sendto(b"question", (FORWARDED, port))
        witness.sendto(b"witness", (ADDRESSES["db-2"], port))
        assert there.recv(100) == b"witness"


@pytest.mark.parametrize(
    ("client", "to", "server"),
    [("web-2", OUTSIDE, WORLD), ("web-1", OUTSIDE, WORLD), (WORLD, FLOATING["db-1"], "db-1")],
)
def test_a_connection_that_the_router_does_not_know_does_not_pass(
    fabric: Fabric, client: str, to: str, server: str
) -> None:
    near, far = tcp(client, to, server)
    with near, far:
        near.sendall(b"known")
        assert far.recv(100) == b"known"
        routed.forget_connections(fabric.namespace)
        near.sendall(b"unknown")
        # What is sent after it arrives.
        source_seen(client, to, server, port=4001)
        far.setblocking(False)
        with pytest.raises(BlockingIOError):
            far.recv(100)


def test_a_connection_inside_goes_on_though_the_router_has_forgotten_it(fabric: Fabric) -> None:
    near, far = tcp("web-1", ADDRESSES["db-1"], "db-1")
    with near, far:
        routed.forget_connections(fabric.namespace)
        near.sendall(b"still here")
        assert far.recv(100) == b"still here"


def test_packets_to_one_destination_are_spread_over_several_gateways(fabric: Fabric) -> None:
    for gateway in ("web-1", "web-2"):
        ip("addr replace 10.9.0.1/32 dev lo", namespace=gateway)
    with routed.udp("web-1", 4000) as one, routed.udp("web-2", 4000) as other:
        for end in (one, other):
            end.setblocking(False)
        counted = dict.fromkeys((one, other), 0)
        for _number in range(64):
            with routed.udp("db-1") as sender:
                sender.sendto(b"x", ("10.9.0.1", 4000))
        for end in counted:
            while (got := _receive(end)) is not None:
                counted[end] += len(got)
    assert sum(counted.values()) == 64
    assert min(counted.values()) > 10


def _receive(end: socket.socket) -> bytes | None:
    try:
        return end.recv(100)
    except BlockingIOError:
        return None


def test_a_packet_that_is_too_large_for_a_leg_is_refused_with_its_mtu(fabric: Fabric) -> None:
    with netns.entered("web-1"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
        sender.connect((ADDRESSES["db-2"], 4000))
        assert sender.getsockopt(socket.IPPROTO_IP, 14) == 1450  # IP_MTU
        sender.send(bytes(MIDDLE_MTU - 28 + 1))
        poll = select.poll()
        poll.register(sender, select.POLLERR)
        assert poll.poll(routed.SECONDS * 1000), "the router has not said that it was too large"
        with pytest.raises(OSError, match="Message too long"):
            sender.send(bytes(MIDDLE_MTU - 28 + 1))
        assert sender.getsockopt(socket.IPPROTO_IP, 14) == MIDDLE_MTU


# Without translation for all


@pytest.mark.parametrize("sender", ADDRESSES)
def test_a_routed_network_goes_out_as_it_is(routed_fabric: Fabric, sender: str) -> None:
    assert source_seen(sender, OUTSIDE, WORLD) == FLOATING.get(sender, ADDRESSES[sender])


def test_a_routed_network_is_reached_from_outside(routed_fabric: Fabric) -> None:
    assert source_seen(WORLD, ADDRESSES["web-2"], "web-2") == OUTSIDE
    assert source_seen(WORLD, FLOATING["web-1"], "web-1") == OUTSIDE


@pytest.mark.parametrize("sender", ADDRESSES)
def test_a_floating_ip_of_a_routed_network(routed_fabric: Fabric, sender: str) -> None:
    seen = source_seen(sender, FLOATING["db-1"], "db-1")
    assert seen == FLOATING.get(sender, routed_fabric.gateway)
