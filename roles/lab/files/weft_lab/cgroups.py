# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's control groups: who belongs to it, freezing it, killing it. Version 1, hybrid and version 2."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from weft_lab.system import LabError, kill_all, run, systemd_is_pid1, wait_for

# What a version 1 machine must set apart for each host: nspawn's own trees, memory to read, and freezing.
WANTED_V1 = ("name=systemd", "memory", "freezer")

# How long killed processes may take to let go of their group.
EMPTY_SECONDS = 10


@dataclass(frozen=True)
class Hierarchies:
    """Where the machine mounts its control groups; an empty controller name stands for version 2."""

    mounts: dict[str, Path]

    @property
    def freezer(self) -> str:
        return "freezer" if "freezer" in self.mounts else ""

    def wanted(self) -> list[Path]:
        return [path for name, path in self.mounts.items() if name in (*WANTED_V1, "")]


def parse_mountinfo(text: str) -> Hierarchies:
    mounts: dict[str, Path] = {}
    for line in text.splitlines():
        before, _dash, after = line.partition(" - ")
        kind, _source, options = after.split(" ", 2)
        path = Path(before.split()[4])
        if kind == "cgroup2":
            mounts.setdefault("", path)
        elif kind == "cgroup":
            for name in options.split(","):
                if name in WANTED_V1:
                    mounts.setdefault(name, path)
    return Hierarchies(mounts)


def hierarchies() -> Hierarchies:
    return parse_mountinfo(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))


def unit_name(machine: str) -> str:
    return f"{machine}.service"


def directories(machine: str) -> list[Path]:
    """The host's own directory in each hierarchy, whether it exists or not."""
    found = hierarchies()
    if not systemd_is_pid1():
        return [path / machine for path in found.wanted()]
    group = run(["systemctl", "show", "--property=ControlGroup", "--value", unit_name(machine)]).stdout.strip()
    return [path / group.lstrip("/") for path in found.wanted()] if group else []


def create(machine: str) -> list[Path]:
    made = directories(machine)
    for path in made:
        path.mkdir(exist_ok=True)
    return made


def members(machine: str) -> set[int]:
    """Every process of the host, below its directory in any hierarchy."""
    pids: set[int] = set()
    for directory in directories(machine):
        for parent, _names, files in os.walk(directory):
            if "cgroup.procs" in files:
                try:
                    pids.update(map(int, (Path(parent) / "cgroup.procs").read_text(encoding="utf-8").split()))
                except OSError:
                    # The group went away, or is a threaded one: its processes are listed above it.
                    continue
    return pids


def leader(machine: str) -> int | None:
    """The host's process 1, as this machine numbers it."""
    for pid in sorted(members(machine)):
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        except (FileNotFoundError, ProcessLookupError):
            continue
        line = next((line for line in status.splitlines() if line.startswith("NSpid:")), "")
        numbers = line.split()[1:]
        if len(numbers) > 1 and numbers[-1] == "1":
            return pid
    return None


def freezer_file(machine: str) -> tuple[Path, str, str] | None:
    """The file that freezes the host, and the words for frozen and thawed."""
    found = hierarchies()
    name = found.freezer
    if name not in found.mounts:
        return None
    for directory in directories(machine):
        if directory.is_relative_to(found.mounts[name]):
            file = directory / ("freezer.state" if name else "cgroup.freeze")
            if file.exists():
                return (file, "FROZEN", "THAWED") if name else (file, "1", "0")
    return None


def frozen(machine: str) -> bool:
    control = freezer_file(machine)
    return control is not None and control[0].read_text(encoding="utf-8").strip() not in (control[2],)


def freeze(machine: str, on: bool) -> bool:
    control = freezer_file(machine)
    if control is None:
        raise LabError(f"{machine}: this machine has no freezer control group, or the host is not running")
    file, frozen_word, thawed_word = control
    if frozen(machine) == on:
        return False
    file.write_text(frozen_word if on else thawed_word, encoding="utf-8")
    events = file.with_name("cgroup.events")

    def settled() -> bool:
        if events.exists() and file.name == "cgroup.freeze":
            return f"frozen {1 if on else 0}" in events.read_text(encoding="utf-8")
        return file.read_text(encoding="utf-8").strip() == (frozen_word if on else thawed_word)

    wait_for(settled, timeout=10, what=f"{machine} to {'freeze' if on else 'thaw'}")
    return True


def kill(machine: str) -> int:
    """End everything of the host at once, as a power cut does; tell how many processes that were."""
    if hierarchies().freezer and members(machine) and frozen(machine):
        # With version 1 a frozen process dies only when it is thawed; so that it does nothing in between,
        # the signal goes first.
        for pid in members(machine):
            os.kill(pid, 9)
        freeze(machine, False)
    return kill_all(lambda: members(machine), what=machine)


def remove(machine: str) -> bool:
    removed = False
    for directory in directories(machine):
        for parent, _names, _files in os.walk(directory, topdown=False):
            # A process that has been killed is no member any more a moment before it lets go.
            wait_for(partial(_is_gone, Path(parent)), timeout=EMPTY_SECONDS, what=f"{parent} to be empty")
            removed = True
    return removed


def _is_gone(directory: Path) -> bool:
    try:
        directory.rmdir()
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def of_process(pid: int) -> list[Path]:
    """The directories a process must be written into, to stand where this one stands."""
    found = hierarchies()
    result: list[Path] = []
    for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
        _number, names, group = line.split(":", 2)
        result += [found.mounts[name] / group.lstrip("/") for name in names.split(",") if name in found.mounts]
    return result
