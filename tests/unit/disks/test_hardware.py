# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node consists of, and what switches tell over its cables."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.weft.fabric.plugins.module_utils import disk_reading, hardware_read, lldp_frames, lldp_listen
from ansible_collections.weft.fabric.tests.unit.disks import machine as m
from ansible_collections.weft.fabric.tests.unit.disks.machine import MIB, Item, Machine

# What lldpd 1.0.16 sent on a veth.
FRAME = bytes.fromhex(
    "0180c200000eca9a4181937688cc020704ca9a41819376040703ca9a41819376060200780a02766d0c0b5465737420737769"
    "7463680e04009c0080100c0501c63364070200000002000807776566742d6c31fe0900120f030100000000fe0900120f0100"
    "800000360000"
)


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack(">H", kind << 9 | len(value)) + value


def frame(*tlvs: bytes) -> bytes:
    return bytes.fromhex("0180c200000e" + "020000000001" + "88cc") + b"".join(tlvs) + tlv(0, b"")


SWITCH = frame(
    tlv(1, b"\4" + bytes.fromhex("525400aabbcc")),
    tlv(2, b"\5Ethernet10"),
    tlv(3, b"\0\x78"),
    tlv(4, b"to node 1"),
    tlv(5, b"leaf1"),
    tlv(8, b"\5\1" + socket.inet_aton("198.51.100.1") + b"\2\0\0\0\1\0"),
    tlv(8, b"\x11\2" + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + b"\2\0\0\0\1\0"),
    tlv(127, b"\x00\x80\xc2\1" + struct.pack(">H", 150)),
    tlv(127, b"\x00\x80\xc2\3" + struct.pack(">HB", 150, 6) + b"deploy"),
    tlv(127, b"\x00\x12\x0f\3\3\0\0\0\1"),
    tlv(127, b"\x00\x12\x0f\4" + struct.pack(">H", 9214)),
)


def test_what_lldpd_tells() -> None:
    found = lldp_frames.parse(FRAME)
    assert found
    assert (found["chassis_id_type"], found["chassis_id"]) == ("mac", "ca:9a:41:81:93:76")
    assert (found["port_id_type"], found["port_id"]) == ("mac", "ca:9a:41:81:93:76")
    assert (found["system_name"], found["system_description"]) == ("vm", "Test switch")
    assert found["management_addresses"] == ["198.51.100.7"]
    assert (found["ttl"], found["port_description"], found["vlan"], found["aggregated"]) == (
        120,
        "weft-l1",
        None,
        False,
    )


def test_what_a_switch_tells() -> None:
    found = lldp_frames.parse(SWITCH)
    assert found == {
        "source": "02:00:00:00:00:01",
        "chassis_id": "52:54:00:aa:bb:cc",
        "chassis_id_type": "mac",
        "port_id": "Ethernet10",
        "port_id_type": "interface_name",
        "ttl": 120,
        "port_description": "to node 1",
        "system_name": "leaf1",
        "system_description": None,
        "management_addresses": ["198.51.100.1", "2001:db8::1"],
        "vlan": 150,
        "vlans": [{"vlan": 150, "name": "deploy"}],
        "aggregated": True,
        "mtu": 9214,
    }


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        SWITCH[:38],
        SWITCH[:12] + b"\x08\0" + SWITCH[14:],
        frame(tlv(1, b"\7x"), tlv(3, b"\0\x78")),  # no port
        frame(tlv(1, b"\7x"), tlv(2, b"\7y"), tlv(3, b"\0\0")),  # it goes away
    ],
)
def test_what_is_no_neighbour(broken: bytes) -> None:
    assert lldp_frames.parse(broken) is None


def test_a_neighbour_writes_nothing_to_a_terminal() -> None:
    found = lldp_frames.parse(frame(tlv(1, b"\7x"), tlv(2, b"\7y\x1b[2J"), tlv(3, b"\0\x78"), tlv(5, b"a\nb\0")))
    assert found
    assert (found["port_id"], found["system_name"]) == ("y\ufffd[2J", "a\ufffdb")


@given(content=st.binary(max_size=300), cut=st.integers(0, 200))
def test_any_bytes_are_a_neighbour_or_none(content: bytes, cut: int) -> None:
    lldp_frames.parse(SWITCH[:14] + content)
    lldp_frames.parse(SWITCH[:cut] + content)


@pytest.fixture
def cable() -> t.Iterator[tuple[str, str]]:
    """Return the names of two ends, of which the first one is down."""
    names = (f"weft-a{os.getpid() % 100000}", f"weft-b{os.getpid() % 100000}")
    m.tool("ip", "link", "add", names[0], "type", "veth", "peer", "name", names[1])
    try:
        m.tool("ip", "link", "set", names[1], "up")
        yield names
    finally:
        m.tool("ip", "link", "del", names[0])


def is_up(name: str) -> bool:
    return bool(int(Path(f"/sys/class/net/{name}/flags").read_text(), 16) & 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_neighbours_are_heard_and_the_nic_is_left_as_it_was(cable: tuple[str, str]) -> None:
    near, far = cable
    ended = threading.Event()

    def speak() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as one:
            one.bind((far, 0))
            while not ended.wait(0.1):
                try:
                    one.send(SWITCH[:14] + b"broken")
                    one.send(SWITCH)
                except OSError:
                    pass  # the other end is not up yet

    speaker = threading.Thread(target=speak)
    speaker.start()
    started = time.monotonic()
    try:
        heard, seen = lldp_listen.listen([near], 20, lambda: is_up(near))
    finally:
        ended.set()
        speaker.join()
    assert [one["port_id"] for one in heard[near]] == ["Ethernet10"]
    assert seen
    assert not is_up(near)
    assert time.monotonic() - started < 10


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_listening_ends(cable: tuple[str, str]) -> None:
    near, _far = cable
    with m.within(3):
        heard, _seen = lldp_listen.listen([near], 1.0, lambda: None)
    assert heard == {near: []}
    assert lldp_listen.listen([], 5.0, lambda: None)[0] == {}


CPUINFO = """processor\t: 0
model name\t: Fast One
physical id\t: 0
core id\t\t: 0

processor\t: 1
model name\t: Fast One
physical id\t: 0
core id\t\t: 0

processor\t: 2
model name\t: Fast One
physical id\t: 1
core id\t\t: 0

processor\t: 3
model name\t: Fast One
physical id\t: 1
core id\t\t: 0

"""


def test_hardware_is_told(machine: Machine) -> None:
    machine.add_disk("vda", 64 * MIB, serial="a")
    machine.add_disk("vdb", 32 * MIB, removable=1)
    (machine.root / "proc/cpuinfo").write_text(CPUINFO)
    memory = machine.root / "sys/devices/system/memory"
    for number in range(6):
        (memory / f"memory{number}").mkdir(parents=True)
    (memory / "block_size_bytes").write_text("8000000\n")
    (machine.root / "sys/class/dmi/id").mkdir(parents=True)
    (machine.root / "sys/class/dmi/id/product_serial").write_text("S-1\n")
    nic = machine.root / "sys/class/net/eth0"
    device = machine.root / "sys/devices/pci0000:00/0000:00:03.0"
    device.mkdir(parents=True)
    nic.mkdir(parents=True)
    (machine.root / "sys/class/net/lo").mkdir()
    (nic / "device").symlink_to(device)
    for key, value in {"address": "52:54:00:AA:bb:cc", "speed": "-1", "carrier": "1"}.items():
        (nic / key).write_text(value + "\n")

    found = hardware_read.read(machine.places)

    assert found["cpus"] == {"threads": 4, "cores": 2, "sockets": 2, "model": "Fast One"}
    assert found["memory"] == 768 * MIB
    assert found["boot_mode"] == "bios"
    assert found["system"]["serial_number"] == "S-1"
    (eth0,) = found["nics"]
    assert (eth0["name"], eth0["mac_address"], eth0["speed"], eth0["carrier"], eth0["bus_address"]) == (
        "eth0", "52:54:00:aa:bb:cc", None, True, "0000:00:03.0",
    )  # fmt: skip
    told = hardware_read.properties(found)
    assert (told["cpus"], told["memory"], told["disk"]) == (4, "768 MiB", "64 MiB")

    machine.efivars()
    assert hardware_read.read(machine.places)["boot_mode"] == "uefi"


def test_the_mark_is_read(machine: Machine, disk: Path, packed: Path) -> None:
    before = disk_reading.read({}, machine.places)
    assert (before["device"], before["mark"]) == ("/dev/vda", None)
    assert before["disks"][0]["clean"] is False
    with m.serve(packed) as server:
        m.write(machine, m.params(server.url, m.sha256(packed), "raw.zst", deployment="d-1"))
    found = disk_reading.read({}, machine.places)
    assert found["mark"] == {"image": m.sha256(packed), "server": "server-1", "deployment": "d-1"}
    (only,) = found["disks"]
    assert only["table"] == "gpt"
    parts: list[Item] = only["partitions"]
    assert [one["name"] for one in parts] == ["", "", "config-2"]
    assert "ext4" in parts[1]["signatures"]
    assert only["signatures"] == ["GPT", "boot sector"]

    machine.add_disk("vdb", MIB)
    two = disk_reading.read({}, machine.places)
    assert (two["device"], two["mark"]) == (None, None)
    assert "2 of 2 disks match" in two["problem"]
    assert [one["clean"] for one in two["disks"]] == [False, True]
