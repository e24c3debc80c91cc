# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to servers and nodes besides deployment and deletion, and that a second run of it does nothing."""

from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.soak.bare_metal.faults import changed
from ansible_collections.weft.fabric.tests.wire.lab import host_variables
from ansible_collections.weft.fabric.tests.wire.leaf import READING
from ansible_collections.weft.fabric.tests.wire.metal import (
    DEPLOYMENT,
    KEY,
    PORTS,
    RED,
    TIMEOUTS,
    VLANS,
    at_rest,
    commands,
    flips,
    node_play,
    public_key,
    secret,
)

IMAGE = Path("/var/cache/weft-fabric/images/tiny.raw.zst")
#: a frame that zstd passes over: the same content in another file
FRAME = bytes.fromhex("502a4d1804000000") + b"weft"


@pytest.fixture
def active(topology, leaf, nodes):
    """n1, on in its tenant's network."""
    node_play("server_deploy", topology, RED)
    assert leaf.port(PORTS["n1"])["vlan"] == VLANS["red"]
    assert nodes["n1"].power() == "on"
    return nodes["n1"]


@pytest.fixture
def twice(topology, leaf, nodes):
    """Run a verb, and a second time: nothing is changed then, and neither BMC nor switch is told anything."""

    def run(verb: str, *words: str):
        first = node_play(verb, topology, *words)
        since, mark = time.time(), leaf.mark()
        again = node_play(verb, topology, *words)
        assert again.changed == []
        assert [commands(node, since) for node in nodes.values()] == [[] for _node in nodes]
        assert set(leaf.requests(mark)) <= READING
        return first

    return run


def into(shown: str, known_hosts: Path, command: str) -> str:
    """Log in to a ramdisk in the way that was shown, with the lab's own way to the boot server."""
    relay = re.search(r"ssh (\S+) (/usr/libexec/weft-fabric-relay \S+ (\S+) 22)", shown)
    host_key = re.search(r"It must show this host key: (ssh-\S+ [A-Za-z0-9+/=]+)", shown)
    known_hosts.write_text(f"{relay[3]} {host_key[1]}\n", encoding="utf-8")
    variables = host_variables()[relay[1]]
    inner = ["ssh", *shlex.split(variables.get("ansible_ssh_common_args", "")), "-i", str(KEY), "-o", "LogLevel=ERROR"]
    inner += [f"root@{variables['ansible_host']}", relay[2]]
    # The lab's own way has a %h that means the boot server, not the node.
    proxy = shlex.join(inner).replace("%", "%%")
    words = ["ssh", "-F", "/dev/null", "-i", str(KEY), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    words += ["-o", f"UserKnownHostsFile={known_hosts}", "-o", f"ProxyCommand={proxy}"]
    done = subprocess.run(
        [*words, f"root@{relay[3]}", command], capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_rescue_leaves_the_disk_alone_and_ends_where_it_began(
    topology, leaf, active, calm, tenant, address, twice, tmp_path
):
    tenant.ssh(address, "echo kept >/root/mine; sync")
    key = f'{{"rescue_key": "{public_key()}"}}'
    done = twice("node_rescue", RED, key)
    assert leaf.port(PORTS["n1"])["vlan"] == DEPLOYMENT
    assert not tenant.reaches(address, 2)
    try:
        shown = " ".join(re.findall(r'^\s+"(.*)",?$', done.output, re.M))
        found = into(shown, tmp_path / "known_hosts", "blkid -s LABEL -o value /dev/vda*; cat /etc/weft/node.json")
        assert "tiny-root" in found
        assert '"node": "n1"' in found
        assert re.search(r"n1  red/db-1  power on  rescue", node_play("server_status", topology, RED).output)
        assert "it is in rescue" in node_play("server_deploy", topology, RED, check=False).failures["n1"]
    finally:
        twice("node_unrescue", RED)
    assert tenant.ssh(address, "cat /root/mine /root/secret").split() == ["kept", secret("red")]


def test_power_is_switched_only_where_the_node_belongs(topology, leaf, active, calm, twice):
    twice("node_power", RED, "power=off")
    assert active.power() == "off"
    assert "stopped" in node_play("server_status", topology, RED).output
    twice("node_power", RED, "power=on")
    before = active.powered()[-1]
    node_play("node_power", topology, RED, "power=restarted")
    assert active.powered()[-1] != before
    assert leaf.port(PORTS["n1"])["vlan"] == VLANS["red"]

    twice("server_delete", RED)
    since = time.time()
    refused = node_play("node_power", topology, RED, "power=on", check=False)
    assert "does not belong" in refused.failures["n1"]
    assert commands(active, since) == []


def test_a_free_node_is_inspected(topology, leaf, node, calm, figure):
    """What it is, and which switch it hears; the end is the beginning."""
    node_play("server_delete", topology, RED)
    done = node_play("node_inspect", topology, "node=n1")
    row = next(row for row in done.tasks if row["task"].endswith("Compare it with the topology"))
    assert row["result"]["differences"] == []
    proposal = row["result"]["proposal"]["n1"]
    assert proposal["nics"]["nic0"]["switch"] == "leaf1"
    assert proposal["nics"]["nic0"]["port"] == PORTS["n1"]
    assert proposal["boot_mode"] == "bios"
    hardware = next(row for row in done.tasks if "what its switches say" in row["task"])["result"]
    heard = hardware["nics"][0]["lldp"]
    assert [(one["system_name"], one["port_id"]) for one in heard] == [("leaf1", PORTS["n1"])]
    assert [disk["serial"] for disk in hardware["disks"]] == ["weft-n1-a", "weft-n1-b"]
    assert at_rest(leaf, node)
    figure(f"bare metal: inspected in {done.seconds:.0f} s")
    assert "server_delete frees it" in node_play("node_inspect", topology, "node=n2", check=False).failures["n2"]


def test_another_image_is_written_by_a_rebuild(topology, leaf, active, calm, tenant, address, twice, tmp_path):
    tenant.ssh(address, "echo lost >/root/mine; sync")
    other = tmp_path / "other.raw.zst"
    other.write_bytes(IMAGE.read_bytes() + FRAME)
    checksum = "sha256:" + hashlib.sha256(other.read_bytes()).hexdigest()

    def change(data):
        data["images"]["other"] = {"url": f"file://{other}", "checksum": checksum, "format": "raw.zst"}
        data["projects"]["red"]["servers"]["db-1"]["image"] = "other"

    with changed(topology, change):
        assert "server_rebuild" in node_play("server_deploy", topology, RED, check=False).failures["n1"]
        assert "server_rebuild" in node_play("server_status", topology, RED, check=False).failures["n1"]
        twice("server_rebuild", RED)
        assert tenant.ssh(address, "ls /root/mine 2>/dev/null; cat /root/secret") == secret("red")
        assert checksum[:19] in node_play("server_status", topology, RED).output
    node_play("server_rebuild", topology, RED)


def test_a_running_server_is_adopted_with_no_write_at_all(topology, leaf, active, calm, tenant, address, twice, lab):
    """Nothing of it is known on the boot server, as if somebody else had deployed it."""
    lab("net1").run("cd /var/lib/weft-fabric/boot && rm -rf keys/n1 http/nodes/02-57-46-a0-01-01")
    told = node_play("server_status", topology, RED, check=False).failures["n1"]
    assert "no run wrote it: node_adopt takes it as it is" in told
    assert "node_adopt" in node_play("server_deploy", topology, RED, check=False).failures["n1"]

    # The kernel that runs there writes now and then, too: from here on it can't.
    tenant.ssh(address, "sync; echo u >/proc/sysrq-trigger; until grep -q ' / ext4 ro' /proc/mounts; do sleep 1; done")
    before, since, mark = active.disk_digest(), time.time(), leaf.mark()
    twice("node_adopt", RED)
    assert node_play("server_deploy", topology, RED).changed == []
    assert active.disk_digest() == before
    assert commands(active, since) == []
    assert flips("n1", since) == []
    assert set(leaf.requests(mark)) <= READING
    assert "image adopted" in node_play("server_status", topology, RED).output
    node_play("node_power", topology, RED, "power=restarted")


def test_status_names_each_contradiction(topology, leaf, active, calm):
    """And touches nothing; a node that is all right is shown beside it."""

    def told(words: str, **ways) -> None:
        since = time.time()
        done = node_play("server_status", topology, check=False, **ways)
        assert words in done.failures["n1"], done.failures
        assert "n2" not in done.failures
        assert re.search(r"n2  blue/db-1  power on  active", done.output)
        assert commands(active, since) == []

    leaf.set_vlan(PORTS["n1"], 199)
    told("its ports are in VLANs of none of its phases")
    leaf.set_vlan(PORTS["n1"], DEPLOYMENT)
    told("it is on where it should be off")
    leaf.set_vlan(PORTS["n1"], VLANS["red"])
    with changed(topology, lambda data: data["projects"]["red"]["servers"].pop("db-1")):
        told("it carries server red/db-1, and the topology says no server")
    with changed(topology, lambda data: data["images"].update(new={**data["images"]["tiny"], "checksum_file": "SUMS"})
                 or data["projects"]["red"]["servers"]["db-1"].update(image="new")):  # fmt: skip
        told("images.new.checksum_file")
    with active.fault("silent"):
        told("BMC")
    assert node_play("server_status", topology).returncode == 0


def test_a_boot_device_that_is_not_stored_is_found_out_before_the_node_is_on(topology, leaf, nodes):
    """By a BMC that can be asked. Last, since it takes the other server away for a while."""
    node, since = nodes["n2"], time.time()
    with node.fault("forgets_boot"):
        done = node_play("server_rebuild", topology, "server=blue/db-1", "force=true", check=False)
    assert "boot it from the network next time failed" in done.failures["n2"]
    assert [text for text in commands(node, since) if text.startswith("power on")] == []
    assert node.power() == "off"
    assert leaf.port(PORTS["n2"]).get("vlan") != VLANS["blue"]
    assert done.seconds < TIMEOUTS["power"] + TIMEOUTS["soft_off"] + 60
    node_play("server_deploy", topology, "server=blue/db-1")
    assert leaf.port(PORTS["n2"])["vlan"] == VLANS["blue"]
