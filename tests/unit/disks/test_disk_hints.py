# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disk is meant: hints, their operators, and what a machine shows of its disks."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.weft.fabric.plugins.module_utils import disk_hints, disk_list
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError
from ansible_collections.weft.fabric.tests.unit.disks.machine import MIB, Machine

GIB = 1 << 30

DISK: dict[str, t.Any] = {
    "name": "/dev/sda",
    "size": 480_103_981_056,  # sold as 480 GB
    "model": "FAST SSD 3000",
    "vendor": "Contoso",
    "serial": "S3VNX0K123",
    "wwn": "0x5000c500a1b2c3d4",
    "rotational": False,
    "removable": False,
    "read_only": False,
    "by_path": ["/dev/disk/by-path/pci-0000:00:1f.2-ata-1"],
    "links": ["/dev/disk/by-id/wwn-0x5000c500a1b2c3d4", "/dev/disk/by-path/pci-0000:00:1f.2-ata-1"],
    "named_only": False,
}


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        ("serial", "S3VNX0K123", True),
        ("serial", "s== s3vnx0k123", True),
        ("serial", "S3VNX0K12", False),
        ("serial", "s!= other", True),
        ("serial", "s!= S3VNX0K123", False),
        ("serial", "<in> nx0k", True),
        ("serial", "<in> nope", False),
        ("serial", "<or> a <or> s3vnx0k123", True),
        ("serial", "<or> a <or> b", False),
        ("model", "<all-in> fast <all-in> 3000", True),
        ("model", "<all-in> fast <all-in> 4000", False),
        ("model", "FAST SSD 3000", True),
        ("model", "s>= a", True),
        ("model", "s< a", False),
        ("vendor", "contoso", True),
        ("wwn", "0x5000C500A1B2C3D4", True),
        ("name", "/dev/sda", True),
        ("name", "s== /dev/sdb", False),
        ("name", "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4", True),
        ("by_path", "pci-0000:00:1f.2-ata-1", True),
        ("by_path", "/dev/disk/by-path/pci-0000:00:1f.2-ata-1", True),
        ("by_path", "<in> ata-2", False),
        ("rotational", False, True),
        ("rotational", "no", True),
        ("rotational", True, False),
        ("size", 447, True),
        ("size", "447", True),
        ("size", "== 447 GiB", True),
        ("size", 480, False),
        ("size", "480 GB", True),
        ("size", ">= 400 GiB", True),
        ("size", "= 400", True),  # Ironic's: at least
        ("size", "= 500", False),
        ("size", ">= 447 GiB", True),
        ("size", "> 447 GiB", False),
        ("size", "<= 447", True),
        ("size", "< 1 TiB", True),
        ("size", "!= 447", False),
        ("size", "<or> 100 <or> 447", True),
        ("size", "<or> 100 <or> 200", False),
    ],
)
def test_operators(hint: str, value: t.Any, expected: bool) -> None:
    assert disk_hints.check({hint: value}) == []
    assert (disk_hints.mismatches({hint: value}, DISK) == []) is expected


@pytest.mark.parametrize(
    ("hint", "value", "problem"),
    [
        ("colour", "red", "no hint"),
        ("size", "large", "no size"),
        ("size", "s== 4", "compares text"),
        ("size", "<in> 4", "no size"),
        ("size", "<or> 4 <or>", "something follows each"),
        ("serial", ">= 4", "compares numbers"),
        ("serial", "s==", "nothing follows"),
        ("serial", "", "nothing follows"),
        ("serial", "<or>", "something follows each"),
        ("by_path", "<in>", "something follows each"),
        ("rotational", "maybe", "neither true nor false"),
    ],
)
def test_what_is_no_hint(hint: str, value: t.Any, problem: str) -> None:
    (told,) = disk_hints.check({hint: value})
    assert problem in told
    with pytest.raises(FabricError, match="root device hints"):
        disk_hints.choose({hint: value}, [DISK])


NUMBERS = {">=": "__ge__", "<=": "__le__", ">": "__gt__", "<": "__lt__", "==": "__eq__", "!=": "__ne__"}


@given(size=st.integers(1, 1 << 46), wanted=st.integers(0, 1 << 16), operator=st.sampled_from(sorted(NUMBERS)))
def test_sizes_compare_in_whole_units(size: int, wanted: int, operator: str) -> None:
    matches = not disk_hints.mismatches({"size": f"{operator} {wanted} GiB"}, {**DISK, "size": size})
    assert matches is getattr(size // GIB, NUMBERS[operator])(wanted)


WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


@given(have=WORDS, wanted=WORDS)
def test_equal_and_unequal_are_opposites(have: str, wanted: str) -> None:
    disk = {**DISK, "serial": have}
    equal = not disk_hints.mismatches({"serial": f"s== {wanted}"}, disk)
    assert equal is (have.lower() == wanted.lower())
    assert equal is not (not disk_hints.mismatches({"serial": f"s!= {wanted}"}, disk))
    assert equal is (not disk_hints.mismatches({"serial": wanted}, disk))
    assert equal is (not disk_hints.mismatches({"serial": f"<or> {wanted}"}, disk))


@given(value=st.text(max_size=30), name=st.sampled_from(disk_hints.NAMES))
def test_any_text_matches_or_is_refused_as_a_hint(value: str, name: str) -> None:
    if disk_hints.check({name: value}):
        with pytest.raises((FabricError, ValueError)):
            disk_hints.choose({name: value}, [DISK])
    else:
        disk_hints.mismatches({name: value}, DISK)


def test_none_or_two_disks_is_an_error_that_tells_of_each(machine: Machine) -> None:
    machine.add_disk("sda", 16 * MIB, serial="a", device__model="Fast")
    machine.add_disk("sdb", 16 * MIB, serial="b", queue__rotational=1)
    machine.add_disk("sdc", 16 * MIB, serial="c", ro=1)
    machine.add_disk("sdd", 16 * MIB, serial="d", removable=1)
    machine.add_disk("loop0", 16 * MIB)
    found = disk_list.disks(machine.places)

    assert disk_hints.choose({"serial": "s== a"}, found)["name"] == "/dev/sda"
    with pytest.raises(FabricError) as caught:
        disk_hints.choose({"size": ">= 0"}, found)
    told = str(caught.value)
    assert "2 of 5 disks match the hints (size >= 0). Nothing was written." in told
    assert "/dev/sda (16 MiB model Fast serial a) matches; /dev/sdb (16 MiB serial b) matches" in told
    assert "/dev/sdc (16 MiB serial c) is read-only" in told
    assert "/dev/sdd (16 MiB serial d) is removable" in told
    assert "loop0" not in told
    with pytest.raises(FabricError, match=r"none of 5 disks match .*serial is a, not s== x"):
        disk_hints.choose({"serial": "s== x"}, found)
    with pytest.raises(FabricError, match=r"hints .none given."):
        disk_hints.choose({}, found)
    # By its name, one that does not count otherwise.
    assert disk_hints.choose({"name": "/dev/sdd"}, found)["name"] == "/dev/sdd"
    assert disk_hints.choose({"name": "s== /dev/loop0"}, found)["name"] == "/dev/loop0"
    with pytest.raises(FabricError):
        disk_hints.choose({"name": "<in> loop"}, found)
    with pytest.raises(FabricError):
        disk_hints.choose({"name": "/dev/sdc"}, found)


def test_without_hints_the_only_disk_is_meant(machine: Machine) -> None:
    machine.add_disk("vda", 16 * MIB)
    for name in ("ram0", "sr0", "zram0", "md0", "dm-0", "fd0", "nbd0", "loop0"):
        machine.add_disk(name, 16 * MIB)
    machine.add_disk("vdb", 0)  # a drive without a medium
    assert disk_hints.choose({}, disk_list.disks(machine.places))["name"] == "/dev/vda"


def test_serials_are_found_where_each_kind_of_disk_has_them(machine: Machine) -> None:
    machine.add_disk("vda", MIB, serial="weft-n1-a")
    machine.add_disk("nvme0n1", MIB, device__serial="S4X  ", wwid="eui.0025385b71b0a1f2")
    (machine.root / "sys/block/nvme0n1/device/model").write_text("Fast One                 \n")
    machine.add_disk("sda", MIB, device__wwid="naa.5000c500a1b2c3d4", device__vendor="ATA     ")
    (machine.root / "sys/block/sda/device/vpd_pg80").write_bytes(b"\0\x80\0\x14    WD-WX12A345    \0\0")
    machine.add_disk("sdb", MIB, device__vendor="ATA     ", device__model="TRUNCATED NAME")
    machine.note(
        "sdb",
        "S:disk/by-id/ata-X",
        "S:disk/by-path/pci-0000:00:1f.2-ata-2",
        "E:ID_SERIAL=X_LONG_S9",
        "E:ID_SERIAL_SHORT=S9",
        "E:ID_WWN=0x5000c5",
        "E:ID_WWN_WITH_EXTENSION=0x5000c5000000",
    )
    found = {disk["name"]: disk for disk in disk_list.disks(machine.places)}

    assert found["/dev/vda"]["serial"] == "weft-n1-a"
    assert (found["/dev/nvme0n1"]["serial"], found["/dev/nvme0n1"]["model"]) == ("S4X", "Fast One")
    assert found["/dev/nvme0n1"]["wwn"] == "eui.0025385b71b0a1f2"
    assert (found["/dev/sda"]["serial"], found["/dev/sda"]["wwn"]) == ("WD-WX12A345", "0x5000c500a1b2c3d4")
    assert (found["/dev/sdb"]["serial"], found["/dev/sdb"]["wwn"]) == ("S9", "0x5000c5000000")
    assert found["/dev/sdb"]["by_path"] == ["/dev/disk/by-path/pci-0000:00:1f.2-ata-2"]


def test_links_are_found_without_udevs_notes(machine: Machine) -> None:
    machine.add_disk("vda", MIB)
    directory = machine.root / "dev/disk/by-path"
    directory.mkdir(parents=True)
    (directory / "virtio-pci-0000:00:04.0").symlink_to("../../vda")
    (disk,) = disk_list.disks(machine.places)
    assert disk["by_path"] == ["/dev/disk/by-path/virtio-pci-0000:00:04.0"]
