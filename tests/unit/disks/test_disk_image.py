# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing images: what is on the disk afterwards, as other programs see it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.unit.disks import machine as m
from ansible_collections.weft.fabric.tests.unit.disks.machine import MIB, Item, Machine

ROOT_AT = 18432 * 512


def partitions(disk: Path) -> list[Item]:
    return t.cast("list[Item]", json.loads(m.tool("sfdisk", "-J", str(disk)))["partitiontable"]["partitions"])


def cut(disk: Path, number: int, target: Path) -> Path:
    """Copy a partition to a file of its own."""
    found = partitions(disk)[number - 1]
    with disk.open("rb") as stream:
        stream.seek(found["start"] * 512)
        target.write_bytes(stream.read(found["size"] * 512))
    return target


def drive_file(disk: Path, name: str, tmp_path: Path) -> bytes:
    drive = cut(disk, len(partitions(disk)), tmp_path / "drive")
    m.tool("mcopy", "-n", "-o", "-i", str(drive), f"::/openstack/latest/{name}", str(tmp_path / name))
    return (tmp_path / name).read_bytes()


@pytest.mark.parametrize("form", ["raw", "raw.zst", "raw.gz", "qcow2"])
def test_an_image_is_on_the_disk_as_other_programs_see_it(
    machine: Machine, disk: Path, image: Path, tmp_path: Path, form: str
) -> None:
    served = image if form == "raw" else m.packed(image, form)
    with m.serve(served) as server:
        given = m.params(server.url, m.sha256(served), form)
        foretold = m.write(machine, given, check_mode=True)
        assert server.requests == []
        done = m.write(machine, given)
        again = m.write(machine, given)

    assert done["changed"]
    for key in ("changes", "changes_digest", "diff", "device"):
        assert done[key] == foretold[key], key
    assert not again["changed"]
    assert again["changes"] == []
    assert len(server.requests) == 1
    assert done["bytes"] == served.stat().st_size
    assert done["size"] == image.stat().st_size
    assert machine.told()["phase"] == "done"

    assert "No problems found" in m.tool("sgdisk", "-v", str(disk))
    esp, root, drive = partitions(disk)
    assert (esp["start"], root["start"]) == (2048, 18432)
    assert root["start"] + root["size"] == drive["start"]
    assert disk.read_bytes()[:19] == b"boot code of a BIOS"
    assert cut(disk, 1, tmp_path / "esp").read_bytes() == image.read_bytes()[MIB : 9 * MIB]

    system = cut(disk, 2, tmp_path / "system")
    m.tool("e2fsck", "-fn", str(system))
    assert m.tool("debugfs", "-R", "cat /etc/hostname", str(system)) == "image\n"
    m.tool("debugfs", "-R", f"dump /noise {tmp_path}/noise", str(system))
    assert (tmp_path / "noise").read_bytes() == (image.with_suffix(".root") / "noise").read_bytes()
    blocks = [line for line in m.tool("dumpe2fs", "-h", str(system)).splitlines() if line.startswith("Block count")]
    assert int(blocks[0].split()[-1]) * 1024 >= root["size"] * 512 - 8 * MIB


def test_every_byte_of_the_image_is_there_also_those_that_are_zero(
    machine: Machine, disk: Path, image: Path, packed: Path
) -> None:
    with m.serve(packed) as server:
        m.write(machine, m.params(server.url, m.sha256(packed), "raw.zst", grow=False))

    wanted, found = image.read_bytes(), disk.read_bytes()
    backup = len(wanted) - 33 * 512
    # All but the partition table, which is this disk's.
    assert found[MIB:backup] == wanted[MIB:backup]
    assert found[:446] == wanted[:446]


def test_a_disk_that_cannot_make_holes_gets_the_zeros_too(
    machine: Machine, disk: Path, image: Path, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible_collections.weft.fabric.plugins.module_utils.disk_block import Disk

    monkeypatch.setattr(Disk, "_punch", lambda *_given: False)
    with m.serve(packed) as server:
        done = m.write(machine, m.params(server.url, m.sha256(packed), "raw.zst", grow=False))

    assert done["written"] >= image.stat().st_size - MIB
    assert disk.read_bytes()[MIB : 63 * MIB] == image.read_bytes()[MIB : 63 * MIB]


def test_the_config_drive_is_what_cloud_init_looks_for(
    machine: Machine, disk: Path, packed: Path, tmp_path: Path
) -> None:
    drive: Item = {
        "meta_data": {"uuid": "u-1", "hostname": "db-1", "public_keys": {"a": "ssh-ed25519 AAAA"}},
        "network_data": {"links": [{"id": "nic0"}], "networks": [], "services": []},
        "user_data": "#cloud-config\nhostname: gr\u00fcn\n" + "# long\n" * 9000,
        "vendor_data": {"cloud-init": "#cloud-config\n"},
    }
    with m.serve(packed) as server:
        m.write(machine, m.params(server.url, m.sha256(packed), "raw.zst", config_drive=drive))

    part = cut(disk, 3, tmp_path / "drive")
    assert 'LABEL="config-2"' in m.tool("blkid", "-p", str(part))
    assert 'TYPE="vfat"' in m.tool("blkid", "-p", str(part))
    m.tool("fsck.vfat", "-nv", str(part))
    found = json.loads(drive_file(disk, "meta_data.json", tmp_path))
    assert found.pop("weft")["image"] == m.sha256(packed)
    assert found == drive["meta_data"]
    assert json.loads(drive_file(disk, "network_data.json", tmp_path)) == drive["network_data"]
    assert json.loads(drive_file(disk, "vendor_data.json", tmp_path)) == drive["vendor_data"]
    assert drive_file(disk, "user_data", tmp_path).decode() == drive["user_data"]


def test_other_content_of_the_config_drive_is_written_without_the_image(
    machine: Machine, disk: Path, packed: Path, tmp_path: Path
) -> None:
    with m.serve(packed) as server:
        given = m.params(server.url, m.sha256(packed), "raw.zst")
        m.write(machine, given)
        given["config_drive"] = {"user_data": "#!/bin/sh\n"}
        foretold = m.write(machine, given, check_mode=True)
        done = m.write(machine, given)

        assert done["changes"] == foretold["changes"] == ["/dev/vda: config drive of server server-1 written"]
        assert len(server.requests) == 1
        assert drive_file(disk, "user_data", tmp_path) == b"#!/bin/sh\n"
        assert not m.write(machine, given)["changed"]


@pytest.mark.parametrize("other", ["server_id", "deployment"])
def test_the_same_image_for_another_server_is_written_again(
    machine: Machine, disk: Path, packed: Path, other: str
) -> None:
    with m.serve(packed) as server:
        given = m.params(server.url, m.sha256(packed), "raw.zst")
        m.write(machine, given)
        given[other] = "another"
        assert m.write(machine, given)["changed"]
        assert not m.write(machine, given)["changed"]
        assert len(server.requests) == 2


def test_who_asks_for_no_name_takes_what_was_written_under_any(machine: Machine, disk: Path, packed: Path) -> None:
    with m.serve(packed) as server:
        given = m.params(server.url, m.sha256(packed), "raw.zst", deployment="once")
        m.write(machine, given)
        del given["deployment"]
        assert not m.write(machine, given)["changed"]
        assert len(server.requests) == 1


def test_without_a_config_drive_there_is_only_the_mark(
    machine: Machine, disk: Path, packed: Path, tmp_path: Path
) -> None:
    with m.serve(packed) as server:
        given = m.params(server.url, m.sha256(packed), "raw.zst", config_drive=None)
        m.write(machine, given)
        assert not m.write(machine, given)["changed"]

    assert "config-2" not in m.tool("blkid", "-p", str(cut(disk, 3, tmp_path / "drive")))


def test_an_old_partition_table_is_fitted_too(machine: Machine, disk: Path, tmp_path: Path) -> None:
    image = m.make_image(tmp_path / "image.raw", table="dos")
    with m.serve(image) as server:
        m.write(machine, m.params(server.url, m.sha256(image)))
        assert not m.write(machine, m.params(server.url, m.sha256(image)))["changed"]

    _esp, root, drive = partitions(disk)
    assert root["start"] + root["size"] == drive["start"]
    assert (drive["start"] + drive["size"]) * 512 == disk.stat().st_size
    m.tool("e2fsck", "-fn", str(cut(disk, 2, tmp_path / "system")))
    assert 'LABEL="config-2"' in m.tool("blkid", "-p", str(cut(disk, 3, tmp_path / "drive")))


def test_a_disk_with_large_sectors_gets_a_drive_that_can_be_mounted(
    machine: Machine, disk: Path, tmp_path: Path
) -> None:
    image = tmp_path / "image.raw"
    with image.open("wb") as stream:
        stream.truncate(32 * MIB)
    # sgdisk takes a file for a disk with sectors of 512 bytes: what it makes is moved to where 4096 want it.
    from ansible_collections.weft.fabric.plugins.module_utils import disk_gpt

    table = disk_gpt.Gpt(4096, 32 * MIB // 4096)
    table.partitions.append(disk_gpt.Partition(1, next(iter(disk_gpt.GROWING)), 512, 4095, "root", str(m.uuid4())))
    content = bytearray(image.read_bytes())
    for offset, piece in table.pieces():
        content[offset : offset + len(piece)] = piece
    image.write_bytes(content)
    with m.serve(image) as server:
        m.write(machine, m.params(server.url, m.sha256(image)), sector_size=4096)
        assert not m.write(machine, m.params(server.url, m.sha256(image)), sector_size=4096)["changed"]

    start = disk.stat().st_size - 9 * MIB
    drive = tmp_path / "drive"
    drive.write_bytes(disk.read_bytes()[start : start + 8 * MIB])
    m.tool("fsck.vfat", "-nv", str(drive))
    assert 'LABEL="config-2"' in m.tool("blkid", "-p", str(drive))


def test_firmware_gets_one_entry_and_tries_it_first(machine: Machine, disk: Path, packed: Path) -> None:
    variables = machine.efivars()
    menu = {"EFIVARFS_PATH": str(variables) + "/"}
    vendor = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
    another = b"\7\0\0\0" + b"\1\0\0\0" + b"\4\0" + "another\0".encode("utf-16-le") + b"\x7f\xff\4\0"
    (variables / f"Boot0000-{vendor}").write_bytes(another)
    (variables / f"BootOrder-{vendor}").write_bytes(b"\7\0\0\0\0\0")
    with m.serve(packed) as server:
        given = m.params(server.url, m.sha256(packed), "raw.zst", boot_mode="uefi")
        foretold = m.write(machine, given, check_mode=True)
        assert m.write(machine, given)["changes"] == foretold["changes"]
        assert not m.write(machine, given)["changed"]
        shown = m.tool("efibootmgr", "-v", **menu)
        guid = partitions(disk)[0]["uuid"].lower()
        assert shown.count("weft-fabric") == 1
        assert f"GPT,{guid}" in shown
        assert "\\EFI\\BOOT\\BOOT" in shown
        number = next(line for line in shown.splitlines() if "weft-fabric" in line)[4:8]
        assert f"BootOrder: {number}" in shown
        assert "another" in shown

        # Somebody changes the order, or the entry is lost with the firmware's battery.
        (variables / f"BootOrder-{vendor}").unlink()
        done = m.write(machine, given)
        assert done["changes"] == ["/dev/vda: UEFI boot entry set"]
        assert len(server.requests) == 1


def test_a_run_that_is_killed_is_begun_again_and_one_that_was_done_is_not(
    machine: Machine, disk: Path, packed: Path
) -> None:
    content = packed.read_bytes()
    with m.Server(lambda handler: trickle(handler, content)) as slow, m.serve(packed) as server:
        given = m.params(slow.url, m.sha256(packed), "raw.zst")
        script = (
            "import json, sys; from pathlib import Path;"
            "from ansible_collections.weft.fabric.tests.unit.disks import machine as m;"
            "from ansible_collections.weft.fabric.plugins.module_utils.disk_list import Places;"
            "root, given = sys.argv[1:]; one = m.Machine.__new__(m.Machine); one.root = Path(root);"
            "one.places = Places(*(root + '/' + name for name in ('sys', 'dev', 'udev', 'proc')));"
            "one.progress = one.root / 'run/progress.json'; m.write(one, json.loads(given))"
        )
        child = subprocess.Popen([sys.executable, "-c", script, str(machine.root), json.dumps(given)])
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not (
            machine.progress.exists() and machine.told()["phase"] == "writing" and machine.told()["bytes"] > 4 * MIB
        ):
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert machine.told()["phase"] == "writing"
        # Nothing that boots.
        assert disk.read_bytes()[:MIB] == bytes(MIB)

        given["image"]["url"] = server.url
        assert m.write(machine, given)["changed"]
        assert len(server.requests) == 1
        assert not m.write(machine, given)["changed"]
        assert "No problems found" in m.tool("sgdisk", "-v", str(disk))


def trickle(handler: t.Any, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    for start in range(0, len(content), MIB):
        handler.wfile.write(content[start : start + MIB])
        time.sleep(0.1 if start < 5 * MIB else 2)


def test_a_second_run_waits_for_the_first_and_writes_nothing(machine: Machine, disk: Path, packed: Path) -> None:
    import threading

    content = packed.read_bytes()
    with m.Server(lambda handler: (time.sleep(0.5), m.send(handler, content))) as server:  # type: ignore[func-returns-value]
        given = m.params(server.url, m.sha256(packed), "raw.zst")
        results: list[Item] = []
        runs = [threading.Thread(target=lambda: results.append(m.write(machine, given))) for _number in range(2)]
        for run in runs:
            run.start()
        for run in runs:
            run.join()

        assert sorted(result["changed"] for result in results) == [False, True]
        assert len(server.requests) == 1


def test_progress_is_told_while_it_is_written(machine: Machine, disk: Path, packed: Path) -> None:
    import threading

    content = packed.read_bytes()
    seen: list[Item] = []
    with m.Server(lambda handler: trickle_quickly(handler, content)) as server:
        run = threading.Thread(
            target=lambda: m.write(machine, m.params(server.url, m.sha256(packed), "raw.zst")), daemon=True
        )
        run.start()
        while run.is_alive():
            if machine.progress.exists():
                seen.append(machine.told())
            time.sleep(0.02)

    writing = [one for one in seen if one["phase"] == "writing"]
    assert {one["total"] for one in writing} == {len(content)}
    counts = [one["bytes"] for one in writing]
    assert counts == sorted(counts)
    assert len(set(counts)) > 3
    assert os.stat(machine.progress).st_mode & 0o777 == 0o644


def trickle_quickly(handler: t.Any, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    for start in range(0, len(content), MIB):
        handler.wfile.write(content[start : start + MIB])
        time.sleep(0.06)
