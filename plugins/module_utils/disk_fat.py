# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FAT file systems: a small one is written as a whole, and files are read from any.

Config drives are FAT because ISO 9660 cannot be mounted from disks with sectors of 4096 bytes.
"""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.disk_gpt import Reader
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

#: a directory: names to files' content or to directories
Tree = t.Mapping[str, t.Any]

_ROOT_ENTRIES = 512
_FAT12, _FAT16 = 4084, 65524  # the most clusters that each can have
_DIRECTORY, _LONG, _LABEL = 0x10, 0x0F, 0x08
_DATE = (46 << 9) | (1 << 5) | 1  # a constant one: the same content gives the same bytes

_MAX_READ = 1 << 20
_MAX_ENTRIES = 4096


class Writer(object):
    """Makes a file system of a size, for a disk with such sectors."""

    def __init__(self, size: int, sector_size: int, label: str, serial: int, hidden: int = 0):
        self.sector_size = sector_size
        self.sectors = size // sector_size
        self.label = label
        self.serial = serial
        self.hidden = hidden
        self.root_sectors = _ROOT_ENTRIES * 32 // sector_size
        self.per_cluster = 1
        while self._measure() > _FAT16:
            self.per_cluster *= 2
        self.bits = 12 if self.clusters <= _FAT12 else 16
        self.chains: t.List[int] = []  # what follows each cluster in use; the first one is number 2
        self.data = bytearray()

    def _measure(self) -> int:
        """Find out how large the tables must be, and return how many clusters there are."""
        self.fat_sectors, rest = 0, self.sectors - 1 - self.root_sectors
        while True:
            self.clusters = (rest - 2 * self.fat_sectors) // self.per_cluster
            bits = 12 if self.clusters <= _FAT12 else 16
            needed = -(-((self.clusters + 2) * bits) // (8 * self.sector_size))
            if needed <= self.fat_sectors:
                return self.clusters
            self.fat_sectors = needed

    def image(self, tree: Tree) -> bytes:
        """Return the file system, up to its last byte in use."""
        label = struct.pack("<11sB10sHHHI", _label(self.label), _LABEL, b"", 0, _DATE, 0, 0)
        root = label + self._entries(tree, 0)
        if len(root) > _ROOT_ENTRIES * 32:
            raise FabricError("there are too many files in the root of a config drive")
        table = self._table()
        return b"".join((self._boot_sector(), table, table, root.ljust(_ROOT_ENTRIES * 32, b"\0"), bytes(self.data)))

    def _store(self, content: bytes) -> int:
        """Put content into clusters of its own, and return the first."""
        size = self.per_cluster * self.sector_size
        count = max(1, -(-len(content) // size))
        first = len(self.chains) + 2
        if first + count - 2 > self.clusters:
            raise FabricError(
                "the config drive is too small: more than %d bytes are to be on it. Make user data smaller"
                % (self.clusters * size)
            )
        self.chains += [*range(first + 1, first + count), 0xFFFF]
        self.data += content.ljust(count * size, b"\0")
        return first

    def _entries(self, tree: Tree, own: int) -> bytes:
        listed = b""
        taken: t.Set[bytes] = set()
        for name, content in sorted(tree.items()):
            if isinstance(content, dict):
                flags, length, first = _DIRECTORY, 0, self._directory(content, own)
            else:
                flags, length = 0, len(content)
                first = self._store(content) if content else 0
            short = _short(name, taken)
            listed += _long_entries(name, short)
            listed += struct.pack("<11sB8sHHHHI", short, flags, b"", 0, 0, _DATE, first, length)
        return listed

    def _directory(self, tree: Tree, parent: int) -> int:
        # Its place must be known to those in it, and so its size beforehand.
        size = 64 + sum(32 + len(_long_entries(name, b"")) for name in tree)
        own = self._store(b"\0" * size)
        content = b"".join(
            struct.pack("<11sB8sHHHHI", name.ljust(11), _DIRECTORY, b"", 0, 0, _DATE, first, 0)
            for name, first in ((b".", own), (b"..", parent))
        )
        content += self._entries(tree, own)
        start = (own - 2) * self.per_cluster * self.sector_size
        self.data[start : start + len(content)] = content
        return own

    def _table(self) -> bytes:
        links = [0xFFF8, 0xFFFF, *self.chains]
        if self.bits == 16:
            packed = struct.pack("<%dH" % len(links), *links)
        else:
            links += [0] * (len(links) % 2)
            packed = b"".join(
                ((one & 0xFFF) | (two & 0xFFF) << 12).to_bytes(3, "little") for one, two in zip(links[::2], links[1::2])
            )
        return packed.ljust(self.fat_sectors * self.sector_size, b"\0")

    def _boot_sector(self) -> bytes:
        small = self.sectors if self.sectors < 0x10000 else 0
        sector = struct.pack(
            "<3s8sHBHBHHBHHHII", b"\xeb\x3c\x90", b"weft    ", self.sector_size, self.per_cluster, 1, 2, _ROOT_ENTRIES,
            small, 0xF8, self.fat_sectors, 32, 64, self.hidden, 0 if small else self.sectors,
        )  # fmt: skip
        sector += struct.pack("<BBBI11s8s", 0x80, 0, 0x29, self.serial, _label(self.label), b"FAT%d   " % self.bits)
        return sector.ljust(510, b"\0") + b"\x55\xaa" + b"\0" * (self.sector_size - 512)


def _label(label: str) -> bytes:
    return label.encode("ascii")[:11].ljust(11)


def _short(name: str, taken: t.Set[bytes]) -> bytes:
    """Return an alias in the old format that no other file of the directory has."""
    stem, _dot, extension = name.upper().partition(".")
    stem, extension = (
        "".join(c for c in part if c.isascii() and (c.isalnum() or c == "_")) for part in (stem, extension)
    )
    for number in range(1, 1000):
        tail = "~%d" % number
        short = (stem[: 8 - len(tail)] + tail).ljust(8) + extension[:3].ljust(3)
        if short.encode("ascii") not in taken:
            taken.add(short.encode("ascii"))
            return short.encode("ascii")
    raise FabricError("there are too many files with names like %s" % name)


def _long_entries(name: str, short: bytes) -> bytes:
    check = 0
    for byte in short:
        check = ((check >> 1) | ((check & 1) << 7)) + byte & 0xFF
    units = name.encode("utf-16-le")
    if len(units) % 26:
        units += b"\0\0"
    parts = [units[start : start + 26].ljust(26, b"\xff") for start in range(0, len(units), 26)]
    listed = b""
    for index in range(len(parts) - 1, -1, -1):
        part, order = parts[index], index + 1 + (0x40 if index == len(parts) - 1 else 0)
        listed += struct.pack("<B10sBBB12sH4s", order, part[:10], _LONG, 0, check, part[10:22], 0, part[22:])
    return listed


class Volume(object):
    """A file system that is there. What it says of itself is not trusted: it may be a tenant's."""

    def __init__(self, read: Reader):
        self._read = read
        sector = read(0, 512)
        if len(sector) < 512 or sector[510:512] != b"\x55\xaa":
            raise FabricError("there is no FAT file system")
        (size, per_cluster, reserved, fats, root_entries, small, _media, fat16) = struct.unpack_from(
            "<HBHBHHBH", sector, 11
        )
        large, fat32 = struct.unpack_from("<I", sector, 32)[0], struct.unpack_from("<I", sector, 36)[0]
        sectors, fat = small or large, fat16 or fat32
        if size not in (512, 1024, 2048, 4096) or not per_cluster or not reserved or not fat or fats not in (1, 2):
            raise FabricError("there is no FAT file system")
        self._cluster_size = size * per_cluster
        self._fat_at = reserved * size
        self._root_at = (reserved + fats * fat) * size
        self._root_size = root_entries * 32
        self._data_at = self._root_at + -(-self._root_size // size) * size
        self._clusters = (sectors * size - self._data_at) // self._cluster_size
        self._bits = 12 if self._clusters <= _FAT12 else 16 if self._clusters <= _FAT16 else 32
        self._root = struct.unpack_from("<I", sector, 44)[0] if self._bits == 32 else 0
        told = sector[71:82] if self._bits == 32 else sector[43:54]
        self.label = told.decode("ascii", "replace").rstrip()

    def file(self, path: str) -> t.Optional[bytes]:
        """Return a file's content, or None when there is none of that name, in small or capital letters."""
        first, flags, length = self._root, _DIRECTORY, 0
        for part in path.split("/"):
            if not flags & _DIRECTORY:
                return None
            for name, one in self._list(first):
                if name.lower() == part.lower():
                    first, flags, length = one
                    break
            else:
                return None
        return None if flags & _DIRECTORY else self._chain(first, length)

    def _list(self, first: int) -> t.Iterator[t.Tuple[str, t.Tuple[int, int, int]]]:
        if first or self._bits == 32:
            content = self._chain(first, _MAX_ENTRIES * 32)
        else:
            content = self._read(self._root_at, min(self._root_size, _MAX_ENTRIES * 32))
        long = b""
        for start in range(0, len(content) - 31, 32):
            entry = content[start : start + 32]
            if not entry[0]:
                return
            if entry[0] == 0xE5:
                long = b""
            elif entry[11] == _LONG:
                long = entry[1:11] + entry[14:26] + entry[28:32] + long
            else:
                high, low, length = struct.unpack_from("<H", entry, 20)[0], *struct.unpack_from("<HI", entry, 26)
                stem, extension = (part.decode("ascii", "replace").rstrip() for part in (entry[:8], entry[8:11]))
                if not entry[11] & _LABEL:
                    short = stem + "." + extension if extension else stem
                    name = long.decode("utf-16-le", "replace").split("\0", 1)[0] or short
                    yield name, (high << 16 | low if self._bits == 32 else low, entry[11], length)
                long = b""

    def _chain(self, cluster: int, length: int) -> bytes:
        content, left = b"", min(length, _MAX_READ)
        # Each turn takes something from left, so that a circle has its end, too.
        while left > 0 and 2 <= cluster < self._clusters + 2:
            at = self._data_at + (cluster - 2) * self._cluster_size
            content += self._read(at, min(left, self._cluster_size))
            left -= self._cluster_size
            cluster = self._next(cluster)
        return content

    def _next(self, cluster: int) -> int:
        start = self._fat_at + cluster * self._bits // 8
        if self._bits == 32:
            return int.from_bytes(self._read(start, 4), "little") & 0x0FFFFFFF
        told = int.from_bytes(self._read(start, 2), "little")
        if self._bits == 16:
            return told
        return told >> 4 if cluster % 2 else told & 0xFFF
