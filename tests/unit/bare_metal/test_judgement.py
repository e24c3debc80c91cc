# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of a node: for which phases they are set, whatever switches say of them."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.failure import how_far, text
from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.inspection import differences, proposal
from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.ports import describe, phases_of

NODE: dict[str, t.Any] = {
    "name": "n1",
    "address": "10.66.100.11",
    "boot_mode": "bios",
    "nics": [
        {
            "name": "nic0",
            "mac_address": "52:54:00:00:00:01",
            "switch": "leaf1",
            "interface": "Ethernet10",
            "pxe": True,
        }
    ],
}


def phase(*ports: dict[str, t.Any], driver: str = "eos") -> list[dict[str, t.Any]]:
    return [{"switch": "leaf1", "arguments": {"switch": {"driver": driver}, "ports": list(ports)}}]


PHASES = {
    "idle": phase({"name": "Ethernet10", "state": "absent"}),
    "deployment": phase({"name": "Ethernet10", "mode": "access", "vlan": 150, "enabled": True}),
    "cleaning": phase({"name": "Ethernet10", "mode": "access", "vlan": 150, "enabled": True}),
    "tenant": phase({"name": "Ethernet10", "mode": "trunk", "native_vlan": 110, "allowed_vlans": [120, 121]}),
}


@pytest.mark.parametrize(
    ("found", "phases", "words"),
    [
        ({"mode": "access", "vlan": 150, "enabled": True}, {"deployment", "cleaning"}, "VLAN 150"),
        ({"mode": "access", "vlan": 151, "enabled": True}, set(), "VLAN 151"),
        ({"mode": "access", "vlan": 150, "enabled": False}, set(), "VLAN 150, shut"),
        (
            {"mode": "trunk", "native_vlan": 110, "allowed_vlans": ["120-121"]},
            {"tenant"},
            "VLAN 110 and tagged 120-121",
        ),
        ({"mode": "trunk", "native_vlan": 110, "allowed_vlans": ["120-122"]}, set(), "VLAN 110 and tagged 120-122"),
        ({"mode": "trunk", "native_vlan": None, "allowed_vlans": [120, 121]}, set(), "tagged 120-121"),
        ({"enabled": False}, {"idle"}, "no VLAN"),
        ({"enabled": True}, {"idle"}, "no VLAN"),
    ],
)
def test_phases_of_a_port(found: dict[str, t.Any], phases: set[str], words: str) -> None:
    """The switch has a name of its own for the port."""
    current = {
        "leaf1": [{"name": "Et10", "state": "present", "enabled": True, **found}, {"name": "Et1", "mode": "access"}]
    }
    assert phases_of(PHASES, current) == phases
    assert describe(PHASES, current) == f"leaf1 Ethernet10: {words}"


def test_a_port_that_a_switch_does_not_list_is_in_no_vlan() -> None:
    assert phases_of(PHASES, {"leaf1": []}) == {"idle"}


def test_of_a_switch_that_was_not_read_nothing_is_known() -> None:
    assert phases_of(PHASES, {}) == set()


def fetched(*files: str) -> list[dict[str, t.Any]]:
    return [{"address": "10.66.100.11", "file": file} for file in files]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "it has fetched nothing by HTTP"),
        (["boot.ipxe"], "none of its NICs has a MAC address of the topology"),
        (["boot.ipxe", "nodes/52-54.ipxe"], "did not fetch the kernel"),
        (["boot.ipxe", "nodes/52-54.ipxe", "ramdisk/vmlinuz"], "fetched the kernel and not its keys"),
        (["boot.ipxe", "nodes/52-54.ipxe", "ramdisk/vmlinuz", "identity.cpio"], "keys and not the ramdisk"),
        (["boot.ipxe", "nodes/52-54.ipxe", "ramdisk/vmlinuz", "identity.cpio", "ramdisk/initrd"], "has not booted"),
        (["nodes/52-54.ipxe", "ramdisk/vmlinuz", "identity.cpio", "ramdisk/initrd"], "has not booted"),
    ],
)
def test_how_far_a_node_came(files: list[str], words: str) -> None:
    assert words in how_far(NODE, fetched(*files))[0]


def test_an_error_says_all_that_one_has_to_know() -> None:
    said = text(
        NODE, "deploy", "weft.fabric.node : Wait for its ramdisk", "Task failed: Action failed: in vain.", [], "off"
    )
    assert said.startswith("n1: wait for its ramdisk failed: in vain; it has fetched nothing by HTTP: ")
    assert "It is off, and in no network of a tenant." in said
    assert said.endswith("Then run server_deploy again: it goes on from where the node stands.")
    full = text(NODE, "deploy", "Wait for its ramdisk", "no room. Make some", None, "off")
    assert full.startswith("n1: wait for its ramdisk failed: no room. Make some. It is off"), "not how far it came"
    assert "Then run node_inspect again" in text(NODE, "inspect", "Look", "stuck", None, "off")
    assert "It is off. Not all of its ports" in text(NODE, "deploy", "Power it on", "stuck", None, "off", True)
    assert "IT MAY BE ON: its BMC says unknown" in text(NODE, "delete", "Power it off", "stuck", None, "unknown", True)


def test_recabling_is_told_and_nobody_heard_proves_nothing() -> None:
    nic = {"name": "eth0", "mac_address": "52:54:00:00:00:01", "lldp": []}
    hardware = {"nics": [nic], "boot_mode": "bios", "disks": [{"serial": "a"}], "properties": {"cpus": 1}}
    assert differences(NODE, hardware) == []
    nic["lldp"] = [{"system_name": "leaf1.example", "port_id": "Ethernet10"}]
    assert differences(NODE, hardware) == []
    nic["lldp"] = [{"system_name": "leaf2", "port_id": "Ethernet7"}]
    assert "LLDP hears leaf2 Ethernet7, and the topology says leaf1 Ethernet10" in differences(NODE, hardware)[0]
    assert proposal(NODE, hardware)["n1"] == {
        "boot_mode": "bios",
        "nics": {"nic0": {"mac_address": "52:54:00:00:00:01", "switch": "leaf2", "port": "Ethernet7", "pxe": True}},
        "properties": {"cpus": 1},
        "root_device": {"serial": "a"},
    }
    other = {"nics": [{"name": "eth0", "mac_address": "52:54:00:00:00:99"}], "boot_mode": "uefi"}
    told = " ".join(differences(NODE, other))
    for words in ("no interface has MAC address", "52:54:00:00:00:99) is not in the topology", "booted by uefi"):
        assert words in told


def test_what_is_proposed_of_a_bond_keeps_it_and_both_cables_are_looked_at() -> None:
    second = {"name": "nic1", "mac_address": "52:54:00:00:00:02", "switch": "leaf2", "interface": "Ethernet10"}
    node = {**NODE, "nics": [{**nic, "bond": "bond0"} for nic in (NODE["nics"][0], {**second, "pxe": False})]}
    heard = [{"system_name": "leaf2", "port_id": "Ethernet11"}]
    real = [
        {"name": "eth0", "mac_address": "52:54:00:00:00:01", "lldp": []},
        {"name": "eth1", "mac_address": "52:54:00:00:00:02", "lldp": heard},
        {"name": "eth2", "mac_address": "52:54:00:00:00:03", "lldp": []},
    ]
    hardware = {"nics": real, "boot_mode": "bios"}
    assert differences(node, hardware) == [
        "nic1: LLDP hears leaf2 Ethernet11, and the topology says leaf2 Ethernet10: recabled?",
        "eth2 (52:54:00:00:00:03) is not in the topology",
    ]
    found = proposal(node, hardware)["n1"]["nics"]
    assert {name: (nic["port"], nic.get("bond")) for name, nic in found.items()} == {
        "nic0": ("Ethernet10", "bond0"),
        "nic1": ("Ethernet11", "bond0"),
        "nic2": (None, None),
    }
