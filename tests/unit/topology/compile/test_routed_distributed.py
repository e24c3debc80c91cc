# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to packets at a distributed router: real ones, through a real kernel that has what the compiler says.

All of it is on one host: the part that routes, the one that leads out of the fabric, and the floating IPs.
"""

from __future__ import annotations

import select
import socket
import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import netns
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import view_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import PortForwarding, Router, Topology
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ask, ip, private_network
from ansible_collections.weft.fabric.tests.unit.topology.compile import routed
from ansible_collections.weft.fabric.tests.unit.topology.compile.builder import Builder
from ansible_collections.weft.fabric.tests.unit.topology.compile.routed import WORLD, arrives, source_seen, tcp

OUTSIDE = "203.0.113.1"
OUTSIDE_V6 = "2001:db8:cafe::1"
ADDRESSES = {"web-1": "10.0.0.11", "web-2": "10.0.0.12", "db-1": "10.0.1.21", "db-2": "10.0.1.22"}
FLOATING = {"web-1": "203.0.113.111", "db-1": "203.0.113.121"}
# Of a machine whose address another one may hold too: the network node has it.
SHARED, SHARED_FLOATING = "10.0.0.12", "203.0.113.140"
FORWARDED = "203.0.113.130"
# Beyond another router outside, which the world does not lead to.
BEYOND, OTHER_GATEWAY = "beyond", "203.0.113.9"
# It takes in the external network.
WIDE = "203.0.112.0/20"


def topology(distributed: bool = True) -> tuple[Topology, Router]:
    """Two networks, each with one machine that has a floating IP and one that has none."""
    build = Builder().physnet("physnet1")
    build.host("net1", "198.51.100.1/24", {"physnet1": "eth2"}, datapath_type="system")
    public = build.network("admin", "public", "flat", physical_network="physnet1", external=True, mtu=1500)
    build.subnet(public, "203.0.113.0/24")
    build.subnet(public, "2001:db8:cafe::/64", ipv6_mode="slaac")
    networks = []
    for index, name in enumerate(("web", "db")):
        network = build.network("blue", name)
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
    build.port(networks[0], "vip", "net1", number=99, pairs=[(SHARED + "/32", None)])
    routes = [("10.9.0.0/16", ADDRESSES["web-1"]), ("10.50.0.0/16", OTHER_GATEWAY), (WIDE, OTHER_GATEWAY)]
    router = build.router("blue", "r1", ["net1"], networks, public, routes=routes, distributed=distributed)
    ports = build.topology.projects["blue"].ports
    for name, address in FLOATING.items():
        build.floating_ip(router, public, address, ports[name])
    build.floating_ip(router, public, SHARED_FLOATING, ports["web-2"])
    inside = ports["db-2"].addresses[0]
    forwarding = PortForwarding("udp", (2222, 2222), "db-2", (23, 23), inside)
    build.floating_ip(router, public, FORWARDED, None, forwarding)
    return build.place_routers(), router


class Fabric:
    """The host, with everything wired."""

    def __init__(self) -> None:
        self.topology, self.router = topology()
        self.routes, self.leads_out = f"qrouter-{self.router.id}", f"snat-{self.router.id}"
        self.floating = f"fip-{self.topology.network(('admin', 'public')).id}"
        ports = self.topology.router_ports["admin", "public"]
        gateway = next(port for port in ports if port.name.startswith("gateway:"))
        self.gateway, self.gateway_v6 = (str(address) for address in gateway.addresses)
        self.first_changes = routed.apply(self.topology, "net1")
        routed.wire(self.topology, "net1")
        public = self.topology.network(("admin", "public"))
        routed.add_world(public, public.local_vlan or 0)
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
        yield Fabric()


def test_the_second_run_changes_nothing(fabric: Fabric) -> None:
    assert routed.apply(fabric.topology, "net1") == {"namespaces": [], "nftables": []}


def test_each_part_has_its_namespace(fabric: Fabric) -> None:
    assert any(change == f"create namespace {fabric.floating}" for change in fabric.first_changes["namespaces"])
    pair = f"in {fabric.floating} with peer rfp-{fabric.router.id[:11]} in {fabric.routes}"
    assert any(change.endswith(pair) for change in fabric.first_changes["namespaces"])


@pytest.mark.parametrize(("sender", "receiver"), [("web-1", "db-1"), ("web-2", "db-2"), ("web-1", "web-2")])
def test_inside_nothing_is_translated(fabric: Fabric, sender: str, receiver: str) -> None:
    assert source_seen(sender, ADDRESSES[receiver], receiver) == ADDRESSES[sender]
    assert source_seen(sender, fabric.v6(receiver), receiver) == fabric.v6(sender)


def test_out_with_the_floating_ip_or_the_gateway_s_address(fabric: Fabric) -> None:
    for name, address in FLOATING.items():
        assert source_seen(name, OUTSIDE, WORLD) == address
    assert source_seen("db-2", OUTSIDE, WORLD) == fabric.gateway
    assert source_seen("web-2", OUTSIDE, WORLD) == SHARED_FLOATING


@pytest.mark.parametrize("name", ["web-1", "db-2"])
def test_ipv6_is_routed(fabric: Fabric, name: str) -> None:
    assert source_seen(name, OUTSIDE_V6, WORLD) == fabric.v6(name)
    assert source_seen(WORLD, fabric.v6(name), name) == OUTSIDE_V6


def test_in_to_the_floating_ip(fabric: Fabric) -> None:
    for name, address in FLOATING.items():
        assert source_seen(WORLD, address, name) == OUTSIDE
    assert source_seen(WORLD, SHARED_FLOATING, "web-2") == OUTSIDE
    assert source_seen(WORLD, FORWARDED, "db-2", 2222, at=23) == OUTSIDE


def test_a_neighbour_s_floating_ip(fabric: Fabric) -> None:
    """The floating-IP matrix: with one's own floating IP if there is one, else with the gateway's address."""
    assert source_seen("web-1", FLOATING["db-1"], "db-1") == FLOATING["web-1"]
    assert source_seen("db-1", FLOATING["web-1"], "web-1") == FLOATING["db-1"]
    assert source_seen("db-2", FLOATING["web-1"], "web-1") == fabric.gateway
    assert source_seen("db-2", FLOATING["db-1"], "db-1") == fabric.gateway
    assert source_seen("web-1", SHARED_FLOATING, "web-2") == FLOATING["web-1"]
    assert source_seen("web-1", FORWARDED, "db-2", 2222, at=23) == FLOATING["web-1"]
    assert source_seen("web-2", FLOATING["web-1"], "web-1") == SHARED_FLOATING


def test_a_further_route_outside_holds_for_all(fabric: Fabric) -> None:
    vlan = fabric.topology.network(("admin", "public")).local_vlan
    ip(
        f"netns add {BEYOND}",
        f"link add dev eth0 netns {BEYOND} type veth peer name {BEYOND}",
        f"link set {BEYOND} master net{vlan} up",
    )
    ip(
        "link set lo up",
        f"addr add {OTHER_GATEWAY}/24 dev eth0",
        "addr add 10.50.0.1/32 dev lo",
        "link set eth0 up",
        # It answers from the address that was asked.
        "route replace 203.0.113.0/24 dev eth0 src 10.50.0.1",
        namespace=BEYOND,
    )
    assert source_seen("web-1", "10.50.0.1", BEYOND) == FLOATING["web-1"]
    assert source_seen("db-2", "10.50.0.1", BEYOND) == fabric.gateway
    # Nobody else's packets go that way.
    assert source_seen("web-1", OUTSIDE, WORLD) == FLOATING["web-1"]


def test_a_wide_route_leads_past_no_neighbour(fabric: Fabric) -> None:
    suffix = fabric.router.id[:11]
    (pair,) = [entry for entry in ask("addr show", fabric.routes) if entry["ifname"] == f"rfp-{suffix}"]
    transit = pair["addr_info"][0]["local"]
    for target, gateway in ((FLOATING["db-1"], transit), (OUTSIDE, None), ("203.0.114.1", OTHER_GATEWAY)):
        (found,) = ask(f"route get {target} from {FLOATING['web-1']} iif fpr-{suffix}", fabric.floating)
        assert found.get("gateway") == gateway


def test_one_s_own_floating_ip(fabric: Fabric) -> None:
    assert source_seen("web-1", FLOATING["web-1"], "web-1") == FLOATING["web-1"]


@pytest.mark.parametrize("to", ["web-1", "db-2"])
def test_nothing_comes_in_by_an_address_that_is_hidden(fabric: Fabric, to: str) -> None:
    neighbour = "web-2" if to == "web-1" else "db-1"
    assert not arrives(WORLD, ADDRESSES[to], to, (neighbour, ADDRESSES[to]))


@pytest.mark.parametrize("name", ["web-1", "db-2"])
def test_sessions_go_out_and_on(fabric: Fabric, name: str) -> None:
    near, far = tcp(name, OUTSIDE, WORLD)
    with near, far:
        near.sendall(b"question")
        assert far.recv(100) == b"question"
        far.sendall(b"answer")
        assert near.recv(100) == b"answer"


def test_a_session_that_nobody_knows_does_not_go_on_untranslated(fabric: Fabric) -> None:
    near, far = tcp("web-1", OUTSIDE, WORLD)
    with near, far:
        routed.forget_connections(fabric.routes)
        near.sendall(b"lost")
        far.settimeout(0.5)
        with pytest.raises(socket.timeout):
            far.recv(100)


@pytest.mark.parametrize("to", [FLOATING["web-1"], SHARED_FLOATING])
def test_a_packet_from_outside_that_is_too_large_is_refused_with_the_mtu(fabric: Fabric, to: str) -> None:
    with netns.entered(WORLD), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
        sender.connect((to, 4000))
        sender.send(bytes(1500 - 28))
        poll = select.poll()
        poll.register(sender, select.POLLERR)
        assert poll.poll(routed.SECONDS * 1000), "the router has not said that it was too large"
        assert sender.getsockopt(socket.IPPROTO_IP, 14) == 1450  # IP_MTU


def test_nobody_is_asked_for_what_is_known(fabric: Fabric) -> None:
    known = {entry["dst"] for entry in ask("neigh show nud permanent", fabric.routes)}
    # The one that two may hold is left to them.
    assert {ADDRESSES["web-1"], ADDRESSES["db-1"], ADDRESSES["db-2"]} <= known
    assert SHARED not in known


def test_a_floating_ip_that_goes_takes_its_way_along(fabric: Fabric) -> None:
    floating_ip = fabric.topology.projects["blue"].floating_ips[f"fip-{FLOATING['db-1']}"]
    before, floating_ip.router = floating_ip.router, None
    fabric.topology.__dict__.pop("floating_ips_by_router")
    try:
        routed.apply(fabric.topology, "net1")
        assert source_seen("db-1", OUTSIDE, WORLD) == fabric.gateway
        assert source_seen("web-1", OUTSIDE, WORLD) == FLOATING["web-1"]
    finally:
        floating_ip.router = before
        fabric.topology.__dict__.pop("floating_ips_by_router")
        routed.apply(fabric.topology, "net1")
    assert source_seen("db-1", OUTSIDE, WORLD) == FLOATING["db-1"]


def seen_outside(here: socket.socket, there: socket.socket) -> str:
    """Send a datagram out from the same socket as before, answer it, and return from where it was seen to come."""
    source, _answered = routed.asked(here, (OUTSIDE, routed.PORT), there)
    return str(source[0])


def test_what_goes_on_without_a_floating_ip_goes_on_with_it(fabric: Fabric) -> None:
    """What the router has seen of a stream before must not keep it from being translated now."""
    floating_ip = fabric.topology.projects["blue"].floating_ips[f"fip-{FLOATING['db-1']}"]
    before, floating_ip.router = floating_ip.router, None
    fabric.topology.__dict__.pop("floating_ips_by_router")
    routed.apply(fabric.topology, "net1")
    with routed.udp("db-1") as here, routed.udp(WORLD, routed.PORT) as there:
        without = seen_outside(here, there)
        floating_ip.router = before
        fabric.topology.__dict__.pop("floating_ips_by_router")
        routed.apply(fabric.topology, "net1")
        assert (without, seen_outside(here, there)) == (fabric.gateway, FLOATING["db-1"])


def join(topology: Topology) -> None:
    """Let what a conversion has made join the bridges of its networks."""
    for network in view_host(topology, "net1").networks:
        ip(*(f"link set {local.device} master net{network.vlan}" for local in network.local))


def test_a_router_is_converted_in_place() -> None:
    """The machines find the same gateway, and whom they are outside stays the same."""
    with private_network():
        centralised, distributed = topology(distributed=False)[0], topology()[0]
        public = centralised.network(("admin", "public"))
        ports = centralised.router_ports["admin", "public"]
        gateway = next(str(port.addresses[0]) for port in ports if port.name.startswith("gateway:"))
        # Numbers that the builder counts up stand in the lock otherwise.
        _keep_numbers(centralised, distributed)
        routed.apply(centralised, "net1")
        routed.wire(centralised, "net1")
        routed.add_world(public, public.local_vlan or 0)
        stream = routed.udp("db-2")
        for wanted in (centralised, distributed, centralised, distributed):
            changes = routed.apply(wanted, "net1")
            join(wanted)
            # On a host the new places of the floating IPs are announced once more when all is wired.
            ip("neigh flush dev eth0", namespace=WORLD)
            assert routed.apply(wanted, "net1") == {"namespaces": [], "nftables": []}, changes
            with routed.udp(WORLD, routed.PORT) as there:
                # Another kind of router must not go by what the one before knew of it.
                assert seen_outside(stream, there) == gateway
            assert source_seen("db-2", OUTSIDE, WORLD) == gateway
            for name, address in FLOATING.items():
                assert source_seen(name, OUTSIDE, WORLD) == address
                assert source_seen(WORLD, address, name) == OUTSIDE
            assert source_seen("web-1", ADDRESSES["db-1"], "db-1") == ADDRESSES["web-1"]
        stream.close()


def _keep_numbers(first: Topology, second: Topology) -> None:
    """Let ports of one name have the same MAC and addresses in both, and others none of theirs."""
    known = {port.name: port for ports in first.router_ports.values() for port in ports}
    others = (port for ports in second.router_ports.values() for port in ports)
    for number, port in enumerate(others):
        if port.name in known:
            port.mac_address, port.fixed_ips = known[port.name].mac_address, known[port.name].fixed_ips
        else:
            port.mac_address = f"fa:16:3e:00:01:{number:02x}"
