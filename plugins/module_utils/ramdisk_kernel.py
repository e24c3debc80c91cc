# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a kernel's modules the deploy ramdisk keeps: those for disks, network cards and BMCs, and what they need."""

from __future__ import annotations

import fnmatch
import os
import posixpath
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import command
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

#: Patterns of module files below kernel/. What they depend on is kept as well.
KEPT = (
    # network cards, and what they are plugged into
    "drivers/net/ethernet/*",
    "drivers/net/hyperv/*",
    "drivers/net/mdio/*",
    "drivers/net/phy/*",
    "drivers/net/vmxnet3/*",
    "drivers/net/virtio_net.ko*",
    "drivers/net/xen-netfront.ko*",
    "drivers/net/bonding/*",
    "net/8021q/*",
    # disks and their controllers
    "drivers/ata/*",
    "drivers/block/*",
    "drivers/cdrom/*",
    "drivers/dax/*",
    "drivers/md/*",
    "drivers/message/*",
    "drivers/mmc/*",
    "drivers/nvdimm/*",
    "drivers/nvme/host/*",
    "drivers/scsi/*",
    "drivers/usb/host/*",
    "drivers/usb/storage/*",
    # buses, also of virtual machines
    "drivers/hv/hv_*",
    "drivers/pci/*",
    "drivers/virtio/*",
    # the BMC, the power button, random numbers
    "drivers/acpi/*",
    "drivers/char/hw_random/*",
    "drivers/char/ipmi/*",
    "drivers/input/evdev.ko*",
    # file systems that an image may have, and their character sets
    "fs/btrfs/*",
    "fs/efivarfs/*",
    "fs/ext4/*",
    "fs/fat/*",
    "fs/isofs/*",
    "fs/nls/nls_ascii.ko*",
    "fs/nls/nls_cp437.ko*",
    "fs/nls/nls_iso8859-1.ko*",
    "fs/nls/nls_utf8.ko*",
    "fs/xfs/*",
    # found by name at run time, so that no dependency tells of them
    "arch/x86/crypto/*",
    "crypto/*",
    "lib/*",
)

#: Of those, what a node that is written never needs.
DROPPED = (
    "drivers/block/drbd/*",
    "drivers/scsi/*debug*",
    "crypto/*test*",
    "lib/*test*",
)


def versions(root: str) -> t.List[str]:
    """Return the versions of the kernels in a tree."""
    directory = os.path.join(root, "usr/lib/modules")
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []


def only_version(root: str) -> str:
    """Return the version of the one kernel in a tree."""
    found = versions(root)
    if len(found) != 1:
        raise FabricError(
            "the tree has %s where one kernel was expected: choose a package that brings exactly one "
            "(linux-image-amd64, linux-image-cloud-amd64)" % (", ".join(found) or "no kernel")
        )
    return found[0]


def module_files(root: str, version: str) -> t.List[str]:
    """Return the module files of a kernel, as paths below its directory."""
    top = os.path.join(root, "usr/lib/modules", version)
    found = []
    for parent, _directories, names in os.walk(os.path.join(top, "kernel")):
        found += [os.path.relpath(os.path.join(parent, name), top) for name in names if ".ko" in name]
    return sorted(found)


def parse_dependencies(text: str) -> t.Dict[str, t.List[str]]:
    """Return {module file: the files it needs} of a modules.dep."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name: needs.split() for name, _colon, needs in pairs}


def matches(path: str, patterns: t.Sequence[str]) -> bool:
    """Tell whether a module file is meant by one of the patterns."""
    relative = posixpath.relpath(path, "kernel")
    return any(fnmatch.fnmatchcase(relative, pattern) for pattern in patterns)


def kept(files: t.Iterable[str], needs: t.Dict[str, t.List[str]]) -> t.Set[str]:
    """Return the module files to keep."""
    found: t.Set[str] = set()
    waiting = [path for path in files if matches(path, KEPT) and not matches(path, DROPPED)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(needs.get(path, []))
    return found


def prune(root: str, version: str) -> int:
    """Remove the modules that are not needed, and index the others. Return how many are left."""
    depmod(root, version)
    top = os.path.join(root, "usr/lib/modules", version)
    with open(os.path.join(top, "modules.dep"), "r", encoding="utf-8") as stream:
        needs = parse_dependencies(stream.read())
    files = module_files(root, version)
    wanted = kept(files, needs)
    for path in files:
        if path not in wanted:
            os.unlink(os.path.join(top, path))
    depmod(root, version)
    return len(wanted)


def depmod(root: str, version: str) -> None:
    """Write the indices that modprobe reads."""
    done = command.run(["depmod", "-b", os.path.join(root, "usr"), version])
    if done.returncode:
        done = command.run(["depmod", "-b", root, version])
    if done.returncode:
        raise FabricError("depmod failed for kernel %s: %s" % (version, done.stderr.strip()))
