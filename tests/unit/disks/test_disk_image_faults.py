# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever goes wrong ends in its bound, with one error that names image, checksums and disk; and nothing boots."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
import typing as t
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils.disk_block import Disk, DiskError
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError
from ansible_collections.weft.fabric.tests.unit.disks import machine as m
from ansible_collections.weft.fabric.tests.unit.disks.machine import MIB, Item, Machine

Handler = t.Any


def refused(machine: Machine, given: Item, seconds: float = 10) -> str:
    with m.within(seconds), pytest.raises(FabricError) as caught:
        m.write(machine, given)
    told = str(caught.value)
    for part in (given["image"]["url"], given["image"]["checksum"], "/dev/vda"):
        assert part in told
    return told


def does_not_boot(disk: Path) -> bool:
    content = disk.read_bytes()
    return content[:MIB] == bytes(MIB) and content[-MIB:] == bytes(MIB)


def untouched(disk: Path) -> bool:
    content = disk.read_bytes()
    old = (b"something old. " * (MIB // 15 + 1))[:MIB]
    return content == old * (len(content) // MIB)


@pytest.mark.parametrize("form", ["raw", "raw.zst", "qcow2"])
def test_a_wrong_checksum(machine: Machine, disk: Path, image: Path, form: str) -> None:
    served = image if form == "raw" else m.packed(image, form)
    with m.serve(served) as server:
        given = m.params(server.url, "sha256:" + "ab" * 32, form)
        told = refused(machine, given)

        assert f"found {m.sha256(served)}" in told
        assert "its checksum is wrong" in told
        if form == "qcow2":  # it was complete before the disk was touched, but for its ends
            assert len(server.requests) == 1
        assert does_not_boot(disk)
        assert machine.told()["phase"] == "failed"
        assert "checksum is wrong" in machine.told()["error"]
        # And it can be put right.
        assert m.write(machine, m.params(server.url, m.sha256(served), form))["changed"]


def test_a_disk_that_was_right_does_not_boot_after_a_failure(
    machine: Machine, disk: Path, image: Path, packed: Path
) -> None:
    with m.serve(packed) as server:
        m.write(machine, m.params(server.url, m.sha256(packed), "raw.zst"))
        assert not does_not_boot(disk)
        refused(machine, m.params(server.url, "sha512:" + "ab" * 64, "raw.zst"))
    assert does_not_boot(disk)


def page(handler: Handler) -> None:
    m.send(handler, b"<!DOCTYPE html><html><body>Please log in</body></html>" + b" " * 2 * MIB)


def small(handler: Handler) -> None:
    m.send(handler, b"nothing to see here")


def status(code: int) -> Callable[[Handler], None]:
    def behaviour(handler: Handler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return behaviour


def lead(target: str) -> Callable[[Handler], None]:
    def behaviour(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return behaviour


@pytest.mark.parametrize(
    ("behaviour", "form", "expected"),
    [
        (page, "raw", "a web page"),
        (page, "raw.zst", "it is no raw.zst file, but a web page"),
        (small, "raw", "it has 19 bytes only, and minimum_size is 1048576: it begins as begins with 6e 6f"),
        (status(404), "raw", "answered 404"),
        (status(403), "raw", "answered 403"),
        (status(416), "raw", "answered 416"),
        (lead("/again"), "raw", "leads from one address to the next"),
        (lead("ftp://127.0.0.1/x"), "raw", "is no address that can be loaded from"),
        (lambda handler: m.send(handler, b"\xfd7zXZ\0" * MIB), "raw", "a file of format xz"),
        (lambda handler: m.send(handler, b"\x28\xb5\x2f\xfd" * MIB), "raw.gz", "but a file of format raw.zst"),
    ],
)
def test_what_is_no_image_is_refused_before_anything_is_written(
    machine: Machine, disk: Path, behaviour: t.Any, form: str, expected: str
) -> None:
    with m.Server(behaviour) as server:
        told = refused(machine, m.params(server.url, "sha256:" + "ab" * 32, form), seconds=3)

        assert expected in told
        assert "Nothing was written" in told
        assert untouched(disk)
        assert len(server.requests) <= 6


def test_a_server_that_fails_is_asked_again_within_the_bound(machine: Machine, disk: Path, packed: Path) -> None:
    with m.Server(status(503)) as server:
        told = refused(machine, m.params(server.url, "sha256:" + "ab" * 32, stall_timeout=2.0), seconds=4)
        assert "503" in told
        assert 2 < len(server.requests) < 20
    assert untouched(disk)

    def in_the_end(handler: Handler) -> None:
        if len(server.requests) <= 2:
            status(500)(handler)
        else:
            m.send(handler, packed.read_bytes())

    with m.Server(in_the_end) as server:
        assert m.write(machine, m.params(server.url, m.sha256(packed), "raw.zst"))["changed"]


def test_nobody_there(machine: Machine, disk: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    told = refused(machine, m.params(f"http://127.0.0.1:{port}/x", "sha256:" + "ab" * 32, stall_timeout=1.0), seconds=3)
    assert "refused" in told
    told = refused(machine, m.params("http://nobody.invalid/x", "sha256:" + "ab" * 32, stall_timeout=1.0))
    assert "nobody.invalid" in told
    assert untouched(disk)


def test_a_server_that_never_answers(machine: Machine, disk: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        told = refused(machine, m.params(url, "sha256:" + "ab" * 32, stall_timeout=1.0), seconds=3)
    assert "sent less than 64 KiB in 1 s, after 0 of unknown bytes" in told
    assert untouched(disk)


@pytest.mark.parametrize("pause", [60.0, 0.01])
def test_a_server_that_stalls_or_only_drips(machine: Machine, disk: Path, packed: Path, pause: float) -> None:
    content, end = packed.read_bytes(), threading.Event()

    def behaviour(handler: Handler) -> None:
        start = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        if not start:
            handler.wfile.write(content[: 3 * MIB])
        while not end.wait(pause):
            handler.wfile.write(b"x")

    with m.Server(behaviour) as server:
        given = m.params(server.url, m.sha256(packed), "raw.zst", stall_timeout=2.0)
        told = refused(machine, given, seconds=5)
        end.set()
    assert "sent less than 64 KiB in 2 s, after 3" in told
    assert does_not_boot(disk)


def test_a_slow_server_that_moves_on_is_waited_for(machine: Machine, disk: Path, packed: Path) -> None:
    content = packed.read_bytes()

    def behaviour(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        for start in range(0, len(content), 3 * MIB):
            handler.wfile.write(content[start : start + 3 * MIB])
            time.sleep(0.35)

    with m.Server(behaviour) as server:
        assert m.write(machine, m.params(server.url, m.sha256(packed), "raw.zst", stall_timeout=1.0))["changed"]
        assert len(server.requests) == 1


@pytest.mark.parametrize("form", ["raw", "raw.zst"])
def test_a_connection_that_breaks_is_taken_up_where_it_broke(
    machine: Machine, disk: Path, image: Path, packed: Path, form: str
) -> None:
    served = image if form == "raw" else packed
    content = served.read_bytes()
    with m.Server(lambda handler: m.send(handler, content, most=len(content) // 4 + 5)) as server:
        assert m.write(machine, m.params(server.url, m.sha256(served), form))["changed"]
        step = len(content) // 4 + 5
        assert server.requests == [
            ("/image", None),
            *(("/image", f"bytes={number * step}-") for number in range(1, 4)),
        ]


def test_a_connection_that_breaks_at_a_server_without_ranges(machine: Machine, disk: Path, packed: Path) -> None:
    content = packed.read_bytes()

    def behaviour(handler: Handler) -> None:
        if len(server.requests) == 1:
            m.send(handler, content, most=MIB)
        else:
            del handler.headers["Range"]
            m.send(handler, content)

    with m.Server(behaviour) as server:
        assert m.write(machine, m.params(server.url, m.sha256(packed), "raw.zst"))["changed"]
        assert len(server.requests) == 2


def test_an_image_that_changes_on_the_server_meanwhile(machine: Machine, disk: Path, packed: Path) -> None:
    content = packed.read_bytes()
    with m.Server(lambda h: m.send(h, content, most=MIB, tag=f'"{len(server.requests)}"')) as server:
        told = refused(machine, m.params(server.url, m.sha256(packed), "raw.zst"))
        assert "was changed on its server" in told
        assert len(server.requests) == 2
    assert does_not_boot(disk)


def test_a_body_that_is_always_cut_off_ends(machine: Machine, disk: Path, packed: Path) -> None:
    content = packed.read_bytes()

    def behaviour(handler: Handler) -> None:
        if handler.headers.get("Range"):
            m.send(handler, content, most=0)
        else:
            m.send(handler, content, most=MIB)

    with m.Server(behaviour) as server:
        told = refused(machine, m.params(server.url, m.sha256(packed), "raw.zst", stall_timeout=2.0), seconds=5)
    assert f"of {len(content)} bytes" in told
    assert does_not_boot(disk)


def test_a_file_that_is_cut_off_on_the_server(machine: Machine, disk: Path, packed: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    cut.write_bytes(packed.read_bytes()[: 5 * MIB])
    with m.serve(cut) as server:
        told = refused(machine, m.params(server.url, m.sha256(packed), "raw.zst"))
        assert "its checksum is wrong" in told
        assert m.sha256(cut) in told
        # With the checksum of what is there, it is the program that unpacks which does not like it.
        told = refused(machine, m.params(server.url, m.sha256(cut), "raw.zst"))
        assert "cannot be unpacked (zstd says" in told
    assert does_not_boot(disk)


def test_a_file_that_is_damaged_in_the_middle(machine: Machine, disk: Path, packed: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    content = bytearray(packed.read_bytes())
    content[3 * MIB : 3 * MIB + 100] = bytes(100)
    damaged.write_bytes(content)
    with m.serve(damaged) as server:
        told = refused(machine, m.params(server.url, m.sha256(packed), "raw.zst"))
    assert f"found {m.sha256(damaged)}" in told
    assert does_not_boot(disk)


@pytest.mark.parametrize("form", ["raw", "raw.zst", "raw.gz", "qcow2"])
def test_an_image_that_is_larger_than_the_disk(machine: Machine, image: Path, form: str) -> None:
    disk = machine.add_disk(size=48 * MIB, fill=b"something old. ")
    served = image if form == "raw" else m.packed(image, form)
    with m.serve(served) as server:
        told = refused(machine, m.params(server.url, m.sha256(served), form))
        if form == "raw.gz":  # which does not tell its size at its beginning
            assert "larger than the disk, which has 50331648 bytes" in told
            assert does_not_boot(disk)
            told = refused(machine, m.params(server.url, m.sha256(served), form, size=64 * MIB))
        assert "it has 67108864 bytes unpacked, and the disk has only 50331648" in told
        if form != "raw.gz":
            assert untouched(disk)


def test_no_place_for_the_config_drive(machine: Machine, image: Path) -> None:
    disk = machine.add_disk(size=64 * MIB, fill=b"something old. ")
    with m.serve(image) as server:
        assert "for the config drive" in refused(machine, m.params(server.url, m.sha256(image)))
    assert does_not_boot(disk)


def test_an_image_without_a_partition_table(machine: Machine, disk: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(510) + b"\x55\xaa" + os.urandom(2 * MIB - 512))
    with m.serve(image) as server:
        assert "no partition table" in refused(machine, m.params(server.url, m.sha256(image)))
    assert does_not_boot(disk)


def test_an_image_that_uefi_cannot_boot(machine: Machine, disk: Path, image: Path, tmp_path: Path) -> None:
    machine.efivars()
    other = tmp_path / "other.raw"
    m.tool("cp", "--sparse=always", str(image), str(other))
    m.tool("sgdisk", "-t", "1:8300", str(other))
    with m.serve(other) as server:
        told = refused(machine, m.params(server.url, m.sha256(other), boot_mode="uefi"))
        assert "no EFI system partition" in told
    assert does_not_boot(disk)

    m.tool("sgdisk", "-t", "1:ef00", str(other))
    for name in ("BOOTX64.EFI", "BOOTAA64.EFI"):
        m.tool("mdel", "-i", f"{other}@@1M", f"::/EFI/BOOT/{name}")
    with m.serve(other) as server:
        assert "has no EFI/BOOT/BOOT" in refused(machine, m.params(server.url, m.sha256(other), boot_mode="uefi"))
        # It boots by BIOS all the same.
        assert m.write(machine, m.params(server.url, m.sha256(other)))["changed"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.EIO, "input/output error. The disk or its cable is broken"),
        (errno.ENOSPC, "No space left"),
        (0, "No space"),
    ],
)
@pytest.mark.parametrize("form", ["raw", "raw.zst"])
def test_a_disk_that_fails(
    machine: Machine, disk: Path, image: Path, packed: Path, form: str, code: int, expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    pwrite, broken_at = os.pwrite, 20 * MIB

    def broken(descriptor: int, data: t.Any, offset: int) -> int:
        if offset <= broken_at < offset + len(data):
            if code:
                raise OSError(code, os.strerror(code))
            return 0
        return pwrite(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", broken)
    monkeypatch.setattr(Disk, "_punch", lambda *_given: False)
    served = image if form == "raw" else packed
    with m.serve(served) as server:
        told = refused(machine, m.params(server.url, m.sha256(served), form))
    assert expected in told
    assert "written at byte" in told or code == errno.EIO
    assert does_not_boot(disk)


def test_a_disk_that_fails_at_the_end(
    machine: Machine, disk: Path, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: Disk) -> None:
        raise DiskError("no")

    with m.serve(packed) as server:
        given = m.params(server.url, m.sha256(packed), "raw.zst")
        m.write(machine, given)
        given["deployment"] = "2"
        monkeypatch.setattr(Disk, "sync", broken)
        told = refused(machine, given)
    assert "what the disk boots now is not known" in told


def test_an_image_of_qcow2_must_fit_into_memory(machine: Machine, disk: Path, image: Path) -> None:
    (machine.root / "proc/meminfo").write_text("MemAvailable: 190000 kB\n")
    served = m.packed(image, "qcow2")
    with m.serve(served) as server:
        told = refused(machine, m.params(server.url, m.sha256(served), "qcow2"))
    assert "Take format raw.zst" in told
    assert untouched(disk)


def test_an_image_of_qcow2_must_stand_alone(machine: Machine, disk: Path, image: Path, tmp_path: Path) -> None:
    based = tmp_path / "based.qcow2"
    m.tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image), "-F", "raw", str(based))
    with based.open("r+b") as stream:
        stream.truncate(2 * MIB)
    with m.serve(based) as server:
        told = refused(machine, m.params(server.url, m.sha256(based), "qcow2"))
    assert "based on another file" in told
    assert untouched(disk)


def test_the_time_for_all_of_it(machine: Machine, disk: Path, packed: Path) -> None:
    content = packed.read_bytes()

    def behaviour(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        for start in range(0, len(content), MIB // 4):
            handler.wfile.write(content[start : start + MIB // 4])
            time.sleep(0.5)

    with m.Server(behaviour) as server:
        told = refused(machine, m.params(server.url, m.sha256(packed), "raw.zst", timeout=2.0), seconds=4)
    assert "the time for loading" in told
    assert does_not_boot(disk)


def test_passwords_in_addresses_are_not_told(machine: Machine, disk: Path) -> None:
    seen = []

    def behaviour(handler: Handler) -> None:
        seen.append(handler.headers.get("Authorization"))
        status(404)(handler)

    with m.Server(behaviour) as server:
        url = server.url.replace("http://", "http://me:geheim@")
        with pytest.raises(FabricError) as caught:
            m.write(machine, m.params(url, "sha256:" + "ab" * 32))
    assert seen == ["Basic bWU6Z2VoZWlt"]
    assert "geheim" not in str(caught.value)
    assert "geheim" not in machine.progress.read_text()


def test_no_program_is_left_behind(machine: Machine, disk: Path, packed: Path) -> None:
    with m.serve(packed) as server:
        refused(machine, m.params(server.url, "sha256:" + "ab" * 32, "raw.zst"))
    assert threading.active_count() <= 2 or all("thread that" not in one.name for one in threading.enumerate())
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize(
    "checksum", ["", "md5:" + "ab" * 16, "sha256:abc", "sha512:" + "ab" * 32, "ab" * 32, "sha256:" + "xy" * 32]
)
def test_what_is_no_checksum(machine: Machine, disk: Path, checksum: str) -> None:
    with pytest.raises(FabricError, match="the image's checksum"):
        m.write(machine, m.params("http://127.0.0.1/x", checksum))
