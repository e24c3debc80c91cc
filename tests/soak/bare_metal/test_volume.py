# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that boot from volumes over iSCSI, by BIOS and UEFI: the volume is a tenant's, behind his router."""

from __future__ import annotations

import time
import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.tests.wire import volume as volumes
from ansible_collections.weft.fabric.tests.wire.metal import (
    DEPLOYMENT,
    VLANS,
    Customer,
    Wires,
    at_rest,
    flips,
    load,
    node_play,
)
from ansible_collections.weft.fabric.tests.wire.plays import edit, play

NODES = {"red": "n1", "blue": "n2"}
PASSWORD = "a-password-of-the-lab"
SECONDS = 240


class Site(t.NamedTuple):
    """What there is of each project: its machine on the overlay, and there the volume of its server."""

    customers: dict[str, Customer]
    volumes: dict[str, volumes.Volume]
    addresses: dict[str, str]  # of the servers
    boot_servers: dict[str, str]  # addresses, in the servers' networks


@pytest.fixture(scope="module")
def site(topology, fabric, lab, tmp_path_factory):
    """The servers of the example have volumes instead of images, in this module."""
    directory = tmp_path_factory.mktemp("volumes")
    (directory / "password").write_text(PASSWORD, encoding="utf-8")
    for project in NODES:
        node_play("server_delete", topology, f"server={project}/db-1")
    customers = {project: Customer(lab, project) for project in NODES}
    packed, model = volumes.make_for_lab(directory), build(str(topology))
    found = {}
    for project, customer in customers.items():
        address = str(model.projects[project].ports["web-1"].addresses[0])
        found[project] = volumes.Volume(customer.host, customer.namespace, address, packed, PASSWORD)
    before = topology.read_text(encoding="utf-8")

    def change(data):
        for project, volume in found.items():
            server = data["projects"][project]["servers"]["db-1"]
            for word in ("image", "keys", "user_data"):
                server.pop(word, None)
            server["volume"] = {
                "target_portal": volume.address,
                "target_iqn": volume.iqn,
                "target_lun": 1,
                "auth_username": volumes.USER,
                "auth_password": f"{{{{ lookup('ansible.builtin.file', '{directory / 'password'}') }}}}",
            }

    edit(topology, change)
    play("weft.fabric.site", topology)
    model = build(str(topology))
    yield Site(
        customers,
        found,
        {project: str(model.projects[project].ports["server-db-1-metal"].addresses[0]) for project in NODES},
        {project: str(model.node_ports[project, "metal"][0].addresses[0]) for project in NODES},
    )
    for volume in found.values():
        volume.close()
    topology.write_text(before, encoding="utf-8")
    play("weft.fabric.site", topology)


@pytest.mark.parametrize("project", ["red", "blue"])
def test_a_server_boots_from_its_volume_and_is_deleted_without_a_trace_on_it(
    topology, site, leaf, nodes, figure, monkeypatch, project
):
    name, server, volume, customer = (
        NODES[project],
        f"server={project}/db-1",
        site.volumes[project],
        site.customers[project],
    )
    node, since, mark, disk = nodes[name], time.time(), nodes[name].mark(), nodes[name].disk_used()
    macs = {one: str(found["nics"]["nic0"]["mac_address"]) for one, found in load(topology)["nodes"].items()}
    wires = Wires(leaf, macs)
    try:
        with monkeypatch.context() as patch:
            patch.setenv("ANSIBLE_VERBOSITY", "3")
            done = node_play("server_boot_from_volume", topology, server)
        begun = time.monotonic()
        node.wait_console(r"^tiny: boots from volume " + volume.iqn, SECONDS, mark)
        node.wait_console(r"^tiny: ready", SECONDS, mark)
    finally:
        wires.stop()
    figure(
        f"bare metal, volume: {name} led there in {done.seconds:.0f} s, and up {time.monotonic() - begun:.0f} s later"
    )
    # It was never where nodes are deployed, and its port was moved while it was off.
    assert {frame.vlan for frame in wires.frames(name)} == {VLANS[project]}
    assert DEPLOYMENT not in [flip.after for flip in flips(name, since)]
    assert [flip for flip in flips(name, since) if not node.was_off_at(flip.when)] == []
    # Who logged in to the volume is the node, and its system is there for its tenant.
    assert site.addresses[project] in volume.sessions()
    mounted = customer.ssh(site.addresses[project], "grep ' / ' /proc/mounts; cat /sys/block/sda/device/vendor")
    assert "/dev/sda3 / ext4" in mounted
    assert "IET" in mounted
    assert node_play("server_boot_from_volume", topology, server).changed == []
    status = node_play("server_status", topology, server)
    assert f"volume iscsi:{volume.address}::3260:1:{volume.iqn}" in status.output
    assert PASSWORD not in done.output + status.output

    # What was written is there after a restart: it boots from there each time.
    customer.ssh(site.addresses[project], "echo kept >/root/kept; sync")
    mark = node.mark()
    node_play("node_power", topology, server, "power=restarted")
    node.wait_console(r"^tiny: ready", SECONDS, mark)
    assert customer.ssh(site.addresses[project], "cat /root/kept") == "kept"

    node_play("node_power", topology, server, "power=off")
    assert node.disk_used() == disk, "its own disk was written"
    before = volume.digest()
    node_play("server_delete", topology, server)
    assert at_rest(leaf, node)
    assert volume.digest() == before
    assert node_play("server_delete", topology, server).changed == []


def test_what_opens_a_volume_is_for_its_node_only(topology, site, nodes, lab):
    """The script with the password: the tenant's other machines do not get it, nor the other tenant."""
    node_play("server_boot_from_volume", topology, "server=red/db-1")
    mac = str(load(topology)["nodes"]["n1"]["nics"]["nic0"]["mac_address"]).replace(":", "-")
    for project, customer in site.customers.items():
        url = f"http://{site.boot_servers['red']}/nodes/{mac}.ipxe"
        asked = customer.host.try_run(f"ip netns exec {customer.namespace} curl -s -m 5 {url}")
        assert "sanboot" not in asked.stdout, project
        assert PASSWORD.encode().hex(":") not in asked.stdout
    found = lab("net1").run(f"find /var/lib/weft-fabric/boot/http/nodes/{mac} -name '*.ipxe' -perm /007").split()
    assert found == []
    # A password that is not the volume's: the node does not boot, and says so.
    assert nodes["n1"].power() == "on"


def test_a_volume_that_does_not_let_the_node_in(topology, site, nodes, leaf):
    node, mark = nodes["n1"], nodes["n1"].mark()
    before = topology.read_text(encoding="utf-8")

    def change(data):
        data["projects"]["red"]["servers"]["db-1"]["volume"]["auth_username"] = "somebody"

    edit(topology, change)
    try:
        # What it boots from is told while it runs, and counts from its next start on.
        told = node_play("server_boot_from_volume", topology, "server=red/db-1", "force=true")
        assert node.power() == "on"
        assert [task for _host, task in told.changed if task.endswith("boot from its volume")]
        node_play("node_power", topology, "server=red/db-1", "power=restarted")
        node.wait_console(r"The volume did not come; again in 1 s", SECONDS, mark)
    finally:
        topology.write_text(before, encoding="utf-8")
    node_play("server_boot_from_volume", topology, "server=red/db-1", "force=true")
    mark = node.mark()
    node_play("node_power", topology, "server=red/db-1", "power=restarted")
    node.wait_console(r"^tiny: ready", SECONDS, mark)
