# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the deploy ramdisk: packages, unpacked; a tree that boots; an archive of it, compressed."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import tempfile
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import command, debian_sources, newc, ramdisk_tree
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.ramdisk_recipe import Recipe

KERNEL = "vmlinuz"
INITRD = "initrd"
MANIFEST = "manifest.json"

# Program -> Debian package.
TOOLS = {"apt-config": "apt", "depmod": "kmod", "lz4": "lz4", "mmdebstrap": "mmdebstrap"}

# What a program may take, in seconds: a mirror may be slow.
LIMIT = 1800.0
_SCRATCH = ".weft-building-"
_PACKAGES_FILE = "weft-packages"
_MERGED = ("bin", "lib", "lib64", "sbin")
_NEVER_UNPACKED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
# Linux takes zeros for the end of a legacy LZ4 stream, and wants the next archive at a multiple of four.
_ALIGNMENT = 512


def build(recipe: Recipe, directory: str) -> None:
    """Build the ramdisk, and put its files into a directory, the manifest last."""
    check_machine()
    for stale in glob.glob(os.path.join(directory, _SCRATCH + "*")):
        shutil.rmtree(stale)
    scratch = tempfile.mkdtemp(prefix=_SCRATCH, dir=directory)
    try:
        root = os.path.join(scratch, "root")
        packages = unpack(recipe, root, os.path.join(directory, "build.log"))
        version = _take_kernel(root, os.path.join(scratch, KERNEL))
        if ramdisk_tree.furnish(root) != version:
            raise FabricError("the kernel and its modules are of two versions: %s" % version)
        unpacked = ramdisk_tree.size(root)
        pack(root, os.path.join(scratch, INITRD))
        manifest = {
            "version": recipe.version(),
            "release": recipe.release,
            "kernel": version,
            "packages": packages,
            "unpacked": unpacked,
            "inputs": recipe.inputs(),
            "files": {name: describe(os.path.join(scratch, name)) for name in (KERNEL, INITRD)},
        }
        install(scratch, directory, manifest)
    finally:
        shutil.rmtree(scratch)


def check_machine() -> None:
    """Raise FabricError unless the ramdisk can be built here."""
    if os.uname().machine != "x86_64":
        raise FabricError("the deploy ramdisk is built on x86_64, for x86_64; this machine is %s" % os.uname().machine)
    missing = {package for tool, package in TOOLS.items() if not shutil.which(tool)}
    if not os.path.exists(debian_sources.KEYRING):
        missing.add("debian-archive-keyring")
    if missing:
        raise FabricError(
            "missing on this machine: %s. Install with: apt-get install %s"
            % (", ".join(sorted(missing)), " ".join(sorted(missing)))
        )


def unpack_command(recipe: Recipe, root: str, sources: t.Sequence[str], options: t.Sequence[str]) -> t.List[str]:
    """Return the words of mmdebstrap."""
    merge = "; ".join('mkdir -p "$1/usr/%s"; ln -s usr/%s "$1/%s"' % (name, name, name) for name in _MERGED)
    return (
        # Nothing is run inside the tree, so that no chroot and no user namespace is needed.
        ["mmdebstrap", "--mode=%s" % ("root" if os.geteuid() == 0 else "chrootless"), "--variant=extract"]
        + ["--format=directory", "--architectures=amd64", "--keyring=" + debian_sources.KEYRING]
        + ["--include=" + ",".join(recipe.all_packages())]
        + ["--dpkgopt=path-exclude=" + pattern for pattern in _NEVER_UNPACKED]
        + ["--aptopt=" + option for option in options]
        + ["--setup-hook=" + merge]
        + ['--extract-hook=ls "$1/var/cache/apt/archives" > "$1/%s"' % _PACKAGES_FILE]
        + [recipe.release, root]
        + list(sources)
    )


def unpack(recipe: Recipe, root: str, log: str) -> t.Dict[str, str]:
    """Fetch and unpack the packages. Return {name: version} of them."""
    options = debian_sources.fetch_options(command.run(["apt-config", "dump"]).stdout)
    sources = debian_sources.source_lines(recipe.release, recipe.components)
    words = unpack_command(recipe, root, sources, options)
    done = command.run(words)
    with open(log, "w", encoding="utf-8") as stream:
        stream.write(done.stdout + done.stderr)
    if done.returncode:
        last = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()][-6:]
        raise FabricError(
            "mmdebstrap failed with exit code %d; the log is %s: %s" % (done.returncode, log, " | ".join(last))
        )
    return _packages(os.path.join(root, _PACKAGES_FILE))


def _packages(path: str) -> t.Dict[str, str]:
    found: t.Dict[str, str] = {}
    with open(path, "r", encoding="utf-8") as stream:
        for line in stream:
            name, version, _architecture = (line.strip().rsplit(".deb", 1)[0].split("_") + ["", ""])[:3]
            if version:
                found[name] = version.replace("%3a", ":")
    os.unlink(path)
    return dict(sorted(found.items()))


def _take_kernel(root: str, target: str) -> str:
    """Move the kernel out of the tree, and return its version."""
    found = sorted(glob.glob(os.path.join(root, "boot", "vmlinuz-*")))
    if len(found) != 1:
        raise FabricError("the packages bring %d kernels where one is needed" % len(found))
    shutil.move(found[0], target)
    os.chmod(target, 0o644)
    return os.path.basename(found[0])[len("vmlinuz-") :]


def pack(root: str, target: str) -> None:
    """Make a compressed archive of a tree."""
    plain = target + ".cpio"
    with open(plain, "wb") as stream:
        writer = newc.Writer(stream)
        # What the kernel opens before /init has mounted anything.
        writer.directory("dev")
        writer.character_device("dev/console", 5, 1)
        writer.tree(root)
        writer.end()
    # The old format of LZ4 is the one that Linux reads, and the fastest for it to unpack.
    done = command.run(["lz4", "-l", "-9", "-q", "-f", plain, target])
    if done.returncode:
        raise FabricError("lz4 failed with exit code %d: %s" % (done.returncode, done.stderr.strip()))
    with open(target, "ab") as stream:
        stream.write(b"\0" * (4 + -(stream.tell() + 4) % _ALIGNMENT))


def describe(path: str) -> t.Dict[str, t.Any]:
    """Return the size and the checksum of a file."""
    total = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1024 * 1024), b""):
            total.update(block)
    return {"size": os.path.getsize(path), "sha256": total.hexdigest()}


def install(scratch: str, directory: str, manifest: t.Dict[str, t.Any]) -> None:
    """Put the files in their place. Without a manifest, a killed run leaves none that seems whole."""
    with open(os.path.join(scratch, MANIFEST), "w", encoding="utf-8") as stream:
        json.dump(manifest, stream, indent=2, sort_keys=True)
        stream.write("\n")
    if os.path.exists(os.path.join(directory, MANIFEST)):
        os.unlink(os.path.join(directory, MANIFEST))
    for name in (KERNEL, INITRD, MANIFEST):
        path = os.path.join(scratch, name)
        with open(path, "rb") as stream:
            os.fsync(stream.fileno())
        os.chmod(path, 0o644)
        os.rename(path, os.path.join(directory, name))
