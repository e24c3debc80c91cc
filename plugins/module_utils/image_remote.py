# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot server's part of an image that it writes to a node's exported disk: unpacked, hashed and sent in one go.

The first MiB goes into a unit of its own, and only when the checksum was right and all else is on the disk. The node
puts it in its place.
"""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import disk_module, image_formats, image_pipeline, netns
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.iscsi_disk import IscsiDisk, Portal, Session
from ansible_collections.weft.fabric.plugins.module_utils.iscsi_target import DISK_LUN, HEAD, HEAD_LUN, TARGET

FORMATS = tuple(name for name in image_formats.FORMATS if name != "qcow2")

_PIECE = 1 << 20


class LocalFile(object):
    """A file of this machine, read like one that is loaded (image_download.Download)."""

    def __init__(self, stream: t.BinaryIO):
        self._stream = stream
        self.received = 0
        self.total = os.fstat(stream.fileno()).st_size

    def peek(self, length: int) -> bytes:
        """Return the first bytes; reading begins with them all the same."""
        return os.pread(self._stream.fileno(), length, 0)

    def read(self) -> bytes:
        """Return what comes next, or nothing at the end."""
        piece = self._stream.read(_PIECE)
        self.received += len(piece)
        return piece


class RemoteWriter(object):
    """One image, one target."""

    def __init__(self, params: t.Mapping[str, t.Any]):
        self._image = params["image"]
        self._path = self._image["path"]
        self._namespace = params.get("namespace")
        self._least = params["minimum_size"]
        self._until = time.monotonic() + params["timeout"]
        self._algorithm, self._digits = image_formats.checksum(self._image["checksum"])
        self._portal = Portal(params["address"], params["port"], TARGET, params["username"], params["password"])
        self._touched = False
        self.warnings: t.List[str] = []
        self._result: t.Dict[str, t.Any] = {"bytes": 0, "size": 0, "written": 0, "seconds": 0.0, "rate": 0}

    def run(self, check_mode: bool = False) -> t.Dict[str, t.Any]:
        """Write it, and return what the module returns."""
        if not check_mode:
            self._write()
        checksum = "%s:%s" % (self._algorithm, self._digits)
        return dict(self._result, **disk_module.summary(["image %s written to %s" % (checksum, self._portal.address)]))

    def _write(self) -> None:
        started = time.monotonic()
        try:
            with contextlib.ExitStack() as stack:
                file = LocalFile(stack.enter_context(open(self._path, "rb")))
                # Checked before anybody is asked for a disk.
                head = self._check_file(file)
                if self._namespace:
                    stack.enter_context(netns.entered(self._namespace))
                session = stack.enter_context(Session(self._portal, self._until))
                sink = self._send(session, file, head)
        except image_pipeline.Unpacked as error:
            raise self._failure("it is what it should be, but cannot be unpacked (%s)" % error) from error
        except (FabricError, OSError) as error:
            raise self._failure(str(error)) from error
        seconds = time.monotonic() - started
        self._result.update(bytes=file.received, size=sink.size, written=sink.written, seconds=round(seconds, 3))
        self._result["rate"] = int(sink.size / max(seconds, 0.001))

    def _check_file(self, file: LocalFile) -> bytes:
        head = file.peek(image_formats.HEAD)
        if file.total < self._least:
            raise FabricError(
                "it has %d bytes only, and minimum_size is %d: it begins as %s"
                % (file.total, self._least, image_formats.looks_like(head))
            )
        image_formats.check_head(head, self._image["format"])
        return head

    def _send(self, session: Session, file: LocalFile, head: bytes) -> image_pipeline.Sink:
        disk, first = session.disk(DISK_LUN), session.disk(HEAD_LUN)
        told = image_formats.unpacked_size(head, self._image["format"], file.total) or 0
        size = max(told, self._image.get("size") or 0)
        if size > disk.size:
            raise FabricError("it has %d bytes unpacked, and the disk has only %d" % (size, disk.size))
        self._touched = True
        wipe_ends(disk)
        # Only what a disk is asked for here is asked of it there.
        sink = image_pipeline.Sink(t.cast(t.Any, disk), HEAD)
        source = image_pipeline.Source(t.cast(t.Any, file), self._algorithm, lambda _count: None)
        try:
            words = image_formats.UNPACKERS.get(self._image["format"])
            image_pipeline.unpack(source, sink, words, self._compare)
        finally:
            source.close()
        disk.sync()
        first.write_aligned(0, memoryview(bytearray(sink.kept.ljust(HEAD, b"\0"))))
        first.sync()
        return sink

    def _compare(self, source: image_pipeline.Source) -> None:
        found = source.digest()
        if found != self._digits:
            raise FabricError(
                "its checksum is %s:%s. Remove the file and run again: it is fetched anew" % (self._algorithm, found)
            )

    def _failure(self, why: str) -> FabricError:
        state = "The disk has no partition table now, so that nothing boots from it"
        return FabricError(
            "image %s was not written to the disk behind %s:%d: %s. Checksum expected %s:%s. %s."
            % (
                self._path,
                self._portal.address,
                self._portal.port,
                why.rstrip("."),
                self._algorithm,
                self._digits,
                state if self._touched else "Nothing was written",
            )
        )


def wipe_ends(disk: IscsiDisk) -> None:
    """Take a disk's partition tables away, and what else stands at its ends. Nothing boots from here on."""
    length = min(HEAD, disk.size)
    for offset in (0, disk.size - length):
        disk.write_aligned(offset, memoryview(bytearray(length)))
    disk.sync()
