# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk, as bytes that are read, written, zeroed and given back. A file will do, too, which is what tests like.

What is written goes past the page cache where the disk allows that: it is faster on slow machines, needs no memory,
and an error of the disk is told at the write that has it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import stat
import struct
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

MIB = 1 << 20

#: A piece of this size is written, or is all zeros and need not be. A hole is a command to the disk, and a few more
#: zeros in the middle of data cost less.
BLOCK = 256 << 10

# linux/fs.h
_BLKRRPART = 0x125F
_BLKSSZGET = 0x1268
_BLKDISCARD = 0x1277

_KEEP_SIZE, _PUNCH_HOLE = 1, 2

_ZEROS = mmap.mmap(-1, MIB)


class DiskError(FabricError):
    """What went wrong at a disk: which, where, and what the kernel says."""


class Disk(object):
    """One open disk."""

    def __init__(self, path: str, write: bool = False, sector_size: t.Optional[int] = None):
        self.path = path
        self._write = write
        flags = (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC
        with self._told("opened"):
            is_block = stat.S_ISBLK(os.stat(path).st_mode)
            if is_block and write:
                # Not while something is mounted from it, or a volume group or an array is made of it. It is only asked
                # and not kept, as the programs that grow file systems ask the same.
                os.close(os.open(path, flags | os.O_EXCL))
            self.fd = os.open(path, flags)
        self._direct = -1
        self._efficient: t.Optional[bool] = None
        try:
            with self._told("measured"):
                self.size = os.lseek(self.fd, 0, os.SEEK_END)
                self.sector_size = sector_size or (self._sector_size() if is_block else 512)
        except BaseException:
            self.close()
            raise
        self.is_block = is_block
        if write:
            with contextlib.suppress(OSError):  # some file systems have no such thing
                self._direct = os.open(path, flags | os.O_DIRECT)

    def __enter__(self) -> "Disk":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it. Who waits for its lock goes on."""
        for descriptor in (self.fd, self._direct):
            if descriptor >= 0:
                os.close(descriptor)
        self.fd = self._direct = -1

    def lock(self, until: float) -> bool:
        """Take the disk's lock, which udev and programs that this one starts know, too. Return whether it was free.

        The kernel drops it when the last process that has it ends: a program that outlives its parent keeps it.
        """
        first = True
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return first
            except BlockingIOError:
                if time.monotonic() > until:
                    raise DiskError(
                        "%s is still locked by another run that writes it. See who that is (fuser -v %s), wait for its "
                        "end or end it, and run again" % (self.path, self.path)
                    ) from None
            first = False
            time.sleep(0.2)

    def read(self, offset: int, length: int) -> bytes:
        """Return what is there; less where the disk ends."""
        pieces = []
        with self._told("read at byte %d" % offset):
            while length > 0:
                piece = os.pread(self.fd, min(length, MIB), offset)
                if not piece:
                    break
                pieces.append(piece)
                offset += len(piece)
                length -= len(piece)
        return b"".join(pieces)

    def write(self, offset: int, data: t.Union[bytes, memoryview]) -> None:
        """Write all of it; through the page cache."""
        self._write_all(self.fd, offset, memoryview(data))

    def write_aligned(self, offset: int, data: memoryview) -> None:
        """Write whole sectors from memory that begins at a page's border; past the page cache if possible."""
        if self._direct < 0 or offset % self.sector_size or len(data) % self.sector_size:
            self._write_all(self.fd, offset, data)
            return
        try:
            self._write_all(self._direct, offset, data)
        except DiskError as error:
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.EINVAL:
                raise
            # A file system that lets it be opened so, and then does not want it.
            os.close(self._direct)
            self._direct = -1
            self._write_all(self.fd, offset, data)

    def zero(self, offset: int, length: int) -> bool:
        """Make it read as zeros, whatever is there. Return whether the disk did so itself and nothing was written.

        Giving blocks back (discard) promises nothing about what is read afterwards. Making a hole does: the kernel does
        so only where the disk has a command that leaves zeros.
        """
        if self._efficient is not False:
            self._efficient = self._punch(offset, length)
            if self._efficient:
                return True
        zeros = memoryview(_ZEROS)
        while length:
            piece = min(length, len(zeros))
            self.write_aligned(offset, zeros[:piece])
            offset += piece
            length -= piece
        return False

    def discard(self) -> bool:
        """Tell the disk that nothing on it is of use any more. Return whether it has such a command."""
        if not self.is_block:
            return False
        step = 64 << 30  # so that a caller's clock can tick
        try:
            for offset in range(0, self.size, step):
                fcntl.ioctl(self.fd, _BLKDISCARD, struct.pack("=QQ", offset, min(step, self.size - offset)))
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL):
                return False
            raise self._error("discarded", error) from error
        return True

    def sync(self) -> None:
        """Return when everything is on the disk, and not in a cache that power takes away."""
        with self._told("written (at the end, when everything was to be on it)"):
            os.fsync(self.fd)

    def forget_cache(self) -> None:
        """Let what is read from now on come from the disk, and not from memory."""
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def reread_partitions(self) -> None:
        """Let the kernel look at the partition table, where it has partitions on this disk."""
        if self.is_block:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self.fd, _BLKRRPART)

    def _sector_size(self) -> int:
        return int(struct.unpack("=i", fcntl.ioctl(self.fd, _BLKSSZGET, b"\0" * 4))[0])

    def _write_all(self, descriptor: int, offset: int, data: memoryview) -> None:
        if offset + len(data) > self.size and self.is_block:
            raise DiskError("%s has only %d bytes" % (self.path, self.size))
        with self._told("written at byte %d" % offset):
            while data:
                count = os.pwrite(descriptor, data, offset)
                if not count:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                offset += count
                data = data[count:]

    def _punch(self, offset: int, length: int) -> bool:
        import ctypes  # takes a while to load, and not all disks need it

        libc = ctypes.CDLL(None, use_errno=True)
        fallocate = getattr(libc, "fallocate64", None) or libc.fallocate
        fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
        if not fallocate(self.fd, _PUNCH_HOLE | _KEEP_SIZE, offset, length):
            return True
        code = ctypes.get_errno()
        if code in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV):
            return False
        raise self._error("zeroed at byte %d" % offset, OSError(code, os.strerror(code)))

    def _error(self, done: str, error: OSError) -> DiskError:
        if error.errno == errno.EBUSY:
            return DiskError(
                "%s is in use: something is mounted from it, or it is part of an array or a volume group. See "
                "/sys/class/block/%s/holders and /proc/mounts, and let go of it"
                % (self.path, os.path.basename(self.path))
            )
        if error.errno == errno.EIO:
            return DiskError(
                "%s could not be %s: input/output error. The disk or its cable is broken; the kernel's log (dmesg) "
                "tells more" % (self.path, done)
            )
        return DiskError("%s could not be %s: %s" % (self.path, done, error.strerror or error))

    @contextlib.contextmanager
    def _told(self, done: str) -> t.Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._error(done, error) from error
