# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has the role of an HA router: the operator's hand on it. The engine.

keepalived adds a number, the handicap, to the priority of this node. With a handicap the role moves to a peer that is
better, and stays where it is when none is. The number is small on purpose: a node whose uplink is down is worse, so a
node that an operator has put aside still serves when all others have failed.
"""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import vrrp_current, vrrp_files, vrrp_program
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Engine, FabricError, Operation, read_file
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd, Unit

# On the disk, so that a drained node is drained after a reboot. The unit of a router reads it when it starts.
DRAINED = "/var/lib/weft-fabric/drained"

# Worse than a node without a handicap, better than one whose uplink is down (-50).
DRAINED_HANDICAP = -20
LOWEST_HANDICAP = -253

PRIMARY, BACKUP = "primary", "backup"

_POLL = 0.02
_MODE = 0o644

_MARK, _HANDICAP, _ROLE = range(3)


class Paths(t.NamedTuple):
    """Where things are; tests put them elsewhere."""

    directory: str = "/var/lib/weft-fabric/vrrp"
    run: str = vrrp_program.RUN_DIR
    drained: str = DRAINED

    def handicap(self, name: str) -> str:
        return os.path.join(self.run, name, "handicap")

    def state(self, name: str) -> str:
        return os.path.join(self.run, name, "state")


class Wish(t.NamedTuple):
    """What is wanted of a router on this host."""

    name: str
    label: str
    handicap: int
    expect: t.Optional[str]


class Role(t.NamedTuple):
    """What a router is on this host."""

    active: bool
    state: t.Optional[str]
    handicap: int


class Current(t.NamedTuple):
    """This host: whether it is drained, and its routers."""

    drained: bool
    roles: t.Dict[str, Role]


def parse(params: t.Mapping[str, t.Any]) -> t.Dict[str, Wish]:
    """Return what is wanted, by the router's name."""
    found: t.Dict[str, Wish] = {}
    for item in params.get("routers") or ():
        name = vrrp_files.router_name(item, "router", found)
        label = item.get("label") or name
        handicap = item.get("handicap") or 0
        if not isinstance(handicap, int) or not LOWEST_HANDICAP <= handicap <= 0:
            raise FabricError(
                "router %s: handicap %r is not a number from %d to 0" % (label, handicap, LOWEST_HANDICAP)
            )
        found[name] = Wish(name, label, handicap, item.get("expect"))
    return found


def read(paths: Paths, units: t.Mapping[str, Unit]) -> Current:
    """Look at all HA routers of this host."""
    keepaliveds = vrrp_program.by_router(units, vrrp_program.unit_name)
    active = {name for name, unit in keepaliveds.items() if unit.active}
    roles = {}
    for name in vrrp_current.directories(paths.directory):
        if vrrp_files.NAME.match(name) and os.path.isdir(os.path.join(paths.directory, name)):
            running = name in active
            roles[name] = Role(running, read_role(paths, name) if running else None, read_handicap(paths, name))
    return Current(os.path.exists(paths.drained), roles)


def read_role(paths: Paths, name: str) -> t.Optional[str]:
    """Return what a router has become last."""
    words = (read_file(paths.state(name)) or "").split()
    return words[0] if words else None


def read_handicap(paths: Paths, name: str) -> int:
    """Return a router's handicap; what is no number keepalived takes for none."""
    try:
        return int(read_file(paths.handicap(name)) or 0)
    except ValueError:
        return 0


class RouterRolesEngine(Engine):
    """Makes the handicaps of a host's routers what the arguments say, and waits until the roles have followed."""

    name = "router_roles"

    def __init__(
        self, params: t.Dict[str, t.Any], systemd: t.Optional[Systemd] = None, paths: t.Optional[Paths] = None
    ):
        Engine.__init__(self, params)
        self.wishes = parse(params)
        self.drained: t.Optional[bool] = params.get("drained")
        self.timeout: int = params.get("timeout") or 10
        self.systemd = systemd or Systemd()
        self.paths = paths or Paths()

    def read(self) -> Current:
        # A host that never had such a router need not have systemd.
        idle = not vrrp_current.directories(self.paths.directory)
        current = read(self.paths, {} if idle else self.systemd.units(vrrp_program.PATTERN))
        for wish in self.wishes.values():
            if wish.name not in current.roles:
                raise FabricError(
                    "router %s: there is no such HA router on this host: run the playbook weft.fabric.site first"
                    % wish.label
                )
        return current

    def diff(self, current: Current) -> t.List[Operation]:
        operations = self._mark(current)
        for name, role in current.roles.items():
            wish = self.wishes.get(name)
            label = wish.label if wish is not None else name
            wanted = self._wanted(name, current)
            if wanted is not None and wanted != role.handicap:
                text = "set the handicap of router %s to %d" % (label, wanted)
                line = "router %s: handicap %d"
                operations.append(
                    Operation(text, (_HANDICAP, name, wanted), line % (label, role.handicap), line % (label, wanted))
                )
            if not self._is_as_expected(name, role):
                verb = "takes" if self._expected(name) == PRIMARY else "gives up"
                text = "router %s %s the role" % (label, verb)
                line = "router %s: %s"
                after = PRIMARY if verb == "takes" else BACKUP
                operations.append(
                    Operation(text, (_ROLE, name, after), line % (label, role.state), line % (label, after))
                )
        return operations

    def _mark(self, current: Current) -> t.List[Operation]:
        if self.drained is None or self.drained == current.drained:
            return []
        word = "drain" if self.drained else "undrain"
        line = "host: drained"
        return [Operation("%s this host" % word, (_MARK, "", 0), *(("", line) if self.drained else (line, "")))]

    def _wanted(self, name: str, current: Current) -> t.Optional[int]:
        """Return the handicap a router shall have, or None when nobody has asked."""
        wish = self.wishes.get(name)
        if wish is None and self.drained is None:
            return None
        drained = current.drained if self.drained is None else self.drained
        own = wish.handicap if wish is not None else 0
        return max(own + (DRAINED_HANDICAP if drained else 0), LOWEST_HANDICAP)

    def _expected(self, name: str) -> t.Optional[str]:
        wish = self.wishes.get(name)
        if wish is not None and wish.expect is not None:
            return wish.expect
        return BACKUP if self.drained else None

    def _is_as_expected(self, name: str, role: Role) -> bool:
        expected = self._expected(name)
        if expected is None:
            return True
        return (role.state == PRIMARY) == (expected == PRIMARY)

    def apply(self, operations: t.List[Operation]) -> None:
        asked = [operation.payload for operation in operations]
        if any(kind == _MARK for kind, _name, _value in asked):
            self._write_mark()
        handicaps = {name: value for kind, name, value in asked if kind == _HANDICAP}
        waiting = [name for kind, name, _value in asked if kind == _ROLE]
        for name, value in handicaps.items():
            if name not in waiting:
                self._write_handicap(name, value)
        stuck: t.List[str] = []
        # One after the other: a burst of moves would have all of them wait for one processor.
        for name in waiting:
            if name in handicaps:
                self._write_handicap(name, handicaps[name])
            # Where one does not go, most others will not: they are told, but not given all that time.
            if not self._awaited(name, min(self.timeout, 1) if stuck else self.timeout):
                stuck.append(name)
        if stuck:
            raise FabricError("\n".join(self._stuck(name) for name in stuck))

    def _write_mark(self) -> None:
        if self.drained:
            vrrp_files.write(self.paths.drained, "%d\n" % DRAINED_HANDICAP, _MODE)
            _to_disk(self.paths.drained)
        else:
            os.unlink(self.paths.drained)

    def _write_handicap(self, name: str, value: int) -> None:
        # A zero and no removal: of a file that is gone keepalived keeps the last word.
        vrrp_files.write(self.paths.handicap(name), "%d\n" % value, _MODE)

    def _awaited(self, name: str, seconds: int) -> bool:
        """Wait for a role. Return whether it has come about."""
        end = time.monotonic() + seconds
        wanted = self._expected(name) == PRIMARY
        while (read_role(self.paths, name) == PRIMARY) != wanted:
            if time.monotonic() > end:
                return False
            time.sleep(_POLL)
        return True

    def _stuck(self, name: str) -> str:
        label = self.wishes[name].label if name in self.wishes else name
        if self._expected(name) == PRIMARY:
            what = "has not become primary on this host after %d s: another node is as good, or hears no other" % (
                self.timeout
            )
        else:
            what = "is still primary on this host after %d s: no other node is better, or none is heard" % self.timeout
        held = " The host stays drained, and the role goes as soon as there is a better node." if self.drained else ""
        return "router %s %s (see the playbook weft.fabric.router_status).%s" % (label, what, held)


def _to_disk(path: str) -> None:
    """Let a file outlive a power failure, and its name too."""
    for entry in (path, os.path.dirname(path)):
        descriptor = os.open(entry, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
