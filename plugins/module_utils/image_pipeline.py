# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the network through a decompressor to the disk, all at the same time, and nothing stored on the way.

Who does what: one thread loads and feeds the decompressor; one hashes; the main thread takes what comes out; one thread
writes. What each of them mostly does lets the others run.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import mmap
import os
import queue
import sys
import threading
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.disk_block import BLOCK, Disk
from ansible_collections.weft.fabric.plugins.module_utils.disk_child import Child
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.image_download import Download

# Small ones stay in the processor's cache on their way.
BUFFER = 1 << 20
BUFFERS = 8

# Seconds after which a thread that computes lets others run: those must not find their pipes empty, or full. Python's
# own 5 ms cost a third of the speed.
_SWITCH = 0.0005

_F_SETPIPE_SZ = 1031
_ZERO_BLOCK = b"\0" * BLOCK
_ZERO_START = b"\0" * 64

#: told how many bytes of the file came
Tell = t.Callable[[int], None]


class Worker(threading.Thread):
    """A thread whose failure is told by who waits for it."""

    def __init__(self, name: str, work: t.Callable[[], None]):
        super().__init__(name=name, daemon=True)
        self._work = work
        self.error: t.Optional[Exception] = None

    def run(self) -> None:
        """Do the work, and keep what goes wrong. What nobody foresaw goes to standard error, too."""
        self.error = FabricError("%s ended unexpectedly" % self.name)
        try:
            self._work()
        except (FabricError, OSError, ValueError, http.client.HTTPException) as error:
            self.error = error
        else:
            self.error = None


class Unpacked(Exception):
    """The decompressor did not like what it got."""


class Hasher(object):
    """Computes a checksum while others do something else with the same bytes."""

    def __init__(self, algorithm: str):
        self._hash = hashlib.new(algorithm)
        self._pieces: "queue.Queue[bytes]" = queue.Queue(maxsize=8)
        self._thread: t.Optional[threading.Thread] = None

    def update(self, piece: bytes) -> None:
        """Take more bytes. Nothing is the end."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
        self._pieces.put(piece)

    def hexdigest(self) -> str:
        """Return the checksum of what was taken, after the end."""
        if self._thread is not None:
            self._thread.join()
        return self._hash.hexdigest()

    def _work(self) -> None:
        while True:
            piece = self._pieces.get()
            if not piece:
                return
            self._hash.update(piece)


class Source(object):
    """What comes from the server, hashed."""

    def __init__(self, download: Download, algorithm: str, tell: Tell):
        self._download = download
        self._hash = Hasher(algorithm)
        self._tell = tell
        self._ended = False

    def read(self) -> bytes:
        """Return the next bytes of the file, or nothing at its end."""
        piece = b"" if self._ended else self._download.read()
        if not self._ended:
            self._hash.update(piece)
        self._ended = not piece
        self._tell(self._download.received)
        return piece

    def rest(self) -> None:
        """Read to the end, for the checksum."""
        while self.read():
            pass

    def digest(self) -> str:
        """Return the checksum of what was read. That is after the end."""
        return self._hash.hexdigest()

    def close(self) -> None:
        """Hash nothing more."""
        if not self._ended:
            self._ended = True
            self._hash.update(b"")


class Plain(object):
    """Fills buffers with the file as it is."""

    def __init__(self, source: Source):
        self._source = source
        self._left = memoryview(b"")

    def fill(self, buffer: memoryview) -> int:
        """Fill a buffer. Only the last one is not full."""
        filled = 0
        while filled < len(buffer):
            if not self._left:
                self._left = memoryview(self._source.read())
                if not self._left:
                    break
            count = min(len(self._left), len(buffer) - filled)
            buffer[filled : filled + count] = self._left[:count]
            self._left = self._left[count:]
            filled += count
        return filled

    def finish(self) -> None:
        """Fail when not all is well."""

    def close(self) -> None:
        """End what was started."""


class Decompressor(object):
    """Fills buffers with what a program makes of the file."""

    def __init__(self, source: Source, words: t.Sequence[str]):
        self._source = source
        self._refused = False
        self._child = Child(words, has_stdin=True, has_stderr=True)
        with contextlib.suppress(OSError):  # it is only slower then
            for pipe in (self._child.input(), self._child.output()):
                fcntl.fcntl(pipe, _F_SETPIPE_SZ, 1 << 20)
        self._feeder = Worker("the thread that loads", self._feed)
        self._feeder.start()

    def _feed(self) -> None:
        try:
            while True:
                piece = memoryview(self._source.read())
                if not piece:
                    break
                while piece:
                    piece = piece[os.write(self._child.input(), piece) :]
        except BrokenPipeError:
            self._refused = True
        finally:
            self._child.end_input()
        if self._refused:
            # Whether the file is what it should be says more than what the program thinks of it.
            self._source.rest()

    def fill(self, buffer: memoryview) -> int:
        """Fill a buffer. Only the last one is not full."""
        filled = 0
        while filled < len(buffer):
            count = os.readv(self._child.output(), [buffer[filled:]])
            if not count:
                break
            filled += count
        return filled

    def finish(self) -> None:
        """Fail when the file did not come, or could not be unpacked."""
        self._feeder.join()
        if self._feeder.error:
            raise self._feeder.error
        code = self._child.wait()
        if code or self._refused:
            raise Unpacked("%s says: %s" % (self._child.name, self._child.complaint() or "exit code %d" % code))

    def close(self) -> None:
        """End the program, and whoever feeds it."""
        if self._child.poll() is None:
            self._child.kill()  # so that the feeder does not wait for it
        self._feeder.join()
        self._child.end()


class Sink(object):
    """Writes buffers to a disk, but what is all zeros is not sent over the wire where the disk can do that itself.

    The first bytes are kept, for whoever decides at the end whether they may be written: without them nothing boots.
    """

    def __init__(self, disk: Disk, keep: int):
        self._disk = disk
        self._keep = keep
        self.kept = b""
        self.size = 0
        self.written = 0
        self._zeros = 0  # so many before size are zeros that were not written yet

    def take(self, buffer: memoryview, count: int) -> None:
        """Write the next bytes. Only the last call may bring no whole sectors."""
        padded = -(-count // self._disk.sector_size) * self._disk.sector_size
        if self.size + count > self._disk.size:
            raise FabricError(
                "it is larger than the disk, which has %d bytes. Take another disk, or a smaller image"
                % self._disk.size
            )
        buffer[count:padded] = bytes(padded - count)
        start = 0
        if self.size < self._keep:
            start = min(self._keep - self.size, padded)
            self.kept += bytes(buffer[:start])
        self._put(buffer, start, padded)
        self.size += count

    def _put(self, buffer: memoryview, start: int, end: int) -> None:
        base, first = self.size, start
        while start < end:
            stop = min(end, start + BLOCK)
            if _is_zero(buffer, start, stop):
                self._flush(buffer, base, first, start)
                self._zeros += stop - start
                first = stop
            elif self._zeros:
                self._make_zeros(base + start)
            start = stop
        self._flush(buffer, base, first, end)

    def _flush(self, buffer: memoryview, base: int, first: int, end: int) -> None:
        if first < end:
            self._disk.write_aligned(base + first, buffer[first:end])
            self.written += end - first

    def _make_zeros(self, end: int) -> None:
        if self._zeros and not self._disk.zero(end - self._zeros, self._zeros):
            self.written += self._zeros
        self._zeros = 0

    def end(self) -> None:
        """Write what is left."""
        sector = self._disk.sector_size
        self._make_zeros(-(-self.size // sector) * sector)


def _is_zero(buffer: memoryview, start: int, stop: int) -> bool:
    if buffer[start : start + 64] != _ZERO_START[: stop - start]:
        return False
    # Bytes are compared by the machine, memory views one by one by Python.
    return bytes(buffer[start:stop]) == (_ZERO_BLOCK if stop - start == BLOCK else _ZERO_BLOCK[: stop - start])


def pump(filler: t.Union[Plain, Decompressor], sink: Sink) -> None:
    """Move all of it. Return when the last byte was given to the disk, and the file proved to be complete."""
    empty: "queue.Queue[t.Optional[memoryview]]" = queue.Queue()
    full: "queue.Queue[t.Optional[t.Tuple[memoryview, int]]]" = queue.Queue()
    for _number in range(BUFFERS):
        empty.put(memoryview(mmap.mmap(-1, BUFFER)))

    def write() -> None:
        try:
            while True:
                item = full.get()
                if item is None:
                    sink.end()
                    return
                sink.take(*item)
                empty.put(item[0])
        finally:
            empty.put(None)

    writer = Worker("the thread that writes", write)
    writer.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH)
    try:
        while True:
            buffer = empty.get()
            if buffer is None:
                break
            count = filler.fill(buffer)
            if not count:
                break
            full.put((buffer, count))
            if count < len(buffer):
                break
    finally:
        full.put(None)
        writer.join()
        sys.setswitchinterval(interval)
    if writer.error:
        raise writer.error
    filler.finish()


def unpack(
    source: Source,
    sink: Sink,
    words: t.Optional[t.Sequence[str]],
    compare: t.Callable[[Source], None],
    stop: t.Optional[t.Callable[[], None]] = None,
) -> None:
    """Move all of it, through the program that unpacks it if there is one, and compare its checksum.

    stop ends what a source that is read no more would go on waiting for.
    """
    filler = Decompressor(source, words) if words else Plain(source)
    try:
        pump(filler, sink)
    except Unpacked:
        compare(source)  # which is the better reason when it differs
        raise
    finally:
        if stop is not None:
            stop()
        filler.close()
    compare(source)
