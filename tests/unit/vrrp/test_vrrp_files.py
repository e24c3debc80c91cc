# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the files of routers are written."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import vrrp_files


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was waited for to be on the disk."""
    found: list[int] = []
    monkeypatch.setattr(os, "fsync", found.append)
    return found


def test_a_shared_file_outlives_a_power_failure(tmp_path: Path, synced: list[int]) -> None:
    vrrp_files.write(str(tmp_path / "new/program"), "text\n", 0o755)
    assert len(synced) == 1
    vrrp_files.write(str(tmp_path / "new/program"), "text\n", 0o755)
    assert len(synced) == 1, "nothing was to be written"
    assert (tmp_path / "new/program").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o755


def test_nobody_waits_for_the_disk_where_the_replay_writes_again(tmp_path: Path, synced: list[int]) -> None:
    vrrp_files.write(str(tmp_path / "r1/keepalived.conf"), "text\n", durable=False)
    vrrp_files.write_stamp(str(tmp_path / "r1"), {"config": "x"})
    assert synced == []
    assert vrrp_files.read_stamp(str(tmp_path / "r1")) == {"config": "x"}


def test_two_that_write_at_once_do_not_take_each_others_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, rename = str(tmp_path / "file"), os.rename

    def other_first(source: str, target: str) -> None:
        monkeypatch.setattr(os, "rename", rename)
        vrrp_files.write(path, "other\n")
        rename(source, target)

    monkeypatch.setattr(os, "rename", other_first)
    vrrp_files.write(path, "one\n")
    assert (tmp_path / "file").read_text() == "one\n"
    assert os.listdir(tmp_path) == ["file"]


def test_what_fails_leaves_the_old_text_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vrrp_files.write(str(tmp_path / "file"), "old\n")

    def full(*_arguments: t.Any) -> t.NoReturn:
        raise OSError("no space left")

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OSError, match="no space left"):
        vrrp_files.write(str(tmp_path / "file"), "new\n")
    assert (tmp_path / "file").read_text() == "old\n"
    assert os.listdir(tmp_path) == ["file"]
