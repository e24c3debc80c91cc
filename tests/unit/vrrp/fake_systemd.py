# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for systemd that does with the daemons of routers what their unit files say."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import typing as t
from pathlib import Path

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd, Unit

PATIENCE = 10.0


def wait_for(what: str, condition: t.Callable[[], t.Any], patience: float = PATIENCE) -> t.Any:
    """Return what a condition gives as soon as it gives something."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {patience} s in vain for {what}"
        time.sleep(0.01)
    return found


class UnitFile:
    """What a unit file says about one instance."""

    def __init__(self, directory: Path, unit: str):
        template, _at, instance = unit.partition("@")
        path = directory / (f"{template}@.service" if instance else unit)
        self.text = path.read_text().replace("\\\n", "").replace("%i", instance.removesuffix(".service"))

    def lines(self, key: str) -> list[list[str]]:
        """Return the commands of a key."""
        return [words.split() for words in re.findall(rf"^{key}=(.*)$", self.text, re.MULTILINE)]

    def one(self, key: str, default: str = "") -> str:
        found = re.search(rf"^{key}=(.*)$", self.text, re.MULTILINE)
        return found.group(1) if found else default

    def command(self, words: list[str]) -> list[str]:
        """Return a command in the unit's namespace."""
        path = self.one("NetworkNamespacePath")
        return ["ip", "netns", "exec", Path(path).resolve().name, *words] if path else words


class FakeSystemd(Systemd):
    """Starts, stops and cleans up as process 1 would, but does not restart what has died."""

    def __init__(self, units: Path, run: Path):
        self.unit_directory = units
        self.run = run
        self.calls: list[tuple[str, ...]] = []
        self.reloads = 0
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.timers: set[str] = set()
        self.environment = {**os.environ, "PATH": f"{run}/bin:{os.environ['PATH']}"}

    # what the engines use

    def units(self, *patterns: str) -> dict[str, Unit]:
        wanted = re.compile("|".join(re.escape(pattern).replace(r"\*", ".*") for pattern in patterns))
        found = {name: Unit(True, 0) for name in self.timers if wanted.fullmatch(name)}
        for name, process in sorted(self.processes.items()):
            if wanted.fullmatch(name):
                alive = process.poll() is None
                found[name] = Unit(alive, process.pid if alive else 0)
        return found

    def start(self, names: t.Sequence[str]) -> None:
        self._note("start", names)
        starting = [threading.Thread(target=self._start, args=(name,)) for name in names if not name.endswith(".timer")]
        for thread in starting:
            thread.start()
        for thread in starting:
            thread.join()
        self.timers |= {name for name in names if name.endswith(".timer")}
        for name, unit in self.units("*").items():
            if name in names and not unit.active:
                raise FabricError(f"systemctl start failed: {self.log(name).read_text()}")

    def stop(self, names: t.Sequence[str]) -> None:
        self._note("stop", names)
        self.timers -= set(names)
        for name in names:
            if name in self.processes:
                self.end(name, signal.SIGTERM)

    def kill(self, names: t.Sequence[str]) -> None:
        self._note("kill", names)
        for name in names:
            if name in self.processes:
                _signal_tree(self.processes[name], signal.SIGSTOP)
                self.end(name, signal.SIGKILL)

    def reload(self, names: t.Sequence[str]) -> None:
        self._note("reload", names)
        for name in names:
            self.processes[name].send_signal(signal.SIGHUP)

    def daemon_reload(self) -> None:
        self.reloads += 1

    # what tests use

    def end(self, name: str, number: int) -> None:
        """End all processes of a unit with a signal, and do what its unit file says about that."""
        process = self.processes.pop(name)
        _signal_tree(process, number)
        process.wait()
        unit = UnitFile(self.unit_directory, name)
        for words in unit.lines("ExecStopPost"):
            subprocess.run(unit.command(words), env=self.environment, check=True)
        self._remove_runtime_directory(unit)

    def end_all(self) -> None:
        """End everything without ceremony, when a test is over."""
        for process in self.processes.values():
            _signal_tree(process, signal.SIGKILL)
            process.wait()

    def log(self, name: str) -> Path:
        return self.run / f"{name}.log"

    def forget(self) -> list[tuple[str, ...]]:
        """Return what was asked since the last time."""
        calls, self.calls = self.calls, []
        return calls

    def _start(self, name: str) -> None:
        unit = UnitFile(self.unit_directory, name)
        if name in self.processes:
            # It died by itself. What it left there would make its successor look ready before it is.
            self._remove_runtime_directory(unit)
        runtime = unit.one("RuntimeDirectory")
        if runtime:
            (self.run / runtime).mkdir(parents=True, exist_ok=True)
        for words in unit.lines("ExecStartPre"):
            subprocess.run(unit.command(words), env=self.environment, check=True)
        words = unit.command(unit.lines("ExecStart")[0])
        if unit.one("Type") == "forking":
            words.append("--nodaemon")  # so that the process is one that can be waited for
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment)
        self.processes[name] = process
        ready = READY[name.partition("@")[0]]
        wait_for(f"{name}: {self.log(name)}", lambda: process.poll() is not None or ready(unit, process))

    def _remove_runtime_directory(self, unit: UnitFile) -> None:
        if unit.one("RuntimeDirectory") and unit.one("RuntimeDirectoryPreserve", "no") == "no":
            shutil.rmtree(self.run / unit.one("RuntimeDirectory"), ignore_errors=True)

    def _note(self, verb: str, names: t.Sequence[str]) -> None:
        if names:
            self.calls.append((verb, *names))


def _signal_tree(process: subprocess.Popen[bytes], number: int) -> None:
    for pid in [process.pid, *descendants(process.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []  # ended just now


def descendants(pid: int) -> list[int]:
    """Return the processes that a process and those have started: those of a unit."""
    own = children(pid)
    return own + [grandchild for child in own for grandchild in descendants(child)]


def _option(unit: UnitFile, name: str) -> Path:
    words = unit.lines("ExecStart")[0]
    return Path(next(word.partition("=")[2] for word in words if word.startswith(name + "=")))


def _socket(unit: UnitFile) -> Path:
    config = Path(unit.lines("ExecStart")[0][-1]).read_text()
    return Path(re.findall(r"^\s*Path (.*)$", config, re.MULTILINE)[0])


def _catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal: before that, a reload would end it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False  # ended just now
    caught = int(re.findall(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)[0], 16)
    return bool(caught >> (number - 1) & 1)


def _has_noted(unit: UnitFile, process: subprocess.Popen[bytes]) -> bool:
    """Whether keepalived has written down which of its children speaks VRRP. One that was killed has done so, too."""
    try:
        return int(_option(unit, "--vrrp_pid").read_text()) in children(process.pid)
    except (FileNotFoundError, ValueError):
        return False  # not yet, or not all of it


def _listens(unit: UnitFile, process: subprocess.Popen[bytes]) -> bool:
    """Whether somebody serves the socket of a unit in its namespace. One that was killed has left the file."""
    try:
        return str(_socket(unit)) in Path(f"/proc/{process.pid}/net/unix").read_text()
    except OSError:
        return False  # ended just now


READY: dict[str, t.Callable[[UnitFile, subprocess.Popen[bytes]], t.Any]] = {
    "weft-fabric-vrrp": _has_noted,
    "weft-fabric-conntrackd": _listens,
    # radvd writes its file before it is ready to be told anything.
    "weft-fabric-ra": lambda unit, process: (
        _option(unit, "--pidfile").exists() and _catches(process.pid, signal.SIGHUP)
    ),
    "weft-fabric-health.service": lambda _unit, process: children(process.pid),
}
