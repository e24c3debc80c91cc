# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong with images, disks, the switch, and room on disks of those who deploy.

Each ends within its bound, with one error; the node is off and in no tenant's VLAN, others are not disturbed.
"""

from __future__ import annotations

import contextlib
import subprocess

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.tests.soak.bare_metal.faults import (
    MARGIN,
    RAMDISK_SECONDS,
    changed,
    deploy_in_vain,
    failed,
    n1,
)
from ansible_collections.weft.fabric.tests.wire.lab import wait_for
from ansible_collections.weft.fabric.tests.wire.leaf import session
from ansible_collections.weft.fabric.tests.wire.metal import PORTS, RAMDISK, RED, TIMEOUTS, VLANS, commands, node_play
from ansible_collections.weft.fabric.tests.wire.plays import Running

pytestmark = pytest.mark.usefixtures("calm")
WRITING = "write its image failed"
HTTP_ROOT = "/var/lib/weft-fabric/boot/http"


@contextlib.contextmanager
def full(host, directory):
    """Have a directory of a host on a file system without room, with what is in it now."""
    words = f"mount -t tmpfs -o size=64k tmpfs {directory}; head -c 64k /dev/zero >{directory}/.full 2>/dev/null; true"
    host.run(f"cp -a {directory} /run/weft-t-kept; {words}")
    try:
        yield
    finally:
        host.run(f"umount {directory}; rm -rf /run/weft-t-kept")


def test_an_image_with_another_checksum(topology, leaf, node):
    """As it is on the controller: no node is touched."""
    before = commands(node, 0.0)

    def change(data):
        del data["images"]["tiny"]["checksum_file"]
        data["images"]["tiny"]["checksum"] = "sha256:" + 64 * "0"

    with changed(topology, change):
        done = node_play("server_deploy", topology, RED, check=False)
    assert done.returncode != 0
    assert "the topology says sha256:000" in done.output
    assert commands(node, 0.0) == before


def test_an_image_that_is_damaged_on_its_server(topology, leaf, blank, lab):
    served = f"{HTTP_ROOT}/images/{build(str(topology)).images['tiny'].served}"
    server = lab("net1")
    server.run(f"cp -a {served} /run/weft-t-image; printf weft | dd of={served} bs=1 seek=9000000 conv=notrunc")
    try:
        said = deploy_in_vain(topology, leaf, blank, WRITING, RAMDISK_SECONDS + TIMEOUTS["write"])
    finally:
        server.run(f"mv /run/weft-t-image {served}")
    assert "its checksum is wrong" in said
    assert "nothing boots from it" in said
    assert blank.boots_nothing()


def test_an_image_that_is_too_large(topology, leaf, node):
    """The topology believes the disk to be larger than it is."""

    def change(data):
        data["images"]["large"] = {**data["images"]["tiny"], "size": "3 GiB"}
        data["projects"]["red"]["servers"]["db-1"]["image"] = "large"
        data["nodes"]["n1"]["properties"]["disk"] = "4 GiB"

    with changed(topology, change):
        said = deploy_in_vain(topology, leaf, node, WRITING, RAMDISK_SECONDS)
    assert "and the disk has only" in said
    assert "Nothing was written" in said


def test_a_hint_that_means_no_disk(topology, leaf, node):
    with changed(topology, n1(root_device={"serial": "nothing"})):
        said = deploy_in_vain(topology, leaf, node, WRITING, RAMDISK_SECONDS)
    assert "/dev/vda" in said, "it is not told which disks there are"


def test_a_hint_that_means_two_disks(topology, leaf, node):
    with changed(topology, n1(root_device={"serial": "<in> weft-n1-"})):
        said = deploy_in_vain(topology, leaf, node, WRITING, RAMDISK_SECONDS)
    assert "/dev/vda" in said
    assert "/dev/vdb" in said


def test_a_disk_that_cannot_be_written(topology, leaf, blank):
    with blank.fault("bad_disk"):
        said = deploy_in_vain(topology, leaf, blank, WRITING, RAMDISK_SECONDS + TIMEOUTS["write"])
    assert "/dev/vda could not be written at byte 8388608: input/output error" in said
    assert blank.boots_nothing(), "what is there in part would be booted"


def test_an_image_server_that_stalls(topology, leaf, blank, lab):
    """While the image comes, or before it does: the connection stands, and nothing comes."""
    server = lab("net1")
    unit = server.run("systemctl list-units --plain --no-legend 'weft-fabric-boot-http@*' | cut -d' ' -f1").strip()
    running = Running("weft.fabric.server_deploy", topology, "-e", RAMDISK, "-e", RED)
    try:
        running.wait_task("n1: Write its image")
        sockets = f"nsenter -t $(systemctl show -P MainPID {unit}) -n ss -Htn state established sport = :80"
        wait_for("the node to fetch its image", lambda: server.run(sockets).strip(), 60)
        server.run(f"systemctl kill --signal=SIGSTOP {unit}")
        try:
            done = running.end(RAMDISK_SECONDS + TIMEOUTS["stall"] + MARGIN)
        finally:
            server.run(f"systemctl kill --signal=SIGCONT {unit}")
    finally:
        running.kill()
    said = failed(done, WRITING)
    assert f"{TIMEOUTS['stall']} s" in said
    assert blank.power() == "off"
    assert leaf.port(PORTS["n1"]).get("vlan") != VLANS["red"]


def test_a_switch_that_refuses(topology, leaf, node):
    """Somebody has locked its configuration, and does not end."""

    def change(data):
        data["switches"]["leaf1"]["lock_timeout"] = 10

    if leaf.port(PORTS["n1"]).get("vlan") is not None:  # where a run has failed before, the port need not change
        node_play("server_delete", topology, RED)
    before = commands(node, 0.0)
    with changed(topology, change), session() as other, other.locked("candidate"):
        said = deploy_in_vain(topology, leaf, node, "set its switch ports failed", 10)
    assert "leaf1" in said
    assert "lock" in said
    assert [text for text in commands(node, 0.0)[len(before) :] if text.startswith("power on")] == []


def test_a_switch_that_is_away(topology, leaf, node):
    """Nothing is known of the node's ports, so nothing is done."""
    before = commands(node, 0.0)
    # The bridge would have the server started again.
    leaf.shell.run("systemctl stop lab-switch lab-netconfd")
    try:
        done = node_play("server_deploy", topology, RED, check=False)
        assert done.returncode != 0
        assert "leaf1" in done.output
        assert done.seconds < 30 + MARGIN
    finally:
        leaf.shell.run("systemctl start lab-netconfd lab-switch")
    assert commands(node, 0.0) == before


def test_a_boot_server_without_room_for_the_image(topology, leaf, node, lab):
    before = commands(node, 0.0)
    with full(lab("net1"), f"{HTTP_ROOT}/images"):
        done = node_play("server_deploy", topology, RED, check=False)
    assert done.returncode != 0
    assert "No space left on device" in done.output
    assert commands(node, 0.0) == before


def test_a_boot_server_without_room_for_keys(topology, leaf, node, lab):
    with full(lab("net1"), f"{HTTP_ROOT}/deployments"):
        said = deploy_in_vain(topology, leaf, node, "make keys for it", TIMEOUTS["power"])
    assert "No space left on device" in said


def test_a_controller_without_room(topology, leaf, blank, tmp_path, monkeypatch):
    """Where its temporary files are. What is asked needs none, so the node is on when that is found out."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(place)], check=True)
    try:
        monkeypatch.setenv("TMPDIR", str(place))
        said = deploy_in_vain(topology, leaf, blank, "No space left on device", RAMDISK_SECONDS)
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert "set TMPDIR to a directory that has some. It is off" in said, "nothing is said twice, and nothing else"
