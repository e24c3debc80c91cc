# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing an image to the root device of a node, with a config drive and a mark that it is there.

The first MiB of the image, in which the partition table is, stays in memory until all else is on the disk and the
checksum is right. A disk with a partition table is a disk that is done.
"""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import (
    disk_config_drive,
    disk_hints,
    disk_list,
    disk_module,
    disk_table,
    image_formats,
    image_grow,
    image_pipeline,
    image_qcow2,
    image_uefi,
)
from ansible_collections.weft.fabric.plugins.module_utils.disk_block import MIB, Disk
from ansible_collections.weft.fabric.plugins.module_utils.disk_gpt import Partition
from ansible_collections.weft.fabric.plugins.module_utils.disk_progress import Progress
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.image_download import Download, hide
from ansible_collections.weft.fabric.plugins.module_utils.iscsi_target import HEAD, Target

Params = t.Mapping[str, t.Any]


class Place(object):
    """Where things are on this machine; tests have places of their own."""

    def __init__(
        self,
        places: t.Optional[disk_list.Places] = None,
        scratch: str = "/run/weft",
        progress: t.Optional[Progress] = None,
        sector_size: t.Optional[int] = None,
    ):
        self.places = places or disk_list.Places()
        self.scratch = scratch
        self.progress = progress or Progress()
        self.sector_size = sector_size


class ImageWriter(object):
    """One image, one disk."""

    def __init__(self, params: Params, place: t.Optional[Place] = None, target: t.Optional[Target] = None):
        self._params = params
        self._target = target or Target()
        self._image = params["image"]
        self._place = place or Place()
        self._progress = self._place.progress
        self._algorithm, self._digits = image_formats.checksum(self._image["checksum"])
        self._checksum = "%s:%s" % (self._algorithm, self._digits)
        self._drive = disk_config_drive.Drive(
            params.get("config_drive"), self._checksum, params["server_id"], params.get("deployment")
        )
        self._menu = image_uefi.BootMenu(self._place.places.sys)
        self._until = time.monotonic() + params["timeout"]
        self._found = ""
        self.warnings: t.List[str] = []
        self._result: t.Dict[str, t.Any] = {"bytes": 0, "size": 0, "written": 0, "seconds": 0.0, "rate": 0}

    def run(self, check_mode: bool = False) -> t.Dict[str, t.Any]:
        """Make it so, and return what the module returns."""
        facts = disk_hints.choose(self._params["root_device"], disk_list.disks(self._place.places))
        with Disk(facts["device"], write=not check_mode, sector_size=self._place.sector_size) as disk:
            if not check_mode:
                self._check_boot_mode()
                disk.lock(self._until)
            # Read when nobody else writes: a run that goes on though its playbook was killed may just have ended.
            table = self._table(disk)
            found = disk_config_drive.find(disk, table)
            todo = self._todo(disk, table, found)
            if todo and not check_mode:
                with self._progress:
                    self._work(disk, facts, found, todo)
        before = "%s: %s" % (facts["name"], told_mark(found.mark)) if found else ""
        after = "%s: %s" % (facts["name"], told_mark(self._drive.mark))
        texts = ["%s: %s" % (facts["name"], _CHANGES[one] % self._names()) for one in todo]
        return dict(
            self._result,
            diff={"before": before and before + "\n", "after": after + "\n"} if todo else {"before": "", "after": ""},
            device=facts["name"],
            **disk_module.summary(texts),
        )

    def _names(self) -> t.Dict[str, str]:
        return {"image": self._checksum, "server": self._params["server_id"]}

    def _check_boot_mode(self) -> None:
        if self._params["boot_mode"] == "uefi" and not self._menu.there():
            self.warnings.append(
                "boot_mode is uefi, but this machine was started by its BIOS, or does not show UEFI's variables: no "
                "boot entry was made"
            )

    def _uefi(self) -> bool:
        return self._params["boot_mode"] == "uefi" and self._menu.there()

    def _table(self, disk: Disk) -> t.Optional[disk_table.Table]:
        return disk_table.parse(disk.read, disk.sector_size, disk.size // disk.sector_size)

    def _todo(
        self, disk: Disk, table: t.Optional[disk_table.Table], found: t.Optional[disk_config_drive.Found]
    ) -> t.List[str]:
        image, drive = self._drive.on(found.mark if found else None)
        place = found.partition.sectors * disk.sector_size if found else 0
        if found is None or table is None or not image or (not drive and place < self._drive.size):
            return ["image", "drive"] + (["entry"] if self._uefi() else [])
        todo = [] if drive and found.label == self._drive.label else ["drive"]
        boots = disk_table.esp(table)
        if self._uefi() and boots is not None and boots.guid and not self._menu.is_first(boots):
            todo.append("entry")
        return todo

    def _work(
        self, disk: Disk, facts: disk_hints.Facts, found: t.Optional[disk_config_drive.Found], todo: t.Sequence[str]
    ) -> None:
        if "image" in todo:
            if self._params.get("exported_size") is None:
                self._write_image(disk, facts)
            else:
                self._take_over(disk, facts, self._params["exported_size"])
            return
        if "drive" in todo and found is not None:
            # Without its first sector it is no file system, and so there is no mark.
            start = found.partition.first * disk.sector_size
            disk.write(start, b"\0" * disk.sector_size)
            disk.sync()
            content = self._drive.image(disk.sector_size, found.partition)
            disk.write(start + disk.sector_size, content[disk.sector_size :])
            disk.sync()
            disk.write(start, content[: disk.sector_size])
            disk.sync()
        boots = disk_table.esp(table) if (table := self._table(disk)) else None
        if "entry" in todo and boots is not None:
            self._menu.put_first(boots)

    def _write_image(self, disk: Disk, facts: disk_hints.Facts) -> None:
        started = time.monotonic()
        download = Download(
            self._image["url"], self._params["stall_timeout"], self._until, self._params["validate_certs"]
        )
        self._progress.update(phase="connecting", device=facts["name"])
        touched, source = False, None
        try:
            self._check_before(download, disk)
            touched = True
            self._wipe(disk, facts)
            sink = image_pipeline.Sink(disk, HEAD)
            self._progress.phase("writing", download.total)
            source = image_pipeline.Source(download, self._algorithm, lambda count: self._progress.update(bytes=count))
            if self._image["format"] == "qcow2":
                kept, size, written = self._by_qemu(source, download, disk)
            else:
                words = image_formats.UNPACKERS.get(self._image["format"])
                image_pipeline.unpack(source, sink, words, self._compare, download.abort)
                kept, size, written = sink.kept, sink.size, sink.written
            self._progress.phase("finishing")
            self._finish(disk, kept, size)
            seconds = time.monotonic() - started
            self._result.update(bytes=download.received, size=size, written=written, seconds=round(seconds, 3))
            self._result["rate"] = int(size / max(seconds, 0.001))
        except image_pipeline.Unpacked as error:
            raise self._failure(
                disk, facts, "it is what it should be, but cannot be unpacked (%s)" % error, touched
            ) from error
        except (FabricError, OSError) as error:
            raise self._failure(disk, facts, str(error), touched) from error
        finally:
            download.abort()
            download.close()
            if source is not None:
                source.close()

    def _take_over(self, disk: Disk, facts: disk_hints.Facts, size: int) -> None:
        """Go on where the boot server has written all but the beginning of the image (image_export, image_remote)."""
        path = head_file(self._place)
        self._progress.update(phase="finishing", device=facts["name"])
        try:
            self._target.stop()
            try:
                with open(path, "rb") as stream:
                    kept = stream.read(HEAD)
            except FileNotFoundError:
                kept = b""
            if not kept.strip(b"\0"):
                raise FabricError("the boot server has not written all of it. Run again")
            self._finish(disk, kept, size)
            os.unlink(path)
        except (FabricError, OSError) as error:
            raise self._failure(disk, facts, str(error), True) from error
        self._result.update(size=size)

    def _check_before(self, download: Download, disk: Disk) -> None:
        """Fail, as long as nothing is written, for whatever is known by now."""
        download.open()
        form, total, least = self._image["format"], download.total, self._params["minimum_size"]
        if total is not None and total < least:
            raise FabricError(
                "it has %d bytes only, and minimum_size is %d: it begins as %s"
                % (total, least, image_formats.looks_like(download.peek(image_formats.HEAD)))
            )
        head = download.peek(image_formats.HEAD)
        image_formats.check_head(head, form)
        size = max(image_formats.unpacked_size(head, form, total) or 0, self._image.get("size") or 0)
        if size > disk.size:
            raise FabricError("it has %d bytes unpacked, and the disk has only %d" % (size, disk.size))
        if form == "qcow2":
            image_formats.check_qcow2(head)
            os.makedirs(self._place.scratch, exist_ok=True)
            image_qcow2.check_memory(total, self._place.scratch, self._place.places.proc)

    def _wipe(self, disk: Disk, facts: disk_hints.Facts) -> None:
        self._progress.phase("wiping")
        wipe_ends(disk)
        if facts["discard"] and self._params["discard"]:
            disk.discard()

    def _by_qemu(self, source: image_pipeline.Source, download: Download, disk: Disk) -> t.Tuple[bytes, int, int]:
        size = image_formats.unpacked_size(download.peek(image_formats.HEAD), "qcow2", None) or 0
        path = os.path.join(self._place.scratch, "image.qcow2")
        try:
            image_qcow2.store(source, path)
            self._compare(source)
            self._progress.phase("converting", size)
            image_qcow2.convert(
                path, disk, size, self._until, lambda part: self._progress.update(bytes=int(part * size))
            )
        finally:
            if os.path.exists(path):
                os.unlink(path)
        return disk.read(0, HEAD), size, size

    def _compare(self, source: image_pipeline.Source) -> None:
        self._found = "%s:%s" % (self._algorithm, source.digest())
        if self._found != self._checksum:
            raise FabricError(
                "its checksum is wrong. Look whether the image was changed on the server, and set the checksum of the "
                "one that is meant"
            )

    def _finish(self, disk: Disk, kept: bytes, size: int) -> None:
        """Fit the image to the disk, and let it boot as the very last thing."""
        sector = disk.sector_size
        head = bytearray(kept.ljust(HEAD, b"\0"))

        def read(offset: int, length: int) -> bytes:
            own = bytes(head[offset : offset + length])
            return own + disk.read(offset + len(own), length - len(own))

        fitted = disk_table.fit(
            read, sector, disk.size // sector, self._params["grow"], self._drive.size, self._drive.label
        )
        if fitted.grown is not None:
            self._grow(disk, fitted.grown, size)
        if fitted.drive is not None:
            disk.write(fitted.drive.first * sector, self._drive.image(sector, fitted.drive))
        for offset, content in fitted.table.pieces():
            if offset + len(content) <= HEAD:
                head[offset : offset + len(content)] = content
            else:
                disk.write(offset, content)
        if self._uefi():
            boots = disk_table.esp(fitted.table)
            image_uefi.check_esp(read, boots, sector)
            if boots is not None and boots.guid:
                self._menu.put_first(boots)
        disk.sync()
        disk.write(sector, bytes(head[sector:]))
        disk.sync()
        disk.write(0, bytes(head[:sector]))
        disk.sync()
        disk.reread_partitions()

    def _grow(self, disk: Disk, partition: Partition, size: int) -> None:
        sector = disk.sector_size
        start, end = partition.first * sector, (partition.last + 1) * sector
        # An array that was here before may have left its mark at that very place.
        clear = max(end - MIB, -(-size // sector) * sector)
        if clear < end:
            disk.zero(clear, end - clear)
        if start >= HEAD:
            disk.sync()
            disk.forget_cache()
            done, why = image_grow.grow(disk, start, end - start)
            if not done and why != "is no ext4":
                self.warnings.append("the file system of partition %d %s" % (partition.number, why))

    def _failure(self, disk: Disk, facts: disk_hints.Facts, why: str, touched: bool) -> FabricError:
        state = "Nothing was written"
        if touched:
            state = "The disk has no partition table now, so that nothing boots from it"
            try:
                wipe_ends(disk)
            except FabricError as error:
                state = "Its partition table could not be wiped (%s): what the disk boots now is not known" % error
        return FabricError(
            "image %s was not written to %s: %s. Checksum expected %s, found %s. %s."
            % (
                hide(self._image["url"]),
                facts["name"],
                why.rstrip("."),
                self._checksum,
                self._found or "unknown, as not all of it was read",
                state,
            )
        )


_CHANGES = {
    "image": "image %(image)s written",
    "drive": "config drive of server %(server)s written",
    "entry": "UEFI boot entry set",
}


def head_file(place: Place) -> str:
    """Return the file that takes the beginning of an image which the boot server writes."""
    return os.path.join(place.scratch, "export", "head")


def told_mark(mark: disk_config_drive.Mark) -> str:
    """Return a mark as a person reads it."""
    return "image %s of server %s" % (mark.get("image"), mark.get("server"))


def wipe_ends(disk: Disk) -> None:
    """Take a disk's partition tables away, and what else stands at its ends."""
    length = min(MIB, disk.size)
    disk.write(0, b"\0" * length)
    disk.write(disk.size - length, b"\0" * length)
    disk.sync()
