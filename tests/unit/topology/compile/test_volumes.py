# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that boot from volumes, compiled: the node, the boot server in the server's own network, and DHCP there."""

from __future__ import annotations

import typing as t
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.inventory.topology import node_variables
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.bare_metal import compile_node
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Topology
from ansible_collections.weft.fabric.tests.unit.topology.compile.test_arguments import documented, problems
from ansible_collections.weft.fabric.tests.unit.topology.compile.test_bare_metal import read

WITH_IMAGE = "      db-1: {flavor: small, image: debian, networks: [web]}\n"
AUTH = 'auth_username: db, auth_password: "{{ vault_volume }}"'
VOLUME = "target_portal: 10.9.0.5:3261, target_iqn: iqn.2016-01.example:disk-1, target_lun: 17"


@pytest.fixture
def topology(tmp_path: Path) -> Topology:
    volume = f"      db-1: {{flavor: small, volume: {{{VOLUME}, {AUTH}}}, networks: [web]}}\n"
    return read("tenants", tmp_path, (WITH_IMAGE, volume))


def node_of(topology: Topology) -> str:
    return next(name for name, server in topology.server_of.items() if server.volume is not None)


def servers(topology: Topology, host: str, concern: str) -> dict[str, dict[str, t.Any]]:
    return {item["name"]: item for item in compile_host(topology, host, concern)[concern]["servers"]}


def test_a_node_knows_its_volume_and_no_image(topology: Topology) -> None:
    server = compile_node(topology, node_of(topology), "bare_metal")["server"]
    volume = server["volume"]
    assert (server["image"], server["config_drive"]) == (None, None)
    assert volume["uri"] == "iscsi:10.9.0.5::3261:11:iqn.2016-01.example:disk-1"
    assert volume["iscsi"] == {
        "portal": "10.9.0.5",
        "port": 3261,
        "target": "iqn.2016-01.example:disk-1",
        "lun": 17,
        "initiator": f"iqn.2026-01.weft.fabric:{server['id']}",
    }
    assert [volume["address"]] == server["addresses"]
    nics = topology.nodes[node_of(topology)].nics
    assert volume["mac_addresses"] == [next(nic.mac_address for nic in nics.values() if nic.pxe)]


def test_the_module_takes_what_a_node_boots_by(topology: Topology) -> None:
    volume = compile_node(topology, node_of(topology), "bare_metal")["server"]["volume"]
    item = {key: volume[key] for key in ("server", "address", "mac_addresses")}
    item.update(name="n3", boot="iscsi", iscsi={**volume["iscsi"], "username": "db", "password": "x"})
    assert problems({"nodes": [item]}, documented("boot_files"), "boot_files") == []


def test_secrets_are_in_no_compiled_state_but_handed_on_as_the_file_has_them(topology: Topology) -> None:
    name = node_of(topology)
    assert "vault_volume" not in str(compile_node(topology, name, "bare_metal"))
    for concern in ("boot_servers", "dhcp_servers"):
        assert "vault_volume" not in str(compile_host(topology, "net1", concern))
    found = {node.name: node_variables(topology, node, "topology.yml") for node in topology.nodes.values()}
    assert [one for one, values in found.items() if "weft_node_volume_auth" in values] == [name]
    assert str(found[name]["weft_node_volume_auth"]["password"]) == "{{ vault_volume }}"


def test_the_boot_server_is_in_the_network_of_the_server_and_knows_that_node_only(topology: Topology) -> None:
    network = topology.network(("blue", "web"))
    volume = compile_node(topology, node_of(topology), "bare_metal")["server"]["volume"]
    found = servers(topology, "net1", "boot_servers")[network.id]
    assert volume["server"] == found["name"]
    assert found["nodes"] == [
        {"name": node_of(topology), "address": volume["address"], "mac_addresses": volume["mac_addresses"]}
    ]
    assert ip_address(found["address"]) in ip_network(found["cidr"])
    # A prefix of ours would be the tenant's machines' too.
    assert found["ra_prefix"] is None
    assert "dhcp-range" not in found["dhcp_config"]
    assert "/images/" not in found["http_config"]
    spaces = compile_host(topology, "net1", "namespaces")["namespaces"]["namespaces"]
    own = next(one for one in spaces if one.get("name") == found["namespace"])
    assert [link["addresses"] for link in own["links"]] == [[f"{found['address']}/24"]]
    assert "routes" not in own


def test_dhcp_tells_firmware_of_it_in_that_network_and_in_no_other(topology: Topology) -> None:
    found = servers(topology, "net1", "dhcp_servers")
    boot = servers(topology, "net1", "boot_servers")[topology.network(("blue", "web")).id]
    blue, red = (found[topology.network((project, "web")).id] for project in ("blue", "red"))
    assert f"dhcp-boot=tag:boots,tag:ipxe,http://{boot['address']}/boot.ipxe" in blue["config"]
    assert [host["tags"] for host in blue["hosts"] if "db-1" in host["hostname"]] == [["boots"]]
    assert [host["hostname"] for host in blue["hosts"] if host["tags"]] == ["db-1"]
    assert "boots" not in str(red)


def test_without_a_volume_nothing_of_it_is_there(tmp_path: Path) -> None:
    topology = read("tenants", tmp_path)
    assert set(servers(topology, "net1", "boot_servers")) == {
        topology.network(("infra", name)).id for name in ("deploy", "rescue")
    }
    assert "boots" not in str(servers(topology, "net1", "dhcp_servers"))


def test_the_initiator_is_the_files_where_it_names_one(tmp_path: Path) -> None:
    volume = (
        f"      db-1: {{flavor: small, volume: {{{VOLUME}, initiator_iqn: iqn.2016-01.example:n}}, networks: [web]}}\n"
    )
    topology = read("tenants", tmp_path, (WITH_IMAGE, volume))
    server = compile_node(topology, node_of(topology), "bare_metal")["server"]
    assert server["volume"]["iscsi"]["initiator"] == "iqn.2016-01.example:n"
    values = node_variables(topology, topology.nodes[node_of(topology)], "topology.yml")
    assert "weft_node_volume_auth" not in values
