# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From packages that were unpacked, and not installed, to a tree that boots.

No script of a package runs, so nothing has to be mounted, and no root is needed: what those scripts would have done and
a ramdisk needs is done here.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import command, ramdisk_kernel
from ansible_collections.weft.fabric.plugins.module_utils import ramdisk_recipe as recipe
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.ramdisk_programs import programs

_CERTIFICATES = "usr/share/ca-certificates"
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"


def furnish(root: str) -> str:
    """Make a tree of unpacked packages one that boots. Return the version of its kernel."""
    version = ramdisk_kernel.only_version(root)
    bundle = _certificates(root)
    leave_out(root)
    ramdisk_kernel.prune(root, version)
    for name, mode in recipe.DIRECTORIES.items():
        os.makedirs(os.path.join(root, name), exist_ok=True)
        os.chmod(os.path.join(root, name), mode)
    for name, aim in recipe.LINKS.items():
        _link(os.path.join(root, name), aim)
    for name, text in recipe.FILES.items():
        _write(os.path.join(root, name), text, 0o644)
    for name, text in programs().items():
        _write(os.path.join(root, name.lstrip("/")), text, 0o755)
    _write(os.path.join(root, _BUNDLE), bundle, 0o644)
    compile_python(root)
    check_programs(root)
    return version


def _certificates(root: str) -> str:
    """Return the authorities that HTTPS servers are checked with, one after the other."""
    top = pathlib.Path(root, _CERTIFICATES)
    return "".join(path.read_text(encoding="utf-8") for path in sorted(top.rglob("*.crt")))


def leave_out(root: str) -> None:
    """Remove what no node needs."""
    top = pathlib.Path(root)
    kept = {top / name for name in recipe.KEPT}
    for pattern in recipe.LEFT_OUT:
        for path in sorted(top.glob(pattern)):
            if path in kept:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(str(path))
            else:
                path.unlink()


def loader(root: str) -> t.List[str]:
    """Return the words that run one of the tree's own programs here, with the tree's libraries.

    So the tree's Python compiles for itself, whatever Python the machine has.
    """
    found = sorted(pathlib.Path(root, "usr/lib").glob("*-linux-gnu/ld-linux-*"))
    if not found:
        raise FabricError("the tree %s has no dynamic loader: its packages were not unpacked as they should be" % root)
    return [str(found[0]), "--library-path", str(found[0].parent)]


def compile_python(root: str) -> None:
    """Compile Python's library, so that no program does it each time that it starts.

    The compiled files are taken without a look at the source: who boots gets both from one archive.
    """
    libraries = [str(path) for path in sorted(pathlib.Path(root, "usr/lib").glob("python3*")) if path.is_dir()]
    python = os.path.realpath(os.path.join(root, "usr/bin/python3"))
    words = ["env", "-i", "PYTHONHOME=" + os.path.join(root, "usr")] + loader(root) + [python, "-S", "-m", "compileall"]
    words += ["-q", "--invalidation-mode", "unchecked-hash", "-s", root, "-p", "/"] + libraries
    done = command.run(words)
    if done.returncode:
        raise FabricError("Python's library could not be compiled: %s" % (done.stderr or done.stdout).strip()[-500:])


def check_programs(root: str) -> None:
    """Raise FabricError unless all programs are there with all their libraries."""
    missing: t.List[str] = []
    start = loader(root)
    for name in recipe.PROGRAMS:
        path = os.path.join(root, name)
        if not os.path.exists(path):
            missing.append("%s is not there" % name)
            continue
        done = command.run(start + ["--list", path])
        missing += ["%s: %s" % (name, line.strip()) for line in done.stdout.splitlines() if "not found" in line]
        if done.returncode and not missing:
            missing.append("%s: %s" % (name, done.stderr.strip()))
    if missing:
        raise FabricError(
            "the deploy ramdisk would be incomplete: %s. Choose a release that has these programs (bookworm, trixie), "
            "or add packages." % "; ".join(missing[:5])
        )


def size(root: str) -> int:
    """Return how many bytes a tree takes in memory."""
    total = 0
    seen = set()
    for parent, _directories, names in os.walk(root):
        for name in names:
            found = os.lstat(os.path.join(parent, name))
            if found.st_ino not in seen:
                seen.add(found.st_ino)
                total += -(-found.st_size // 4096) * 4096
    return total


def _link(path: str, aim: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(aim, path)


def _write(path: str, text: str, mode: int) -> None:
    if os.path.lexists(path):
        os.unlink(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.chmod(path, mode)
