# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Partition tables of the old kind, in a disk's first sector: four partitions, and chains of logical ones."""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.disk_gpt import Partition, Pieces, Reader
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

_EXTENDED = ("0x05", "0x0f", "0x85")
_GROWING = ("0x07", "0x83", "0x8e", "0xa5", "0xa6", "0xfd")
_FAT = "0x0c"
_LIMIT = 0xFFFFFFFF
_MAX_LOGICAL = 128


class Mbr(object):
    """A partition table of a disk of so many sectors."""

    label = "dos"

    def __init__(self, sector_size: int, sectors: int, first: bytes):
        self.sector_size = sector_size
        self.sectors = sectors
        self.first = first
        self.partitions: t.List[Partition] = []
        self.guid = "%08x" % struct.unpack_from("<I", first, 440)[0]

    @property
    def last_usable(self) -> int:
        """Return the last sector that a partition can have."""
        return min(self.sectors - 1, _LIMIT)

    def free_number(self) -> int:
        """Return the number that a new partition gets."""
        taken = {partition.number for partition in self.partitions}
        for number in range(1, 5):
            if number not in taken:
                return number
        raise FabricError("its partition table has place for four partitions, and has four")

    def add(self, number: int, first: int, last: int, name: str) -> None:
        """Add a partition for data. Names there are none here."""
        self.partitions.append(Partition(number, _FAT, first, last, name))

    def grows(self, partition: Partition) -> bool:
        """Return whether a partition is of use when it is larger."""
        return partition.number <= 4 and partition.kind in _GROWING

    def most(self, partition: Partition) -> int:
        """Return the last sector that a partition may have."""
        return min(self.last_usable, partition.first + _LIMIT - 1)

    def pieces(self) -> Pieces:
        """Return the table as it is written."""
        first = bytearray(self.first)
        for one in self.partitions:
            if one.number > 4:
                continue
            start = 446 + 16 * (one.number - 1)
            place = struct.unpack_from("<II", first, start + 8)
            if place != (one.first, one.sectors):
                # Cylinders and heads say no more than: count sectors.
                first[start + 1 : start + 4] = first[start + 1 : start + 4] if place[0] else b"\xfe\xff\xff"
                first[start + 4] = int(one.kind, 16)
                first[start + 5 : start + 8] = b"\xfe\xff\xff"
                struct.pack_into("<II", first, start + 8, one.first, one.sectors)
        return [(0, bytes(first))]


def parse(read: Reader, sector_size: int, sectors: int) -> t.Optional[Mbr]:
    """Return the table that is there. None when there is none, or only the one that stands before a GPT."""
    first = read(0, 512)
    if len(first) < 512 or first[510:512] != b"\x55\xaa":
        return None
    found = Mbr(sector_size, sectors, first)
    for number in range(1, 5):
        flag, kind, begin, count = _entry(first, number - 1)
        if flag not in (0, 0x80) or (kind and not begin):
            return None  # the code of a file system's own boot sector
        if kind == 0xEE:
            return None
        if kind and count:
            found.partitions.append(Partition(number, "0x%02x" % kind, begin, begin + count - 1))
    for one in [one for one in found.partitions if one.kind in _EXTENDED]:
        found.partitions += _logical(read, sector_size, one)
    return found if found.partitions else None


def _entry(sector: bytes, index: int) -> t.Tuple[int, int, int, int]:
    start = 446 + 16 * index
    begin, count = struct.unpack_from("<II", sector, start + 8)
    return sector[start], sector[start + 4], begin, count


def _logical(read: Reader, sector_size: int, extended: Partition) -> t.List[Partition]:
    found: t.List[Partition] = []
    at, seen = extended.first, set()
    while at not in seen and len(found) < _MAX_LOGICAL:
        seen.add(at)
        sector = read(at * sector_size, 512)
        if len(sector) < 512 or sector[510:512] != b"\x55\xaa":
            break
        _flag, kind, begin, count = _entry(sector, 0)
        if kind and count:
            found.append(Partition(5 + len(found), "0x%02x" % kind, at + begin, at + begin + count - 1))
        _flag, kind, begin, count = _entry(sector, 1)
        if not kind or not count:
            break
        at = extended.first + begin
    return found
