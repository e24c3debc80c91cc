# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of this machine, as the kernel shows them: a few small files are read, and no program is run."""

from __future__ import annotations

import contextlib
import os
import struct
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

#: what is known of a disk, in the names that root device hints have
Facts = t.Dict[str, t.Any]

# No disks of the machine, though block devices: memory, drives, and what is made of other disks.
_OTHERS = ("ram", "zram", "sr", "fd", "dm-", "md", "nbd", "drbd", "zd", "bcache")

# Disks only for who names them.
_NAMED_ONLY = ("loop",)


class Places(object):
    """Where the kernel and udev show things. Tests have places of their own."""

    def __init__(self, sys: str = "/sys", dev: str = "/dev", udev: str = "/run/udev/data", proc: str = "/proc"):
        self.sys = sys
        self.dev = dev
        self.udev = udev
        self.proc = proc


def text(*path: str) -> str:
    """Return what stands in a small file, or nothing."""
    try:
        with open(os.path.join(*path), "rb") as stream:
            return stream.read(4096).decode("utf-8", "replace").strip("\0 \n\t")
    except OSError:
        return ""


def number(*path: str) -> int:
    """Return the number in a small file, or 0."""
    try:
        return int(text(*path))
    except ValueError:
        return 0


def disks(places: Places) -> t.List[Facts]:
    """Return all disks, those that cannot be written, too."""
    try:
        names = os.listdir(os.path.join(places.sys, "block"))
    except OSError as error:
        raise FabricError("the kernel's list of disks cannot be read: %s" % error) from error
    found = [_facts(places, name) for name in sorted(names) if not name.startswith(_OTHERS)]
    return [disk for disk in found if disk["size"]]


def _facts(places: Places, name: str) -> Facts:
    base = os.path.join(places.sys, "block", name)
    udev = _udev(places, text(base, "dev"))
    links = sorted(
        link for link in udev["links"] if link.startswith(("/dev/disk/by-path/", "/dev/disk/by-id/"))
    ) or _links(places, name)
    model = text(base, "device", "model") or udev.get("ID_MODEL", "")
    # Nine characters are what ATA's disks tell as vendor, and udev knows better.
    vendor = text(base, "device", "vendor") or udev.get("ID_VENDOR", "")
    return {
        "name": "/dev/" + name.replace("!", "/"),
        "device": os.path.join(places.dev, name.replace("!", "/")),
        "size": number(base, "size") * 512,
        "sector_size": number(base, "queue", "logical_block_size") or 512,
        "model": model,
        "vendor": "" if vendor.startswith("0x") else vendor,
        "serial": _serial(base, udev),
        "wwn": _wwn(base, udev),
        "rotational": text(base, "queue", "rotational") == "1",
        "removable": text(base, "removable") == "1",
        "read_only": text(base, "ro") == "1",
        "by_path": [link for link in links if "/by-path/" in link],
        "links": links,
        "named_only": name.startswith(_NAMED_ONLY),
        "discard": number(base, "queue", "discard_max_bytes") > 0,
        "holders": _listed(base, "holders"),
    }


def _listed(*path: str) -> t.List[str]:
    try:
        return sorted(os.listdir(os.path.join(*path)))
    except OSError:
        return []


def _udev(places: Places, numbers: str) -> t.Dict[str, t.Any]:
    """Return what udev has found out about a device, and the names it gave it."""
    found: t.Dict[str, t.Any] = {"links": []}
    for line in text_lines(os.path.join(places.udev, "b" + numbers)):
        kind, _colon, rest = line.partition(":")
        if kind == "S":
            found["links"].append("/dev/" + rest)
        elif kind == "E":
            key, _equals, value = rest.partition("=")
            found[key] = value.strip()
    return found


def text_lines(path: str) -> t.List[str]:
    """Return a file's lines, or none."""
    try:
        with open(path, "r", encoding="utf-8", errors="replace") as stream:
            return stream.read().splitlines()
    except OSError:
        return []


def _links(places: Places, name: str) -> t.List[str]:
    """Return a disk's names below /dev/disk, for when udev has left no notes."""
    found = []
    for kind in ("by-path", "by-id"):
        directory = os.path.join(places.dev, "disk", kind)
        for link in _listed(directory):
            with contextlib.suppress(OSError):
                if os.path.basename(os.readlink(os.path.join(directory, link))) == name:
                    found.append("/dev/disk/%s/%s" % (kind, link))
    return found


def _serial(base: str, udev: t.Mapping[str, str]) -> str:
    return (
        udev.get("ID_SCSI_SERIAL")
        or udev.get("ID_SERIAL_SHORT")
        or text(base, "serial")  # virtio
        or text(base, "device", "serial")  # NVMe
        or _page_80(os.path.join(base, "device", "vpd_pg80"))
        or udev.get("ID_SERIAL", "")
    )


def _page_80(path: str) -> str:
    """Return the serial number that a SCSI disk tells on its page 80."""
    try:
        with open(path, "rb") as stream:
            page = stream.read(260)
    except OSError:
        return ""
    if len(page) < 4:
        return ""
    length = struct.unpack(">H", page[2:4])[0]
    return page[4 : 4 + length].decode("ascii", "replace").strip("\0 ")


def _wwn(base: str, udev: t.Mapping[str, str]) -> str:
    told = udev.get("ID_WWN_WITH_EXTENSION") or udev.get("ID_WWN")
    if told:
        return told
    told = text(base, "wwid") or text(base, "device", "wwid")
    # naa.5000c500a1b2c3d4 is what everybody else writes as 0x5000c500a1b2c3d4.
    return "0x" + told[4:] if told.startswith("naa.") else told
