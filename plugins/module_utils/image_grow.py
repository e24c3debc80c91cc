# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File systems that are made as large as their partitions, without being mounted."""

from __future__ import annotations

import os
import struct
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import command
from ansible_collections.weft.fabric.plugins.module_utils.disk_block import Disk

_SUPERBLOCK = 1024
_CLEAN, _NEEDS_RECOVERY = 1, 4


def grow(disk: Disk, offset: int, size: int) -> t.Tuple[bool, str]:
    """Grow what is at that place of a disk. Return whether that was done, and why it was not.

    Only ext2 to ext4 can grow so. Others grow when they are mounted, which cloud-init does at the first boot.
    """
    block = disk.read(offset + _SUPERBLOCK, 264)
    if len(block) < 264 or block[56:58] != b"\x53\xef":
        return False, "is no ext4"
    mounted, checked = struct.unpack_from("<I", block, 44)[0], struct.unpack_from("<I", block, 64)[0]
    state, features = struct.unpack_from("<H", block, 58)[0], struct.unpack_from("<I", block, 96)[0]
    # The programs take a place within a disk, so that the kernel need not know its partitions.
    place = "%s?offset=%d" % (disk.path, offset)
    try:
        if not state & _CLEAN or features & _NEEDS_RECOVERY or checked < mounted:
            done = command.run(["e2fsck", "-f", "-p", place])
            if done.returncode > 1:
                return False, "is not sound: %s" % _last(done)
        done = command.run(["resize2fs", place, "%dK" % (size // 1024)])
        if not disk.is_block:
            os.ftruncate(disk.fd, disk.size)  # of a file, resize2fs cuts off what follows the file system
    except FileNotFoundError as error:
        return False, "cannot be grown, as %s is missing" % error.filename
    if done.returncode:
        return False, "could not be grown: %s" % _last(done)
    return True, ""


def _last(done: command.Result) -> str:
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else "exit code %d" % done.returncode
