# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that the boot server writes over iSCSI, by BIOS and UEFI; runs that are killed, and a damaged image."""

from __future__ import annotations

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.tests.wire.lab import Capture
from ansible_collections.weft.fabric.tests.wire.metal import (
    PORTS,
    UPLINK,
    VLANS,
    Customer,
    at_rest,
    node_play,
    secret,
)
from ansible_collections.weft.fabric.tests.wire.plays import edit, play, play_killed

SERVERS = {"red": "n1", "blue": "n2"}
OVER_ISCSI = "Write its image over iSCSI"


@pytest.fixture(scope="module", autouse=True)
def exported(topology, fabric):
    """The nodes of the example have their disks written so, in this module."""
    before = topology.read_text(encoding="utf-8")

    def change(data):
        for node in data["nodes"].values():
            node["deploy_interface"] = "iscsi"

    edit(topology, change)
    play("weft.fabric.site", topology)
    yield
    topology.write_text(before, encoding="utf-8")
    play("weft.fabric.site", topology)


def ran(done, words):
    """Return what tasks of a name have returned, that were not skipped."""
    return [row["result"] for row in done.tasks if row["task"].endswith(words) and not row["result"].get("skipped")]


@pytest.mark.parametrize("project", ["red", "blue"])
def test_a_server_is_written_so_and_its_tenant_reaches_it(topology, leaf, nodes, lab, figure, project):
    name, server = SERVERS[project], f"server={project}/db-1"
    node = nodes[name]
    node_play("server_delete", topology, server)
    assert at_rest(leaf, node)
    mark = node.mark()
    capture = Capture(leaf.shell, UPLINK, "vlan and tcp port 3260", direction="out")
    try:
        done = node_play("server_deploy", topology, server)
    finally:
        frames = capture.stop()
    # The node's answers go to the boot server over the trunk: in the deployment's VLAN, and in no other.
    assert frames
    assert [line for line in frames if "vlan 150," not in line] == []
    assert [found["size"] for found in ran(done, OVER_ISCSI)] == [96 << 20]
    # In the ramdisk its disk is finished only.
    assert [found["bytes"] for found in ran(done, "Write its image")] == [0]
    node.wait_console(r"^tiny: ready", 120, mark)
    tenant = Customer(lab, project)
    target = str(build(str(topology)).projects[project].ports["server-db-1-metal"].addresses[0])
    assert tenant.ssh(target, "hostname; cat /root/secret").split() == ["db-1", secret(project)]
    assert node_play("server_deploy", topology, server).changed == []
    took = done.spent(name)
    figure(f"bare metal, iSCSI: {name} exported in {took['Have its disk exported']:.1f} s, written in "
           f"{took[OVER_ISCSI]:.1f} s, finished in {took['Write its image']:.1f} s")  # fmt: skip


#: task, seconds after its begin, whether the image is to be written again
KILLS = [(OVER_ISCSI, 2.0, True), ("Have the ramdisk power it off", 0.0, False)]


@pytest.mark.parametrize(("task", "after", "again"), KILLS)
def test_a_run_that_is_killed_goes_on(topology, leaf, nodes, task, after, again):
    node_play("server_delete", topology, "server=red/db-1")
    play_killed("weft.fabric.server_deploy", topology, "-e", "server=red/db-1", at=f"n1: {task}", after=after)
    done = node_play("server_deploy", topology, "server=red/db-1")
    assert bool(ran(done, OVER_ISCSI)) == again, "an image that is there whole is not written twice"
    assert leaf.port(PORTS["n1"])["vlan"] == VLANS["red"]
    assert nodes["n1"].power() == "on"
    assert node_play("server_deploy", topology, "server=red/db-1").changed == []


def test_an_image_that_was_damaged_on_the_boot_server_boots_nowhere(topology, leaf, nodes, lab):
    """What is wrong is found on the way to the disk, when nearly all of it is there."""
    node, server, images = nodes["n1"], lab("net1"), "/var/lib/weft-fabric/boot/http/images"
    node_play("server_delete", topology, "server=red/db-1")
    file = server.run(f"ls {images}/*.raw.zst").split()[0]
    server.run(f"cp -a {file} /root/kept && printf more >> {file}")
    try:
        done = node_play("server_deploy", topology, "server=red/db-1", check=False)
    finally:
        server.run(f"mv /root/kept {file}")
    assert "its checksum is sha256:" in done.failures["n1"]
    assert "nothing boots from it" in done.failures["n1"]
    assert node.power() == "off"
    assert leaf.port(PORTS["n1"]).get("vlan") != VLANS["red"]
    with node.disk_path.open("rb") as disk:
        assert disk.read(1 << 20).strip(b"\0") == b""
    node_play("server_deploy", topology, "server=red/db-1")
    assert node.power() == "on"
