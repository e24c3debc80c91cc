# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The config drive of a server: what its first boot reads, and our mark that says which image is on the disk."""

from __future__ import annotations

import hashlib
import json
import typing as t
import zlib

from ansible_collections.weft.fabric.plugins.module_utils import disk_table
from ansible_collections.weft.fabric.plugins.module_utils.disk_block import MIB, Disk
from ansible_collections.weft.fabric.plugins.module_utils.disk_fat import Volume, Writer
from ansible_collections.weft.fabric.plugins.module_utils.disk_gpt import Partition
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

#: what cloud-init looks for
LABEL = "config-2"
#: a partition with nothing but the mark, for a server without a config drive
MARK_LABEL = "weft-fabric"

META_DATA = "openstack/latest/meta_data.json"
VERSION = 1

_LEAST = 8 * MIB
_MOST = 64 * MIB

Mark = t.Dict[str, t.Any]
Content = t.Mapping[str, t.Any]


class Drive(object):
    """What is to be on the disk besides the image."""

    def __init__(self, content: t.Optional[Content], image: str, server: str, deployment: t.Optional[str]):
        self.label = LABEL if content is not None else MARK_LABEL
        self._content = dict(content or {})
        files = self._files(None)
        digest = hashlib.sha256(repr(sorted(files.items())).encode("utf-8")).hexdigest()
        self.mark: Mark = {"version": VERSION, "image": image, "server": server, "content": digest}
        if deployment:
            self.mark["deployment"] = deployment
        self._stored = self._files(self.mark)
        needed = sum(len(content) + 4096 for content in self._stored.values())
        self.size = max(_LEAST, -(-needed * 2 // MIB) * MIB)
        if self.size > _MOST:
            raise FabricError("the config drive would have %d MiB. Make user data smaller" % (self.size // MIB))

    def _files(self, mark: t.Optional[Mark]) -> t.Dict[str, bytes]:
        given = self._content
        meta_data = dict(given.get("meta_data") or {})
        if mark:
            meta_data.setdefault("uuid", mark["server"])
            meta_data["weft"] = mark
        files = {"meta_data.json": _json(meta_data)}
        for key in ("network_data", "vendor_data"):
            if given.get(key) is not None:
                files[key + ".json"] = _json(given[key])
        if given.get("user_data") is not None:
            files["user_data"] = given["user_data"].encode("utf-8")
        return files

    def image(self, sector_size: int, partition: Partition) -> bytes:
        """Return its file system."""
        serial = zlib.crc32(self.mark["content"].encode("ascii"))
        writer = Writer(
            partition.sectors * sector_size, sector_size, self.label, serial, min(partition.first, 0xFFFFFFFF)
        )
        return writer.image({"openstack": {"latest": self._stored}})

    def on(self, mark: t.Optional[Mark]) -> t.Tuple[bool, bool]:
        """Return whether a disk with this mark has the right image, and the right config drive."""
        if not mark:
            return False, False
        # Under which name it was written counts only for who asks for a name.
        left_out = {"content"} | ({"deployment"} - set(self.mark))
        told = {key: value for key, value in mark.items() if key not in left_out}
        wanted = {key: value for key, value in self.mark.items() if key not in left_out}
        return told == wanted, told == wanted and mark.get("content") == self.mark["content"]


def _json(data: t.Any) -> bytes:
    return json.dumps(data, indent=1, sort_keys=True).encode("utf-8") + b"\n"


class Found(t.NamedTuple):
    """A mark, and where it was found."""

    mark: Mark
    label: str
    partition: Partition


def find(disk: Disk, table: t.Optional[disk_table.Table]) -> t.Optional[Found]:
    """Return the mark that is on a disk, or None. What is wrong with it in any way is none."""
    for partition in sorted(table.partitions, key=lambda one: -one.last) if table else []:
        start = partition.first * disk.sector_size
        length = partition.sectors * disk.sector_size
        if not 0 < length <= _MOST:
            continue
        try:
            volume = Volume(lambda at, count, start=start: disk.read(start + at, count))  # type: ignore[misc]
            if volume.label not in (LABEL, MARK_LABEL):
                continue
            mark = json.loads((volume.file(META_DATA) or b"null").decode("utf-8"))["weft"]
        except (FabricError, ValueError, KeyError, TypeError, RecursionError):
            continue
        if isinstance(mark, dict) and mark.get("version") == VERSION:
            return Found(mark, volume.label, partition)
    return None
