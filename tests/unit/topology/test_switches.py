# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches in the model: what the words of the file become. What is refused stands in broken/."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model_switches import Switch
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.switch_vlans import (
    all_vlans,
    needed_networks,
    networks_behind,
    port_vlans,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.yamlmap import Vault
from ansible_collections.weft.fabric.tests.unit.topology.test_generated import HOST_KEY, INJECTIONS

LEAF: dict[str, t.Any] = {
    "driver": "iosxe",
    "address": "198.51.100.2",
    "credentials": {"username": "weft", "password": "{{ vault_leaf1_password }}"},
    "allowed_vlans": ["100-199", 300],
    "physical_networks": ["physnet1"],
}


def document(ports: dict[str, t.Any] | None = None, **changes: t.Any) -> dict[str, t.Any]:
    provider = {"type": "vlan", "physical_network": "physnet1"}
    return {
        "plugin": "weft.fabric.topology",
        "physical_networks": {"physnet1": {}, "physnet2": {}},
        "hosts": {
            "net1": {
                "roles": ["network_node"],
                "underlay": {"address": "198.51.100.11"},
                "physical_networks": {"physnet1": {"interface": "eth2"}, "physnet2": {"interface": "eth3"}},
            },
            "cmp1": {"roles": ["compute_node"], "underlay": {"address": "198.51.100.13"}},
        },
        "projects": {
            "p": {
                "networks": {
                    "served": {**provider, "segmentation_id": 110, "subnets": {"v4": {"cidr": "10.0.0.0/24"}}},
                    "empty": {**provider, "segmentation_id": 111},
                    "inside": {"subnets": {"v4": {"cidr": "10.0.1.0/24"}}},
                    "outside": {
                        **provider,
                        "segmentation_id": 112,
                        "external": True,
                        "subnets": {"v4": {"cidr": "203.0.113.0/24", "enable_dhcp": False}},
                    },
                    "elsewhere": {**provider, "physical_network": "physnet2", "segmentation_id": 113},
                },
                "ports": {
                    "nowhere": {"network": "served"},
                    "one": {"network": "inside", "host": "cmp1"},
                    "two": {"network": "elsewhere", "host": "net1"},
                },
                "routers": {"out": {"external_gateway": {"network": "outside"}, "interfaces": [{"network": "inside"}]}},
            }
        },
        "switches": {"leaf1": {**LEAF, "ports": ports or {}, **changes}},
    }


def write(directory: Path, found: dict[str, t.Any]) -> str:
    path = directory / "topology.yml"
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return str(path)


def leaf(directory: Path, ports: dict[str, t.Any] | None = None, **changes: t.Any) -> Switch:
    return build(write(directory, document(ports, **changes))).switches["leaf1"]


def test_names_are_those_of_the_switch(tmp_path: Path) -> None:
    ports = {"gi1/0/1": {"vlan": 100}, "Po1": {"members": ["Te1/1/3", "TenGigabitEthernet 1/1/4"], "vlan": 100}}
    found = leaf(tmp_path, ports, uplinks=["te 1/1/1"], allowed_ports=["Gi1/0/1", "po1", "te1/1/3", "te1/1/4"])
    assert [port.interface for port in found.ports.values()] == ["GigabitEthernet1/0/1", "Port-channel1"]
    assert found.uplinks == ("TenGigabitEthernet1/1/1",)
    aggregate = found.ports["Po1"].aggregate
    assert aggregate is not None
    assert aggregate.members == ("TenGigabitEthernet1/1/3", "TenGigabitEthernet1/1/4")
    assert (aggregate.lacp, aggregate.min_links) == ("active", None)


@pytest.mark.parametrize(
    ("said", "mode"),
    [
        ({"vlan": 100}, "access"),
        ({"network": "p/empty"}, "access"),
        ({"native": 100}, "trunk"),
        ({"allowed": ["100-102"]}, "trunk"),
        ({"host": "net1", "native": 100}, None),
        ({"enabled": False}, None),
    ],
)
def test_the_mode_follows_from_what_is_said(said: dict[str, t.Any], mode: str | None, tmp_path: Path) -> None:
    port = leaf(tmp_path, {"Gi1/0/1": said}).ports["Gi1/0/1"]
    assert port.mode == mode
    assert port.physical_network == ("physnet1" if "host" in said else None)


@pytest.mark.parametrize(
    ("address", "kept"),
    [("198.51.100.2", "198.51.100.2"), ("2001:DB8::2", "2001:db8::2"), ("leaf1.example", "leaf1.example")],
)
def test_addresses_and_names(address: str, kept: str, tmp_path: Path) -> None:
    assert leaf(tmp_path, address=address).address == kept


def test_the_comment_of_a_key_goes(tmp_path: Path) -> None:
    assert leaf(tmp_path, host_key=f"{HOST_KEY} root@leaf1").host_key == HOST_KEY


@pytest.mark.parametrize(
    "password", ["{{ vault_leaf1_password }}", "{{lookup('community.hashi_vault.vault_kv2_get', 'leaf1').secret}}"]
)
def test_references_are_kept_as_they_are(password: str, tmp_path: Path) -> None:
    found = leaf(tmp_path, credentials={"username": "{{ who }}", "password": password, "ssh_key_file": "{{ key }}"})
    login = found.credentials
    assert (login.username, login.password, login.ssh_key_file) == ("{{ who }}", password, "{{ key }}")


def test_a_vault_is_kept_as_it_is(tmp_path: Path) -> None:
    path = Path(write(tmp_path, document()))
    text = path.read_text(encoding="utf-8").replace('"{{ vault_leaf1_password }}"', "!vault secret")
    path.write_text(text, encoding="utf-8")
    password = build(str(path)).switches["leaf1"].credentials.password
    assert isinstance(password, Vault)


@pytest.mark.parametrize(
    "password", ["word", "{{ }}", "{{ 'word' }}", '{{ "a" }}', "{{ a }}{{ b }}", "x{{ a }}", "{{ 1 }}"]
)
def test_a_literal_password_is_refused_and_not_shown(password: str, tmp_path: Path) -> None:
    with pytest.raises(TopologyError) as caught:
        leaf(tmp_path, credentials={"username": "weft", "password": password})
    (problem,) = caught.value.problems
    assert problem.message.startswith("a literal password")
    assert password not in str(caught.value).replace("{{ vault_leaf1_password }}", "").replace("password", "")


@pytest.mark.parametrize("wrong", [name for name in INJECTIONS if name != "long"])
def test_the_name_of_a_port_holds_nothing_else(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(TopologyError) as caught:
        leaf(tmp_path, {INJECTIONS[wrong]: {"vlan": 100}}, driver="openconfig")
    assert "is not the name of a" in str(caught.value)


def test_routers_and_dhcp_servers_are_ports_of_their_hosts_too(tmp_path: Path) -> None:
    topology = build(write(tmp_path, document({"Gi1/0/1": {"host": "net1"}})))
    port = topology.switches["leaf1"].ports["Gi1/0/1"]
    assert sorted(network.name for network in networks_behind(topology, port)) == ["outside", "served"]
    assert port_vlans(topology, port).tagged == (110, 112)


def test_a_vlan_is_on_all_switches_of_its_physical_network_while_somebody_needs_it(tmp_path: Path) -> None:
    found = document({"Gi1/0/1": {"network": "p/empty"}, "Gi1/0/2": {"vlan": 300}})
    found["switches"]["spine"] = {**LEAF, "address": "198.51.100.3"}
    found["switches"]["other"] = {**LEAF, "address": "198.51.100.4", "physical_networks": ["physnet2"]}
    topology = build(write(tmp_path, found))
    vlans = {name: list(all_vlans(topology, switch)) for name, switch in topology.switches.items()}
    assert vlans == {"leaf1": [110, 111, 112, 300], "spine": [110, 111, 112], "other": [113]}
    del found["switches"]["leaf1"]["ports"]["Gi1/0/1"]
    topology = build(write(tmp_path, found))
    assert [network.name for network in needed_networks(topology, topology.switches["spine"])] == ["served", "outside"]
