# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node consists of, as the kernel shows it."""

from __future__ import annotations

import os
import platform
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import disk_hints, disk_list
from ansible_collections.weft.fabric.plugins.module_utils.disk_list import Places, number, text, text_lines

Facts = t.Dict[str, t.Any]

_DISK = ("name", "size", "model", "vendor", "serial", "wwn", "by_path", "rotational", "removable", "read_only")


def read(places: t.Optional[Places] = None) -> Facts:
    """Return all that can be read without waiting."""
    places = places or Places()
    return {
        "architecture": platform.machine(),
        "boot_mode": "uefi" if os.path.isdir(os.path.join(places.sys, "firmware", "efi")) else "bios",
        "cpus": cpus(places),
        "disks": [{key: disk[key] for key in _DISK} for disk in disk_list.disks(places) if not disk["named_only"]],
        "memory": memory(places),
        "nics": nics(places),
        "system": system(places),
    }


def cpus(places: Places) -> Facts:
    """Return what computes: threads are what the kernel counts as processors."""
    threads, model, cores, sockets = 0, "", set(), set()
    chip = core = "0"
    for line in text_lines(os.path.join(places.proc, "cpuinfo")):
        key, _colon, value = (part.strip() for part in line.partition(":"))
        if key == "processor":
            threads += 1
            chip, core = "0", value
        elif key == "model name":
            model = value
        elif key == "physical id":
            chip = value
        elif key == "core id":
            core = value
        elif not key:
            sockets.add(chip)
            cores.add((chip, core))
    sockets.add(chip)
    cores.add((chip, core))
    return {"threads": threads, "cores": len(cores), "sockets": len(sockets), "model": model}


def memory(places: Places) -> int:
    """Return the bytes of memory that are plugged in; what the kernel has left when that is not told."""
    base = os.path.join(places.sys, "devices", "system", "memory")
    try:
        block = int(text(base, "block_size_bytes"), 16)
        blocks = [name for name in os.listdir(base) if name.startswith("memory") and name[6:].isdigit()]
    except (OSError, ValueError):
        block, blocks = 0, []
    if block and blocks:
        return block * len(blocks)
    for line in text_lines(os.path.join(places.proc, "meminfo")):
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) << 10
    return 0


def nics(places: t.Optional[Places] = None) -> t.List[Facts]:
    """Return the NICs that are hardware, with those of a virtual machine."""
    base = os.path.join((places or Places()).sys, "class", "net")
    try:
        names = sorted(os.listdir(base))
    except OSError:
        return []
    return [_nic(base, name) for name in names if os.path.exists(os.path.join(base, name, "device"))]


def _nic(base: str, name: str) -> Facts:
    speed = number(base, name, "speed")  # cannot be read while it is down, and is -1 where nobody knows
    device = os.path.realpath(os.path.join(base, name, "device"))
    return {
        "name": name,
        "mac_address": text(base, name, "address").lower(),
        "carrier": text(base, name, "carrier") == "1",
        "speed": speed if speed > 0 else None,
        "driver": os.path.basename(os.path.realpath(os.path.join(base, name, "device", "driver"))),
        "bus_address": os.path.basename(device),
        "lldp": [],
    }


def system(places: Places) -> Facts:
    """Return what the maker wrote into the firmware."""
    base = os.path.join(places.sys, "class", "dmi", "id")
    names = {
        "manufacturer": "sys_vendor",
        "model": "product_name",
        "serial_number": "product_serial",
        "uuid": "product_uuid",
        "firmware": "bios_version",
    }
    return {key: text(base, name) or None for key, name in names.items()}


def properties(facts: Facts) -> Facts:
    """Return the same as a topology says it, for one who writes one."""
    sizes = [disk["size"] for disk in facts["disks"] if not disk["removable"] and not disk["read_only"]]
    return {
        "cpus": facts["cpus"]["threads"],
        "memory": disk_hints.size_text(facts["memory"]),
        "disk": disk_hints.size_text(min(sizes)) if sizes else None,
        "architecture": facts["architecture"],
    }
