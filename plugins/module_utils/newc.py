# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cpio archives in the form that Linux unpacks at boot ("newc").

Written here and not with cpio: what root owns in the ramdisk need not be root's where it is built, a device needs no
mknod(), and the same tree gives the same bytes.
"""

from __future__ import annotations

import os
import stat
import typing as t

_HEADER = "070701" + "%08X" * 13
_TRAILER = "TRAILER!!!"
_BLOCK = 1024 * 1024


class Writer(object):
    """Writes an archive to a stream; all is root's, and of no time."""

    def __init__(self, stream: t.IO[bytes]) -> None:
        self._stream = stream
        self._inode = 0
        self._links: t.Dict[t.Tuple[int, int], int] = {}
        self.size = 0  # bytes so far

    def directory(self, name: str, mode: int = 0o755) -> None:
        """Add a directory."""
        self._entry(name, stat.S_IFDIR | mode, links=2)

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Add a file."""
        self._entry(name, stat.S_IFREG | mode, len(content))
        self._data(content)

    def link(self, name: str, aim: str) -> None:
        """Add a symbolic link."""
        content = os.fsencode(aim)
        self._entry(name, stat.S_IFLNK | 0o777, len(content))
        self._data(content)

    def character_device(self, name: str, major: int, minor: int, mode: int = 0o600) -> None:
        """Add a character device."""
        self._entry(name, stat.S_IFCHR | mode, device=(major, minor))

    def tree(self, root: str) -> None:
        """Add all that is below a directory, in the order of names."""
        for parent, directories, names in os.walk(root):
            directories.sort()
            for name in sorted(directories + names):
                path = os.path.join(parent, name)
                self._path(os.path.relpath(path, root), path)

    def end(self) -> None:
        """Close the archive; the stream stays open."""
        self._inode = -1
        self._entry(_TRAILER, 0)

    def _path(self, name: str, path: str) -> None:
        found = os.lstat(path)
        mode = stat.S_IMODE(found.st_mode)
        if stat.S_ISDIR(found.st_mode):
            self.directory(name, mode)
        elif stat.S_ISLNK(found.st_mode):
            self.link(name, os.readlink(path))
        elif stat.S_ISREG(found.st_mode):
            # Nobody has to become root, who is the only one there; and who is not root here could not say so.
            self._copy(name, path, found, mode & 0o777)
        # Devices and sockets are made by who boots.

    def _copy(self, name: str, path: str, found: os.stat_result, mode: int) -> None:
        key = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and key in self._links:
            # The content came with the first of its names.
            self._entry(name, stat.S_IFREG | mode, links=found.st_nlink, inode=self._links[key])
            return
        self._entry(name, stat.S_IFREG | mode, found.st_size, links=found.st_nlink)
        self._links[key] = self._inode
        with open(path, "rb") as stream:
            for block in iter(lambda: stream.read(_BLOCK), b""):
                self._write(block)
        self._pad()

    def _entry(
        self,
        name: str,
        mode: int,
        size: int = 0,
        links: int = 1,
        device: t.Tuple[int, int] = (0, 0),
        inode: t.Optional[int] = None,
    ) -> None:
        if inode is None:
            self._inode += 1
            inode = self._inode
        encoded = os.fsencode(name) + b"\0"
        fields = (inode, mode, 0, 0, links, 0, size, 0, 0) + device + (len(encoded), 0)
        self._write((_HEADER % fields).encode("ascii") + encoded)
        self._pad()

    def _data(self, content: bytes) -> None:
        self._write(content)
        self._pad()

    def _pad(self) -> None:
        self._write(b"\0" * (-self.size % 4))

    def _write(self, content: bytes) -> None:
        self._stream.write(content)
        self.size += len(content)
