# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on the disks of a node: tables, partitions, our mark; and whether there is anything at all."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import (
    disk_config_drive,
    disk_hints,
    disk_list,
    disk_signatures,
    disk_table,
)
from ansible_collections.weft.fabric.plugins.module_utils.disk_block import MIB, Disk
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

_FACTS = (
    "name",
    "size",
    "sector_size",
    "model",
    "vendor",
    "serial",
    "wwn",
    "by_path",
    "rotational",
    "removable",
    "read_only",
)


def read(
    hints: t.Optional[t.Mapping[str, t.Any]],
    places: t.Optional[disk_list.Places] = None,
    sector_size: t.Optional[int] = None,
) -> t.Dict[str, t.Any]:
    """Return what the module returns."""
    found = disk_list.disks(places or disk_list.Places())
    described = {
        facts["name"]: describe(facts, sector_size)
        for facts in found
        if not facts["named_only"] or (hints and disk_hints.named(hints, facts))
    }
    result: t.Dict[str, t.Any] = {"disks": list(described.values()), "device": None, "mark": None, "problem": None}
    if hints is not None:
        try:
            result["device"] = disk_hints.choose(hints, found)["name"]
            result["mark"] = described[result["device"]]["mark"]
        except FabricError as error:
            result["problem"] = str(error)
    return result


def describe(facts: disk_list.Facts, sector_size: t.Optional[int] = None) -> t.Dict[str, t.Any]:
    """Return what is known of one disk, and what is on it."""
    result: t.Dict[str, t.Any] = {key: facts[key] for key in _FACTS}
    result.update(table=None, partitions=[], mark=None, signatures=[], clean=None, error=None)
    try:
        with Disk(facts["device"], sector_size=sector_size) as disk:
            _look(disk, result)
    except FabricError as error:
        result["error"] = str(error)
    return result


def _look(disk: Disk, result: t.Dict[str, t.Any]) -> None:
    table = disk_table.parse(disk.read, disk.sector_size, disk.size // disk.sector_size)
    result["clean"] = disk_signatures.is_clean(disk)
    result["signatures"] = disk_signatures.signatures(disk.read(0, MIB))
    if table is None:
        return
    result["table"] = table.label
    for one in table.partitions:
        start = one.first * disk.sector_size
        result["partitions"].append(
            {
                "number": one.number,
                "start": start,
                "size": one.sectors * disk.sector_size,
                "type": one.kind,
                "name": one.name,
                "signatures": disk_signatures.signatures(disk.read(start, 1 << 17)),
            }
        )
    found = disk_config_drive.find(disk, table)
    if found is not None:
        result["mark"] = {key: found.mark.get(key) for key in ("image", "server", "deployment")}
