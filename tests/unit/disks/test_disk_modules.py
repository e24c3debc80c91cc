# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as Ansible runs them, on block devices where this machine has some to spare."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils.disk_block import Disk, DiskError
from ansible_collections.weft.fabric.tests.unit.disks import machine as m
from ansible_collections.weft.fabric.tests.unit.disks.machine import MIB, Item

SECRET = "geheimes-kennwort"


def ansible(module: str, given: Item, tmp_path: Path, *options: str) -> tuple[Item, str]:
    """Run a module on the controller. Return what it returned, and all that was printed."""
    words = [sys.executable, "-m", "ansible", "adhoc", "localhost", "-c", "local", "-m", f"weft.fabric.{module}"]
    environ = {
        **os.environ,
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
        "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
        "ANSIBLE_NOCOLOR": "1",
    }
    extra = ["-e", f"ansible_python_interpreter={sys.executable}", "-a", json.dumps(given), *options]
    done = subprocess.run(
        [*words, *extra], capture_output=True, text=True, check=False, timeout=120, env=environ, cwd=tmp_path
    )
    start = done.stdout.index("=> {")
    return t.cast("Item", json.JSONDecoder().raw_decode(done.stdout[start + 3 :])[0]), done.stdout + done.stderr


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[str]:
    """Return a loop device of 96 MiB, full of something old."""
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("needs root and loop devices")
    path = tmp_path / "weft-disk"
    path.write_bytes((b"something old. " * (MIB // 15 + 1))[:MIB] * 96)
    device = m.tool("losetup", "--find", "--show", str(path)).strip()
    try:
        yield device
    finally:
        m.tool("losetup", "--detach", device)
        Path("/run/weft/progress.json").unlink(missing_ok=True)


def given_for(device: str, url: str, packed: Path) -> Item:
    return {
        "root_device": {"name": f"s== {device}"},
        "image": {"url": url, "checksum": m.sha256(packed), "format": "raw.zst"},
        "server_id": "server-1",
        "config_drive": {
            "meta_data": {"hostname": "db-1", "admin_pass": SECRET + "-1"},
            "user_data": f"#cloud-config\npassword: {SECRET}-2\n",
            "vendor_data": {"key": SECRET + "-3"},
        },
    }


def test_a_block_device_is_written_read_and_cleaned(loop: str, packed: Path, tmp_path: Path) -> None:
    with m.serve(packed) as server:
        given = given_for(loop, server.url, packed)
        foretold, printed = ansible("disk_image", given, tmp_path, "--check", "--diff", "-vvv")
        assert SECRET not in printed
        assert server.requests == []
        done, printed = ansible("disk_image", given, tmp_path, "--diff", "-vvv")
        assert done["changed"], printed
        assert done["changes"] == foretold["changes"]
        assert done["changes_digest"] == foretold["changes_digest"]
        assert SECRET not in printed
        again, printed = ansible("disk_image", given, tmp_path, "-vvv")
        assert not again["changed"]
        assert SECRET not in printed
        assert len(server.requests) == 1
    # By the disk itself, and not by this machine's memory.
    assert "No problems found" in m.tool("sgdisk", "-v", loop)
    assert done["written"] < done["size"]

    found, printed = ansible("disk_info", {"root_device": {"name": loop}}, tmp_path)
    assert found["device"] == loop
    assert found["mark"]["image"] == m.sha256(packed)
    assert SECRET not in printed
    root, _printed = ansible("root_device_info", {"hints": {"name": loop}}, tmp_path)
    assert root["device"] == loop

    cleaning = {"disks": {"name": loop}, "method": ["discard", "overwrite"]}
    foretold, _printed = ansible("disk_clean", cleaning, tmp_path, "--check")
    cleaned, printed = ansible("disk_clean", cleaning, tmp_path, "--diff")
    assert cleaned["changes"] == foretold["changes"], printed
    assert cleaned["disks"][0]["method"] in ("discard", "overwrite")
    assert m.tool("wipefs", "--no-act", "--noheadings", loop) == ""
    found, _printed = ansible("disk_info", {"root_device": {"name": loop}}, tmp_path)
    assert found["mark"] is None
    assert {one["name"]: one["clean"] for one in found["disks"]}[loop]


def test_a_failure_names_what_is_needed_and_no_secret(loop: str, packed: Path, tmp_path: Path) -> None:
    with m.serve(packed) as server:
        given = given_for(loop, server.url, packed)
        given["image"]["checksum"] = "sha256:" + "ab" * 32
        failed, printed = ansible("disk_image", given, tmp_path, "-vvv")
    assert "FAILED!" in printed
    for part in (server.url, "ab" * 32, m.sha256(packed), loop):
        assert part in failed["msg"]
    assert SECRET not in printed
    assert m.tool("wipefs", "--no-act", "--noheadings", loop) == ""


def test_a_disk_in_use_is_not_touched(loop: str, tmp_path: Path) -> None:
    m.tool("mkfs.ext4", "-q", "-F", loop)
    target = tmp_path / "weft-mount"
    target.mkdir()
    m.tool("mount", loop, str(target))
    try:
        with pytest.raises(DiskError, match="is in use"):
            Disk(loop, write=True)
        failed, _printed = ansible("disk_clean", {"disks": {"name": loop}}, tmp_path)
        assert "is in use" in failed["msg"]
        assert failed["disks"][0]["name"] == loop
    finally:
        m.tool("umount", str(target))
    assert 'TYPE="ext4"' in m.tool("blkid", "-p", loop)


def test_hardware_is_read_within_the_time(tmp_path: Path) -> None:
    found, _printed = ansible("hardware_info", {"lldp_timeout": 0}, tmp_path)
    assert found["cpus"]["threads"] == os.cpu_count()
    assert found["memory"] > 256 * MIB
    assert found["properties"]["architecture"] == os.uname().machine


def test_no_disk_is_an_error_that_lists_them(tmp_path: Path) -> None:
    failed, _printed = ansible("root_device_info", {"hints": {"serial": "s== none such"}}, tmp_path)
    assert "the root device is not clear" in failed["msg"]


@pytest.mark.parametrize("module", ["disk_image", "disk_clean", "disk_info", "root_device_info", "hardware_info"])
def test_little_is_shipped_to_slow_machines(module: str) -> None:
    """Each file is packed, sent and compiled anew for each task."""
    script = (
        "import importlib, sys; importlib.import_module(sys.argv[1]);"
        "print([name.rpartition('.')[2] for name in sys.modules if '.fabric.plugins.module_utils.' in name])"
    )
    name = f"ansible_collections.weft.fabric.plugins.modules.{module}"
    ours = ast.literal_eval(m.tool(sys.executable, "-c", script, name))
    known = ("disk_", "image_", "iscsi_target", "hardware_", "lldp_", "errors", "command")
    assert [one for one in ours if not one.startswith(known)] == []
