# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator fears: killed daemons, power cuts, a playbook that dies half-way."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.tests.wire.lab import wait_for
from ansible_collections.weft.fabric.tests.wire.plays import command, environment, fault, play
from ansible_collections.weft.fabric.tests.wire.tenant import Tenant, boot_all

HOSTS = ("net1", "net2", "cmp1", "cmp2")
KILLS = 10


def descendants(pid):
    """Return the processes below one: Ansible's workers are in sessions of their own, and would hang about."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except FileNotFoundError:
        return []  # it has ended in the meantime
    return [found for child in children for found in (*descendants(int(child)), int(child))]


@pytest.fixture
def tenants(lab, topology_source):
    return boot_all(lab, build(str(topology_source)))


def test_killed_vswitchd_comes_back_with_its_flows(lab, tenants, topology_source, figure):
    host = lab("cmp2")
    ping = tenants["red", "web-1"].ping("web-2")
    killed = host.run("cat /run/openvswitch/ovs-vswitchd.pid").strip()
    host.run(f"kill -9 {killed}")
    wait_for("the network after ovs-vswitchd was killed", lambda: tenants["blue", "web-1"].reaches("web-2", 1), 30)
    assert host.run("cat /run/openvswitch/ovs-vswitchd.pid").strip() != killed
    result = ping.stop()
    figure(f"faults: ovs-vswitchd killed with SIGKILL: {result}")
    assert result.lost, "the kill was not felt at all: was it ovs-vswitchd that was killed?"
    assert play("weft.fabric.site", topology_source).changed == []


@pytest.mark.parametrize("name", ["cmp2", "net1"])
def test_a_host_comes_back_from_a_power_cut_without_ansible(lab, tenants, topology_source, figure, name):
    host = lab(name)
    fault("power_cut", name)
    host.forget_connection()
    if name == "cmp2":
        assert not tenants["red", "web-1"].reaches("web-2", 1)
    started = time.monotonic()
    fault("power_on", name)
    wait_for(
        "the replay at boot",
        lambda: host.try_run("systemctl is-active weft-fabric-replay").stdout.strip() == "active",
        30,
    )
    if name == "cmp2":
        # The tenant's machine lost its power too: its namespace is wired again and asks for its address anew.
        tenants["red", "web-2"].dhcp()
        tenants["blue", "web-2"].dhcp()
    wait_for("the network after a power cut", lambda: tenants["red", "web-1"].reaches("web-2", 1), 30)
    figure(f"faults: power cut of {name}: traffic right {time.monotonic() - started:.1f} s after power was back")
    again = play("weft.fabric.site", topology_source)
    assert again.changed == [], again.changes()
    assert tenants["blue", "web-1"].reaches("web-2")


def test_playbook_killed_anywhere_converges_next_time(lab, topology_source, figure):
    """Killed at ten random moments of a run that makes everything: the next run is right."""
    chance = random.Random(20260)
    whole = play("weft.fabric.teardown", topology_source).seconds
    whole = play("weft.fabric.site", topology_source).seconds
    for number in range(KILLS):
        play("weft.fabric.teardown", topology_source)
        moment = chance.uniform(0.2, 0.95) * whole
        process = subprocess.Popen(
            command("weft.fabric.site", topology_source),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(moment)
        for pid in [*descendants(process.pid), process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert process.wait() in (-signal.SIGKILL, 0)
        mended = play("weft.fabric.site", topology_source)
        assert play("weft.fabric.site", topology_source).changed == []
        tenants = [Tenant(lab("cmp1"), "red-web-1"), Tenant(lab("cmp2"), "red-web-2")]
        for tenant in tenants:
            tenant.dhcp()
        assert tenants[0].reaches("web-2")
        figure(
            f"faults: killed after {moment:.1f} of {whole:.1f} s ({number + 1} of {KILLS}): "
            f"next run mended it in {mended.seconds:.1f} s with {sum(map(len, mended.changes().values()))} changes"
        )
