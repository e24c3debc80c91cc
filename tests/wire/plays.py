# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run playbooks as an operator does, and know what each task of each host reported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import yaml

from .lab import LAB_INVENTORY, LabError, wait_for

CALLBACKS = Path(__file__).parent / "callback"


@dataclass
class Play:
    """What a run of a playbook did."""

    returncode: int
    output: str
    seconds: float
    tasks: list[dict[str, t.Any]]  # host, task, result, failed, seconds, ended
    began: float  # by the clock that tells when tasks have ended

    @property
    def changed(self) -> list[tuple[str, str]]:
        return [(row["host"], row["task"]) for row in self.tasks if row["result"].get("changed")]

    def spent(self, host: str) -> dict[str, float]:
        """Return how many seconds each task of a host took, those of one name added up."""
        found: dict[str, float] = {}
        for row in self.tasks:
            if row["host"] == host and row.get("seconds") is not None:
                name = row["task"].rpartition(" : ")[2]
                found[name] = found.get(name, 0.0) + row["seconds"]
        return found

    @property
    def failures(self) -> dict[str, str]:
        """Return what failed tasks said, by host."""
        return {row["host"]: str(row["result"].get("msg")) for row in self.tasks if row["failed"]}

    def changes(self) -> dict[str, list[str]]:
        """Return what was changed (or would have been), by host, sorted.

        A change must not be told twice, so this is a list and not a set. Results name at most 1,000 changes
        each: a run that makes more can't be compared this way, and says so.
        """
        found: dict[str, list[str]] = {}
        for row in self.tasks:
            result = row["result"]
            if result.get("changes_total", 0) != len(result.get("changes", [])):
                raise LabError(f"{row['host']}: {row['task']}: too many changes to compare")
            found.setdefault(row["host"], []).extend(result.get("changes", []))
        return {host: sorted(lines) for host, lines in found.items() if lines}


def command(playbook: str, inventory: Path, *arguments: str) -> list[str]:
    """Return the command line of a playbook against the lab."""
    return [
        str(Path(sys.executable).with_name("ansible-playbook")),
        *("-i", str(inventory)),
        # Before there is a lab, there is nothing to connect to either.
        *(("-i", str(LAB_INVENTORY)) if LAB_INVENTORY.exists() else ()),
        *arguments,
        playbook,
    ]


def environment(record: Path | None = None) -> dict[str, str]:
    """Return the environment of a run: the callers', plus the recorder."""
    found = dict(os.environ, ANSIBLE_PIPELINING="true", ANSIBLE_NOCOLOR="true")
    if record is not None:
        found.update(
            ANSIBLE_CALLBACK_PLUGINS=str(CALLBACKS), ANSIBLE_CALLBACKS_ENABLED="record", WEFT_RECORD=str(record)
        )
    return found


def copy_to(host: str, source: Path, target: str) -> None:
    """Copy a file to a host of the lab."""
    words = [
        str(Path(sys.executable).with_name("ansible")),
        "-i",
        str(LAB_INVENTORY),
        host,
        "-m",
        "ansible.builtin.copy",
    ]
    words += ["-a", f"src={source} dest={target} mode=0600"]
    subprocess.run(words, env=environment(), check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=120)


def play(playbook: str, inventory: Path, *arguments: str, check: bool = True, seconds: float = 300) -> Play:
    """Run a playbook; a failure is an error unless check is False."""
    with tempfile.TemporaryDirectory(prefix="weft-t-") as directory:
        record = Path(directory, "record")
        began, started = time.time(), time.monotonic()
        result = subprocess.run(
            command(playbook, inventory, *arguments),
            env=environment(record),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
        elapsed = time.monotonic() - started
        done = Play(result.returncode, result.stdout + result.stderr, elapsed, recorded(record), began)
    if check and done.returncode != 0:
        raise LabError(f"{playbook} ended with {done.returncode}:\n{done.output}")
    return done


class Running:
    """A playbook that runs, and what it has begun so far."""

    def __init__(self, playbook: str, inventory: Path, *arguments: str) -> None:
        self.playbook = playbook
        self._directory = tempfile.TemporaryDirectory(prefix="weft-t-")
        self._starts, self._output, self._record = (
            Path(self._directory.name, name) for name in ("starts", "output", "record")
        )
        self._began, self._started = time.time(), time.monotonic()
        with self._output.open("w", encoding="utf-8") as stream:
            self.process = subprocess.Popen(
                command(playbook, inventory, *arguments),
                env={**environment(self._record), "WEFT_STARTS": str(self._starts)},
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def output(self) -> str:
        return self._output.read_text(encoding="utf-8")

    def tasks(self) -> list[dict[str, t.Any]]:
        """Return what tasks have reported so far."""
        return recorded(self._record)

    def begun(self, task: str) -> int:
        """Return how many times a task ("HOST: TASK") has begun."""
        return self._starts.read_text(encoding="utf-8").splitlines().count(task) if self._starts.exists() else 0

    def wait_task(self, task: str, times: int = 1, seconds: float = 300) -> None:
        """Wait until a task has begun so many times. That the playbook ends before is an error."""
        ended = wait_for(
            f"{task} of {self.playbook}, or its end",
            lambda: "begun" if self.begun(task) >= times else self.process.poll() is not None,
            seconds,
        )
        if ended != "begun":
            raise LabError(f"{self.playbook} ended before {task}:\n{self.output()}")

    def end(self, seconds: float = 300) -> Play:
        """Wait for its end, and return what it did."""
        try:
            self.process.wait(seconds)
            elapsed = time.monotonic() - self._started
            return Play(self.process.returncode, self.output(), elapsed, self.tasks(), self._began)
        finally:
            self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._directory.cleanup()


def recorded(record: Path) -> list[dict[str, t.Any]]:
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    return [json.loads(line) for line in lines]


def play_killed(
    playbook: str, inventory: Path, *arguments: str, at: str, after: float = 0.0, times: int = 1
) -> list[dict[str, t.Any]]:
    """Run a playbook and end it by SIGKILL when a task begins ("HOST: TASK") for the n-th time, or some seconds later.

    Return what tasks had reported. That the task never begins is an error.
    """
    running = Running(playbook, inventory, *arguments)
    try:
        running.wait_task(at, times)
        time.sleep(after)
        running.process.kill()
        running.process.wait()
        return running.tasks()
    finally:
        running.kill()


def edit(path: Path, change: t.Callable[[dict[str, t.Any]], None]) -> Path:
    """Change a topology file as a person would, and return it."""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return path


def fault(kind: str, host: str, nic: str | None = None) -> None:
    """Inflict a fault of the lab, or repair it."""
    words = f"lab_fault={kind} lab_host={host}" + (f" lab_nic={nic}" if nic else "")
    play("weft.fabric.lab_fault", LAB_INVENTORY, "-e", words)
