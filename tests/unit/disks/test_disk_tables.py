# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Partition tables and file systems as arithmetic: whatever image and disk are, nothing overlaps and all is found."""

from __future__ import annotations

import json
import typing as t
import uuid
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.weft.fabric.plugins.module_utils import (
    disk_config_drive,
    disk_fat,
    disk_gpt,
    disk_mbr,
    disk_table,
)
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError
from ansible_collections.weft.fabric.tests.unit.disks import machine as m
from ansible_collections.weft.fabric.tests.unit.disks.machine import MIB

LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"
SWAP = "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"


class Sparse:
    """A disk of any size, of which only what was written takes memory."""

    def __init__(self, size: int):
        self.size = size
        self.pieces: list[tuple[int, bytes]] = []

    def write(self, pieces: disk_gpt.Pieces) -> None:
        for offset, content in pieces:
            assert offset >= 0
            assert offset + len(content) <= self.size
            self.pieces.append((offset, content))

    def read(self, offset: int, length: int) -> bytes:
        found = bytearray(max(0, min(length, self.size - offset)))
        for at, content in self.pieces:
            start, end = max(at, offset), min(at + len(content), offset + len(found))
            if start < end:
                found[start - offset : end - offset] = content[start - at : end - at]
        return bytes(found)


@st.composite
def images(draw: t.Any) -> tuple[disk_gpt.Gpt, int]:
    sector = draw(st.sampled_from([512, 4096]))
    table = disk_gpt.Gpt(sector, 0)
    table.entry_count = draw(st.sampled_from([4, 12, 128, 256]))
    table.first_usable = 2 + table.entry_sectors
    at = table.first_usable
    for number in draw(st.lists(st.integers(1, table.entry_count), min_size=1, max_size=3, unique=True)):
        first = at + draw(st.integers(0, 4096))
        at = first + draw(st.integers(1, 1 << 20))
        kind = draw(st.sampled_from([LINUX, SWAP, disk_gpt.ESP, disk_gpt.BASIC_DATA]))
        name = draw(st.text(st.characters(codec="utf-8", categories=["L", "N"]), max_size=12))
        flags = draw(st.integers(0, (1 << 64) - 1))
        table.partitions.append(disk_gpt.Partition(number, kind, first, at - 1, name, str(uuid.uuid4()), flags))
    table.sectors = at + table.entry_sectors + 1 + draw(st.integers(0, 10000))
    return table, sector


def told(table: disk_table.Table) -> list[tuple[t.Any, ...]]:
    return sorted((p.number, p.kind, p.first, p.last, p.name, p.guid, p.flags) for p in table.partitions)


@given(image=images(), more=st.integers(0, 1 << 33), drive=st.sampled_from([0, 8 * MIB, 9 * MIB]), grow=st.booleans())
@settings(max_examples=300)
def test_an_image_is_fitted_to_any_disk(image: tuple[disk_gpt.Gpt, int], more: int, drive: int, grow: bool) -> None:
    table, sector = image
    sectors = table.sectors + more // sector
    disk = Sparse(sectors * sector)
    disk.write(table.pieces())
    before = {one.number: one for one in table.partitions}
    try:
        fitted = disk_table.fit(disk.read, sector, sectors, grow, drive, "config-2")
    except FabricError as error:
        assume("too large for this disk" not in str(error) and "is full" not in str(error))
        raise
    disk.write(fitted.table.pieces())

    found = disk_gpt.parse(disk.read, sector, sectors)
    backup = disk_gpt.parse(disk.read, sector, sectors, backup=True)
    assert found
    assert backup
    assert told(found) == told(backup) == told(fitted.table)
    assert found.guid == backup.guid == table.guid

    parts = sorted(found.partitions, key=lambda one: one.first)
    assert all(one.last < other.first for one, other in zip(parts, parts[1:], strict=False))
    assert parts[0].first >= found.first_usable
    assert parts[-1].last <= found.last_usable
    last = max(before.values(), key=lambda one: one.last)
    for one in found.partitions:
        if one is not None and fitted.drive and one.number == fitted.drive.number:
            assert one.first * sector % MIB == 0
            assert one.sectors * sector >= drive
            assert one.number not in before
        else:
            same = before[one.number]
            assert (one.kind, one.first, one.name, one.guid, one.flags) == (
                same.kind, same.first, same.name, same.guid, same.flags,
            )  # fmt: skip
            grown = fitted.grown is not None and one.number == fitted.grown.number
            assert one.last > same.last if grown else one.last == same.last
            assert not grown or (grow and one.number == last.number and one.kind in disk_gpt.GROWING)
    assert bool(drive) is bool(fitted.drive)


@given(image=images(), at=st.integers(0, 1 << 20), bit=st.integers(0, 7))
def test_a_table_with_one_wrong_bit_is_none_or_its_copy_is_found(
    image: tuple[disk_gpt.Gpt, int], at: int, bit: int
) -> None:
    table, sector = image
    disk = Sparse(table.sectors * sector)
    disk.write(table.pieces())
    header = sector + at % 92
    disk.write([(header, bytes([disk.read(header, 1)[0] ^ 1 << bit]))])
    assert disk_gpt.parse(disk.read, sector, table.sectors) is None
    copy = disk_gpt.parse(disk.read, sector, table.sectors, backup=True)
    assert copy
    assert told(copy) == told(table)


@given(content=st.binary(max_size=4096))
def test_any_bytes_are_a_table_or_none(content: bytes) -> None:
    disk = Sparse(MIB)
    disk.write([(0, content)])
    disk_table.parse_all(disk.read, 512, MIB // 512)


def test_sgdisk_and_sfdisk_agree(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    table = disk_gpt.Gpt(512, 64 * MIB // 512)
    table.partitions.append(disk_gpt.Partition(1, disk_gpt.ESP, 2048, 4095, "boot", str(uuid.uuid4())))
    table.partitions.append(disk_gpt.Partition(7, LINUX, 4096, 8191, "größe", str(uuid.uuid4()), 1 << 2))
    with path.open("wb") as stream:
        stream.truncate(64 * MIB)
        for offset, content in table.pieces():
            stream.seek(offset)
            stream.write(content)
    assert "No problems found" in m.tool("sgdisk", "-v", str(path))
    found = json.loads(m.tool("sfdisk", "-J", str(path)))["partitiontable"]
    assert found["id"].lower() == table.guid
    assert [(p["start"], p["size"], p["type"].lower(), p["name"]) for p in found["partitions"]] == [
        (2048, 2048, disk_gpt.ESP, "boot"),
        (4096, 4096, LINUX, "größe"),
    ]
    assert found["partitions"][1]["attrs"] == "LegacyBIOSBootable"


def dos(tmp_path: Path, script: str, size: int = 64 * MIB) -> Sparse:
    path = tmp_path / "dos"
    with path.open("wb") as stream:
        stream.truncate(size)
    m.tool("sfdisk", "-q", str(path), data="label: dos\n" + script)
    disk = Sparse(size)
    disk.write([(0, path.read_bytes())])
    return disk


def test_a_dos_table_that_is_full_has_no_place_for_a_drive(tmp_path: Path) -> None:
    script = "".join(f"start={2048 * number}, size=2048\n" for number in range(1, 5))
    disk = dos(tmp_path, script)
    with pytest.raises(FabricError, match="has four"):
        disk_table.fit(disk.read, 512, 64 * MIB // 512, True, 8 * MIB, "config-2")


def test_a_dos_table_with_logical_partitions_does_not_grow(tmp_path: Path) -> None:
    disk = dos(tmp_path, "start=2048, size=2048\nstart=8192, size=16384, type=5\nstart=10240, size=4096\n")
    table = disk_mbr.parse(disk.read, 512, 64 * MIB // 512)
    assert table
    assert [(one.number, one.first) for one in table.partitions] == [(1, 2048), (2, 8192), (5, 10240)]
    fitted = disk_table.fit(disk.read, 512, 64 * MIB // 512, True, 8 * MIB, "config-2")
    assert fitted.grown is None
    assert fitted.drive
    assert fitted.drive.number == 3


def test_a_circle_of_logical_partitions_ends(tmp_path: Path) -> None:
    disk = dos(tmp_path, "start=8192, size=16384, type=5\nstart=10240, size=4096\n")
    sector = bytearray(disk.read(8192 * 512, 512))
    sector[462:478] = b"\0\0\0\0\5\0\0\0" + (0).to_bytes(4, "little") + (4096).to_bytes(4, "little")
    disk.write([(8192 * 512, bytes(sector))])
    table = disk_mbr.parse(disk.read, 512, 64 * MIB // 512)
    assert table
    assert len(table.partitions) == 2


def test_a_table_for_other_sectors_is_named(tmp_path: Path) -> None:
    disk = Sparse(64 * MIB)
    table = disk_gpt.Gpt(512, 64 * MIB // 512)
    table.partitions.append(disk_gpt.Partition(1, LINUX, 2048, 4095, "root", str(uuid.uuid4())))
    disk.write(table.pieces())
    with pytest.raises(FabricError, match="sectors of 512 bytes, and this disk has sectors of 4096"):
        disk_table.fit(disk.read, 4096, 64 * MIB // 4096, True, 8 * MIB, "config-2")


def test_the_first_sector_tells_the_size_of_the_disk_up_to_what_it_can() -> None:
    for sectors, expected in ((1 << 20, (1 << 20) - 1), (1 << 40, 0xFFFFFFFF)):
        table = disk_gpt.Gpt(512, sectors)
        table.protective = disk_gpt.Gpt(512, 4096)._protective()
        first = table._protective()
        assert int.from_bytes(first[458:462], "little") == expected


NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=40)


@given(
    files=st.dictionaries(NAMES, st.binary(max_size=9000), max_size=12),
    sector=st.sampled_from([512, 4096]),
    size=st.sampled_from([MIB, 8 * MIB, 40 * MIB]),
)
def test_files_are_read_back_from_any_file_system_that_is_written(
    files: dict[str, bytes], sector: int, size: int
) -> None:
    assume(len({name.lower() for name in files}) == len(files))
    image = disk_fat.Writer(size, sector, "config-2", 1).image({"a long name": {"b": files}, "empty": b""})
    assert len(image) <= size
    volume = disk_fat.Volume(lambda offset, length: image[offset : offset + length])
    assert volume.label == "config-2"
    for name, content in files.items():
        assert volume.file(f"A LONG NAME/b/{name}") == content
    assert volume.file("empty") == b""
    assert volume.file("a long name") is None
    assert volume.file("empty/x") is None
    assert volume.file("other") is None


@pytest.mark.parametrize("words", [["-F", "12"], ["-F", "16", "-s", "2"], ["-F", "32", "-s", "1"], ["-S", "4096"]])
def test_file_systems_of_others_are_read(tmp_path: Path, words: list[str]) -> None:
    path = tmp_path / "fat"
    with path.open("wb") as stream:
        stream.truncate(7 * MIB if "12" in words else 40 * MIB)
    m.tool("mkfs.vfat", *words, "-n", "EFI", str(path))
    m.tool("mmd", "-i", str(path), "::/EFI", "::/EFI/BOOT")
    content = b"loader " * 5000
    (tmp_path / "loader").write_bytes(content)
    for number in range(40):
        m.tool("mcopy", "-i", str(path), str(tmp_path / "loader"), f"::/EFI/BOOT/file number {number}.efi")
    image = path.read_bytes()
    volume = disk_fat.Volume(lambda offset, length: image[offset : offset + length])
    assert volume.label == "EFI" or volume.label == "NO NAME"
    assert volume.file("efi/boot/FILE NUMBER 39.EFI") == content


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("size", [8 * MIB, 40 * MIB])
def test_fsck_and_mtools_agree(tmp_path: Path, sector: int, size: int) -> None:
    path = tmp_path / "drive"
    content = {f"a file with a long name {number}.json": bytes([number]) * 3000 * number for number in range(30)}
    with path.open("wb") as stream:
        stream.write(disk_fat.Writer(size, sector, "config-2", 0x12345678).image({"openstack": {"latest": content}}))
        stream.truncate(size)
    assert "33 files" in m.tool("fsck.vfat", "-nv", str(path))  # it counts directories and the label, too
    m.tool("mcopy", "-s", "-i", str(path), "::/openstack", str(tmp_path))
    for name, expected in content.items():
        assert (tmp_path / "openstack/latest" / name).read_bytes() == expected


@given(content=st.binary(min_size=512, max_size=4096), where=st.integers(0, 4000))
def test_a_tenants_file_system_does_no_harm(content: bytes, where: int) -> None:
    image = bytearray(
        disk_fat.Writer(MIB, 512, "config-2", 1).image({"openstack": {"latest": {"meta_data.json": b"{}"}}})
    )
    image[where : where + len(content)] = content
    image[510:512] = b"\x55\xaa"
    try:
        disk_fat.Volume(lambda offset, length: bytes(image[offset : offset + length])).file(disk_config_drive.META_DATA)
    except FabricError:
        pass


def test_a_file_system_that_goes_in_circles_ends() -> None:
    image = bytearray(disk_fat.Writer(MIB, 512, "x", 1).image({"a": b"x" * 600}))
    image[512 + 3 : 512 + 6] = b"\x02\x20\x00"  # cluster 2 follows on cluster 2
    volume = disk_fat.Volume(lambda offset, length: bytes(image[offset : offset + length]))
    assert len(volume.file("a") or b"") <= 1024


def test_user_data_that_is_too_large() -> None:
    with pytest.raises(FabricError, match="Make user data smaller"):
        disk_config_drive.Drive({"user_data": "x" * 40 * MIB}, "sha256:x", "s", None)
    large = disk_config_drive.Drive({"user_data": "x" * 16 * MIB}, "sha256:x", "s", None)
    partition = disk_gpt.Partition(1, LINUX, 2048, 2047 + large.size // 512)
    image = large.image(512, partition)
    assert len(image) <= large.size
    assert b"x" * 1000 in image
