# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's part of an image that the boot server writes: its disk exported, and later finished (image_write).

The first MiB of the image, in which the partition table is, does not go to the disk but to a file in memory, which is
exported beside it. So here as well a disk with a partition table is a disk that is done.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import disk_config_drive, disk_hints, disk_list, disk_module
from ansible_collections.weft.fabric.plugins.module_utils.disk_block import Disk
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.image_write import ImageWriter, Params, Place, head_file
from ansible_collections.weft.fabric.plugins.module_utils.iscsi_target import (
    DISK_LUN,
    HEAD,
    HEAD_LUN,
    Access,
    Target,
)


class DiskExporter(ImageWriter):
    """One disk, for as long as it is written."""

    def __init__(self, params: Params, place: t.Optional[Place] = None, target: t.Optional[Target] = None):
        ImageWriter.__init__(self, params, place, target)
        self._access = Access(
            params["address"],
            params["port"],
            params["initiator_address"],
            params["username"],
            params["password"],
        )

    def run(self, check_mode: bool = False) -> t.Dict[str, t.Any]:
        """Export the disk if its image is not there, and return what the module returns."""
        if not check_mode:
            # What a run that was killed has left: whoever still writes there has lost his disk.
            self._target.stop()
        facts = disk_hints.choose(self._params["root_device"], disk_list.disks(self._place.places))
        with Disk(facts["device"], write=not check_mode, sector_size=self._place.sector_size) as disk:
            if not check_mode:
                disk.lock(self._until)
            table = self._table(disk)
            needed = "image" in self._todo(disk, table, disk_config_drive.find(disk, table))
            size = self._image.get("size") or 0
            if needed and size > disk.size:
                raise FabricError(
                    "image %s has %d bytes unpacked, and %s has only %d. Nothing was written. Take another disk, or a "
                    "smaller image" % (self._checksum, size, facts["name"], disk.size)
                )
            if needed and not check_mode:
                self._export(disk)
        texts = ["%s: exported to %s" % (facts["name"], self._access.initiator_address)] if needed else []
        return dict(device=facts["name"], needed=needed, port=self._access.port, **disk_module.summary(texts))

    def _export(self, disk: Disk) -> None:
        path = head_file(self._place)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.truncate(HEAD)
        self._target.start(self._access, {DISK_LUN: disk.path, HEAD_LUN: path})
