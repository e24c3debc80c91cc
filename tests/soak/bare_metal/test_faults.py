# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults: each ends within its bound, with one error; the node is off and in no tenant's VLAN, others undisturbed."""

from __future__ import annotations

import contextlib
import time
import typing as t

import pytest

from ansible_collections.weft.fabric.tests.wire.metal import (
    PORTS,
    TIMEOUTS,
    VLANS,
    at_rest,
    commands,
    node_play,
)
from ansible_collections.weft.fabric.tests.wire.plays import edit, play

RED = "server=red/db-1"
#: what a run takes besides the wait that ends it, on a machine that has other things to do
MARGIN = 60.0


@pytest.fixture
def idle(topology, leaf, nodes):
    node_play("server_delete", topology, RED)
    assert at_rest(leaf, nodes["n1"])
    return nodes["n1"]


@contextlib.contextmanager
def changed(topology, change: t.Callable[[dict[str, t.Any]], None], site: bool = False) -> t.Iterator[None]:
    """Change the topology for a while."""
    before = topology.read_text(encoding="utf-8")
    edit(topology, change)
    try:
        if site:
            play("weft.fabric.site", topology)
        yield
    finally:
        topology.write_text(before, encoding="utf-8")
        if site:
            play("weft.fabric.site", topology)


def fails(topology, leaf, node, words: str, bound: float, *extra: str) -> None:
    """Deploy n1 in vain, and see that nothing is worse than before."""
    begun = time.monotonic()
    done = node_play("server_deploy", topology, RED, *extra, check=False)
    took = time.monotonic() - begun
    assert done.returncode != 0
    said = done.failures["n1"]
    assert words in said, said
    assert "n1" in said
    assert took < bound + MARGIN, f"{took:.0f} s"
    assert node.power() == "off"
    assert leaf.port(PORTS["n1"]).get("vlan") != VLANS["red"]


def n1(**values: t.Any) -> t.Callable[[dict[str, t.Any]], None]:
    return lambda data: data["nodes"]["n1"].update(values)


def test_a_silent_bmc(topology, leaf, idle):
    with idle.fault("silent"):
        fails(topology, leaf, idle, "BMC", 20)


def test_a_wrong_password(topology, leaf, idle):
    def change(data):
        data["nodes"]["n1"]["bmc"]["password"] = "wrong"

    with changed(topology, change):
        fails(topology, leaf, idle, "BMC", 20)


def test_a_node_that_does_not_power_on(topology, leaf, idle):
    with idle.fault("stuck_off"):
        fails(topology, leaf, idle, "power", TIMEOUTS["power"])


def test_a_node_that_boots_its_disk_instead(topology, leaf, idle):
    with changed(topology, n1(timeouts={**TIMEOUTS, "boot": 30})), idle.fault("boots_disk"):
        fails(topology, leaf, idle, "it has fetched nothing by HTTP", 30)


def test_a_node_that_nobody_knows(topology, leaf, idle):
    """A MAC address of the topology that the node does not have: it asks for an address, and gets none."""

    def change(data):
        data["nodes"]["n1"]["nics"]["nic0"]["mac_address"] = "02:57:46:a0:99:99"
        data["nodes"]["n1"]["timeouts"]["boot"] = 30

    with changed(topology, change, site=True):
        fails(topology, leaf, idle, "it has fetched nothing by HTTP", 30)


def test_a_ramdisk_that_never_comes_up(topology, leaf, idle):
    with changed(topology, n1(timeouts={**TIMEOUTS, "boot": 60})):
        words = '{"node_kernel_arguments": ["console=ttyS0", "rdinit=/nothing"]}'
        fails(topology, leaf, idle, "could log in", 60, words)


def test_a_wrong_checksum(topology, leaf, idle):
    def change(data):
        del data["images"]["tiny"]["checksum_file"]
        data["images"]["tiny"]["checksum"] = "sha256:" + 64 * "0"

    with changed(topology, change):
        fails(topology, leaf, idle, "checksum", 120)


def test_an_image_that_is_too_large(topology, leaf, idle):
    """The topology believes the disk to be larger than it is."""

    def change(data):
        data["images"]["tiny"]["size"] = "3 GiB"
        data["nodes"]["n1"]["properties"]["disk"] = "4 GiB"

    with changed(topology, change):
        fails(topology, leaf, idle, "write its image failed", 120)


def test_a_hint_that_means_no_disk(topology, leaf, idle):
    with changed(topology, n1(root_device={"serial": "nothing"})):
        fails(topology, leaf, idle, "serial", 120)


def test_a_switch_that_is_away(topology, leaf, idle):
    leaf.shell.run("systemctl stop lab-netconfd")
    try:
        begun = time.monotonic()
        done = node_play("server_deploy", topology, RED, check=False)
        assert "leaf1" in done.failures["n1"]
        assert time.monotonic() - begun < 30 + MARGIN
    finally:
        leaf.shell.run("systemctl start lab-netconfd")
    assert at_rest(leaf, idle)


def test_a_node_that_does_not_power_off_keeps_its_ports(topology, leaf, nodes):
    node = nodes["n1"]
    node_play("server_deploy", topology, RED)
    with node.fault("stuck_on"):
        done = node_play("server_delete", topology, RED, check=False)
        assert "IT MAY BE ON" in done.failures["n1"]
        assert leaf.port(PORTS["n1"])["vlan"] == VLANS["red"]
    node_play("server_delete", topology, RED)
    assert at_rest(leaf, node)


def test_the_other_server_was_never_disturbed(topology, nodes):
    assert node_play("server_status", topology, "server=blue/db-1").changed == []
    assert len([text for text in commands(nodes["n2"], 0.0) if text.startswith("power on")]) == 2
