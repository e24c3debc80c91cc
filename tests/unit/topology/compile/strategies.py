# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generates topologies as they are after allocation: several tenants with the same addresses on some hosts."""

from __future__ import annotations

from hypothesis import strategies as st

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Network, Topology
from ansible_collections.weft.fabric.tests.unit.topology.compile.builder import Builder

HOSTS = ("h1", "h2", "h3", "h4")
KINDS = ("vxlan", "gre", "geneve", "vlan")
BINDINGS = ("tap", "veth", "internal", "iface_id")


def topologies() -> st.SearchStrategy[Topology]:
    """Return topologies of all kinds; every other one has a distributed router that leads outside."""
    return st.one_of(_mixed(), _distributed())


@st.composite
def _mixed(draw: st.DrawFn) -> Topology:
    build = Builder().physnet("physnet1")
    ipv6_underlay = draw(st.booleans())
    datapath_type = draw(st.sampled_from(["netdev", "system"]))
    for number, host in enumerate(HOSTS, 1):
        underlay = f"2001:db8:1::{number}/64" if ipv6_underlay else f"198.51.100.{number}/24"
        interface = draw(st.sampled_from(["eth2", None]))
        build.host(host, underlay, {"physnet1": interface}, datapath_type, "eth1")
    for number in range(draw(st.integers(1, 5))):
        _add_network(draw, build, number)
    for name in ("r1", "r2"):
        if draw(st.booleans()):
            _add_router(draw, build, name)
    return build.place_routers()


@st.composite
def _distributed(draw: st.DrawFn) -> Topology:
    """Return machines, some with floating IPs, behind one or two distributed routers."""
    build = Builder().physnet("physnet1")
    for number, host in enumerate(HOSTS, 1):
        reaches = {"physnet1": "eth2"} if number < 3 or draw(st.booleans()) else {}
        build.host(host, f"198.51.100.{number}/24", reaches, interface="eth1")
    public = build.network("admin", "public", "vlan", physical_network="physnet1", external=True)
    build.subnet(public, "203.0.113.0/24")
    networks = []
    for number, kind in enumerate(draw(st.lists(st.sampled_from(["vxlan", "geneve"]), min_size=1, max_size=2))):
        network = build.network("blue", f"net{number}", kind, mac_learning=draw(st.booleans()), shared=True)
        build.subnet(network, f"10.0.{number}.0/24")
        if draw(st.booleans()):
            build.subnet(network, f"2001:db8:{number}::/64", ipv6_mode="slaac")
        for index in range(draw(st.integers(0, 3))):
            _add_port(draw, build, network, f"{network.name}-{index}")
        build.dhcp(network, *draw(st.lists(st.sampled_from(HOSTS), unique=True, max_size=2)))
        networks.append(network)
    nodes = draw(st.sampled_from([["h1"], ["h2", "h1"]]))
    router = build.router("blue", "r1", nodes, networks, public, draw(st.booleans()), distributed=True)
    ports = [port for port in build.topology.projects["blue"].ports.values() if port.addresses]
    for number, port in enumerate(draw(st.lists(st.sampled_from(ports), max_size=3, unique_by=id)) if ports else []):
        build.floating_ip(router, public, f"203.0.113.{200 + number}", port)
    if draw(st.booleans()):
        others = {subnet.name: str(subnet.cidr[2]) for subnet in networks[0].subnets.values()}
        build.router("red", "r2", draw(st.sampled_from([["h1"], ["h2"]])), networks[:1], None, addresses=others)
    return build.place_routers()


def _add_network(draw: st.DrawFn, build: Builder, number: int) -> None:
    kind = draw(st.sampled_from(KINDS))
    network = build.network(
        draw(st.sampled_from(["blue", "red"])),
        f"net{number}",
        kind,
        physical_network="physnet1" if kind == "vlan" else None,
        mac_learning=draw(st.booleans()),
    )
    build.subnet(network, "10.0.0.0/24")
    if draw(st.booleans()):
        mode = draw(st.sampled_from(["slaac", "dhcpv6-stateless", "dhcpv6-stateful"]))
        build.subnet(network, "2001:db8:100::/64", ipv6_mode=mode)
    for index in range(draw(st.integers(0, 5))):
        _add_port(draw, build, network, f"{network.name}-{index}")
    servers = draw(st.lists(st.sampled_from(HOSTS), unique=True, max_size=2))
    build.dhcp(network, *servers)


def _add_router(draw: st.DrawFn, build: Builder, name: str) -> None:
    project = draw(st.sampled_from(["blue", "red"]))
    networks = [network for network in build.topology.networks() if network.project == project]
    if not networks:
        return
    legs = draw(st.lists(st.sampled_from(networks), unique_by=lambda network: network.name, max_size=2))
    outside = [network for network in build.topology.networks() if network.type == "vlan" and network not in legs]
    external = draw(st.sampled_from([None, *outside]))
    hosts = draw(st.lists(st.sampled_from(HOSTS), unique=True, min_size=1, max_size=3))
    distributed = draw(st.booleans())
    router = build.router(project, name, hosts, legs, external, draw(st.booleans()), distributed=distributed)
    if external is not None:
        ports = [port for port in build.topology.projects[project].ports.values() if port.addresses]
        for number, port in enumerate(draw(st.lists(st.sampled_from(ports), max_size=2)) if ports else []):
            build.floating_ip(router, external, f"10.0.0.{240 + number + 4 * (name == 'r2')}", port)


def _add_port(draw: st.DrawFn, build: Builder, network: Network, name: str) -> None:
    pair = st.tuples(
        st.sampled_from(["10.0.0.200/32", "10.0.0.11/32", "10.0.0.0/24", "0.0.0.0/0", "2001:db8:100::c8/128", "::/0"]),
        st.sampled_from([None, "00:00:5e:00:01:01", "fa:16:3e:00:00:01"]),
    )
    build.port(
        network,
        name,
        draw(st.sampled_from([*HOSTS, None])),
        draw(st.sampled_from(BINDINGS)),
        pairs=draw(st.lists(pair, max_size=2)),
        port_security_enabled=draw(st.booleans()),
    )
