# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health of a host's links, for all routers on it: a small watcher that writes down what each link is worth.

A router's keepalived adds the number in the file to its priority. So a node that has lost its uplink is worse than one
that has not, on backups too, and none gives up its role as long as no peer is better.
"""

from __future__ import annotations

import os
import re
import shutil
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import iproute, vrrp_files
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, Operation, read_file
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd

UNIT = "weft-fabric-health.service"

# What an operation on health bears, so that it is told from those on routers.
HEALTH = "health"

# From here on keepalived gives up the role, whatever its peers are worth.
GIVES_UP = -254

_NAME = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_MODE = 0o755

_NOTE = "# Made by weft.fabric; changes are overwritten."

_PROGRAM = """\
#!/bin/sh
%(note)s
# Writes 0 for each link that has a carrier, and its weight for one that has not. Follows the kernel's own notices.
checks=%(checks)s
run=%(run)s

tell() {
    before=
    [ -e "$run/$1" ] && read -r before < "$run/$1"
    [ "$before" = "$2" ] && return
    # In one step: who reads it must not find it empty.
    echo "$2" > "$run/.$1"
    mv "$run/.$1" "$run/$1"
}

look() {
    while read -r name device weight; do
        case $(ip -o link show dev "$device" 2> /dev/null) in
        *LOWER_UP*) tell "$name" 0 ;;
        *) tell "$name" "$weight" ;;
        esac
    done < "$checks"
}

watched=" "
while read -r name device weight; do
    watched="$watched$device "
done < "$checks"
look

# The extra lines make up for what happened before the monitor listened, and for notices that the kernel drops when
# hundreds of devices come or go at a time.
{
    ip -o monitor link &
    monitor=$!
    pause=1
    # What sleeps must not hold the pipe open when the monitor has ended.
    while sleep "$pause" > /dev/null && echo again; do
        pause=10
    done &
    wait "$monitor"
    kill $!
} | while IFS=': @' read -r number device rest; do
    [ "$number" = Deleted ] && device=${rest%%%%[:@]*}
    case $number$watched in
    again* | *" $device "*) look ;;
    esac
done
# The monitor never ends by itself. systemd starts this again.
exit 1
"""

_UNIT = """\
%(note)s Put yours into a drop-in.
[Unit]
Description=Health of the links that routers need (weft.fabric)
StartLimitIntervalSec=0

[Service]
ExecStart=/bin/sh %(program)s
RuntimeDirectory=weft-fabric-health
# Without the watcher, its last word holds.
RuntimeDirectoryPreserve=yes
Restart=always
RestartSec=1
"""


class Paths(t.NamedTuple):
    """Where things are; tests put them elsewhere."""

    directory: str = "/var/lib/weft-fabric/health"
    run: str = "/run/weft-fabric-health"
    program: str = "/usr/local/lib/weft-fabric/health"
    unit: str = "/etc/systemd/system/" + UNIT

    @property
    def checks(self) -> str:
        return os.path.join(self.directory, "checks")


class Check(t.NamedTuple):
    """A link, and what its loss is worth."""

    name: str
    device: str
    weight: int


def parse(items: t.Optional[t.Iterable[t.Mapping[str, t.Any]]]) -> t.List[Check]:
    """Return the checks."""
    found: t.List[Check] = []
    for item in items or ():
        name, weight = item.get("name"), item.get("weight")
        where = "health check %s" % (name,)
        if not isinstance(name, str) or not _NAME.match(name) or name == "handicap":
            raise FabricError("%s: the name may hold A-Z a-z 0-9 _ . - only, and not be handicap" % where)
        if name in [check.name for check in found]:
            raise FabricError("%s is listed twice" % where)
        if not isinstance(weight, int) or not GIVES_UP <= weight < 0:
            raise FabricError("%s: weight %r is not between %d and -1" % (where, weight, GIVES_UP))
        found.append(Check(name, iproute.interface(item.get("device"), where + ", device"), weight))
    return found


def checks_text(checks: t.Iterable[Check]) -> str:
    """Return what the watcher reads."""
    return "".join("%s %s %d\n" % check for check in checks)


def parse_text(text: t.Optional[str]) -> t.List[Check]:
    """Take apart what checks_text() wrote."""
    words = [line.split() for line in (text or "").splitlines()]
    return [Check(name, device, int(weight)) for name, device, weight in words]


class Health(object):
    """The watcher: wanted while there are checks, removed by a purge when there are none."""

    def __init__(
        self,
        items: t.Optional[t.Iterable[t.Mapping[str, t.Any]]],
        purge: bool,
        systemd: Systemd,
        paths: t.Optional[Paths] = None,
    ):
        self.checks = parse(items)
        self.purge = purge
        self.systemd = systemd
        self.paths = paths or Paths()
        self._files: t.Dict[str, t.Optional[str]] = {}
        self._told: t.Dict[str, t.Any] = {}
        self._active = False

    def read(self) -> None:
        """Look at what there is."""
        self._files = {path: read_file(path) for path in self._wanted()}
        self._told = vrrp_files.read_stamp(self.paths.directory)
        idle = not self.checks and self._files.get(self.paths.unit) is None
        unit = None if idle else self.systemd.units(UNIT).get(UNIT)
        self._active = unit is not None and unit.active

    def _wanted(self) -> t.Dict[str, str]:
        values = {
            "note": _NOTE,
            "checks": self.paths.checks,
            "run": self.paths.run,
            "program": self.paths.program,
        }
        return {
            self.paths.checks: checks_text(self.checks),
            self.paths.program: _PROGRAM % values,
            self.paths.unit: _UNIT % values,
        }

    def _digest(self) -> str:
        return vrrp_files.digest("".join(text for _path, text in sorted(self._wanted().items())))

    def diff(self) -> t.List[Operation]:
        """Return the operations."""
        if not self.checks:
            found = [path for path, text in self._files.items() if text is not None]
            gone = self.purge and (found or self._active)
            return [Operation("remove %s" % UNIT, (HEALTH, "remove"), "\n".join(sorted(found)))] if gone else []
        operations = [
            Operation("write %s" % path, (HEALTH, path), *vrrp_files.changed_lines(self._files[path], text, path))
            for path, text in sorted(self._wanted().items())
            if self._files[path] != text
        ]
        if not self._active:
            operations.append(Operation("start %s" % UNIT, (HEALTH, "start"), "", "%s: active" % UNIT))
        elif operations or self._told.get("config") != self._digest():
            operations.append(Operation("restart %s" % UNIT, (HEALTH, "restart")))
        return operations

    def write(self, operations: t.Iterable[Operation]) -> bool:
        """Write the files that the operations want; return whether process 1 has to read its own again."""
        asked = _asked(operations)
        if asked and "remove" not in asked:
            for path, text in self._wanted().items():
                vrrp_files.write(path, text, _MODE if path == self.paths.program else 0o644)
        return self.paths.unit in asked

    def run(self, operations: t.Iterable[Operation]) -> None:
        """Start the watcher, or end it, as the operations want."""
        asked = _asked(operations)
        if "remove" in asked:
            self._remove()
        elif asked:
            if "restart" in asked:
                self.systemd.stop([UNIT])
            self.systemd.start([UNIT])
            vrrp_files.write_stamp(self.paths.directory, {"config": self._digest()})

    def _remove(self) -> None:
        if self._active:
            self.systemd.stop([UNIT])
        for path in (self.paths.unit, self.paths.program):
            if os.path.exists(path):
                os.unlink(path)
        self.systemd.daemon_reload()
        for directory in (self.paths.directory, self.paths.run):
            shutil.rmtree(directory, ignore_errors=True)


def _asked(operations: t.Iterable[Operation]) -> t.List[t.Any]:
    """Return what those of the operations ask that are on health."""
    return [operation.payload[1] for operation in operations if operation.payload[0] == HEALTH]


def values(paths: t.Optional[Paths] = None) -> t.Dict[str, int]:
    """Return what the watcher has written last, by the name of the check."""
    paths = paths or Paths()
    found = {}
    for check in parse_text(read_file(paths.checks)):
        text = read_file(os.path.join(paths.run, check.name))
        if text is not None:
            found[check.name] = int(text)
    return found
