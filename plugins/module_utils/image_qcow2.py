# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of format qcow2. They cannot be streamed: one waits in memory until it is complete, and is then converted."""

from __future__ import annotations

import os
import re
import select
import shutil
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.disk_block import Disk
from ansible_collections.weft.fabric.plugins.module_utils.disk_child import Child, last_line
from ansible_collections.weft.fabric.plugins.module_utils.disk_list import text_lines
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.image_pipeline import Source

#: what else this machine needs while an image waits: for qemu-img, and for its own work
RESERVE = 192 << 20

_PERCENT = re.compile(rb"\((\d+\.\d+)/100%\)")


def check_memory(total: t.Optional[int], directory: str, proc: str) -> None:
    """Fail when an image cannot wait in memory."""
    if total is None:
        raise FabricError("its server does not tell its size, and qcow2 must fit into memory. Take format raw.zst")
    free = min(os.statvfs(directory).f_bavail * os.statvfs(directory).f_frsize, _available(proc) - RESERVE)
    if total > free:
        raise FabricError(
            "it has %d MiB and waits in memory until it is complete, where there is place for %d MiB. Take format "
            "raw.zst, which is written as it comes" % (total >> 20, max(0, free) >> 20)
        )


def _available(proc: str) -> int:
    for line in text_lines(os.path.join(proc, "meminfo")):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


def store(source: Source, path: str) -> None:
    """Keep the file in memory."""
    with open(path, "wb") as stream:
        while True:
            piece = source.read()
            if not piece:
                return
            stream.write(piece)


def convert(path: str, disk: Disk, size: int, until: float, tell: t.Callable[[float], None]) -> None:
    """Write what the image holds to a disk."""
    words = ["qemu-img", "convert", "-p", "-n", "-W", "-f", "qcow2", "-O", "raw", "-T", "none", "-t", "none"]
    if disk.zero(0, size):
        words.append("--target-is-zero")
    words += [path, disk.path]
    # It dies with this process; and the disk's lock, which it inherits, is held as long as it lives.
    if shutil.which("setpriv"):
        words = ["setpriv", "--pdeathsig", "KILL", "--"] + words
    child = Child(words, keep=disk.fd)
    try:
        told = _watch(child, until, tell)
    finally:
        code = child.end()
    if code:
        raise FabricError("qemu-img says: %s" % (last_line(told) or "exit code %d" % code))


def _watch(child: Child, until: float, tell: t.Callable[[float], None]) -> bytes:
    told = b""
    while True:
        if not select.select([child.output()], [], [], max(0.0, until - time.monotonic()))[0]:
            raise FabricError("qemu-img did not end in time")
        piece = os.read(child.output(), 4096)
        if not piece:
            child.wait()
            return told
        told = (told + piece)[-8192:]
        percent = _PERCENT.findall(told)
        if percent:
            tell(float(percent[-1]) / 100)
