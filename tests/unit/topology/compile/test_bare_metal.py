# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes, their switches and the boot server are to be like, compiled.

WEFT_GOLDEN=write writes the golden files anew; read them before you commit them.
"""

from __future__ import annotations

import json
import os
import re
import typing as t
from ipaddress import ip_network
from pathlib import Path

import pytest
import yaml

from ansible_collections.weft.fabric.plugins.doc_fragments.switch import ModuleDocFragment
from ansible_collections.weft.fabric.plugins.module_utils import netboot_desired
from ansible_collections.weft.fabric.plugins.module_utils.switch_desired import parse
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.bare_metal import compile_node
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.switch import compile_switch
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import view_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Topology
from ansible_collections.weft.fabric.tests.unit.topology.compile.test_arguments import documented, problems
from ansible_collections.weft.fabric.tests.unit.topology.compile.test_switch import with_login

DIRECTORY = Path(__file__).parent / "bare_metal"
CASES = sorted(path.stem for path in DIRECTORY.glob("*.topology"))
PHASES = ("idle", "deployment", "cleaning", "inspection", "rescue", "tenant")


class _Dumper(yaml.SafeDumper):
    """Writes no anchors."""

    def ignore_aliases(self, data: t.Any) -> bool:
        return True


@pytest.fixture
def topology(tmp_path: Path) -> Topology:
    return read("tenants", tmp_path)


def read(case: str, tmp_path: Path, *changes: tuple[str, str]) -> Topology:
    text = (DIRECTORY / f"{case}.topology").read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path = tmp_path / "topology.yml"
    path.write_text(text, encoding="utf-8")
    return build(str(path))


def node(topology: Topology, name: str) -> dict[str, t.Any]:
    return compile_node(topology, name, "bare_metal")


def ports(state: dict[str, t.Any], phase: str) -> dict[str, dict[str, t.Any]]:
    """Return the ports of a node in a phase by name, whichever switch they are of."""
    return {port["name"]: port for item in state["phases"][phase] for port in item["arguments"]["ports"]}


def vlans(state: dict[str, t.Any], phase: str) -> dict[str, int | None]:
    return {name: port.get("vlan") for name, port in ports(state, phase).items()}


@pytest.mark.parametrize("case", CASES)
def test_the_states_are_as_they_were(case: str, tmp_path: Path) -> None:
    topology = read(case, tmp_path)
    states = {
        "nodes": {name: node(topology, name) for name in topology.nodes},
        "switches": {name: compile_switch(topology, name, "switch_ports") for name in topology.switches},
        "hosts": {
            name: {
                "boot_servers": [
                    facts(item) for item in compile_host(topology, name, "boot_servers")["boot_servers"]["servers"]
                ],
                "namespaces": [n for n in namespaces(topology, name) if str(n.get("name")).startswith("qboot-")],
            }
            for name in topology.hosts
        },
    }
    text = yaml.dump(states, Dumper=_Dumper, sort_keys=False, width=100000)
    expected = DIRECTORY / f"{case}.golden"
    if os.environ.get("WEFT_GOLDEN") == "write":
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


def facts(item: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return a boot server without the texts of its files, which have tests of their own."""
    return {name: value for name, value in item.items() if name not in ("dhcp_config", "http_config", "scripts")}


def namespaces(topology: Topology, host: str) -> list[dict[str, t.Any]]:
    return t.cast("list[dict[str, t.Any]]", compile_host(topology, host, "namespaces")["namespaces"]["namespaces"])


def test_switch_ports_takes_what_each_phase_says(topology: Topology) -> None:
    fragments = (ModuleDocFragment.DOCUMENTATION, ModuleDocFragment.WRITING)
    options = documented("switch_ports")
    options.update({name: option for text in fragments for name, option in yaml.safe_load(text)["options"].items()})
    for name in topology.nodes:
        state = node(topology, name)
        for phase, items in state["phases"].items():
            for item in items:
                arguments = with_login(item["arguments"])
                assert problems(arguments, options, f"{name}.{phase}") == []
                assert parse(arguments).ports
                assert not arguments["purge_vlans"], "the VLANs of others would go"
                own = {nic["interface"] for nic in state["nics"] if nic["switch"] == item["switch"]}
                assert set(arguments["policy"]["allowed_ports"]) == own, "no port of another node can be meant"


def test_a_node_is_in_the_vlan_of_its_phase_and_in_no_other(topology: Topology) -> None:
    first, second = node(topology, "n1"), node(topology, "n2")
    assert [vlans(first, phase) for phase in PHASES] == [
        {"Ethernet10": 199, "Ethernet1/10": 199},
        {"Ethernet10": 150, "Ethernet1/10": 150},
        {"Ethernet10": 150, "Ethernet1/10": 150},
        {"Ethernet10": 150, "Ethernet1/10": 150},
        {"Ethernet10": 151, "Ethernet1/10": 151},
        # The flat network's is what the host's trunk has as its native one.
        {"Ethernet10": 170, "Ethernet1/10": 110},
    ]
    assert [vlans(second, phase) for phase in PHASES] == [{"Ethernet11": v} for v in (199, 150, 150, 150, 151, 120)]
    assert "tenant" not in node(topology, "spare")["phases"]


def test_without_an_idle_vlan_a_port_is_shut(tmp_path: Path) -> None:
    topology = read("tenants", tmp_path, ("  idle_vlan: 199\n", ""))
    assert [port["state"] for port in ports(node(topology, "n1"), "idle").values()] == ["absent", "absent"]
    assert all("vlan" not in port for port in ports(node(topology, "n1"), "idle").values())


def test_an_interface_that_is_not_booted_from_sees_no_deployment(tmp_path: Path) -> None:
    topology = read("tenants", tmp_path, ("port: Eth1/10, pxe: true", "port: Eth1/10, pxe: false"))
    state = node(topology, "n1")
    assert vlans(state, "deployment") == {"Ethernet10": 150, "Ethernet1/10": 199}
    assert state["pxe_mac_addresses"] == ["52:54:00:00:00:01"]


def test_what_a_switch_is_told_by_site_leaves_the_nodes_ports_alone(topology: Topology) -> None:
    for name, switch in topology.switches.items():
        state = compile_switch(topology, name, "switch_ports")
        release = compile_switch(topology, name, "switch_release")
        interfaces = {nic.interface for n in topology.nodes.values() for nic in n.nics.values() if nic.switch == name}
        assert interfaces <= set(state["policy"]["allowed_ports"])
        for told in (state, release):
            assert not interfaces & {port["name"] for port in told["ports"]}
        # All VLANs that a node is ever in stay in its database: 199 idle, 170 the flat network.
        if switch.manage_vlans:
            assert {110, 120, 150, 151, 170, 199} <= {vlan["vlan_id"] for vlan in state["vlans"]}


def test_the_trunks_follow_the_servers(tmp_path: Path) -> None:
    """cmp1 has a port of blue/web and none of red's; net1 has the DHCP servers of both."""
    topology = read(
        "tenants",
        tmp_path,
        (
            "Ethernet1: {host: cmp1, native: 170}",
            "Ethernet1: {host: cmp1, native: 170}\n      Ethernet2: {host: net1, native: 170}",
        ),
    )
    found = {port["name"]: port for port in compile_switch(topology, "leaf1", "switch_ports")["ports"]}
    assert found["Ethernet1"]["allowed_vlans"] == [120]
    assert found["Ethernet2"]["allowed_vlans"] == [110, 120, 150, 151]


def test_a_servers_port_is_a_port_like_others(topology: Topology) -> None:
    port = topology.projects["blue"].ports["server-db-1-web"]
    assert (port.mac_address, port.host, port.nic) == ("52:54:00:00:00:03", None, ("n2", "nic0"))
    [address] = port.addresses
    servers = compile_host(topology, "net1", "dhcp_servers")["dhcp_servers"]["servers"]
    hosts = [host for server in servers for host in server["hosts"] if host["mac"] == port.mac_address]
    assert hosts == [{"mac": port.mac_address, "hostname": "db-1", "addresses": [str(address)], "tags": []}]
    # The machine on cmp1 asks for its MAC, and is answered there.
    flows = json.dumps(compile_host(topology, "cmp1", "openflow_flows"))
    assert f"set_field:{port.mac_address}->arp_sha,set_field:{address}->arp_spa" in flows
    # No port of the other tenant, nor of the deployment, is known there.
    others = ("52:54:00:00:00:01", "52:54:00:00:00:02", "10.66.100.")
    assert not any(other in flows for other in others)


def behind_a_router(tmp_path: Path, distributed: bool) -> Topology:
    """Return the topology with a server whose gateway is a router, and a floating IP that leads to it."""
    outside = """    networks:
      public:
        type: vlan
        physical_network: physnet1
        segmentation_id: 180
        external: true
        subnets: {v4: {cidr: 203.0.113.0/24, enable_dhcp: false}}
      web:"""
    routed = f"""    routers:
      out:
        distributed: {str(distributed).lower()}
        interfaces: [{{network: web}}]
        external_gateway: {{network: public}}
    floating_ips:
      db: {{network: public, address: 203.0.113.9, port: server-db-1-web}}
    ports:
      web-1"""
    return read(
        "tenants",
        tmp_path,
        ("    networks:\n      web: {type", f"{outside} {{type"),
        ("    ports:\n      web-1", routed),
    )


@pytest.mark.parametrize("distributed", [False, True])
def test_a_floating_ip_may_lead_to_a_server(tmp_path: Path, distributed: bool) -> None:
    topology = behind_a_router(tmp_path, distributed)
    [address] = topology.projects["blue"].ports["server-db-1-web"].addresses
    rules = json.dumps(compile_host(topology, "net1", "nftables"))
    assert "203.0.113.9" in rules
    assert str(address) in rules


def test_a_distributed_router_knows_a_server_everywhere_and_serves_it_in_one_place(tmp_path: Path) -> None:
    topology = behind_a_router(tmp_path, distributed=True)
    port = topology.projects["blue"].ports["server-db-1-web"]
    gateway = topology.network(("blue", "web")).subnets["v4"].gateway_ip
    router = topology.router(("blue", "out"))
    assert (router.places, router.nodes) == (("cmp1",), ("net1",))
    found = {}
    for host, name in (("cmp1", f"qrouter-{router.id}"), ("net1", f"snat-{router.id}")):
        namespaces = compile_host(topology, host, "namespaces")["namespaces"]["namespaces"]
        (found[host],) = [item for item in namespaces if item.get("name") == name]
        known = {(entry["ip"], entry["mac"]) for entry in found[host]["neighbours"]}
        assert (str(port.addresses[0]), port.mac_address) in known
    assert [f"{gateway}/32" in link["addresses"] for link in found["net1"]["links"]].count(True) == 1
    assert not any(f"{gateway}/32" in link.get("addresses", ()) for link in found["cmp1"]["links"])


def test_the_boot_server_is_a_namespace_of_its_own(topology: Topology) -> None:
    network = topology.network(("infra", "deploy"))
    [server] = [
        s for s in compile_host(topology, "net1", "boot_servers")["boot_servers"]["servers"] if s["name"] == network.id
    ]
    [item] = [n for n in namespaces(topology, "net1") if n.get("name") == server["namespace"] == f"qboot-{network.id}"]
    [link] = item["links"]
    prefix = ip_network(server["ra_prefix"])
    assert (link["name"], link["tx_checksum"]) == (server["interface"], False)
    assert link["addresses"] == [f"{server['address']}/24", f"{prefix[1]}/64"]
    assert prefix.subnet_of(ip_network("fd00::/8"))  # type: ignore[arg-type]
    assert "routes" not in item, "nodes reach it, and it reaches nobody else"
    assert [n["name"] for n in server["nodes"]] == ["n1", "n2", "spare"]
    # The interfaces of a node have one address: it boots from one at a time.
    assert server["nodes"][0]["mac_addresses"] == ["52:54:00:00:00:01", "52:54:00:00:00:02"]
    assert len({n["address"] for n in server["nodes"]} | {server["address"]}) == 4
    state = node(topology, "n1")
    assert state["address"] == server["nodes"][0]["address"]
    assert state["boot_server"]["address"] == server["address"]
    assert state["networks"]["rescue"]["boot_server"]["name"] == topology.network(("infra", "rescue")).id


def test_where_a_router_tells_routes_the_boot_server_does_not(topology: Topology) -> None:
    rescue = topology.network(("infra", "rescue")).id
    [server] = [
        s for s in compile_host(topology, "net1", "boot_servers")["boot_servers"]["servers"] if s["name"] == rescue
    ]
    assert server["ra_prefix"] is None


def test_the_module_takes_what_the_boot_server_is_told(topology: Topology) -> None:
    arguments = compile_host(topology, "net1", "boot_servers")["boot_servers"]
    given = [{key: value for key, value in item.items() if value is not None} for item in arguments["servers"]]
    assert problems({"servers": given}, documented("boot_servers"), "boot_servers") == []
    found = netboot_desired.parse(arguments)
    assert [len(server.nodes) for server in found.values()] == [3, 3]
    assert "nginx" in compile_host(topology, "net1", "requirements")["requirements"]["programs"]
    assert "nginx" not in compile_host(topology, "cmp1", "requirements")["requirements"]["programs"]


def test_a_users_own_template_is_used(topology: Topology) -> None:
    templates = {"netboot_boot.ipxe.j2": "#!ipxe\n# {{ address }}\n"}
    for server in compile_host(topology, "net1", "boot_servers", templates)["boot_servers"]["servers"]:
        assert server["scripts"]["boot"] == f"#!ipxe\n# {server['address']}\n"


def test_other_hosts_boot_nobody(topology: Topology) -> None:
    assert compile_host(topology, "cmp1", "boot_servers") == {"boot_servers": {"servers": []}}
    assert not any(network.boot_server for network in view_host(topology, "cmp1").networks)


def test_the_config_drive_says_who_the_server_is(topology: Topology) -> None:
    server = node(topology, "n1")["server"]
    drive = server["config_drive"]
    assert drive["meta_data"]["uuid"] == server["id"]
    assert drive["meta_data"]["hostname"] == "db"
    assert list(drive["meta_data"]["public_keys"].values())[0].endswith("me@example")
    assert drive["user_data"].endswith('"{{ untouched }}"]]\n')
    data = drive["network_data"]
    assert [link["ethernet_mac_address"] for link in data["links"]] == ["52:54:00:00:00:02", "52:54:00:00:00:01"]
    assert [entry["type"] for entry in data["networks"]] == ["ipv4_dhcp", "ipv6_slaac", "ipv4", "ipv6"]
    assert {entry["link"] for entry in data["networks"]} == {link["id"] for link in data["links"]}
    by_hand = data["networks"][2]
    assert (by_hand["ip_address"], by_hand["netmask"]) == ("10.1.0.10", "255.255.255.0")
    assert data["services"] == [{"type": "dns", "address": "10.1.0.53"}]
    assert server["addresses"][0] == "10.0.0.9"


def test_nothing_of_a_login_is_in_a_nodes_state(topology: Topology) -> None:
    text = json.dumps([node(topology, name) for name in topology.nodes])
    for secret in ("vault_bmc", "vault_leaf1_password", "/etc/weft/leaf2", "198.51.100.4"):
        assert secret not in text


def test_an_image_whose_checksum_is_not_there_stops_its_server_only(tmp_path: Path) -> None:
    checksum = 'checksum: "sha256:0A0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"'
    topology = read("tenants", tmp_path, (checksum, "checksum_file: SHA256SUMS"))
    assert node(topology, "spare")["server"] is None
    assert compile_host(topology, "net1")
    image = node(topology, "n1")["server"]["image"]
    assert (image["checksum"], image["served"]) == (None, None)
    assert re.search(r"topology\.yml:\d+: images\.debian\.checksum_file: .*SHA256SUMS is not there", image["problem"])
    # As soon as it is there the same topology is read anew.
    (tmp_path / "SHA256SUMS").write_text("0b" * 32 + "  dist/out/debian.raw.zst\n", encoding="utf-8")
    image = node(build(str(tmp_path / "topology.yml")), "n1")["server"]["image"]
    assert (image["checksum"], image["served"]) == ("sha256:" + "0b" * 32, "0b" * 32 + ".raw.zst")
