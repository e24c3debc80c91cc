# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service manager: as little of it as the daemons of the fabric need. One call for all units of a kind."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import command
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

# In /proc/PID/cgroup: a service, and what it may have below it.
_SERVICE = re.compile(r"/([^/\n]+\.service)(?:/[^\n]*)?$", re.MULTILINE)
# In /proc/PID/stat (proc_pid_stat(5)), counted from behind the name.
_PARENT, _STARTED = 1, 19


class Unit(t.NamedTuple):
    """What a unit does now."""

    active: bool
    pid: int


class Systemd(object):
    """Talks to process 1."""

    def units(self, *patterns: str) -> t.Dict[str, Unit]:
        """Return the loaded units whose name matches one of the patterns, by name.

        For `systemctl show`, process 1 puts together all that it knows of a unit, which takes it seconds for some
        hundred units when it has other things to do. It is asked for the states only; the processes are in /proc.
        """
        text = self._call(["list-units", "--all", "--full", "--plain", "--no-legend"] + list(patterns))
        states = {}
        for words in filter(None, map(str.split, text.splitlines())):
            # Older versions put a mark before one that has failed, whatever they are told. A name has a dot.
            name, _loaded, state = words[0 if "." in words[0] else 1 :][:3]
            states[name] = state in ("active", "reloading")
        pids = main_processes() if any(states.values()) else {}
        return {name: Unit(active, pids.get(name, 0) if active else 0) for name, active in states.items()}

    def start(self, names: t.Sequence[str]) -> None:
        """Start units and wait until they serve."""
        if names:
            try:
                self._start_forgiven(list(names))
            except FabricError as error:
                raise FabricError("%s %s" % (error, self._last_words(names))) from error

    def _start_forgiven(self, names: t.List[str]) -> None:
        try:
            self._call(["start"] + names)
        except FabricError as error:
            # A unit that failed too often refuses to start until that is forgiven.
            if "too often" not in str(error):
                raise
            self._call(["reset-failed"] + names, may_fail=True)
            self._call(["start"] + names)

    def stop(self, names: t.Sequence[str]) -> None:
        """Stop units, and forget those that had failed."""
        if names:
            self._call(["stop"] + list(names))
            self._call(["reset-failed"] + list(names), may_fail=True)

    def kill(self, names: t.Sequence[str]) -> None:
        """End all processes of units at once, so that they cannot tidy up."""
        # Halted first: a process that is told of another's end could still act.
        for signal in ("STOP", "KILL") if names else ():
            self._signal(signal, list(names))

    def _signal(self, signal: str, names: t.List[str]) -> None:
        try:
            self._call(["kill", "--signal=" + signal] + names)
        except FabricError as error:
            # The unit of one that has ended meanwhile may be gone.
            if "not loaded" not in str(error):
                raise

    def reload(self, names: t.Sequence[str]) -> None:
        """Let units read their files again."""
        if names:
            self._call(["reload"] + list(names))

    def daemon_reload(self) -> None:
        """Let process 1 read the unit files again."""
        self._call(["daemon-reload"])

    def _last_words(self, names: t.Sequence[str]) -> str:
        """Return what the first unit that failed said: systemctl only tells where to look."""
        for name in names:
            if not self.units(name).get(name, Unit(False, 0)).active:
                log = ["journalctl", "--no-pager", "--quiet", "--output=cat", "--lines=20", "--unit=" + name]
                lines = command.run(log).stdout.splitlines()
                # What a program writes to its standard error begins with its name.
                own = [line for line in lines if re.match(r"[a-z]+: ", line)]
                return "%s: %s" % (name, own[-1] if own else "; ".join(lines[-3:]))
        return ""

    def _call(self, arguments: t.List[str], may_fail: bool = False) -> str:
        if not os.path.isdir("/run/systemd/system"):
            raise FabricError(
                "process 1 of this host is not systemd, which keeps the daemons of the fabric running:"
                " take this host out of the topology, or boot it with systemd"
            )
        done = command.run(["systemctl", "--no-pager"] + arguments)
        if done.returncode != 0 and not may_fail:
            raise FabricError("systemctl %s failed: %s" % (arguments[0], " ".join(done.stderr.split())))
        return done.stdout


def main_processes(proc: str = "/proc") -> t.Dict[str, int]:
    """Return the main process of each service: the oldest of those that process 1 has started, or adopted."""
    found: t.Dict[str, t.Tuple[int, int]] = {}
    for pid in filter(str.isdigit, os.listdir(proc)):
        try:
            services = _SERVICE.findall(_read(os.path.join(proc, pid, "cgroup")))
            # The name of the program, in brackets, may hold anything.
            words = _read(os.path.join(proc, pid, "stat")).rpartition(")")[2].split() if services else []
        except OSError:
            continue  # it has ended
        if words and words[_PARENT] == "1":
            process = (int(words[_STARTED]), int(pid))
            found[services[-1]] = min(found.get(services[-1], process), process)
    return {unit: pid for unit, (_started, pid) in found.items()}


def _read(path: str) -> str:
    with open(path, "r", encoding="utf-8", errors="replace") as stream:
        return stream.read()
