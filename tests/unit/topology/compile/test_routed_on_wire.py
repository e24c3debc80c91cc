# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets of a machine at a switch, behind a distributed router: real ones, through a real kernel.

What it sends goes by the part that leads out of the fabric, and what comes to it from inside by the leg of the sender's
host: neither sees both ways of a connection. Who answers for the gateway is a matter of flows: test_frames_on_wire.py.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    ROUTER_SNAT_OWNER,
    Network,
    Topology,
)
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip, private_network
from ansible_collections.weft.fabric.tests.unit.topology.compile import routed
from ansible_collections.weft.fabric.tests.unit.topology.compile.builder import Builder
from ansible_collections.weft.fabric.tests.unit.topology.compile.routed import WORLD, arrives, source_seen, tcp

# A machine that the topology does not know, and a server of it.
METAL, SERVER = "metal", "server"
ADDRESS = {4: "10.0.2.200", 6: "2001:db8:2::200"}
SERVER_ADDRESS = {4: "10.0.2.77", 6: "2001:db8:2::4d"}
SERVER_FLOATING = "203.0.113.77"
FLOATING = "203.0.113.111"
OUTSIDE = "203.0.113.1"
# One has a floating IP, so its connections are tracked on its host; the other has none.
MACHINES = {"web-1": {4: "10.0.0.11", 6: "2001:db8:1::b"}, "web-2": {4: "10.0.0.12", 6: "2001:db8:1::c"}}


def topology() -> Topology:
    build = Builder().physnet("physnet1")
    build.host("net1", "198.51.100.1/24", {"physnet1": "eth2"}, datapath_type="system")
    public = build.network("admin", "public", "flat", physical_network="physnet1", external=True, mtu=1500)
    build.subnet(public, "203.0.113.0/24")
    web, rack = build.network("blue", "web"), build.network("blue", "rack", "vlan", physical_network="physnet1")
    for index, network in ((0, web), (2, rack)):
        build.subnet(network, f"10.0.{index}.0/24")
        build.subnet(network, f"2001:db8:{index or 1}::/64")
    for number, name in enumerate(MACHINES, 11):
        build.port(web, name, "net1", "veth", number=number, binding={"namespace": name, "interface": "eth0"})
    router = build.router("blue", "r1", ["net1"], [web, rack], public, distributed=True)
    build.floating_ip(router, public, FLOATING, build.topology.projects["blue"].ports["web-1"])
    # What a node at a switch has: a port on no host.
    server = build.port(rack, SERVER, None, number=77, nic=("n1", "nic0"))
    build.floating_ip(router, public, SERVER_FLOATING, server)
    return build.place_routers()


def plug_in(name: str, addresses: dict[int, str], mac: str, gateway_mac: str, network: Network) -> None:
    """Make a machine at a switch, which has found its gateway in the one place."""
    ip(
        f"netns add {name}",
        f"link add dev eth0 address {mac} netns {name} type veth peer name {name}",
        f"link set {name} master net{network.local_vlan} up",
    )
    ip("link set lo up", "link set eth0 up", namespace=name)
    routed.set_up(name, "eth0", network, addresses.values())
    for subnet in network.subnets.values():
        ip(f"neigh replace {subnet.gateway_ip} lladdr {gateway_mac} dev eth0 nud permanent", namespace=name)


def centre_of(found: Topology, network: Network) -> str:
    """Return the MAC address of the centralised part of a router in a network."""
    ports = found.router_ports[network.key]
    return next(port.mac_address for port in ports if port.device_owner == ROUTER_SNAT_OWNER)


@pytest.fixture(scope="module")
def fabric() -> t.Iterator[Topology]:
    with private_network():
        found = topology()
        routed.apply(found, "net1")
        routed.wire(found, "net1")
        public, rack = found.network(("admin", "public")), found.network(("blue", "rack"))
        routed.add_world(public, public.local_vlan or 0)
        centre = centre_of(found, rack)
        plug_in(METAL, ADDRESS, "02:00:00:00:00:77", centre, rack)
        plug_in(SERVER, SERVER_ADDRESS, found.projects["blue"].ports[SERVER].mac_address, centre, rack)
        yield found


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("name", MACHINES)
def test_inside_nothing_is_translated_either_way(fabric: Topology, name: str, version: int) -> None:
    assert source_seen(METAL, MACHINES[name][version], name) == ADDRESS[version]
    assert source_seen(name, ADDRESS[version], METAL) == MACHINES[name][version]


@pytest.mark.parametrize("name", MACHINES)
def test_sessions_inside_go_on_though_nobody_sees_both_ways(fabric: Topology, name: str) -> None:
    for client, to, server in ((METAL, MACHINES[name][4], name), (name, ADDRESS[4], METAL)):
        near, far = tcp(client, to, server)
        with near, far:
            for sender, receiver in ((near, far), (far, near), (near, far)):
                sender.sendall(b"on and on")
                assert receiver.recv(100) == b"on and on"


def test_outside_it_is_seen_as_the_gateway(fabric: Topology) -> None:
    ports = fabric.router_ports["admin", "public"]
    gateway = next(port for port in ports if port.name.startswith("gateway:"))
    assert source_seen(METAL, OUTSIDE, WORLD) == str(gateway.addresses[0])
    near, far = tcp(METAL, OUTSIDE, WORLD)
    with near, far:
        far.sendall(b"back")
        assert near.recv(100) == b"back"


def test_a_floating_ip_leads_to_a_server(fabric: Topology) -> None:
    assert source_seen(WORLD, SERVER_FLOATING, SERVER) == OUTSIDE
    assert source_seen(SERVER, OUTSIDE, WORLD) == SERVER_FLOATING


def test_a_neighbour_s_floating_ip(fabric: Topology) -> None:
    ports = fabric.router_ports["admin", "public"]
    gateway = next(port for port in ports if port.name.startswith("gateway:"))
    assert source_seen(METAL, FLOATING, "web-1") == str(gateway.addresses[0])
    assert source_seen(SERVER, FLOATING, "web-1") == SERVER_FLOATING
    assert source_seen("web-1", SERVER_FLOATING, SERVER) == FLOATING


def test_from_outside_nothing_comes_to_its_address(fabric: Topology) -> None:
    ports = fabric.router_ports["admin", "public"]
    gateway = next(port for port in ports if port.name.startswith("gateway:"))
    ip(f"route add 10.0.0.0/8 via {gateway.addresses[0]}", namespace=WORLD)
    assert not arrives(WORLD, ADDRESS[4], METAL, ("web-2", ADDRESS[4]))
