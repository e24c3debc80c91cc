# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry of UEFI's boot menu for a disk that was written.

The variables are files below efivars; there is one entry of ours, and it is the first.
"""

from __future__ import annotations

import os
import platform
import struct
import typing as t
import uuid

from ansible_collections.weft.fabric.plugins.module_utils.disk_fat import Volume
from ansible_collections.weft.fabric.plugins.module_utils.disk_gpt import Partition
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

DESCRIPTION = "weft-fabric"

_VENDOR = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
_ATTRIBUTES = 7  # kept without power; for the firmware, and for systems that run
_LOADERS = {"x86_64": "BOOTX64.EFI", "aarch64": "BOOTAA64.EFI", "riscv64": "BOOTRISCV64.EFI"}


class BootMenu(object):
    """The entries of a machine's firmware."""

    def __init__(self, sys: str = "/sys"):
        self._directory = os.path.join(sys, "firmware", "efi", "efivars")

    def there(self) -> bool:
        """Return whether this machine was started by UEFI, and its variables can be reached."""
        return os.path.isdir(self._directory) and bool(os.listdir(self._directory))

    def is_first(self, partition: Partition) -> bool:
        """Return whether the first entry is ours, and for this partition."""
        order = self._order()
        return bool(order) and self._read("Boot%04X" % order[0]) == _entry(partition)

    def put_first(self, partition: Partition) -> None:
        """Make the one entry of ours, and let the firmware try it first. Others stay as they are."""
        ours = [number for number in self._numbers() if self._is_ours(number)]
        taken = set(self._numbers())
        chosen = ours[0] if ours else next(number for number in range(0xFFFF) if number not in taken)
        self._write("Boot%04X" % chosen, _entry(partition))
        rest = [number for number in self._order() if number not in ours and number != chosen]
        self._write("BootOrder", struct.pack("<%dH" % (len(rest) + 1), chosen, *rest))
        for number in ours[1:]:
            os.unlink(self._path("Boot%04X" % number))

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, "%s-%s" % (name, _VENDOR))

    def _read(self, name: str) -> bytes:
        try:
            with open(self._path(name), "rb") as stream:
                return stream.read()[4:]
        except OSError:
            return b""

    def _write(self, name: str, content: bytes) -> None:
        # One system call: the kernel gives each of them to the firmware.
        try:
            descriptor = os.open(self._path(name), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.write(descriptor, struct.pack("<I", _ATTRIBUTES) + content)
                if os.path.isfile("/proc/self/fd/%d" % descriptor) and os.fstat(descriptor).st_size > 4 + len(content):
                    os.ftruncate(descriptor, 4 + len(content))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise FabricError(
                "the firmware did not take its variable %s: %s. Where it has no place left, old entries can be deleted "
                "in its setup, or with efibootmgr" % (name, error.strerror)
            ) from error

    def _numbers(self) -> t.List[int]:
        found = []
        for name in sorted(os.listdir(self._directory)):
            number, _dash, vendor = name[4:].partition("-")
            if name.startswith("Boot") and vendor == _VENDOR and len(number) == 4:
                try:
                    found.append(int(number, 16))
                except ValueError:
                    pass  # BootOrder and the like have other lengths; who knows what else there is
        return found

    def _order(self) -> t.List[int]:
        told = self._read("BootOrder")
        return list(struct.unpack("<%dH" % (len(told) // 2), told[: len(told) // 2 * 2]))

    def _is_ours(self, number: int) -> bool:
        return self._read("Boot%04X" % number)[6:].startswith((DESCRIPTION + "\0").encode("utf-16-le"))


def loader() -> str:
    """Return the path at which firmware looks for what a disk boots."""
    name = _LOADERS.get(platform.machine())
    if name is None:
        raise FabricError("where UEFI looks for a boot loader is not known for %s" % platform.machine())
    return "EFI/BOOT/" + name


def check_esp(read: t.Callable[[int, int], bytes], partition: t.Optional[Partition], sector_size: int) -> None:
    """Fail when there is nothing that UEFI can start."""
    if partition is None:
        raise FabricError(
            "it has no EFI system partition, and this node boots by UEFI. Take another image, or boot_mode bios"
        )
    start = partition.first * sector_size
    try:
        found = Volume(lambda at, count: read(start + at, count)).file(loader())
    except FabricError:
        found = None
    if found is None:
        raise FabricError(
            "its EFI system partition has no %s, and this node boots by UEFI. Install the boot loader as removable "
            "(grub-install --removable), or take boot_mode bios" % loader()
        )


def _entry(partition: Partition) -> bytes:
    """Return a load option (UEFI specification, 3.1.3): this file on that partition."""
    disk = struct.pack(
        "<BBHIQQ16sBB", 4, 1, 42, partition.number, partition.first, partition.sectors,
        uuid.UUID(partition.guid).bytes_le, 2, 2,
    )  # fmt: skip
    name = ("\\" + loader().replace("/", "\\") + "\0").encode("utf-16-le")
    path = disk + struct.pack("<BBH", 4, 4, 4 + len(name)) + name + b"\x7f\xff\x04\0"
    return struct.pack("<IH", 1, len(path)) + (DESCRIPTION + "\0").encode("utf-16-le") + path
