# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume with the lab's tiny image, exported by iSCSI from a tenant's machine."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

from .lab import Host
from .metal import public_key
from .plays import copy_to

IMAGES = Path("/var/cache/weft-fabric/images")
USER = "db"
#: where the image's partitions begin: the one with the kernel, the one with the root file system
BOOT_AT, ROOT_AT = 2 << 20, 34 << 20
_controls = itertools.count(1)


def make(directory: Path, images: Path = IMAGES) -> Path:
    """Return a copy of the tiny image that finds its root file system on a volume."""
    disk = directory / "volume.raw"
    _run("zstd", "-dqf", str(images / "tiny.raw.zst"), "-o", str(disk))
    _run("mcopy", "-i", f"{disk}@@{BOOT_AT}", str(images / "tiny.volume"), "::/volume")
    return disk


def make_for_lab(directory: Path) -> Path:
    """Return such a copy, packed, that lets the owner of the lab's key in."""
    disk, key = make(directory), directory / "authorized_keys"
    key.write_text(f"{public_key()}\n", encoding="utf-8")
    for words in ("mkdir /root/.ssh", f"write {key} /root/.ssh/authorized_keys"):
        _run("debugfs", "-w", "-R", words, f"{disk}?offset={ROOT_AT}")
    _run("zstd", "-qf", "-1", str(disk), "-o", f"{disk}.zst")
    return disk.with_name("volume.raw.zst")


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, stdin=subprocess.DEVNULL)


class Volume:
    """A file of a lab host, and the daemon that exports it from a namespace there."""

    def __init__(self, host: Host, namespace: str, address: str, packed: Path, password: str) -> None:
        self.host = host
        self.address = address
        self.iqn = f"iqn.2016-01.example:{namespace}"
        self._file = f"/var/lib/weft-t-{namespace}.raw"
        self._admin = f"tgtadm -C {next(_controls)} --lld iscsi"
        control = self._admin.split()[2]
        copy_to(host.name, packed, f"{self._file}.zst")
        host.run(f"zstd -dqf {self._file}.zst -o {self._file} && rm {self._file}.zst")
        host.run(f"ip netns exec {namespace} tgtd -C {control} --iscsi portal={address}:3260")
        # It comes up in the background.
        host.run(f"for turn in $(seq 100); do {self._admin} --op show --mode target && break; sleep 0.1; done")
        for words in (
            f"--op new --mode target --tid 1 -T {self.iqn}",
            f"--op new --mode logicalunit --tid 1 --lun 1 -b {self._file}",
            f"--op new --mode account --user {USER} --password {password}",
            f"--op bind --mode account --tid 1 --user {USER}",
            "--op bind --mode target --tid 1 -I ALL",
        ):
            host.run(f"{self._admin} {words}")

    def digest(self) -> str:
        """Return the checksum of what is on it."""
        return self.host.run(f"sync; sha256sum {self._file}").split()[0]

    def sessions(self) -> str:
        """Return who is logged in."""
        return self.host.run(f"{self._admin} --op show --mode conn --tid 1")

    def close(self) -> None:
        self.host.run(
            f"{self._admin} --op delete --mode target --tid 1 --force; {self._admin} --op delete --mode system"
        )
        self.host.run(f"rm -f {self._file}")
