# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands on the lab's hosts: run a command there, ping, capture, wait for a condition.

Everything goes over the same ssh that Ansible uses, as the lab's own inventory describes it.
"""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import yaml

LAB_INVENTORY = Path("/run/weft-lab/inventory.yml")
CONTROL_PATH = "/run/weft-lab/cm-%C"
_ids = itertools.count()


class LabError(AssertionError):
    """A command on a lab host failed, or a condition did not come true in time."""


def wait_for(what: str, condition: t.Callable[[], t.Any], seconds: float = 30.0) -> t.Any:
    """Poll until condition() is true and return its value; say what was waited for otherwise."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.05)


def host_variables(inventory: Path = LAB_INVENTORY) -> dict[str, dict[str, str]]:
    """Return the connection variables of every lab host, group variables merged in."""
    found: dict[str, dict[str, str]] = {}

    def walk(group: dict[str, t.Any], inherited: dict[str, str]) -> None:
        variables = {**inherited, **(group.get("vars") or {})}
        for name, own in (group.get("hosts") or {}).items():
            found[name] = {**found.get(name, {}), **variables, **(own or {})}
        for child in (group.get("children") or {}).values():
            walk(child or {}, variables)

    for group in yaml.safe_load(inventory.read_text(encoding="utf-8")).values():
        walk(group, {})
    return found


class Host:
    """A booted machine of the lab."""

    def __init__(self, name: str) -> None:
        self.name = name

    def _ssh(self) -> list[str]:
        variables = host_variables()[self.name]
        return [
            "ssh",
            *shlex.split(variables.get("ansible_ssh_common_args", "")),
            *("-i", variables["ansible_ssh_private_key_file"]),
            *("-o", "ControlMaster=auto", "-o", f"ControlPath={CONTROL_PATH}", "-o", "ControlPersist=60s"),
            *("-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR"),
            f"root@{variables['ansible_host']}",
        ]

    def try_run(self, command: str, stdin: str | None = None, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a shell command and return its result, whatever it is."""
        return subprocess.run(
            [*self._ssh(), command], input=stdin or "", capture_output=True, text=True, timeout=seconds, check=False
        )

    def run(self, command: str, stdin: str | None = None, seconds: float = 60) -> str:
        """Run a shell command that must succeed and return what it printed."""
        result = self.try_run(command, stdin, seconds)
        if result.returncode != 0:
            raise LabError(f"{self.name}: {command!r} ended with {result.returncode}: {result.stdout}{result.stderr}")
        return result.stdout

    def forget_connection(self) -> None:
        """Drop the shared ssh connection, which a power cut leaves hanging."""
        subprocess.run([*self._ssh()[:-1], "-O", "exit", self._ssh()[-1]], capture_output=True, check=False)

    def start(self, command: str) -> Background:
        """Start a command that goes on in the background."""
        return Background(self, command)


class Background:
    """A command running on a host, its output kept there until it is stopped."""

    def __init__(self, host: Host, command: str) -> None:
        self.host = host
        self.log = f"/run/weft-t-{next(_ids)}.log"
        self.pid = host.run(f"setsid {command} >{self.log} 2>&1 </dev/null & echo $!").strip()

    def output(self) -> str:
        return self.host.run(f"cat {self.log}")

    def latest(self, lines: int = 20) -> str:
        """Return the end of a long output."""
        return self.host.run(f"tail -n {lines} {self.log}")

    def stop(self) -> str:
        """End the command as Ctrl-C would, wait for it, and return what it printed."""
        self.host.try_run(f"kill -INT {self.pid}")
        wait_for(f"the end of process {self.pid}", lambda: self.host.try_run(f"kill -0 {self.pid}").returncode != 0, 10)
        text = self.output()
        self.host.run(f"rm -f {self.log}")
        return text


@dataclass
class PingResult:
    """What a ping saw: packets sent and lost, and the longest stretch without an answer."""

    sent: int
    received: int
    longest_gap: float  # seconds between two answers
    lost: list[int] = field(default_factory=list)  # sequence numbers, the last ones in flight left out

    def __str__(self) -> str:
        return f"{self.sent} sent, {len(self.lost)} lost, longest gap {self.longest_gap * 1000:.0f} ms"


def ping_answers(text: str) -> dict[int, float]:
    """Return when each packet was answered, from the output of ping -D -n.

    What counts is the first answer: a router that was frozen forwards what it has kept once it thaws, and so answers
    again, seconds later, what another one answered long before.
    """
    found: dict[int, float] = {}
    for match in re.finditer(r"^\[(\d+\.\d+)\] \d+ bytes.*icmp_seq=(\d+)", text, re.M):
        found.setdefault(int(match.group(2)), float(match.group(1)))
    return found


def parse_ping(text: str) -> PingResult:
    """Read the output of ping -D -n."""
    stamps = ping_answers(text)
    totals = re.search(r"(\d+) packets transmitted, (\d+) received", text)
    if not totals:
        raise LabError(f"ping printed no totals: {text[-500:]}")
    sent = int(totals.group(1))
    times = sorted(stamps.values())
    gaps = [b - a for a, b in zip(times, times[1:], strict=False)]
    # The last packet may still have been under way when ping was stopped.
    lost = [number for number in range(1, sent) if number not in stamps]
    return PingResult(sent, len(stamps), max(gaps, default=float("inf")), lost)


class Ping:
    """A ping every 10 ms from a namespace, until stopped."""

    def __init__(self, host: Host, namespace: str, target: str, interval: float = 0.01) -> None:
        self._process = host.start(f"ip netns exec {namespace} ping -D -n -i {interval} {target}")

    def wait_first(self) -> Ping:
        wait_for("the first answer to a ping", lambda: "bytes from" in self._process.output(), 15)
        return self

    def stop(self) -> PingResult:
        return parse_ping(self._process.stop())


class Capture:
    """tcpdump on an interface, in a namespace or on the host itself."""

    def __init__(
        self, host: Host, interface: str, expression: str = "", namespace: str | None = None, direction: str = "inout"
    ) -> None:
        inside = f"ip netns exec {namespace} " if namespace else ""
        # Immediately: what still waits in the kernel when tcpdump is stopped is never shown.
        options = f"-i {interface} -Q {direction} --immediate-mode -e -n -l -p"
        self._process = host.start(f"{inside}tcpdump {options} {shlex.quote(expression)}")
        wait_for(f"tcpdump on {interface} of {host.name}", lambda: "listening on" in self._process.output(), 10)

    def stop(self) -> list[str]:
        """Return one line for each captured frame; what a tunnel carries stands behind its outer headers."""
        frames: list[str] = []
        for line in self._process.stop().splitlines():
            if re.match(r"\d\d:\d\d:\d\d\.", line):
                frames.append(line)
            elif frames and not re.match(r"\d+ packets? (captured|received|dropped)", line):
                frames[-1] += " " + line.strip()
        return frames


def reachable(host: Host, namespace: str, target: str, count: int = 3) -> bool:
    """Tell whether at least one ping is answered."""
    return host.try_run(f"ip netns exec {namespace} ping -n -c {count} -i 0.2 -W 1 {target}").returncode == 0
