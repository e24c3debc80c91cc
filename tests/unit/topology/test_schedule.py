# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement of DHCP servers: enough of them, on hosts that can serve, and as few moves as there can be."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import Built, build_all
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.lockfile import lock_path, write_lock
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError

NETWORKS = 300
Placement = dict[str, set[str]]


class Fabric:
    """Many networks with a port each, and some network nodes."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "topology.yml"
        self.lock = lock_path(str(self.path))

    def build(self, nodes: t.Sequence[str], servers: int = 1, **network: t.Any) -> Built:
        hosts: dict[str, t.Any] = {
            name: {"roles": ["network_node"], "underlay": {"address": f"198.51.100.{number + 1}"}}
            for number, name in enumerate(nodes)
        }
        hosts["cmp1"] = {
            "roles": ["compute_node"],
            "underlay": {"address": "198.51.100.200"},
            "physical_networks": {"physnet1": {"interface": "eth2"}},
        }
        network = {"dhcp_servers": servers, "subnets": {"v4": {"cidr": "10.0.0.0/24"}}, **network}
        names = [f"n{number}" for number in range(NETWORKS if "type" not in network else 1)]
        document = {
            "plugin": "weft.fabric.topology",
            "physical_networks": {"physnet1": {}},
            "hosts": hosts,
            "projects": {
                "blue": {
                    "networks": dict.fromkeys(names, network),
                    "ports": {name: {"network": name, "host": "cmp1"} for name in names},
                }
            },
        }
        self.path.write_text(json.dumps(document), encoding="utf-8")
        return build_all(str(self.path))

    def place(self, nodes: t.Sequence[str], servers: int = 1) -> Placement:
        """Return who serves each network."""
        ports = self.build(nodes, servers).topology.dhcp_ports
        assert all(port.host is not None for found in ports.values() for port in found)
        return {name: {str(port.host) for port in found} for (_project, name), found in ports.items()}

    def write_lock(self, nodes: t.Sequence[str], servers: int = 1) -> None:
        write_lock(self.lock, self.build(nodes, servers).wanted.dump())


@pytest.fixture
def fabric(tmp_path: Path) -> Fabric:
    return Fabric(tmp_path)


def moved(before: Placement, after: Placement) -> list[str]:
    return [name for name in before if before[name] != after[name]]


@pytest.mark.parametrize("servers", [1, 2, 3])
def test_each_network_has_as_many_servers_as_it_wants(servers: int, fabric: Fabric) -> None:
    placement = fabric.place(["a", "b", "c", "d"], servers)
    assert {len(hosts) for hosts in placement.values()} == {servers}
    # Everyone carries a fair share: of 300 networks times servers on four nodes, none less than half.
    for name in "abcd":
        assert sum(name in hosts for hosts in placement.values()) > NETWORKS * servers / 8


def test_a_new_node_takes_its_share_and_moves_nothing_else(fabric: Fabric) -> None:
    before, after = fabric.place(["a", "b", "c"]), fabric.place(["a", "b", "c", "d"])
    changed = moved(before, after)
    assert 0 < len(changed) < NETWORKS / 2
    assert all(after[name] == {"d"} for name in changed)


def test_with_a_lock_a_new_node_moves_nothing(fabric: Fabric) -> None:
    before = fabric.place(["a", "b", "c"])
    fabric.write_lock(["a", "b", "c"])
    assert moved(before, fabric.place(["a", "b", "c", "d"])) == []


@pytest.mark.parametrize("locked", [True, False])
def test_a_lost_node_moves_only_what_it_served(locked: bool, fabric: Fabric) -> None:
    before = fabric.place(["a", "b", "c", "d"], 2)
    if locked:
        fabric.write_lock(["a", "b", "c", "d"], 2)
    after = fabric.place(["a", "b", "c"], 2)
    for name, hosts in before.items():
        if "d" in hosts:
            assert hosts - {"d"} < after[name]
        else:
            assert after[name] == hosts


def test_one_server_less_takes_one_away(fabric: Fabric) -> None:
    before = fabric.place(["a", "b", "c"], 2)
    fabric.write_lock(["a", "b", "c"], 2)
    assert all(hosts < before[name] for name, hosts in fabric.place(["a", "b", "c"], 1).items())


def test_the_port_of_a_server(fabric: Fabric) -> None:
    built = fabric.build(["a"])
    network = built.topology.projects["blue"].networks["n0"]
    (port,) = built.topology.dhcp_ports["blue", "n0"]
    assert port.device_owner == "network:dhcp"
    assert port.binding.namespace == f"qdhcp-{network.id}"
    assert port.binding.interface == f"ns-{port.id[:11]}"
    assert [fixed.subnet for fixed in port.fixed_ips] == ["v4"]
    assert port.mac_address.startswith("fa:16:3e:")


def test_only_subnets_with_dhcp_are_served(fabric: Fabric) -> None:
    subnets = {"v4": {"cidr": "10.0.0.0/24"}, "other": {"cidr": "10.0.1.0/24", "enable_dhcp": False}}
    (port,) = fabric.build(["a"], subnets=subnets).topology.dhcp_ports["blue", "n0"]
    assert [fixed.subnet for fixed in port.fixed_ips] == ["v4"]
    without = fabric.build(["a"], subnets={"other": subnets["other"]})
    assert without.topology.dhcp_ports == {}


def test_a_provider_network_is_served_where_it_is_reached(fabric: Fabric) -> None:
    with pytest.raises(TopologyError, match="network nodes that can serve: 0"):
        fabric.build(["a"], type="flat", physical_network="physnet1")
