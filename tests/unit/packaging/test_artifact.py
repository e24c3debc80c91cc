# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the built file carries: all that works at run time, and nothing of what makes and tests it."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath

import pytest

SHIPPED = {
    "CHANGELOG.rst",
    "FILES.json",
    "LICENSE",
    "MANIFEST.json",
    "README.md",
    "changelogs",
    "docs",
    "examples",
    "meta",
    "playbooks",
    "plugins",
    "roles",
    "templates",
}


@pytest.fixture(scope="module")
def shipped(root: Path, tmp_path_factory: pytest.TempPathFactory) -> set[PurePosixPath]:
    """Return the names of the files in the built archive."""
    target = tmp_path_factory.mktemp("dist")
    home = tmp_path_factory.mktemp("home")
    subprocess.run(
        [sys.executable, "-m", "ansible", "galaxy", "collection", "build", "--output-path", str(target)],
        cwd=root,
        env={**os.environ, "ANSIBLE_HOME": str(home)},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    (archive,) = target.glob("weft-fabric-*.tar.gz")
    with tarfile.open(archive) as tar:
        return {PurePosixPath(member.name) for member in tar.getmembers() if member.isfile()}


def test_the_root_holds_what_operators_need_and_no_more(shipped: set[PurePosixPath]) -> None:
    assert {name.parts[0] for name in shipped} == SHIPPED


@pytest.mark.parametrize("directory", ["plugins", "roles", "playbooks", "templates", "meta", "examples"])
def test_whole_directories_are_shipped(root: Path, shipped: set[PurePosixPath], directory: str) -> None:
    here = {
        PurePosixPath(path.relative_to(root).as_posix())
        for path in (root / directory).rglob("*")
        if path.is_file()
        and path.suffix != ".pyc"
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    }

    assert here
    assert here - shipped == set()


def test_nothing_made_along_the_way_is_shipped(shipped: set[PurePosixPath]) -> None:
    assert {
        name for name in shipped if name.suffix in {".pyc", ".retry", ".gz"} or "__pycache__" in name.parts
    } == set()


def test_every_python_file_tells_its_licence(root: Path, shipped: set[PurePosixPath]) -> None:
    without = {
        name
        for name in shipped
        if name.suffix == ".py"
        and "SPDX-License-Identifier: GPL-3.0-or-later" not in (root / name).read_text(encoding="utf-8")[:600]
    }

    assert without == set()
