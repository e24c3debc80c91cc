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


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
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
    router = build.router(project, name, hosts, legs, external, draw(st.booleans()))
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
