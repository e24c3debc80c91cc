# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a boot server has of what nodes fetch, and what it lacks: the ramdisk, and images.

One command tells what it has, and one puts in place what was copied. An image's name says what is in it, and a
ramdisk's manifest what is in the ramdisk, so that nothing of that has to be read again. Nothing is asked here.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import typing as t
from dataclasses import dataclass

Item = t.Mapping[str, t.Any]

KERNEL, INITRD, MANIFEST = "vmlinuz", "initrd", "manifest.json"
RAMDISK, IMAGES = "ramdisk", "images"
LOCAL = "file://"

_LOOK = """cd -- {directory} 2>/dev/null && [ -d {ramdisk} ] && [ -d {images} ] || {{ echo absent; exit 0; }}
echo there
stat -f -c '%a %S' .
sha256sum < {ramdisk}/{manifest} 2>/dev/null || echo none
ls -1 {images}"""


class PayloadProblem(Exception):
    """It cannot be had, with what to do about it."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a boot server has."""

    #: bytes that there is room for
    room: int
    #: digest of the manifest
    ramdisk: str
    images: frozenset[str]


@dataclass(frozen=True, slots=True)
class Transfer:
    """A file of this machine, and what it is called below the boot server's directory."""

    source: str
    target: str
    #: what the file must be, as ALGORITHM:DIGEST; empty where nobody says
    checksum: str = ""

    @property
    def size(self) -> int:
        return os.path.getsize(self.source)

    def found(self) -> str:
        """Return the checksum that the file has."""
        algorithm = self.checksum.partition(":")[0]
        with open(self.source, "rb") as stream:
            return f"{algorithm}:{hashlib.file_digest(stream, algorithm).hexdigest()}"


def look(directory: str) -> str:
    """Return the command that tells what a boot server has."""
    words = {"ramdisk": RAMDISK, "images": IMAGES, "manifest": MANIFEST}
    return _LOOK.format(directory=shlex.quote(directory), **words)


def parse(answer: str, directory: str) -> Served:
    """Return what the command has told."""
    lines = answer.splitlines()
    if lines[:1] != ["there"] or len(lines) < 3:
        raise PayloadProblem(f"{directory} is not there: weft.fabric.site makes the boot server first")
    blocks, size = lines[1].split()
    return Served(int(blocks) * int(size), lines[2].split()[0], frozenset(lines[3:]))


def ramdisk_transfers(served: Served, ramdisk: str) -> list[Transfer]:
    """Return what is to be copied of the ramdisk: all of it, or nothing. What says which one it is comes last."""
    manifest = os.path.join(ramdisk, MANIFEST)
    try:
        with open(manifest, "rb") as stream:
            digest = hashlib.sha256(stream.read()).hexdigest()
    except FileNotFoundError:
        raise PayloadProblem(
            f"there is no ramdisk in {ramdisk}: build it with weft.fabric.ramdisk_build, or say with "
            "node_ramdisk_directory where it is"
        ) from None
    if digest == served.ramdisk:
        return []
    return [Transfer(os.path.join(ramdisk, name), f"{RAMDISK}/{name}") for name in (KERNEL, INITRD, MANIFEST)]


def image_transfers(served: Served, images: t.Iterable[Item]) -> list[Transfer]:
    """Return the images to be copied that this machine has."""
    return [
        Transfer(image["url"].removeprefix(LOCAL), f"{IMAGES}/{image['served']}", image["checksum"])
        for image in images
        if image["url"].startswith(LOCAL) and image["served"] not in served.images
    ]


def elsewhere(served: Served, images: t.Iterable[Item]) -> list[Item]:
    """Return the images that the boot server lacks, and has to fetch by itself."""
    return [one for one in images if not one["url"].startswith(LOCAL) and one["served"] not in served.images]


def check(transfers: t.Sequence[Transfer], served: Served, directory: str) -> None:
    """Fail for what cannot be copied, before anything is."""
    sizes = []
    for one in transfers:
        try:
            sizes.append(one.size)
        except OSError as error:
            raise PayloadProblem(f"{one.source}, which nodes are to fetch, cannot be read: {error.strerror}") from error
    if sum(sizes) > served.room:
        raise PayloadProblem(
            f"{directory} has room for {served.room >> 20} MiB, and {sum(sizes) >> 20} MiB are to be copied there. "
            "Remove images from it that no server of the topology has"
        )
    for one in transfers:
        # It would be served for good under the name of what it is not.
        if one.checksum and (found := one.found()) != one.checksum:
            raise PayloadProblem(f"{one.source} has checksum {found}, and the topology says {one.checksum}")


def place(directory: str, staged: t.Sequence[tuple[str, Transfer]]) -> str:
    """Return the command that puts what was copied in its place: whole, or not at all."""
    targets = [f"{directory.rstrip('/')}/{one.target}" for _copy, one in staged]
    lines = ["set -e"]
    # Whatever ends this, also a disk that is full, no part of a file stays.
    lines.append(f"trap {shlex.quote('rm -f -- ' + ' '.join(shlex.quote(one + '.new') for one in targets))} EXIT")
    for (copy, _one), target in zip(staged, targets, strict=True):
        lines.append(f"install -m 0644 -- {shlex.quote(copy)} {shlex.quote(target + '.new')}")
        lines.append(f"rm -f -- {shlex.quote(copy)}")
    manifest = [target for target in targets if os.path.basename(target) == MANIFEST]
    # Should this be ended half-way, no manifest says that the ramdisk is whole.
    lines += [f"rm -f -- {shlex.quote(target)}" for target in manifest]
    lines += [f"mv -f -- {shlex.quote(target + '.new')} {shlex.quote(target)}" for target in targets]
    return "\n".join(lines)
