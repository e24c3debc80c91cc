# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of a host's links, and what routers make of it."""

from __future__ import annotations

import os
import signal
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import vrrp_health
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip
from ansible_collections.weft.fabric.tests.unit.vrrp.fake_systemd import descendants, wait_for
from ansible_collections.weft.fabric.tests.unit.vrrp.machine import Node, Site

CHECKS = [
    {"name": "uplink-physnet1", "device": "eth2", "weight": -50},
    {"name": "underlay", "device": "eth1", "weight": -254},
]
NAMES = [str(check["name"]) for check in CHECKS]


def plug(*devices: str) -> None:
    for device in devices:
        ip(f"link add {device} type veth peer name {device}-far", f"link set {device} up", f"link set {device}-far up")


def health(node: Node) -> dict[str, int]:
    found: dict[str, int] = node.describe()["health_status"]
    return found


def test_life_cycle(node: Node) -> None:
    plug("eth1", "eth2")
    steps: list[tuple[list[dict[str, t.Any]], list[str]]] = [
        (CHECKS[:1], ["start"]),
        (CHECKS, ["stop", "start"]),
        ([{**CHECKS[0], "weight": -60}], ["stop", "start"]),
        ([], ["stop"]),
    ]
    for checks, expected in steps:
        predicted = node.run(health=checks, purge=True, check_mode=True)
        assert node.systemd.forget() == []
        assert node.run(health=checks, purge=True) == predicted
        assert predicted["changed"]
        assert [call[0] for call in node.systemd.forget()] == expected
        assert not node.run(health=checks, purge=True)["changed"]
        assert node.describe()["health"] == checks
    assert not Path(node.health_paths.directory).exists()
    assert not Path(node.health_paths.unit).exists()
    assert not Path(node.health_paths.run).exists()


def test_process_1_reads_its_files_once(node: Node) -> None:
    """The units of the routers and of the watcher come together; that takes a quarter of a second each time."""
    plug("eth1", "eth2")
    node.run(node.item(config=node.config(health=NAMES)), health=CHECKS)
    assert node.systemd.reloads == 1
    node.run(node.item(config=node.config(health=NAMES[:1])), health=CHECKS[:1])
    assert node.systemd.reloads == 1, "no unit has changed"


def test_without_purge_it_stays(node: Node) -> None:
    plug("eth1", "eth2")
    node.run(health=CHECKS)
    assert not node.run()["changed"]
    assert vrrp_health.UNIT in node.systemd.processes


def test_the_watcher_follows_the_carrier(node: Node) -> None:
    plug("eth1")
    node.run(health=CHECKS)
    wait_for("the first look", lambda: health(node) == {"underlay": 0, "uplink-physnet1": -50})
    plug("eth2")
    wait_for("the new device", lambda: health(node)["uplink-physnet1"] == 0)
    ip("link set eth1-far down")
    wait_for("the loss of the carrier", lambda: health(node)["underlay"] == -254)
    ip("link set eth1-far up")
    wait_for("the carrier", lambda: health(node)["underlay"] == 0)
    ip("link del eth2")
    wait_for("the loss of the device", lambda: health(node)["uplink-physnet1"] == -50)


def test_the_watcher_sees_what_it_was_not_told(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel drops notices when too many come at a time."""
    deaf = node.path / "bin/ip"
    deaf.write_text('#!/bin/sh\n[ "$2" = monitor ] && exec sleep 600\nPATH=${PATH#*:} exec ip "$@"\n')
    deaf.chmod(0o755)
    monkeypatch.setattr(vrrp_health, "_PROGRAM", vrrp_health._PROGRAM.replace("pause=10", "pause=0.2"))
    plug("eth1", "eth2")
    node.run(health=CHECKS)
    wait_for("the first look", lambda: set(health(node).values()) == {0})
    for far, expected in (("down", -50), ("up", 0)) * 2:
        ip(f"link set eth2-far {far}")
        wait_for("the next look", lambda expected=expected: health(node)["uplink-physnet1"] == expected)


def test_the_watcher_ends_with_its_monitor(node: Node) -> None:
    """systemd starts both again."""
    plug("eth1", "eth2")
    node.run(health=CHECKS)
    watcher = node.systemd.processes[vrrp_health.UNIT]

    def monitors() -> list[int]:
        started = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in descendants(watcher.pid)}
        return [pid for pid, command in started.items() if b"monitor" in command]

    (monitor,) = wait_for("the monitor", monitors)
    os.kill(monitor, signal.SIGKILL)
    assert watcher.wait(5) == 1


def test_who_loses_its_uplink_loses_the_role_to_one_who_has_not(site: Site) -> None:
    """Both nodes watch the devices of the test's namespace, so each has its own."""
    one, two = site.nodes
    for node in site.nodes:
        plug(f"up{node.number}", f"under{node.number}")
        checks = [
            {"name": "uplink-physnet1", "device": f"up{node.number}", "weight": -50},
            {"name": "underlay", "device": f"under{node.number}", "weight": -254},
        ]
        node.run(node.item(config=node.config(health=NAMES)), health=checks)
        wait_for("the first look", lambda node=node: set(health(node).values()) == {0})
        node.wait_for_role("primary" if node is one else "backup")
    ip("link set up1-far down")
    wait_for("the peer to take over", lambda: site.primaries() == [2])
    assert one.status()["priority"] == 50
    ip("link set up2-far down")
    wait_for("the peer to be no better", lambda: two.status()["priority"] == 50)
    assert site.primaries() == [2]
    ip("link set up1-far up")
    wait_for("the better one to take over", lambda: site.primaries() == [1])
    ip("link set under1-far down")
    one.wait_for_role("fault")
    wait_for("the peer to take over", lambda: site.primaries() == [2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "a b"}, "the name may hold"),
        ({"name": "handicap"}, "not be handicap"),
        ({"name": "../x"}, "the name may hold"),
        ({"device": "eth1; reboot"}, "is not a device name"),
        ({"weight": 0}, "is not between -254 and -1"),
        ({"weight": -255}, "is not between -254 and -1"),
        ({"weight": "-5"}, "is not between -254 and -1"),
    ],
)
def test_what_is_refused(change: dict[str, t.Any], message: str) -> None:
    with pytest.raises(FabricError, match=message):
        vrrp_health.Health([{**CHECKS[0], **change}], False, Systemd())
    with pytest.raises(FabricError, match="is listed twice"):
        vrrp_health.Health([CHECKS[0], CHECKS[0]], False, Systemd())


def test_the_watcher_is_clean(node: Node) -> None:
    plug("eth1", "eth2")
    node.run(health=CHECKS)
    assert subprocess.run(["dash", "-n", node.health_paths.program], check=False).returncode == 0
