# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers of metal in the lab: what tenants see of them, what went over the wire, and when ports changed."""

from __future__ import annotations

import datetime
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import typing as t
from pathlib import Path

import yaml

from .lab import Capture, Host, LabError, wait_for
from .leaf import Leaf
from .node import Node
from .plays import Play, edit, play
from .tenant import Tenant

EXAMPLE = Path(__file__).parents[2] / "examples/bare-metal/topology.yml"
KEY = Path("/run/weft-lab/id_ed25519")
PORTS = {"n1": "Ethernet10", "n2": "Ethernet11"}
UPLINK = "Ethernet49"
DEPLOYMENT = 150
VLANS = {"red": 110, "blue": 120}
#: the words that name the server of n1
RED = "server=red/db-1"
# The kernel for machines in clouds boots twice as fast in one that is emulated.
RAMDISK = "deploy_ramdisk_directory=/var/cache/weft-fabric/ramdisk-cloud"
# Long enough for the lab's machines, and short enough for a test that waits for the end of it.
TIMEOUTS = {"power": 20, "soft_off": 8, "boot": 120, "write": 180, "stall": 10}

SCRIPT = """#!/bin/sh
echo {secret} >/root/secret
sync
"""


def secret(project: str) -> str:
    """Return what only the disk of this project's server should hold."""
    return f"weft-secret-of-{project}"


def public_key() -> str:
    return KEY.with_suffix(".pub").read_text(encoding="utf-8").strip()


def prepare(directory: Path) -> Path:
    """Return a copy of the example whose servers have a key and a script, and whose nodes have short bounds."""
    target = directory / "topology.yml"
    shutil.copy(EXAMPLE, target)
    shutil.copy(EXAMPLE.with_suffix(".lock.yml"), target.with_suffix(".lock.yml"))

    def change(data: dict[str, t.Any]) -> None:
        for node in data["nodes"].values():
            node["timeouts"] = TIMEOUTS
        for project in VLANS:
            for server in data["projects"][project]["servers"].values():
                server.update(keys=[public_key()], user_data=SCRIPT.format(secret=secret(project)))

    return edit(target, change)


def move(topology: Path, source: str, target: str) -> None:
    """Give the node of a project's server to a new server of another project."""

    def change(data: dict[str, t.Any]) -> None:
        server = data["projects"][source]["servers"].pop("db-1")
        script = SCRIPT.format(secret=secret(target))
        data["projects"][target]["servers"]["db-2"] = {**server, "user_data": script}

    edit(topology, change)


def node_play(verb: str, topology: Path, *words: str, check: bool = True, seconds: float = 400) -> Play:
    """Run a verb; words are extra variables."""
    arguments = [word for setting in (RAMDISK, *words) for word in ("-e", setting)]
    return play(f"weft.fabric.{verb}", topology, *arguments, check=check, seconds=seconds)


class Customer(Tenant):
    """A tenant's machine on the overlay network, which is routed to his servers of metal."""

    def __init__(self, lab: t.Callable[[str], Host], project: str) -> None:
        super().__init__(lab("cmp1"), f"{project}-web-1")
        self.dhcp()

    def ssh(self, address: str, command: str, user: str = "root", seconds: float = 40) -> str:
        """Log in to a server with the key that the topology gives it, as soon as it lets us in."""
        name = "/run/weft-t-key"
        self.host.run(f"umask 077; cat > {name}", stdin=KEY.read_text(encoding="utf-8"))
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o LogLevel=ERROR"
        words = f"ssh {options} -o ConnectTimeout=10 -i {name} {user}@{address} {shlex.quote(command)}"

        def answer() -> t.Any:
            done = self.host.try_run(f"ip netns exec {self.namespace} {words}")
            return done if done.returncode == 0 else None

        return str(wait_for(f"ssh to {address} from {self.namespace}", answer, seconds).stdout).strip()


class Frame(t.NamedTuple):
    """A frame of a node, seen where VLANs have tags."""

    when: float  # in seconds of the day
    vlan: int


class Cable:
    """What comes out of a node's cable, on this machine; a switch's own port is shut now and then."""

    def __init__(self, node: str, expression: str) -> None:
        words = f"ip netns exec weft-fabric tcpdump -i {node}-nic0 -Q out --immediate-mode -e -n -l -p"
        self._process = subprocess.Popen(
            [*words.split(), expression],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if "listening on" in line:
                break
        else:
            raise LabError(f"tcpdump on the cable of {node} ended with {self._process.wait()}")

    def stop(self) -> list[str]:
        self._process.send_signal(signal.SIGINT)
        return self._process.communicate(timeout=10)[0].splitlines()


class Wires:
    """All that nodes send, seen where VLANs have tags and at the other nodes, until stopped."""

    def __init__(self, leaf: Leaf, macs: dict[str, str]) -> None:
        self.macs = macs
        senders = " or ".join(f"ether src {mac}" for mac in macs.values())
        # A tag shifts what an expression looks at; so it is said for both.
        expression = f"({senders}) or (vlan and ({senders}))"
        self._uplink = Capture(leaf.shell, UPLINK, expression, direction="out")
        self._cables = {name: Cable(name, expression) for name in PORTS}
        self.tagged: list[str] = []
        self.heard: dict[str, list[str]] = {}

    def stop(self) -> None:
        self.tagged = self._uplink.stop()
        self.heard = {name: cable.stop() for name, cable in self._cables.items()}

    def frames(self, node: str) -> list[Frame]:
        """Return the node's frames that went over the uplink, in order."""
        found = []
        for line in self.tagged:
            match = re.match(rf"(\d\d):(\d\d):(\d\d\.\d+) {self.macs[node]} .*?vlan (\d+)", line)
            if match:
                *moment, vlan = match.groups()
                found.append(Frame(seconds(*moment), int(vlan)))
        return sorted(found)

    def overheard(self, node: str, sender: str) -> list[float]:
        """Return when frames of another node came out of this node's cable, in seconds of the day."""
        found = [re.match(rf"(\d\d):(\d\d):(\d\d\.\d+) {self.macs[sender]} ", line) for line in self.heard[node]]
        return [seconds(*match.groups()) for match in found if match]


def seconds(hours: str, minutes: str, rest: str) -> float:
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


class Flip(t.NamedTuple):
    """A change of a node's port, as the switch's audit tells it."""

    when: float
    before: t.Any
    after: t.Any


def audit_file() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(base) / "weft-fabric/switches.jsonl"


def flips(node: str, since: float) -> list[Flip]:
    """Return the changes of a node's VLAN since a moment."""
    found = []
    for line in audit_file().read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        when = datetime.datetime.fromisoformat(record["when"]).timestamp()
        if record.get("port") == PORTS[node] and record["result"] == "ok" and when >= since:
            found.append(Flip(when, _vlan(record["before"]), _vlan(record["after"])))
    return found


class Start(t.NamedTuple):
    """A node being powered on: from what it booted, and in which VLAN its port was, as the switch's audit tells."""

    when: float
    device: str
    vlan: int | None


def starts(node: Node, since: float) -> list[Start]:
    """Return when a node was powered on since a moment at which its port had been changed or was about to be."""
    changes = flips(node.name, since)
    found = []
    for event in node.bmc_log():
        if event.time >= since and event.text.startswith("power on: boots "):
            before = [flip.after for flip in changes if flip.when <= event.time]
            vlan = before[-1] if before else changes[0].before if changes else None
            found.append(Start(event.time, event.text.removeprefix("power on: boots "), vlan))
    return found


def astray(node: Node, project: str, since: float) -> list[Start]:
    """Return the starts where a node does not belong: from the network in its tenant's VLAN, or from disk elsewhere."""
    belongs = {True: DEPLOYMENT, False: VLANS[project]}
    return [start for start in starts(node, since) if start.vlan != belongs[start.device.startswith("pxe")]]


def _vlan(port: dict[str, t.Any] | None) -> int | None:
    return None if port is None else port.get("vlan")


def at_rest(leaf: Leaf, node: Node) -> bool:
    """Whether a node is off and in no VLAN."""
    return node.power() == "off" and leaf.port(PORTS[node.name]).get("vlan") is None


def commands(node: Node, since: float) -> list[str]:
    """Return what a node's BMC was told to do since a moment."""
    return [event.text for event in node.bmc_log() if event.time >= since and event.text != "is off"]


class Story(t.NamedTuple):
    """How the servers were deployed, and what was seen of it."""

    since: float
    done: Play
    again: Play
    status: Play
    asked_again: list[str]
    wires: Wires


def deploy_both(topology: Path, leaf: Leaf, nodes: dict[str, Node]) -> Story:
    """Deploy the servers of the example at once, and then again."""
    since = time.time()
    marks = {name: node.mark() for name, node in nodes.items()}
    macs = {name: str(node["nics"]["nic0"]["mac_address"]) for name, node in load(topology)["nodes"].items()}
    wires = Wires(leaf, macs)
    try:
        done = node_play("server_deploy", topology)
        for name, node in nodes.items():
            node.wait_console(r"^tiny: ready", 90, marks[name])
    finally:
        wires.stop()
    mark = leaf.mark()
    again = node_play("server_deploy", topology)
    asked = leaf.requests(mark)
    return Story(since, done, again, node_play("server_status", topology), asked, wires)


def load(topology: Path) -> dict[str, t.Any]:
    found: dict[str, t.Any] = yaml.safe_load(topology.read_text(encoding="utf-8"))
    return found
