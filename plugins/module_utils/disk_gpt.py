# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GUID partition tables: read, changed in memory, and written out for a disk of another size.

A pure transformation of bytes. Tools for this differ in version and in what they ask; the format does not.
"""

from __future__ import annotations

import struct
import typing as t
import uuid
import zlib

from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

#: reads length bytes at an offset
Reader = t.Callable[[int, int], bytes]

#: what is to be written where
Pieces = t.List[t.Tuple[int, bytes]]

ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
BASIC_DATA = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"

# The kinds that are of use when they are larger. Others at the end of a disk (swap, recovery, boot) stay as they are.
GROWING = {
    "0fc63daf-8483-4772-8e79-3d69d8477de4",  # Linux
    "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",  # its root file system, x86-64
    "b921b045-1df0-41c3-af44-4c6f280d3fae",  # arm64
    "72ec70a6-cf74-40e6-bd49-4bda08e8f224",  # riscv64
    "e6d6d379-f507-44c2-a23c-238f2a3df928",  # LVM
    "a19d880f-05fc-4d3b-a006-743f0f84911e",  # RAID
    "516e7cb6-6ecf-11d6-8ff8-00022d09712b",  # FreeBSD, UFS
    "516e7cba-6ecf-11d6-8ff8-00022d09712b",  # FreeBSD, ZFS
    BASIC_DATA,
}

_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
_SIGNATURE = b"EFI PART"
_MAX_ENTRIES = 4096


class Partition(object):
    """One partition of any table: numbers count sectors, last is its last one."""

    def __init__(self, number: int, kind: str, first: int, last: int, name: str = "", guid: str = "", flags: int = 0):
        self.number = number
        self.kind = kind
        self.first = first
        self.last = last
        self.name = name
        self.guid = guid
        self.flags = flags

    @property
    def sectors(self) -> int:
        """Return its size."""
        return self.last - self.first + 1


class Gpt(object):
    """A partition table of a disk of so many sectors."""

    label = "gpt"

    def __init__(self, sector_size: int, sectors: int):
        self.sector_size = sector_size
        self.sectors = sectors
        self.guid = str(uuid.uuid4())
        self.entry_count = 128
        self.entry_size = 128
        self.entries_at = 2
        self.first_usable = 2 + self.entry_sectors
        self.partitions: t.List[Partition] = []
        self.protective = b"\0" * 512

    @property
    def entry_sectors(self) -> int:
        """Return how many sectors the list of partitions takes."""
        return -(-self.entry_count * self.entry_size // self.sector_size)

    @property
    def last_usable(self) -> int:
        """Return the last sector that a partition can have, on a disk of this size."""
        return self.sectors - self.entry_sectors - 2

    def free_number(self) -> int:
        """Return the number that a new partition gets."""
        taken = {partition.number for partition in self.partitions}
        for number in range(1, self.entry_count + 1):
            if number not in taken:
                return number
        raise FabricError("its partition table is full, all %d entries are taken" % self.entry_count)

    def add(self, number: int, first: int, last: int, name: str) -> None:
        """Add a partition for data."""
        self.partitions.append(Partition(number, BASIC_DATA, first, last, name, str(uuid.uuid4())))

    def grows(self, partition: Partition) -> bool:
        """Return whether a partition is of use when it is larger."""
        return partition.kind in GROWING

    def most(self, partition: Partition) -> int:
        """Return the last sector that a partition may have."""
        return self.last_usable

    def pieces(self) -> Pieces:
        """Return the table as it is written: the copy at the end of the disk first, what makes it valid last."""
        entries = self._entries()
        backup_at = self.sectors - 1
        listed_at = backup_at - self.entry_sectors
        return [
            (listed_at * self.sector_size, entries),
            (backup_at * self.sector_size, self._header(backup_at, 1, listed_at, entries)),
            (self.entries_at * self.sector_size, entries),
            (self.sector_size, self._header(1, backup_at, self.entries_at, entries)),
            (0, self._protective()),
        ]

    def _entries(self) -> bytes:
        listed = bytearray(self.entry_sectors * self.sector_size)
        for one in self.partitions:
            name = one.name.encode("utf-16-le")[:72]
            packed = _ENTRY.pack(
                uuid.UUID(one.kind).bytes_le, uuid.UUID(one.guid).bytes_le, one.first, one.last, one.flags, name
            )
            start = (one.number - 1) * self.entry_size
            listed[start : start + len(packed)] = packed
        return bytes(listed)

    def _header(self, here: int, other: int, listed_at: int, entries: bytes) -> bytes:
        listed = zlib.crc32(entries[: self.entry_count * self.entry_size])

        def packed(own: int) -> bytes:
            return _HEADER.pack(
                _SIGNATURE, 0x10000, _HEADER.size, own, 0, here, other, self.first_usable, self.last_usable,
                uuid.UUID(self.guid).bytes_le, listed_at, self.entry_count, self.entry_size, listed,
            )  # fmt: skip

        return packed(zlib.crc32(packed(0))).ljust(self.sector_size, b"\0")

    def _protective(self) -> bytes:
        """Return the first sector: with the code in it that a BIOS starts, and the size of this disk."""
        first = bytearray(self.protective)
        for start in range(446, 510, 16):
            if first[start + 4] == 0xEE:
                begins = struct.unpack_from("<I", first, start + 8)[0]
                struct.pack_into("<I", first, start + 12, min(self.sectors - begins, 0xFFFFFFFF))
        if first[510:512] != b"\x55\xaa":
            first[446:462] = struct.pack(
                "<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff" * 3, 1, min(self.sectors - 1, 0xFFFFFFFF)
            )
            first[510:512] = b"\x55\xaa"
        return bytes(first)


def parse(read: Reader, sector_size: int, sectors: int, backup: bool = False) -> t.Optional[Gpt]:
    """Return the table that is there: the one at the beginning, or the copy at the end of the disk.

    None when there is none. One whose checksums are wrong is none.
    """
    at = sectors - 1 if backup else 1
    header = read(at * sector_size, sector_size)
    if len(header) < _HEADER.size or header[:8] != _SIGNATURE:
        return None
    (_sig, _rev, size, own, _zero, here, _other, first, _last, guid, listed_at, count, each, listed) = _HEADER.unpack(
        header[: _HEADER.size]
    )
    if not _HEADER.size <= size <= len(header) or here != at or each < 128 or each % 8 or not 0 < count <= _MAX_ENTRIES:
        return None
    if zlib.crc32(header[:16] + b"\0\0\0\0" + header[20:size]) != own or count * each > 1 << 20:
        return None
    entries = read(listed_at * sector_size, count * each)
    if zlib.crc32(entries) != listed:
        return None
    found = Gpt(sector_size, sectors)
    found.guid = str(uuid.UUID(bytes_le=guid))
    found.entry_count, found.entry_size, found.first_usable = count, each, first
    if not backup:
        found.entries_at = listed_at
    found.protective = read(0, 512)
    for number in range(count):
        kind, own_guid, begin, end, flags, name = _ENTRY.unpack_from(entries, number * each)
        if kind != b"\0" * 16:
            found.partitions.append(
                Partition(
                    number + 1,
                    str(uuid.UUID(bytes_le=kind)),
                    begin,
                    end,
                    name.decode("utf-16-le", "replace").split("\0")[0],
                    str(uuid.UUID(bytes_le=own_guid)),
                    flags,
                )
            )
    return found
