# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the first bytes of an image tell, before any of them is written: whether it is one, and how large it is."""

from __future__ import annotations

import re
import struct
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

FORMATS = ("raw", "raw.gz", "raw.zst", "qcow2")

#: so many of the first bytes are wanted
HEAD = 4096

_MAGIC = {"raw.gz": b"\x1f\x8b\x08", "raw.zst": b"\x28\xb5\x2f\xfd", "qcow2": b"QFI\xfb"}
_DIGITS = {"sha256": 64, "sha512": 128}

#: the programs that unpack, from standard input to standard output
UNPACKERS = {"raw.gz": ["gzip", "-dc"], "raw.zst": ["zstd", "-dcq"]}


def checksum(told: str) -> t.Tuple[str, str]:
    """Return the algorithm and the digits of a checksum."""
    algorithm, _colon, digits = told.strip().partition(":")
    digits = digits.lower()
    if len(digits) != _DIGITS.get(algorithm) or not re.match("^[0-9a-f]+$", digits):
        raise FabricError(
            "the image's checksum %s is none: it is sha256: and 64 hexadecimal digits, or sha512: and 128" % told
        )
    return algorithm, digits


def check_head(head: bytes, form: str) -> None:
    """Fail when a file does not begin as its format does."""
    magic = _MAGIC.get(form)
    if magic is not None:
        if not head.startswith(magic):
            raise FabricError("it is no %s file, but %s" % (form, looks_like(head)))
    elif head[510:512] != b"\x55\xaa":
        raise FabricError("it is no raw image of a disk that boots, but %s" % looks_like(head))


def looks_like(head: bytes) -> str:
    """Return what a file is that is not what it should be."""
    start = head.lstrip()[:256].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head")):
        return "a web page, such as servers send when something went wrong"
    for form, magic in _MAGIC.items():
        if head.startswith(magic):
            return "a file of format %s" % form
    if head[:6] == b"\xfd7zXZ\0":
        return "a file of format xz"
    if head[:4] == b"PK\3\4":
        return "a zip archive"
    return "begins with %s" % (head[:16].hex(" ") if head else "nothing, it is empty")


def unpacked_size(head: bytes, form: str, total: t.Optional[int]) -> t.Optional[int]:
    """Return how large the image is when it is unpacked, at least; None when that is not told at its beginning."""
    if form == "raw":
        return total
    if form == "raw.zst":
        return _zstd_size(head)
    if form == "qcow2" and len(head) >= 32:
        return int(struct.unpack(">Q", head[24:32])[0])
    return None


def _zstd_size(head: bytes) -> t.Optional[int]:
    """Return what the first frame says of itself (RFC 8878, 3.1.1.1)."""
    if len(head) < 18:
        return None
    flags = head[4]
    single = flags >> 5 & 1
    start = 5 + (0 if single else 1) + (0, 1, 2, 4)[flags & 3]
    length = (1 if single else 0, 2, 4, 8)[flags >> 6]
    if not length:
        return None
    return int.from_bytes(head[start : start + length], "little") + (256 if length == 2 else 0)


def check_qcow2(head: bytes) -> None:
    """Fail when an image wants other files to be read, which may be any of this machine."""
    if len(head) < 104:
        raise FabricError("it is no whole qcow2 file")
    version, backing = struct.unpack(">IQ", head[4:16])
    features = struct.unpack(">Q", head[72:80])[0] if version >= 3 else 0
    if version not in (2, 3):
        raise FabricError("it is qcow2 of version %d, and 2 and 3 are known" % version)
    if backing:
        raise FabricError("it is based on another file (backing file). Convert it to one that stands alone")
    if features & 4:
        raise FabricError("its data is in another file. Convert it to one that stands alone")
    if struct.unpack(">I", head[32:36])[0]:
        raise FabricError("it is encrypted")
