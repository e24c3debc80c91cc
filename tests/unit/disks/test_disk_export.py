# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that are written over iSCSI: the daemon of a ramdisk, and the library of a boot server, on loopback."""

from __future__ import annotations

import os
import socket
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.image_export import DiskExporter
from ansible_collections.weft.fabric.plugins.module_utils.image_remote import RemoteWriter
from ansible_collections.weft.fabric.plugins.module_utils.image_write import ImageWriter
from ansible_collections.weft.fabric.plugins.module_utils.iscsi_disk import Portal, Session
from ansible_collections.weft.fabric.plugins.module_utils.iscsi_target import DISK_LUN, TARGET, Target
from ansible_collections.weft.fabric.tests.unit.disks import machine as m
from ansible_collections.weft.fabric.tests.unit.disks.machine import MIB, Item, Machine

PASSWORD = "once-and-never-again"


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="tgtd is root's")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Site:
    """A node with its daemon, and what a boot server is told of it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.port = free_port()
        self.target = Target(self.port % 32000)  # tests may run beside each other

    def given(self, image: Path, form: str, **more: t.Any) -> Item:
        return m.params("http://127.0.0.1:1/unused", m.sha256(image), form, **more)

    def export(self, given: Item, check_mode: bool = False) -> Item:
        access = {"address": "127.0.0.1", "port": self.port, "username": "weft", "password": PASSWORD}
        given = {**given, **access, "initiator_address": "127.0.0.1"}
        return DiskExporter(given, self.machine.place(), self.target).run(check_mode)

    def send(self, image: Path, form: str, told: Item | None = None, **more: t.Any) -> Item:
        item = {"path": str(image), "checksum": m.sha256(image), "format": form, "size": None, **(told or {})}
        given = {"address": "127.0.0.1", "port": self.port, "username": "weft", "password": PASSWORD}
        given.update({"image": item, "minimum_size": MIB, "timeout": 60.0, **more})
        return RemoteWriter(given).run()

    def finish(self, given: Item, size: int) -> Item:
        return ImageWriter({**given, "exported_size": size}, self.machine.place(), self.target).run()


@pytest.fixture
def site(machine: Machine, disk: Path) -> Iterator[Site]:
    found = Site(machine)
    yield found
    found.target.stop()


@pytest.mark.parametrize("form", ["raw", "raw.zst", "raw.gz"])
def test_the_disk_is_byte_for_byte_what_the_direct_way_makes_of_it(
    site: Site, machine: Machine, disk: Path, image: Path, tmp_path: Path, form: str
) -> None:
    served = image if form == "raw" else m.packed(image, form)
    given = site.given(served, form)
    foretold = site.export(given, check_mode=True)
    exported = site.export(given)
    assert (exported["needed"], exported["changed"]) == (True, True)
    assert exported["changes_digest"] == foretold["changes_digest"]
    sent = site.send(served, form)
    assert (sent["bytes"], sent["size"]) == (served.stat().st_size, image.stat().st_size)
    assert sent["written"] < sent["size"], "holes were sent"
    # Until the node has finished it, there is nothing that boots.
    assert disk.read_bytes()[:MIB] == bytes(MIB)
    done = site.finish(given, sent["size"])
    assert done["changed"]

    other = Machine(tmp_path / "other")
    direct = other.add_disk(fill=b"old", size=disk.stat().st_size)
    with m.serve(served) as server:
        m.write(other, {**given, "image": {**given["image"], "url": server.url}})
    assert m.tool("sgdisk", "-v", str(disk)) == m.tool("sgdisk", "-v", str(direct))
    esp_end = 18432 * 512
    assert disk.read_bytes()[MIB:esp_end] == direct.read_bytes()[MIB:esp_end]
    assert m.tool("debugfs", "-R", "cat /etc/hostname", f"{disk}?offset={esp_end}") == "image\n"

    # Whoever comes again finds the mark.
    again = site.export(given)
    assert (again["needed"], again["changed"]) == (False, False)
    assert not site.finish(given, sent["size"])["changed"]
    with pytest.raises(FabricError, match="nobody could log in"):
        site.send(served, form)


def test_old_data_does_not_shine_through_the_holes(site: Site, disk: Path, image: Path) -> None:
    """The disk fixture is full of something old."""
    given = site.given(image, "raw")
    site.export(given)
    site.send(image, "raw")
    written = image.read_bytes()
    assert disk.read_bytes()[MIB : len(written)] == written[MIB:]


def test_a_wrong_checksum_leaves_nothing_that_boots(site: Site, disk: Path, image: Path) -> None:
    given = site.given(image, "raw")
    site.export(given)
    with pytest.raises(FabricError, match=r"its checksum is sha256:.*no partition table now"):
        site.send(image, "raw", told={"checksum": "sha256:" + 64 * "0"})
    assert disk.read_bytes()[:MIB] == bytes(MIB)
    with pytest.raises(FabricError, match="has not written all of it"):
        site.finish(given, image.stat().st_size)
    assert disk.read_bytes()[:MIB] == bytes(MIB)


@pytest.mark.parametrize(
    ("form", "content", "words"),
    [
        ("raw.zst", b"<!DOCTYPE html>" + bytes(2 * MIB), "a web page"),
        ("raw", b"\0" * 100, "it has 100 bytes only"),
        ("raw", bytes(2 * MIB), "no raw image"),
    ],
    ids=["page", "short", "zeros"],
)
def test_what_is_no_image_touches_nothing(
    site: Site, disk: Path, image: Path, tmp_path: Path, form: str, content: bytes, words: str
) -> None:
    before = disk.read_bytes()
    site.export(site.given(image, "raw"))
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(FabricError, match=f"{words}.*Nothing was written"):
        site.send(tmp_path / "bad", form)
    assert disk.read_bytes() == before


def test_an_image_that_is_too_large_touches_nothing(site: Site, disk: Path, image: Path) -> None:
    before = disk.read_bytes()
    given = site.given(image, "raw", size=disk.stat().st_size + 512)
    with pytest.raises(FabricError, match="has only"):
        site.export(given)
    site.export(site.given(image, "raw"))
    with pytest.raises(FabricError, match="has only"):
        site.send(image, "raw", told={"size": disk.stat().st_size + 512})
    assert disk.read_bytes() == before


@pytest.mark.parametrize("wrong", [{"password": "another-password"}, {"username": "somebody"}])
def test_whoever_does_not_know_the_password_is_not_let_in(site: Site, image: Path, wrong: Item) -> None:
    site.export(site.given(image, "raw"))
    with pytest.raises(FabricError, match="nobody could log in") as told:
        site.send(image, "raw", **wrong)
    assert PASSWORD not in str(told.value)
    assert "another-password" not in str(told.value)


def test_whoever_has_another_address_is_not_let_in(site: Site, image: Path) -> None:
    access = {"address": "127.0.0.1", "port": site.port, "username": "weft", "password": PASSWORD}
    given = {**site.given(image, "raw"), **access, "initiator_address": "127.0.0.9"}
    DiskExporter(given, site.machine.place(), site.target).run()
    with pytest.raises(FabricError, match="nobody could log in"):
        site.send(image, "raw")


def test_a_new_export_ends_the_old_one_and_its_writer(site: Site, image: Path) -> None:
    site.export(site.given(image, "raw"))
    portal = Portal("127.0.0.1", site.port, TARGET, "weft", PASSWORD)
    with Session(portal, time.monotonic() + 60) as session:
        unit = session.disk(DISK_LUN)
        unit.write_aligned(0, memoryview(bytearray(512)))
        site.export(site.given(image, "raw"))
        with pytest.raises(FabricError):
            unit.write_aligned(0, memoryview(bytearray(512)))
