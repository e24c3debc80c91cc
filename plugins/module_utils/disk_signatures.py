# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where on a disk or a partition stands what it is recognised by: tables, file systems, arrays, volumes."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import disk_table
from ansible_collections.weft.fabric.plugins.module_utils.disk_block import MIB, Disk

Range = t.Tuple[int, int]

# LUKS has copies of its header up to 4 MiB, VMFS begins at 2 MiB. At the end are the copy of a GPT, arrays' superblocks
# (md within 128 KiB, firmware's RAID within the last sectors) and two of ZFS' labels.
_START, _END = 8 * MIB, 2 * MIB

# btrfs has copies of its superblock at these places, if the disk is that large.
_COPIES = (64 << 20, 256 << 30)
_COPY = 64 << 10

_KNOWN = (
    (0x1FE, b"\x55\xaa", "boot sector"),
    (0x200, b"EFI PART", "GPT"),
    (0x1000, b"EFI PART", "GPT"),
    (0x0, b"LUKS\xba\xbe", "LUKS"),
    (0x0, b"XFSB", "XFS"),
    (0x200, b"LABELONE", "LVM"),
    (0x0, b"LABELONE", "LVM"),
    (0x400, b"LABELONE", "LVM"),
    (0x600, b"LABELONE", "LVM"),
    (0x438, b"\x53\xef", "ext4"),
    (0x1000, b"\xfc\x4e\x2b\xa9", "md array"),
    (0x0, b"\xfc\x4e\x2b\xa9", "md array"),
    (0x10040, b"_BHRfS_M", "btrfs"),
    (0xFF6, b"SWAPSPACE2", "swap"),
    (0x8001, b"CD001", "ISO 9660"),
    (0x36, b"FAT1", "FAT"),
    (0x52, b"FAT32", "FAT"),
    (0x3, b"NTFS    ", "NTFS"),
    (0x0, b"bluestore block device", "Ceph"),
)


def signatures(content: bytes) -> t.List[str]:
    """Return what can be recognised at the beginning of a disk or partition."""
    return sorted({name for offset, magic, name in _KNOWN if content[offset : offset + len(magic)] == magic})


def is_zero(content: bytes) -> bool:
    """Return whether there are only zeros."""
    return content.count(0) == len(content)


def is_clean(disk: Disk) -> bool:
    """Return whether there is nothing at all in the first and in the last MiB of a disk."""
    length = min(MIB, disk.size)
    return is_zero(disk.read(0, length)) and is_zero(disk.read(disk.size - length, length))


def ranges(disk: Disk) -> t.List[Range]:
    """Return all places of a disk, and of the partitions that its tables list, where something may be recognised."""
    found = _ranges(0, disk.size)
    sectors = disk.size // disk.sector_size
    for table in disk_table.parse_all(disk.read, disk.sector_size, sectors):
        for one in table.partitions:
            start, end = one.first * disk.sector_size, (one.last + 1) * disk.sector_size
            if start < end:
                found += _ranges(start, end)
    return _merged([(start, min(end, disk.size)) for start, end in found if start < disk.size])


def _ranges(start: int, end: int) -> t.List[Range]:
    found = [(start, min(end, start + _START)), (max(start, end - _END), end)]
    return found + [(start + at, min(end, start + at + _COPY)) for at in _COPIES if start + at < end]


def _merged(found: t.List[Range]) -> t.List[Range]:
    merged: t.List[Range] = []
    for start, end in sorted(found):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
