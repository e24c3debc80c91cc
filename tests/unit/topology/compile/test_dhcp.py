# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What DHCP servers are told."""

from __future__ import annotations

import re
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import dhcp_files
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.dhcp import TEMPLATE
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.dhcp_options import subnet_tag
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Network, Topology
from ansible_collections.weft.fabric.tests.unit.topology.compile import topologies
from ansible_collections.weft.fabric.tests.unit.topology.compile.builder import Builder

Server = dict[str, t.Any]


def server(topology: Topology, network: str, host: str = "net1", templates: dict[str, str] | None = None) -> Server:
    servers = compile_host(topology, host, "dhcp_servers", templates)["dhcp_servers"]["servers"]
    (found,) = (item for item in servers if item["name"] == topology.network(("blue", network)).id)
    return found


def told(server: Server, tag: str) -> dict[str, str]:
    """Return the options of a tag."""
    return {item["option"]: item["value"] for item in server["options"] if item["tags"] == [tag]}


def tags(network: Network) -> list[str]:
    return [subnet_tag(subnet) for subnet in network.subnets.values()]


@pytest.fixture
def topology() -> Topology:
    return topologies.dhcp()


def test_a_subnet_tells_its_router_servers_and_routes(topology: Topology) -> None:
    web = topology.network(("blue", "web"))
    routes = "10.0.0.0/23,10.0.0.254,10.0.1.0/24,0.0.0.0,0.0.0.0/0,10.0.0.1"
    assert told(server(topology, "web"), tags(web)[0]) == {
        "3": "10.0.0.1",
        "6": "10.0.0.13,10.0.0.14",
        "42": "10.0.0.123",
        "119": "blue.example",
        "121": routes,
        "249": routes,
    }


def test_without_a_gateway_no_router_is_told(topology: Topology) -> None:
    web = topology.network(("blue", "web"))
    second = told(server(topology, "web"), tags(web)[1])
    assert second["3"] == "", "without the line dnsmasq would name itself"
    assert second["121"] == "10.0.0.0/24,0.0.0.0"


def test_routes_are_told_only_when_there_are_some_and_with_the_default_route(topology: Topology) -> None:
    db = topology.network(("blue", "db"))
    assert "121" not in told(server(topology, "db"), tags(db)[0])
    subnet = next(iter(db.subnets.values()))
    subnet.host_routes = ((subnet.cidr.supernet(), subnet.cidr[9]), (type(subnet.cidr)("0.0.0.0/0"), subnet.cidr[8]))
    assert told(server(topology, "db"), tags(db)[0])["121"] == "10.1.0.0/23,10.1.0.9,0.0.0.0/0,10.1.0.8"


def test_a_subnets_own_name_servers_take_the_place_of_the_dhcp_servers(topology: Topology) -> None:
    db = topology.network(("blue", "db"))
    assert told(server(topology, "db"), tags(db)[0])["6"] == "10.1.0.53"
    assert told(server(topology, "db"), tags(db)[1])["option6:23"].count("[2001:db8:200:") == 2


def test_slaac_is_not_served(topology: Topology) -> None:
    db = topology.network(("blue", "db"))
    found = server(topology, "db")
    assert told(found, tags(db)[2]) == {}
    assert tags(db)[2] not in found["config"]
    assert tags(db)[1] in found["config"]
    assert "enable-ra" not in found["config"]


def test_a_port_adds_options_of_its_own_under_its_own_tag(topology: Topology) -> None:
    found = server(topology, "web")
    tagged = {host["hostname"]: host["tags"] for host in found["hosts"]}
    assert tagged["www"] == []
    (tag,) = tagged["web-1"]
    assert told(found, tag) == {"option:bootfile-name": "pxe.0", "option6:23": "[2001:db8::53]"}


def test_an_option_of_the_subnet_takes_the_place_of_ours() -> None:
    build = Builder().host("net1", "198.51.100.1/24")
    web = build.network("blue", "web")
    subnet = build.subnet(web, "10.0.0.0/24")
    build.port(web, "web-1", "net1", options=[("6", "10.0.0.7", 4)])
    subnet.extra_dhcp_opts = build.topology.projects["blue"].ports["web-1"].extra_dhcp_opts
    build.dhcp(web, "net1")
    values = [item["value"] for item in server(build.topology, "web")["options"] if item["option"] == "6"]
    assert values == ["10.0.0.7", "10.0.0.7"], "one for the subnet, one for the port"


def test_hosts_get_what_the_topology_foretells(topology: Topology) -> None:
    hosts = {host["hostname"]: host["addresses"] for host in server(topology, "web")["hosts"]}
    assert hosts == {"web-1": ["10.0.0.11", "2001:db8:100::b"], "www": ["10.0.0.12", "2001:db8:100::c"]}
    assert [host["addresses"] for host in server(topology, "db")["hosts"]] == [["10.1.0.15"]], "no lease where SLAAC is"


def test_every_address_has_a_name_with_the_domain_first(topology: Topology) -> None:
    names = {entry["address"]: entry["names"] for entry in server(topology, "web")["names"]}
    assert names["10.0.0.12"] == names["10.0.1.12"] == names["2001:db8:100::c"] == ["www.blue.example", "www"]
    assert not [entry for entry in names.values() if entry[0].startswith("dhcp-")]
    assert {tuple(entry["names"]) for entry in server(topology, "db")["names"]} == {("db-1",)}


def test_a_port_more_is_no_restart(topology: Topology) -> None:
    before = server(topology, "web")
    more = topologies.dhcp()
    web = more.network(("blue", "web"))
    build = Builder()
    build.topology = more
    build.port(web, "web-3", "cmp1", number=99)
    after = server(more, "web")
    assert after["config"] == before["config"]
    assert len(after["hosts"]) == len(before["hosts"]) + 1


def test_nothing_leaks_in_or_out(topology: Topology) -> None:
    for network in ("web", "db"):
        found = server(topology, network)
        lines = found["config"].splitlines()
        assert f"interface={found['interface']}" in lines
        for line in ("except-interface=lo", "bind-dynamic", "no-hosts", "no-resolv", "dhcp-ignore-names"):
            assert line in lines
        assert not [line for line in lines if line.startswith(("server=", "resolv-file=", "dhcp-script="))]
    assert "local=/blue.example/" in server(topology, "web")["config"]


def test_a_users_template_takes_the_place_of_ours(topology: Topology) -> None:
    own = server(topology, "web", templates={TEMPLATE: "interface={{ interface }}\nmtu {{ mtu }}\n"})
    assert own["config"] == f"interface={own['interface']}\nmtu 1450\n"
    with pytest.raises(ValueError, match=r"dnsmasq\.conf\.j2.*'nonsense' is undefined"):
        server(topology, "web", templates={TEMPLATE: "{{ nonsense }}"})
    with pytest.raises(ValueError, match=r"dnsmasq\.conf\.j2.*line 2"):
        server(topology, "web", templates={TEMPLATE: "ok\n{% if %}"})


@pytest.mark.parametrize("network", ["web", "db"])
def test_dnsmasq_takes_what_it_is_told(topology: Topology, network: str, tmp_path: Path) -> None:
    found = server(topology, network)
    own_files = re.compile(r"/var/lib/weft-fabric/dhcp/[^/]+")
    config = own_files.sub(str(tmp_path), found["config"])
    config += "".join(f"dhcp-host={dhcp_files.parse_host(host, 'test').line()}\n" for host in found["hosts"])
    config += "".join(f"dhcp-option={dhcp_files.option_line(option, 'test')}\n" for option in found["options"])
    assert accepts(config, tmp_path) == "dnsmasq: syntax check OK."
    assert "bad IP address" in accepts(config + "dhcp-option=3,nonsense.\n", tmp_path)


def accepts(config: str, directory: Path) -> str:
    (directory / "dnsmasq.conf").write_text(config, encoding="utf-8")
    program = shutil.which("dnsmasq", path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert program, "dnsmasq is missing: install dnsmasq-base"
    command = [program, "--test", f"--conf-file={directory}/dnsmasq.conf"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30).stderr.strip()
