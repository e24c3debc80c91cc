# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs take what the compiler writes for them: nft reads it back as it was, keepalived and radvd accept it."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils.nftables import NftablesEngine
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import reconcile
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.eui64 import link_local
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip, private_network
from ansible_collections.weft.fabric.tests.unit.topology.compile.builder import Builder
from ansible_collections.weft.fabric.tests.unit.topology.compile.topologies import GOLDEN

ROUTERS = [(name, host) for name in GOLDEN if name.startswith("router") for host in ("net1", "net2")]


def items(name: str, host: str, concern: str, templates: dict[str, str] | None = None) -> list[dict[str, t.Any]]:
    state = compile_host(GOLDEN[name](), host, concern, templates)[concern]
    return t.cast("list[dict[str, t.Any]]", state["tables" if concern == "nftables" else "routers"])


@pytest.mark.parametrize(("name", "host"), ROUTERS)
def test_nft_reads_back_every_table_as_it_was_written(name: str, host: str) -> None:
    tables = items(name, host, "nftables")
    with private_network():
        for table in tables:
            ip(f"netns add {table['namespace']}")
            ip("link set lo alias weft.fabric", namespace=table["namespace"])
        assert reconcile(NftablesEngine({"tables": tables}))["changed"] == bool(tables)
        again = reconcile(NftablesEngine({"tables": tables, "purge": True}))
        assert again["changes"] == []


@pytest.mark.parametrize("host", ["net1", "net2"])
def test_keepalived_accepts_its_configuration(tmp_path: Path, host: str) -> None:
    (router,) = items("router_ha", host, "vrrp_routers")
    path = tmp_path / "keepalived.conf"
    path.write_text(router["config"])
    topology = GOLDEN["router_ha"]()
    with private_network():
        # It looks whether the devices that it is told of are there.
        for ports in topology.router_ports.values():
            for port in ports:
                if port.host == host:
                    ip(f"link add {port.binding.interface} type bridge")
        done = subprocess.run(["keepalived", "-t", "-f", str(path)], capture_output=True, text=True, check=False)
    told = [line for line in (done.stdout + done.stderr).splitlines() if "script" not in line]
    assert (done.returncode, told) == (0, [])


@pytest.mark.parametrize(("name", "host"), ROUTERS)
def test_radvd_accepts_its_configuration(tmp_path: Path, name: str, host: str) -> None:
    for router in items(name, host, "router_advertisements"):
        path = tmp_path / "radvd.conf"
        path.write_text(router["config"])
        done = subprocess.run(["radvd", "-c", "-C", str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_nodes_of_a_router_differ_in_who_they_speak_to() -> None:
    (first,), (second,) = (items("router_ha", host, "vrrp_routers") for host in ("net2", "net1"))
    topology = GOLDEN["router_ha"]()
    addresses = {port.host: str(port.addresses[0]) for port in topology.router_ports["blue", "_ha"]}
    assert (first["peers"], second["peers"]) == ([addresses["net1"]], [addresses["net2"]])
    for node, host in ((first, "net2"), (second, "net1")):
        assert f"unicast_src_ip {addresses[host]}" in node["config"]
        assert f"IPv4_address {addresses[host]}" in node["conntrackd"]
    # The preferred node is not made to wait.
    assert "    vrrp_startup_delay" not in first["config"]
    assert "    vrrp_startup_delay 4" in second["config"]


def test_a_primary_has_the_link_local_address_that_neighbours_know() -> None:
    (router,) = items("router_ha", "net1", "vrrp_routers")
    topology = GOLDEN["router_ha"]()
    for key in (("blue", "web"), ("admin", "public")):
        port = topology.router_ports[key][0]
        assert f"{link_local(port.mac_address)}/64 dev {port.binding.interface}" in router["config"]


def test_a_router_with_three_nodes_tells_its_sessions_to_both_others() -> None:
    build = Builder()
    for number in (1, 2, 3):
        build.host(f"net{number}", f"198.51.100.{number}/24")
    web = build.network("blue", "web")
    build.subnet(web, "10.0.0.0/24")
    build.router("blue", "r1", ["net1", "net2", "net3"], [web])
    topology = build.place_routers()
    (router,) = compile_host(topology, "net3", "vrrp_routers")["vrrp_routers"]["routers"]
    assert len(router["peers"]) == 2
    assert "Multicast {\n        IPv4_address 239.192." in router["conntrackd"]
    assert "    vrrp_startup_delay 8" in router["config"]


def test_a_host_begins_with_the_routers_that_prefer_it() -> None:
    """Their lead is gone before the last of many has been started."""
    build = Builder()
    for number in (1, 2, 3):
        build.host(f"net{number}", f"198.51.100.{number}/24")
    placed = {"r1": ["net2", "net1", "net3"], "r2": ["net1", "net2", "net3"], "r3": ["net3", "net2", "net1"]}
    for number, (name, hosts) in enumerate(placed.items()):
        web = build.network("blue", f"web{number}")
        build.subnet(web, f"10.0.{number}.0/24")
        build.router("blue", name, hosts, [web])
    topology = build.place_routers()
    names = {topology.projects["blue"].routers[name].id: name for name in placed}
    order = {
        host: [names[item["name"]] for item in compile_host(topology, host, "vrrp_routers")["vrrp_routers"]["routers"]]
        for host in ("net1", "net2", "net3")
    }
    assert order["net1"] == ["r2", "r1", "r3"]
    assert [order[host][0] for host in ("net2", "net3")] == ["r1", "r3"]
    assert sorted(order["net2"]) == sorted(order["net3"]) == sorted(placed)


@pytest.mark.parametrize(
    ("name", "mode", "flags"),
    [
        ("router", "dhcpv6-stateless", ("off", "on", "on")),
        ("router_ports_and_routes", "dhcpv6-stateful", ("on", "on", "off")),
        ("router_ha", "slaac", ("off", "off", "on")),
    ],
)
def test_the_flags_say_where_hosts_get_addresses_and_options(name: str, mode: str, flags: tuple[str, str, str]) -> None:
    (router,) = items(name, "net1", "router_advertisements")
    managed, other, autonomous = flags
    assert f"AdvManagedFlag {managed};" in router["config"], mode
    assert f"AdvOtherConfigFlag {other};" in router["config"], mode
    assert f"AdvAutonomous {autonomous};" in router["config"], mode
    assert "AdvLinkMTU 1450;" in router["config"]
    assert router["start"] == (name != "router_ha")


def test_a_router_beside_the_gateway_keeps_quiet() -> None:
    name = "router_ports_and_routes"
    advertising = {router["name"] for router in items(name, "net1", "router_advertisements")}
    assert GOLDEN[name]().router(("blue", "r1")).id in advertising
    assert GOLDEN[name]().router(("blue", "r2")).id not in advertising


def test_hosts_need_only_the_programs_of_what_they_have() -> None:
    needed = {
        (name, host): set(compile_host(GOLDEN[name](), host, "requirements")["requirements"]["programs"])
        for name in ("vxlan", "router", "router_ha")
        for host in GOLDEN[name]().hosts
    }
    base = {"ip", "ovs-vsctl", "ovs-ofctl"}
    routing = {"nft", "conntrack", "radvd"}
    assert needed["vxlan", "h1"] == needed["router", "cmp1"] == needed["router_ha", "cmp1"] == base
    assert needed["router", "net1"] == base | routing | {"dnsmasq"}
    assert needed["router", "net2"] == base | routing
    assert needed["router_ha", "net1"] == needed["router_ha", "net2"] == base | routing | {"keepalived", "conntrackd"}
