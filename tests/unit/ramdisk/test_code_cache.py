# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was compiled out of one archive is there for the next, and never stands in for something else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from ansible_collections.weft.fabric.plugins.module_utils import ramdisk_code_cache

PROGRAM = Path(ramdisk_code_cache.__file__)


def run(tmp_path: Path, name: str, source: str) -> str:
    """Import a module out of a new archive, with the cache; return what it prints."""
    archive = tmp_path / f"{name}.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.writestr("thing.py", source)
    code = f"import sys; exec(open({str(PROGRAM)!r}).read()); keep({str(tmp_path / 'code')!r}); "
    code += f"sys.path.insert(0, {str(archive)!r}); import thing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "code").iterdir())


def test_the_same_source_in_another_archive_is_not_compiled_again(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    source = "print(__file__, (lambda: 0).__code__.co_filename)\n"
    assert run(tmp_path, "first", source) == f"{tmp_path}/first.zip/thing.py {tmp_path}/first.zip/thing.py\n"
    before = [(path, path.stat().st_ino) for path in kept(tmp_path)]
    assert len(before) == 1

    assert run(tmp_path, "second", source) == f"{tmp_path}/second.zip/thing.py {tmp_path}/second.zip/thing.py\n"
    assert [(path, path.stat().st_ino) for path in kept(tmp_path)] == before


def test_what_was_kept_is_what_runs(tmp_path: Path) -> None:
    """Else the tests here would pass without a cache as well."""
    (tmp_path / "code").mkdir()
    run(tmp_path, "one", "print('one')\n")
    run(tmp_path, "two", "print('two!')\n")
    one, two = sorted(kept(tmp_path), key=lambda path: int(path.name.rpartition("-")[2]))
    one.write_bytes(two.read_bytes())

    assert run(tmp_path, "again", "print('one')\n") == "two!\n"


def test_another_source_is_compiled(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    assert run(tmp_path, "a", "print(1)\n") == "1\n"
    assert run(tmp_path, "b", "print(2)\n") == "2\n"
    assert len(kept(tmp_path)) == 2


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    run(tmp_path, "a", "print(1)\n")
    whole = kept(tmp_path)[0].read_bytes()
    for damaged in (b"", whole[:-9], b"\xff" * 20):
        kept(tmp_path)[0].write_bytes(damaged)
        assert run(tmp_path, "a", "print(1)\n") == "1\n"
        assert kept(tmp_path)[0].read_bytes() == whole


def test_without_its_directory_nothing_is_different(tmp_path: Path) -> None:
    assert run(tmp_path, "a", "print(1)\n") == "1\n"
    assert "SyntaxError" in run(tmp_path, "b", "print(1\n")
