# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk's partition table, of either kind, and how an image's table is fitted to the disk that it was written to."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import disk_gpt, disk_mbr
from ansible_collections.weft.fabric.plugins.module_utils.disk_gpt import ESP, Gpt, Partition, Reader
from ansible_collections.weft.fabric.plugins.module_utils.disk_mbr import Mbr
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

Table = t.Union[Gpt, Mbr]

ALIGNMENT = 1 << 20

_ESP_KINDS = (ESP, "0xef")


def parse(read: Reader, sector_size: int, sectors: int) -> t.Optional[Table]:
    """Return the table that a disk has, or None."""
    return disk_gpt.parse(read, sector_size, sectors) or disk_mbr.parse(read, sector_size, sectors)


def parse_all(read: Reader, sector_size: int, sectors: int) -> t.List[Table]:
    """Return whatever tables are on a disk, such that contradict each other, too."""
    found = [
        disk_gpt.parse(read, sector_size, sectors),
        disk_gpt.parse(read, sector_size, sectors, backup=True) if sectors > 1 else None,
        disk_mbr.parse(read, sector_size, sectors),
    ]
    return [table for table in found if table]


class Fitted(t.NamedTuple):
    """What became of an image's table."""

    table: Table
    grown: t.Optional[Partition]
    grown_from: int
    drive: t.Optional[Partition]


def fit(read: Reader, sector_size: int, sectors: int, grow: bool, drive_size: int, drive_name: str) -> Fitted:
    """Return the table of an image for this disk.

    Its end is the end of this disk. At the end is a partition for the config drive, and the last partition of the image
    reaches up to it.
    """
    table = parse(read, sector_size, sectors)
    if table is None:
        other = 4096 if sector_size == 512 else 512
        if disk_gpt.parse(read, other, sectors * sector_size // other):
            raise FabricError(
                "its partition table counts sectors of %d bytes, and this disk has sectors of %d. Make it for "
                "such disks" % (other, sector_size)
            )
        raise FabricError("it has no partition table, and is no image of a whole disk then")
    # What an image brings along that was captured from a server of ours.
    table.partitions = [one for one in table.partitions if one.name != drive_name]
    if not table.partitions:
        raise FabricError("its partition table lists no partition")
    last = max(table.partitions, key=lambda one: one.last)
    drive, end = _place_drive(table, last, drive_size, drive_name)
    if last.last > end:
        raise FabricError(
            "it is too large for this disk: its last partition ends at byte %d, and there is place up to byte %d%s"
            % (
                (last.last + 1) * sector_size,
                (end + 1) * sector_size,
                ", where the config drive begins" if drive else "",
            )
        )
    before, grown = last.last, None
    if grow and table.grows(last):
        step = ALIGNMENT // sector_size
        last.last = max(before, min(table.most(last), end + 1) // step * step - 1 if drive is None else end)
        last.last = min(last.last, table.most(last))
        grown = last if last.last > before else None
    return Fitted(table, grown, before, drive)


def _place_drive(table: Table, last: Partition, size: int, name: str) -> t.Tuple[t.Optional[Partition], int]:
    """Add the config drive. Return its partition, and the last sector that others may have."""
    if not size:
        return None, table.last_usable
    step = ALIGNMENT // table.sector_size
    length = -(-size // ALIGNMENT) * step
    first = (table.last_usable + 1 - length) // step * step
    if first <= last.last:
        raise FabricError(
            "it is too large for this disk: its last partition ends at byte %d, and %d bytes for the config drive are "
            "to follow" % ((last.last + 1) * table.sector_size, length * table.sector_size)
        )
    number = table.free_number()
    table.add(number, first, first + length - 1, name)
    return table.partitions[-1], first - 1


def esp(table: Table) -> t.Optional[Partition]:
    """Return the partition that UEFI boots from."""
    for one in table.partitions:
        if one.kind in _ESP_KINDS:
            return one
    return None
