# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node of metal as the lab definition describes it: a machine of QEMU, its BMC, its disks, its NICs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from weft_lab.checking import duplicates, mapping, matching, one_of, whole
from weft_lab.system import LabError

BOOT_MODES = ("bios", "uefi")
PROTOCOLS = ("ipmi", "redfish")
BUSES = ("virtio", "nvme")
# As long as the shortest field for it, that of virtio.
SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,19}")
NIC_NAME = re.compile(r"nic[0-9]")
# Of one machine, so the last bit of the first byte is not set.
MAC = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}")
SIZE = re.compile(r"[1-9][0-9]* (MiB|GiB)")
UNITS = {"MiB": 1 << 20, "GiB": 1 << 30}
# Who may speak to a BMC of the lab; the password is made when the lab comes up.
BMC_USER = "weft"


@dataclass(frozen=True)
class NodeNic:
    """A NIC, and its cable: to a port of a switch, or straight into a network."""

    name: str
    mac: str
    tap: str
    tap_mac: str
    switch: str = ""
    port: str = ""
    network: str = ""


@dataclass(frozen=True)
class NodeDisk:
    name: str
    size: int
    serial: str
    bus: str


@dataclass(frozen=True)
class Bmc:
    protocol: str
    port: int


@dataclass(frozen=True)
class Node:
    name: str
    number: int
    boot_mode: str
    memory: int
    bmc: Bmc
    disks: tuple[NodeDisk, ...]
    nics: tuple[NodeNic, ...]

    def nic(self, name: str) -> NodeNic:
        for nic in self.nics:
            if nic.name == name:
                return nic
        raise LabError(f"node {self.name} has no NIC {name}; it has {', '.join(nic.name for nic in self.nics)}")


def parse_node(name: str, document: Any, number: int) -> Node:
    where = f"nodes.{name}"
    body = mapping(document, where, {"number", "boot_mode", "memory", "bmc", "disks", "nics"})
    number = whole(body.get("number", number), 1, 255, f"{where}.number")
    disks = body.get("disks")
    if not isinstance(disks, list) or not 1 <= len(disks) <= 8:
        raise LabError(f"{where}.disks must be a list of 1 to 8 disks")
    nics = mapping(body.get("nics"), f"{where}.nics")
    if not 1 <= len(nics) <= 8:
        raise LabError(f"{where}.nics: {len(nics)} NICs; a node has 1 to 8")
    node = Node(
        name=name,
        number=number,
        boot_mode=one_of(body.get("boot_mode", BOOT_MODES[0]), BOOT_MODES, f"{where}.boot_mode"),
        memory=whole(body.get("memory", 768), 256, 65536, f"{where}.memory"),
        bmc=parse_bmc(body.get("bmc"), f"{where}.bmc"),
        disks=tuple(parse_disk(value, index, f"{where}.disks[{index}]") for index, value in enumerate(disks)),
        nics=tuple(
            parse_nic(matching(key, NIC_NAME, f"{where}.nics"), value, index, name, number)
            for index, (key, value) in enumerate(nics.items())
        ),
    )
    duplicates(f"{where}: serial", [disk.serial for disk in node.disks])
    return node


def parse_bmc(document: Any, where: str) -> Bmc:
    body = mapping(document, where, {"protocol", "port"})
    return Bmc(
        one_of(body.get("protocol"), PROTOCOLS, f"{where}.protocol"),
        whole(body.get("port"), 1024, 65535, f"{where}.port"),
    )


def parse_disk(document: Any, index: int, where: str) -> NodeDisk:
    body = mapping(document, where, {"size", "serial", "bus"})
    number, unit = matching(body.get("size"), SIZE, f"{where}.size").split(" ")
    return NodeDisk(
        name=f"disk{index}",
        size=int(number) * UNITS[unit],
        serial=matching(body.get("serial"), SERIAL, f"{where}.serial"),
        bus=one_of(body.get("bus", BUSES[0]), BUSES, f"{where}.bus"),
    )


def parse_nic(nic: str, document: Any, index: int, node: str, number: int) -> NodeNic:
    where = f"nodes.{node}.nics.{nic}"
    body = mapping(document, where, {"mac_address", "switch", "port", "network"})
    ends = set(body) - {"mac_address"}
    if ends not in ({"switch", "port"}, {"network"}) or not all(isinstance(body[end], str) for end in ends):
        raise LabError(f"{where}: a NIC is wired to a switch and its port, or to a network")
    return NodeNic(
        name=nic,
        # Fixed, and of no host and no switch: theirs have other numbers in the fourth or fifth place.
        mac=matching(body.get("mac_address", f"02:57:46:a{index:x}:01:{number:02x}"), MAC, f"{where}.mac_address"),
        tap=f"{node}-{nic}",
        tap_mac=f"02:57:46:b{index:x}:01:{number:02x}",
        switch=body.get("switch", ""),
        port=body.get("port", ""),
        network=body.get("network", ""),
    )
