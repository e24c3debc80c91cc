# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bonds of a node's interfaces, compiled: one link for networks, and as many switch ports as it has members.

What cloud-init makes of the config drive is asked cloud-init itself, where there is one: one that is installed, or what
WEFT_CLOUD_INIT says, a directory with its Python package. To have it without installing it:

    apt-get download cloud-init && dpkg -x cloud-init_*.deb DIRECTORY
    WEFT_CLOUD_INIT=DIRECTORY/usr/lib/python3/dist-packages
"""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build_all
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.switch import compile_switch
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Topology
from ansible_collections.weft.fabric.tests.unit.topology.compile.test_bare_metal import PHASES, node, read, vlans

FRONT, REAR, STORE = "52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03"
SERVER = "networks: [{network: backup, nic: store}, web]"
# What cloud-init makes of network_data.json: its own form, and the file for netplan. known_macs are the machine's.
_CLOUD_INIT = """
import json, sys
try:
    from cloudinit.net.netplan import Renderer
    from cloudinit.net.network_state import parse_net_config_data
    from cloudinit.sources.helpers.openstack import convert_net_json
except ImportError as error:
    sys.exit("NOT HERE: %s" % error)
given = json.load(sys.stdin)
config = convert_net_json(given["network_data"], known_macs=given["known_macs"])
netplan = Renderer({"netplan_path": "x"})._render_content(parse_net_config_data(config))
json.dump({"config": config["config"], "netplan": __import__("yaml").safe_load(netplan)["network"]}, sys.stdout)
"""


@pytest.fixture
def topology(tmp_path: Path) -> Topology:
    return read("bonds", tmp_path)


def network_data(topology: Topology, name: str) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", node(topology, name)["server"]["config_drive"]["network_data"])


def test_all_members_are_in_the_tenants_vlan_and_only_who_boots_in_the_deployments(topology: Topology) -> None:
    alone, front, rear = "Ethernet20", "Ethernet10", "Ethernet1/10"
    service = {alone: 199, front: 150, rear: 199}
    expected = [{alone: 199, front: 199, rear: 199}, *[service] * 4, {alone: 111, front: 110, rear: 110}]
    assert [vlans(node(topology, "n1"), phase) for phase in PHASES] == expected
    assert node(topology, "n1")["pxe_mac_addresses"] == [FRONT]
    # Both boot.
    both = [dict.fromkeys(("Ethernet11", "Ethernet1/11"), vlan) for vlan in (199, 150, 150, 150, 150, 120)]
    assert [vlans(node(topology, "n2"), phase) for phase in PHASES] == both


def test_each_port_is_set_and_read_at_its_own_switch(topology: Topology) -> None:
    for phase in PHASES:
        items = {item["switch"]: item["arguments"] for item in node(topology, "n1")["phases"][phase]}
        assert {name: [port["name"] for port in one["ports"]] for name, one in items.items()} == {
            "leaf1": ["Ethernet20", "Ethernet10"],
            "leaf2": ["Ethernet1/10"],
        }


def test_without_an_idle_vlan_the_member_that_does_not_boot_is_shut_while_the_disk_is_written(tmp_path: Path) -> None:
    topology = read("bonds", tmp_path, ("  idle_vlan: 199\n", ""))
    assert vlans(node(topology, "n1"), "deployment") == {"Ethernet20": None, "Ethernet10": 150, "Ethernet1/10": None}


def test_both_switches_have_the_vlans_of_both_members(topology: Topology) -> None:
    for name in topology.switches:
        state = compile_switch(topology, name, "switch_ports")
        assert {110, 120, 150, 199} <= {vlan["vlan_id"] for vlan in state["vlans"]}
        own = {nic.interface for n in topology.nodes.values() for nic in n.nics.values() if nic.switch == name}
        assert own <= set(state["policy"]["allowed_ports"])
        assert not own & {port["name"] for port in state["ports"]}


def test_a_port_has_the_mac_address_of_the_member_that_boots_and_dhcp_knows_it(topology: Topology) -> None:
    port = topology.projects["red"].ports["server-db-1-web"]
    assert (port.mac_address, port.nic) == (FRONT, ("n1", "front"))
    found = [
        (host["mac"], host["addresses"])
        for server in compile_host(topology, "net1", "dhcp_servers")["dhcp_servers"]["servers"]
        for host in server["hosts"]
    ]
    assert (FRONT, [str(port.addresses[0])]) in found
    assert REAR not in [mac for mac, _addresses in found]


def test_networks_that_name_no_interface_get_the_bond_that_boots_first(tmp_path: Path) -> None:
    topology = read("bonds", tmp_path, (SERVER, "networks: [web, backup]"))
    [server] = [server for server in topology.servers() if server.project == "red"]
    assert server.links == {"web": "bond0", "backup": "store"}


def test_the_config_drive_has_a_bond_and_its_members(topology: Topology) -> None:
    ports = topology.projects["red"].ports
    assert network_data(topology, "n1")["links"] == [
        {
            "id": "store",
            "type": "phy",
            "ethernet_mac_address": STORE,
            "mtu": 1500,
            "vif_id": ports["server-db-1-backup"].id,
        },
        {
            "id": "bond0",
            "type": "bond",
            "ethernet_mac_address": FRONT,
            "mtu": 1500,
            "vif_id": ports["server-db-1-web"].id,
            "bond_links": ["front", "rear"],
            "bond_mode": "active-backup",
            "bond_miimon": 100,
        },
        {"id": "front", "type": "phy", "ethernet_mac_address": FRONT, "mtu": 1500},
        {"id": "rear", "type": "phy", "ethernet_mac_address": REAR, "mtu": 1500},
    ]
    assert [(one["link"], one["type"]) for one in network_data(topology, "n1")["networks"]] == [
        ("store", "ipv4"),
        ("bond0", "ipv4_dhcp"),
    ]


def test_a_bond_without_a_network_is_not_on_the_config_drive_and_its_ports_stay_idle(tmp_path: Path) -> None:
    topology = read("bonds", tmp_path, (SERVER, "networks: [{network: backup, nic: store}]"))
    assert [link["id"] for link in network_data(topology, "n1")["links"]] == ["store"]
    assert vlans(node(topology, "n1"), "tenant") == {"Ethernet20": 111, "Ethernet10": 199, "Ethernet1/10": 199}


def test_a_volume_is_booted_from_by_the_member_whose_mac_address_the_bond_has(tmp_path: Path) -> None:
    volume = "volume: {target_portal: 10.0.0.9, target_iqn: iqn.2016-01.example:a}, networks: [web]"
    topology = read("bonds", tmp_path, (f"image: debian, {SERVER}", volume))
    assert node(topology, "n1")["server"]["volume"]["mac_addresses"] == [FRONT]
    assert vlans(node(topology, "n1"), "tenant") == {"Ethernet20": 199, "Ethernet10": 110, "Ethernet1/10": 110}


def test_a_bond_changes_nothing_in_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "topology.yml"
    read("bonds", tmp_path)
    bonded = build_all(str(path)).wanted.dump()
    assert "bond" not in bonded
    read("bonds", tmp_path, (", bond: bond0}", "}"), (", bond: both}", "}"), ("nic: both", "nic: nic0"))
    assert build_all(str(path)).wanted.dump() == bonded


@pytest.fixture
def cloud_init() -> t.Callable[..., dict[str, t.Any]]:
    """Return what has network data parsed by the real one."""
    place = os.environ.get("WEFT_CLOUD_INIT")

    def parse(data: dict[str, t.Any], **known_macs: str) -> dict[str, t.Any]:
        given = {"network_data": data, "known_macs": {mac: name for name, mac in known_macs.items()}}
        done = subprocess.run(
            # The system's own Python: that is what a distribution's cloud-init runs with.
            ["/usr/bin/python3", "-B", "-c", _CLOUD_INIT],
            input=json.dumps(given),
            env={"PATH": os.environ["PATH"], **({"PYTHONPATH": place} if place else {})},
            capture_output=True,
            text=True,
            check=False,
        )
        if "NOT HERE: " in done.stderr and not place:
            pytest.skip(f"no cloud-init here ({done.stderr.strip()}); WEFT_CLOUD_INIT may say where it is")
        assert done.returncode == 0, done.stderr
        return t.cast("dict[str, t.Any]", json.loads(done.stdout))

    return parse


def test_cloud_init_makes_the_bond(topology: Topology, cloud_init: t.Callable[..., dict[str, t.Any]]) -> None:
    found = cloud_init(network_data(topology, "n1"), ens1=FRONT, ens2=REAR, ens3=STORE)
    bonds = [item for item in found["config"] if item["type"] == "bond"]
    assert [(bond["name"], bond["bond_interfaces"]) for bond in bonds] == [("bond0", ["ens1", "ens2"])]
    assert found["netplan"]["bonds"] == {
        "bond0": {
            "interfaces": ["ens1", "ens2"],
            "macaddress": FRONT,
            "mtu": 1500,
            "dhcp4": True,
            "parameters": {"mode": "active-backup", "mii-monitor-interval": 100},
        }
    }
    ethernets = found["netplan"]["ethernets"]
    # Each member is found by its own MAC address, not by the bond's.
    assert {name: one["match"]["macaddress"] for name, one in ethernets.items()} == {
        "ens1": FRONT,
        "ens2": REAR,
        "ens3": STORE,
    }
    assert [name for name, one in ethernets.items() if one.get("addresses") or one.get("dhcp4")] == ["ens3"]
