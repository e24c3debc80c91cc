# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cleaning: whatever was on a disk, nothing recognises it any more."""

from __future__ import annotations

import base64
import errno
import json
import os
import struct
import typing as t
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import disk_child, disk_erase, disk_reading
from ansible_collections.weft.fabric.plugins.module_utils.disk_block import Disk
from ansible_collections.weft.fabric.plugins.module_utils.disk_cleaning import CleaningError, DiskCleaner
from ansible_collections.weft.fabric.plugins.module_utils.disk_progress import Progress
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError
from ansible_collections.weft.fabric.tests.unit.disks import machine as m
from ansible_collections.weft.fabric.tests.unit.disks.machine import MIB, Item, Machine

SIZE = 96 * MIB

# What the programs that make them have written, but for long stretches of nothing.
RECORDED = json.loads(Path(__file__).with_name("signatures.json").read_text(encoding="utf-8"))


def clean(machine: Machine, check_mode: bool = False, run: disk_erase.Run = disk_child.run, **given: t.Any) -> Item:
    wanted = {"method": ["metadata"], "disks": "all", "skip": [], "parallel": 4, "timeout": 60.0, **given}
    cleaner = DiskCleaner(wanted, machine.places, Progress(str(machine.progress), 0.05), run)
    return t.cast("Item", cleaner.run(check_mode))


def recognised(path: Path, offset: int = 0, size: int = 0) -> str:
    """Return what blkid and wipefs recognise on a disk, or on a part of it."""
    part = path
    if offset:
        part = path.with_suffix(".cut")
        m.tool("dd", f"if={path}", f"of={part}", f"skip={offset}", f"count={size}", "bs=1M", "status=none",
               "iflag=skip_bytes,count_bytes", "conv=sparse")  # fmt: skip
        os.truncate(part, size)
    found = m.tool("wipefs", "--no-act", "--parsable", "--noheadings", str(part))
    return found + m.subprocess.run(["blkid", "-p", str(part)], capture_output=True, text=True, check=False).stdout


def put(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as stream:
        stream.seek(at)
        stream.write(content)


def recorded(name: str) -> Callable[[Path, int, int], None]:
    def plant(path: Path, start: int, _size: int) -> None:
        for at, content in RECORDED[name].items():
            if int(at) < _size:
                put(path, start + int(at), zlib.decompress(base64.b64decode(content)))

    return plant


def made(*words: str) -> Callable[[Path, int, int], None]:
    def plant(path: Path, start: int, size: int) -> None:
        part = path.with_suffix(".part")
        with part.open("wb") as stream:
            stream.truncate(size)
        m.tool(*words, str(part))
        put(path, start, part.read_bytes())
        part.unlink()

    return plant


def array(version: str) -> Callable[[Path, int, int], None]:
    """Plant the superblock of an md array, as the kernel's md_p.h has it."""

    def plant(path: Path, start: int, size: int) -> None:
        if version == "0.90":
            at = (size & ~0xFFFF) - 0x10000
            words = [0xA92B4EFC, 0, 90, 0, 0, 0x11111111, 0, 1, 1024, 2, 2, 0, 0, 0x2222, 0x3333, 0x4444]
            put(path, start + at, struct.pack("<16I", *words).ljust(4096, b"\0"))
            return
        at = {"1.0": (size - 8192) & ~4095, "1.1": 0, "1.2": 4096}[version]
        block = bytearray(256)
        struct.pack_into("<II", block, 0, 0xA92B4EFC, 1)
        block[16:32] = bytes(range(16))
        block[32:36] = b"test"
        struct.pack_into("<Q", block, 144, at // 512)
        total = sum(struct.unpack("<64I", block))
        struct.pack_into("<I", block, 216, ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)
        put(path, start + at, bytes(block))

    return plant


def pool(path: Path, start: int, size: int) -> None:
    """Plant the uberblocks of ZFS' four labels."""
    whole = size & ~0x3FFFF
    for label in (0, 1 << 18, whole - (2 << 18), whole - (1 << 18)):
        for number in range(128):
            block = struct.pack("<QQQQ", 0x00BAB10C, 5000, 100 + number, 1)
            put(path, start + label + (128 << 10) + number * 1024, block)


PLANTED: dict[str, Callable[[Path, int, int], None]] = {
    **{name: recorded(name) for name in RECORDED},
    "ext4": made("mke2fs", "-q", "-t", "ext4", "-F"),
    "FAT": made("mkfs.vfat"),
    "swap": made("mkswap", "-q"),
    **{f"md {version}": array(version) for version in ("0.90", "1.0", "1.1", "1.2")},
    "ZFS": pool,
}


@pytest.mark.parametrize("name", PLANTED)
def test_nothing_is_recognised_on_a_disk_that_had_it_as_a_whole(machine: Machine, name: str) -> None:
    disk = machine.add_disk(size=SIZE)
    PLANTED[name](disk, 0, SIZE)
    assert recognised(disk)

    assert clean(machine)["changes"] == ["/dev/vda: metadata wiped"]

    assert recognised(disk) == ""


@pytest.mark.parametrize("label", ["gpt", "dos"])
@pytest.mark.parametrize("name", PLANTED)
def test_nothing_is_recognised_where_its_partitions_were(machine: Machine, name: str, label: str) -> None:
    disk = machine.add_disk(size=SIZE)
    sector, size = 40961, (70 if name == "ZFS" else 30) * MIB  # nothing that a new partition would begin at
    m.tool("sfdisk", "-q", str(disk), data=f"label: {label}\nstart={sector}, size={size // 512}\n")
    PLANTED[name](disk, sector * 512, size)
    assert recognised(disk, sector * 512, size)

    foretold = clean(machine, check_mode=True)
    assert clean(machine)["changes"] == foretold["changes"] == ["/dev/vda: metadata wiped"]

    assert recognised(disk) == ""
    assert recognised(disk, sector * 512, size) == ""
    # And when the next one makes the same table, there is nothing in its partition.
    m.tool("sfdisk", "-q", str(disk), data=f"label: {label}\nstart={sector}, size={size // 512}\n")
    assert "PART_ENTRY" not in recognised(disk, sector * 512, size)
    assert recognised(disk, sector * 512, size) == ""


@pytest.mark.parametrize("broken", ["primary", "backup"])
def test_partitions_are_found_by_whichever_table_is_left(machine: Machine, broken: str) -> None:
    disk = machine.add_disk(size=SIZE)
    m.tool("sfdisk", "-q", str(disk), data=f"label: gpt\nstart=40960, size={30 * MIB // 512}\n")
    PLANTED["ext4"](disk, 40960 * 512, 30 * MIB)
    put(disk, 0 if broken == "primary" else SIZE - 64 * 512, bytes(64 * 512))

    clean(machine)

    assert recognised(disk) == ""
    assert recognised(disk, 40960 * 512, 30 * MIB) == ""


def test_logical_partitions_too(machine: Machine) -> None:
    disk = machine.add_disk(size=SIZE)
    script = (
        "label: dos\nstart=2048, size=20480\nstart=30000, type=5\nstart=40960, size=61440\nstart=120000, size=61440\n"
    )
    m.tool("sfdisk", "-q", str(disk), data=script)
    for start in (40960, 120000):
        PLANTED["ext4"](disk, start * 512, 30 * MIB)

    clean(machine)

    for start in (40960, 120000):
        assert recognised(disk, start * 512, 30 * MIB) == ""


def test_a_clean_disk_is_left_alone(machine: Machine) -> None:
    disk = machine.add_disk(size=SIZE)
    PLANTED["ext4"](disk, 0, SIZE)
    clean(machine)
    before = os.stat(disk)

    again = clean(machine)

    assert not again["changed"]
    assert again["changes"] == []
    assert os.stat(disk).st_mtime_ns == before.st_mtime_ns
    assert disk_reading.read(None, machine.places)["disks"][0]["clean"]


def test_metadata_alone_leaves_the_content(machine: Machine) -> None:
    disk = machine.add_disk(size=SIZE, fill=b"secret of a tenant. ")
    clean(machine)
    assert b"secret of a tenant" in disk.read_bytes()


@pytest.mark.parametrize("holes", [True, False])
def test_overwriting_leaves_nothing(machine: Machine, holes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not holes:
        monkeypatch.setattr(Disk, "_punch", lambda *_given: False)
    disk = machine.add_disk(size=SIZE, fill=b"secret of a tenant. ")
    foretold = clean(machine, check_mode=True, method=["overwrite"])
    done = clean(machine, method=["overwrite"])

    assert done["changes"] == foretold["changes"] == ["/dev/vda: metadata wiped", "/dev/vda: erased by overwrite"]
    assert disk.read_bytes() == bytes(SIZE)
    assert done["disks"][0]["samples"] > 20
    assert machine.told()["phase"] == "done"
    assert machine.told()["bytes"] == machine.told()["total"] == SIZE
    # Zeros were written, and no holes were made.
    assert os.stat(disk).st_blocks * 512 >= SIZE


def test_a_disk_that_is_given_back_and_tells_its_content_all_the_same(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = machine.add_disk(size=SIZE, fill=b"secret of a tenant. ", queue__discard_max_bytes=1 << 30)
    monkeypatch.setattr(Disk, "discard", lambda _self: True)
    with pytest.raises(CleaningError, match=r"can still be read. Take method overwrite"):
        clean(machine, method=["discard"])
    # It does not boot, at least.
    assert recognised(disk) == ""

    monkeypatch.setattr(Disk, "discard", lambda _self: bool(put(disk, 0, bytes(SIZE))) or True)
    assert clean(machine, method=["discard"])["disks"][0]["method"] == "discard"


def test_each_disk_gets_the_first_method_that_it_has(machine: Machine) -> None:
    machine.add_disk("vda", size=SIZE, fill=b"x")
    machine.add_disk("vdb", size=16 * MIB, fill=b"x")
    machine.add_disk("vdc", size=16 * MIB, fill=b"x", ro=1)
    machine.add_disk("vdd", size=16 * MIB, fill=b"x", removable=1)
    machine.add_disk("vde", size=16 * MIB, fill=b"x", serial="keep")
    machine.add_disk("loop0", size=16 * MIB, fill=b"x")
    done = clean(machine, method=["discard", "overwrite"], skip=[{"serial": "keep"}])

    assert [(one["name"], one["method"]) for one in done["disks"]] == [
        ("/dev/vda", "overwrite"),
        ("/dev/vdb", "overwrite"),
    ]
    assert {one["name"]: one["why"] for one in done["left_out"]} == {
        "/dev/vdc": "is read-only",
        "/dev/vdd": "is removable, and counts only when the hint name says so",
        "/dev/vde": "skip says so",
    }
    for name in ("vdc", "vdd", "vde", "loop0"):
        assert (machine.root / "dev" / name).read_bytes() == b"x" * 16 * MIB


def test_hints_choose_disks(machine: Machine) -> None:
    machine.add_disk("vda", size=16 * MIB, fill=b"x", serial="a")
    machine.add_disk("vdb", size=16 * MIB, fill=b"x", serial="b")
    assert [one["name"] for one in clean(machine, disks={"serial": "b"})["disks"]] == ["/dev/vdb"]
    both = clean(machine, disks=[{"serial": "a"}, {"serial": "b"}], check_mode=True)
    assert [one["name"] for one in both["disks"]] == ["/dev/vda", "/dev/vdb"]
    with pytest.raises(FabricError, match=r"no disk is meant by disks.*serial is a, not c"):
        clean(machine, disks={"serial": "c"})
    with pytest.raises(FabricError, match="colour is no hint"):
        clean(machine, disks={"colour": "red"})
    with pytest.raises(FabricError, match="neither all, nor hints"):
        clean(machine, disks="vda")


def test_a_node_without_disks_is_clean(machine: Machine) -> None:
    assert clean(machine) == {**clean(machine), "changed": False, "disks": []}


def test_a_disk_that_fails_does_not_stop_the_others(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.add_disk("vda", size=SIZE, fill=b"x")
    good = machine.add_disk("vdb", size=SIZE, fill=b"x")
    fsync = os.fsync

    def broken(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("/vda"):
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(CleaningError, match=r"1 of 2 disks are not clean. /dev/vda: .*input/output error") as caught:
        clean(machine, method=["overwrite"])
    assert caught.value.result["changes"] == ["/dev/vdb: metadata wiped", "/dev/vdb: erased by overwrite"]
    assert good.read_bytes() == bytes(SIZE)


def test_a_disk_that_forgets_what_is_written(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.add_disk("vda", size=SIZE, fill=b"x")
    monkeypatch.setattr(Disk, "write", lambda *_given: None)
    with pytest.raises(CleaningError, match="something else is read there"):
        clean(machine)


def test_time_is_bounded(machine: Machine) -> None:
    machine.add_disk("vda", size=SIZE, fill=b"x")
    with pytest.raises(CleaningError, match="longer than 0 s"):
        clean(machine, method=["overwrite"], timeout=0.0)


class Firmware:
    """Answers as nvme and hdparm do, and erases a file."""

    def __init__(self, disk: Path, **answers: t.Any):
        self.disk = disk
        self.answers = answers
        self.locked = False
        self.calls: list[str] = []

    def __call__(self, words: t.Sequence[str], _seconds: float) -> tuple[int, str, str]:
        self.calls.append(" ".join(words[:-1]))
        if words[0] == "nvme":
            return self.nvme(words)
        return self.hdparm(words)

    def nvme(self, words: t.Sequence[str]) -> tuple[int, str, str]:
        if words[1] == "id-ctrl":
            return 0, json.dumps({"oacs": self.answers["oacs"], "fna": self.answers["fna"]}), ""
        if words[1] == "id-ns":
            return 0, json.dumps({"flbas": 0x12}), ""
        return self.erase()

    def hdparm(self, words: t.Sequence[str]) -> tuple[int, str, str]:
        if "-I" in words:
            security = self.answers["security"]
            return 0, security.replace("not\tenabled", "\tenabled") if self.locked else security, ""
        if "--security-set-pass" in words:
            self.locked = True
        elif "--security-disable" in words:
            self.locked = False
        elif any(word.startswith("--security-erase") for word in words):
            return self.erase()
        return 0, "", ""

    def erase(self) -> tuple[int, str, str]:
        if self.answers.get("broken"):
            return 5, "", "first line\nSECURITY_ERASE: Input/output error\n"
        self.locked = False
        if not self.answers.get("lies"):
            put(self.disk, 0, b"\xff" * SIZE)
        return 0, "", ""


SECURITY = """
Security:
\tMaster password revision code = 65534
\t\tsupported
\tnot\tenabled
\tnot\tlocked
\tnot\tfrozen
\tnot\texpired: security count
\t\tsupported: enhanced erase
\t2min for SECURITY ERASE UNIT. 2min for ENHANCED SECURITY ERASE UNIT.
Logical Unit WWN Device Identifier: 5000c500a1b2c3d4
"""


@pytest.mark.parametrize(("fna", "ses"), [(0, 1), (4, 2)])
def test_nvme_is_formatted_with_what_it_has(machine: Machine, fna: int, ses: int) -> None:
    disk = machine.add_disk("nvme0n1", size=SIZE, fill=b"secret of a tenant. ")
    firmware = Firmware(disk, oacs=0x17, fna=fna)
    foretold = clean(machine, check_mode=True, method=["secure_erase"], run=firmware)
    assert not any("format" in call for call in firmware.calls)
    done = clean(machine, method=["secure_erase"], run=firmware)

    assert done["changes"] == foretold["changes"]
    (call,) = [call for call in firmware.calls if "nvme format" in call]
    assert call.startswith(f"nvme format --force --lbaf=2 --ses={ses} --timeout=")
    content = disk.read_bytes()
    assert b"secret" not in content
    # The ends are zeros, whatever the disk reads as after that.
    assert content[:MIB] == content[-MIB:] == bytes(MIB)


def test_ata_is_erased_and_keeps_no_password(machine: Machine) -> None:
    disk = machine.add_disk("sda", size=SIZE, fill=b"secret of a tenant. ")
    firmware = Firmware(disk, security=SECURITY)
    assert clean(machine, method=["secure_erase"], run=firmware)["disks"][0]["method"] == "secure_erase"
    assert any("--security-erase-enhanced" in call for call in firmware.calls)
    assert not firmware.locked
    assert b"secret" not in disk.read_bytes()

    firmware = Firmware(disk, security=SECURITY, broken=True)
    with pytest.raises(CleaningError, match="hdparm says: SECURITY_ERASE: Input/output error"):
        clean(machine, method=["secure_erase"], run=firmware)
    assert not firmware.locked


def test_a_disk_that_says_it_was_erased_and_was_not(machine: Machine) -> None:
    disk = machine.add_disk("sda", size=SIZE, fill=b"secret of a tenant. ")
    with pytest.raises(CleaningError, match="can still be read"):
        clean(machine, method=["secure_erase"], run=Firmware(disk, security=SECURITY, lies=True))


@pytest.mark.parametrize(
    ("security", "why"),
    [
        ("", "no ATA security feature set"),
        (SECURITY.replace("not\tfrozen", "\tfrozen"), "frozen ATA's security feature set, until it is powered off"),
        (SECURITY.replace("not\tlocked", "\tlocked"), "it has an ATA password"),
    ],
)
def test_where_there_is_no_secure_erase(machine: Machine, security: str, why: str) -> None:
    disk = machine.add_disk("sda", size=SIZE, fill=b"x")
    firmware = Firmware(disk, security=security)
    with pytest.raises(CleaningError, match=why):
        clean(machine, method=["secure_erase"], run=firmware)
    assert not any("set-pass" in call for call in firmware.calls)
    assert recognised(disk) == ""

    done = clean(machine, method=["secure_erase", "overwrite"], run=firmware)
    assert done["disks"][0]["method"] == "overwrite"


def test_without_the_programs_there_is_no_secure_erase(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.add_disk("sda", size=SIZE, fill=b"x")
    machine.add_disk("nvme0n1", size=SIZE, fill=b"x")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(CleaningError, match="2 of 2 disks"):
        clean(machine, method=["secure_erase"])
