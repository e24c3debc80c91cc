# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands between a BMC of the lab and QEMU, with a QEMU that is played."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.wire.lab import wait_for
from ansible_collections.weft.fabric.tests.wire.node import Node

PROGRAM = Path(__file__).resolve().parents[3] / "roles/lab/files/node/chassis.py"
# Keeps its words, answers on its monitor, and powers off when it is asked to.
QEMU = """\
import json, socket, sys
place = sys.argv[1]
with open(place + "/words", "a") as file:
    file.write(json.dumps(sys.argv[2:]) + "\\n")
monitor = socket.socket(socket.AF_UNIX)
monitor.bind(place + "/qmp.sock." + str(__import__("os").getpid()))
__import__("os").replace(monitor.getsockname(), place + "/qmp.sock")
monitor.listen()
while True:
    client, _ = monitor.accept()
    client.sendall(b'{"QMP": {}}\\n')
    for line in client.makefile():
        asked = json.loads(line)
        client.sendall(b'{"event": "SOMETHING"}\\n{"return": {}}\\n')
        with open(place + "/asked", "a") as file:
            file.write(json.dumps([asked["execute"], *asked["arguments"].values()]) + "\\n")
        if asked["execute"] == "system_powerdown":
            sys.exit()
"""


DRIVE = "if=none,id=disk0-file,file=/disks/disk0.raw,format=raw"


class Played(Node):
    """A node whose machine is a script."""

    def __init__(self, state: Path) -> None:
        super().__init__("n1", state, state)
        self.directory.mkdir(parents=True)
        script = state / "qemu"
        script.write_text(QEMU, encoding="utf-8")
        settings = {
            "command": [sys.executable, str(script), str(self.directory), "-drive", DRIVE],
            "disks": {"disk0": "virtio-blk-pci,id=disk0"},
            "nics": {"nic0": "virtio-net-pci,id=nic0"},
            "http": ["-fw_cfg", "http"],
        }
        (self.directory / "node.json").write_text(json.dumps(settings), encoding="utf-8")

    def chassis(self, *words: str, rc: int = 0) -> str:
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-E", "-s", "-S", "-B", str(PROGRAM), str(self.directory), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        assert done.returncode == rc, done.stderr
        # Otherwise ipmitool says it again. Most of it is Python's start, and the machine may be busy.
        assert time.monotonic() - started < 5
        return done.stdout

    def lines(self, name: str) -> list[list[str]]:
        file = self.directory / name
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []

    def texts(self) -> list[str]:
        return [event.text for event in self.bmc_log()]

    def order(self) -> list[str]:
        """Return the devices that the machine was last started with, the first to boot from first."""
        found = {}
        for word in self.lines("words")[-1]:
            if ",bootindex=" in word:
                found[int(word.rpartition("=")[2])] = word.split("id=")[1].split(",")[0]
        return [found[index] for index in sorted(found)]

    def start(self) -> None:
        before = len(self.lines("words"))
        self.chassis("set", "power", "1")
        wait_for("the machine to begin", lambda: len(self.lines("words")) > before)


@pytest.fixture
def played(tmp_path: Path) -> Iterator[Played]:
    node = Played(tmp_path)
    yield node
    node.cut_power()


def test_power_is_what_the_machine_is(played: Played) -> None:
    assert played.chassis("get", "power") == "power:0\n"
    played.start()
    assert played.chassis("get", "power") == "power:1\n"
    played.chassis("set", "power", "1")
    assert len(played.lines("words")) == 1, "a command that came twice starts one machine"
    played.chassis("set", "power", "0")
    assert played.chassis("get", "power") == "power:0\n"
    wait_for("the end of the machine in the log", lambda: "is off" in played.texts())
    assert sorted(played.texts()) == ["is off", "power off", "power on: boots none", "power on: is on"]
    assert played.power() == "off"


def test_a_boot_device_is_for_one_start_unless_it_is_for_always(played: Played) -> None:
    assert played.chassis("get", "boot") == "boot:none\n"
    played.start()
    assert played.order() == ["disk0", "nic0"]
    played.chassis("set", "power", "0")
    played.chassis("set", "boot", "pxe")
    assert played.chassis("get", "boot") == "boot:pxe\n"
    played.start()
    assert played.order() == ["nic0", "disk0"]
    assert played.chassis("get", "boot") == "boot:none\n"
    # A reset from within must not lead to the network again.
    wait_for("the usual order", lambda: len(played.lines("asked")) == 5)
    assert played.lines("asked")[1:] == [
        # QEMU refuses a place that is taken.
        ["qom-set", "/machine/peripheral/disk0", "bootindex", -1],
        ["qom-set", "/machine/peripheral/nic0", "bootindex", -1],
        ["qom-set", "/machine/peripheral/disk0", "bootindex", 0],
        ["qom-set", "/machine/peripheral/nic0", "bootindex", 1],
    ]
    played.chassis("set", "boot", "pxe", "always")
    assert json.loads(played.chassis("get", "all")) == {"power": True, "device": "pxe", "persistent": True}
    played.chassis("set", "reset", "1")
    wait_for("the next machine", lambda: len(played.lines("words")) == 3)
    assert played.order() == ["nic0", "disk0"]
    assert played.chassis("get", "boot") == "boot:pxe\n"
    assert len(played.powered()) == 3
    assert [end for _begin, end in played.powered()][2] == float("inf")


def test_a_boot_over_http_is_told_to_the_firmware(played: Played) -> None:
    played.chassis("set", "boot", "http")
    played.start()
    assert played.order() == ["nic0", "disk0"]
    assert played.lines("words")[-1][-2:] == ["-fw_cfg", "http"]


def test_it_says_disk_as_ipmi_sim_does_and_refuses_what_it_has_not(played: Played) -> None:
    played.chassis("set", "boot", "default")
    assert played.chassis("get", "boot") == "boot:default\n"
    assert json.loads(played.chassis("get", "all"))["device"] == "disk"
    played.chassis("set", "boot", "cdrom", rc=1)
    assert played.chassis("get", "boot") == "boot:default\n"


def test_a_soft_off_is_the_systems_own_business(played: Played) -> None:
    played.start()
    played.chassis("set", "shutdown", "1")
    wait_for("the machine to power off", lambda: played.power() == "off")
    wait_for("the end of the machine in the log", lambda: played.texts()[-1] == "is off")
    assert played.texts() == ["power on: boots none", "soft off", "is off"]


def test_what_it_does_wrong_on_purpose(played: Played) -> None:
    with played.fault("stuck_off"):
        played.chassis("set", "power", "1")
        assert played.chassis("get", "power") == "power:0\n"
    with played.fault("forgets_boot"):
        played.chassis("set", "boot", "pxe")
        assert played.chassis("get", "boot") == "boot:none\n"
    played.chassis("set", "boot", "pxe")
    with played.fault("boots_disk"):
        played.start()
    assert played.order() == ["disk0", "nic0"]
    assert DRIVE in played.lines("words")[-1]
    with played.fault("stuck_on", "deaf"):
        for words in (("power", "0"), ("shutdown", "1"), ("reset", "1")):
            played.chassis("set", *words)
            assert played.chassis("get", "power") == "power:1\n"
    assert len(played.lines("words")) == 1
    played.chassis("set", "power", "0")
    assert played.chassis("get", "power") == "power:0\n"
    with played.fault("bad_disk"):
        played.start()
    rules = played.directory / "bad_disk"
    assert DRIVE.replace("file=/", f"file=blkdebug:{rules}:/") in played.lines("words")[-1]
    assert 'iotype = "write"' in rules.read_text(encoding="utf-8")


def test_a_node_that_the_lab_has_given_up_starts_nothing(played: Played) -> None:
    (played.directory / "node.json").unlink()
    played.chassis("set", "power", "1", rc=1)
    assert played.lines("words") == []
