# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives that Linux unpacks at boot, read back with cpio."""

from __future__ import annotations

import io
import os
import stat
import subprocess
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import newc


def listing(archive: bytes) -> list[str]:
    words = ["cpio", "--list", "--verbose", "--numeric-uid-gid", "--quiet"]
    done = subprocess.run(words, input=archive, capture_output=True, check=True, env={"TZ": "UTC", "PATH": os.defpath})
    return [" ".join(line.split()) for line in done.stdout.decode().splitlines()]


def unpack(archive: bytes, target: Path) -> None:
    target.mkdir()
    words = ["cpio", "--extract", "--make-directories", "--quiet", "--no-absolute-filenames"]
    subprocess.run(words, input=archive, cwd=target, check=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "etc/ssh").mkdir(parents=True)
    (root / "etc/ssh").chmod(0o700)
    (root / "etc/empty").touch()
    (root / "etc/odd").write_bytes(b"odd")
    (root / "init").write_bytes(os.urandom(3_000_001))
    (root / "init").chmod(0o755)
    (root / "sbin").symlink_to("usr/sbin")
    os.link(root / "init", root / "again")
    return root


def packed(root: Path) -> bytes:
    stream = io.BytesIO()
    writer = newc.Writer(stream)
    writer.tree(str(root))
    writer.end()
    return stream.getvalue()


def test_a_tree_comes_back_as_it_was(tree: Path, tmp_path: Path) -> None:
    unpack(packed(tree), tmp_path / "back")

    back = tmp_path / "back"
    for path in sorted(tree.rglob("*")):
        twin = back / path.relative_to(tree)
        assert stat.filemode(twin.lstat().st_mode) == stat.filemode(path.lstat().st_mode), path
        if path.is_symlink():
            assert twin.readlink() == path.readlink()
        elif path.is_file():
            assert twin.read_bytes() == path.read_bytes()
    assert len(list(back.rglob("*"))) == len(list(tree.rglob("*")))


def test_the_content_of_a_file_with_two_names_is_there_once(tree: Path, tmp_path: Path) -> None:
    archive = packed(tree)
    unpack(archive, tmp_path / "back")

    assert len(archive) < 3_100_000
    assert (tmp_path / "back/again").stat().st_ino == (tmp_path / "back/init").stat().st_ino


def test_all_is_roots_and_of_no_time(tree: Path) -> None:
    for path in (tree, tree / "init"):
        os.chown(path, 1234, 1234) if os.geteuid() == 0 else None

    assert all(line.split()[2:4] == ["0", "0"] for line in listing(packed(tree)))
    assert all("1970" in line for line in listing(packed(tree)))


def test_nothing_makes_anybody_root(tree: Path) -> None:
    (tree / "init").chmod(0o6755)
    (tree / "etc/ssh").chmod(0o1777)
    modes = {line.split()[-1]: line.split()[0] for line in listing(packed(tree))}

    assert modes["init"] == modes["again"] == "-rwxr-xr-x"
    assert modes["etc/ssh"] == "drwxrwxrwt"


def test_the_same_tree_gives_the_same_bytes(tree: Path) -> None:
    before = packed(tree)
    (tree / "etc/odd").write_bytes(b"odd")
    os.utime(tree / "init")

    assert packed(tree) == before


def test_devices_need_no_privilege() -> None:
    stream = io.BytesIO()
    writer = newc.Writer(stream)
    writer.character_device("dev/console", 5, 1)
    writer.end()

    assert listing(stream.getvalue()) == ["crw------- 1 0 0 5, 1 Jan 1 1970 dev/console"]


def test_archives_may_follow_each_other() -> None:
    """As the node's identity follows the ramdisk: each ends at a multiple of four."""
    for length in range(6):
        stream = io.BytesIO()
        writer = newc.Writer(stream)
        writer.file("f", b"x" * length)
        writer.end()
        assert len(stream.getvalue()) % 4 == 0
        assert writer.size == len(stream.getvalue())
