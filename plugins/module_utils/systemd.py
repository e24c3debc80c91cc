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


class Unit(t.NamedTuple):
    """What a unit does now."""

    active: bool
    pid: int


class Systemd(object):
    """Talks to process 1."""

    def units(self, pattern: str) -> t.Dict[str, Unit]:
        """Return the loaded units whose name matches a pattern, by name."""
        text = self._call(["show", "--property=Id,ActiveState,MainPID", pattern])
        found = {}
        for block in text.strip().split("\n\n"):
            values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            if values.get("Id"):
                active = values.get("ActiveState") in ("active", "reloading")
                found[values["Id"]] = Unit(active, int(values.get("MainPID") or 0))
        return found

    def start(self, names: t.Sequence[str]) -> None:
        """Start units and wait until they serve."""
        if names:
            # A unit that failed too often refuses to start until that is forgiven.
            self._call(["reset-failed"] + list(names), may_fail=True)
            try:
                self._call(["start"] + list(names))
            except FabricError as error:
                raise FabricError("%s %s" % (error, self._last_words(names))) from error

    def stop(self, names: t.Sequence[str]) -> None:
        """Stop units, and forget those that had failed."""
        if names:
            self._call(["stop"] + list(names))
            self._call(["reset-failed"] + list(names), may_fail=True)

    def kill(self, names: t.Sequence[str]) -> None:
        """End all processes of units at once, so that they cannot tidy up."""
        # Halted first: a process that is told of another's end could still act.
        for signal in ("STOP", "KILL") if names else ():
            self._call(["kill", "--signal=" + signal] + list(names))

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
