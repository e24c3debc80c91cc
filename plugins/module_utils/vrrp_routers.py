# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Highly available routers: one keepalived and one conntrackd for each, kept running by systemd. The engine.

Files first, then the daemons, then a stamp that says what the daemons were told. A run that is killed in between
leaves a stamp that does not match, and the next one tells them. However much has changed of a router, its keepalived
is told once. One that starts reads what is written, so its stamp comes before: whatever becomes of the run, none that
has started well is restarted by the next, and one that has not started is started, whatever its stamp says.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import (
    command,
    vrrp_current,
    vrrp_files,
    vrrp_health,
    vrrp_plan,
    vrrp_program,
)
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Engine, FabricError, Operation
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd
from ansible_collections.weft.fabric.plugins.module_utils.vrrp_program import sessions_name, unit_name

DIRECTORY = "/var/lib/weft-fabric/vrrp"

_PROGRAM_MODE = 0o755
_UNIT_MODE = 0o644

Asked = t.Dict[int, t.List[str]]


class VrrpRoutersEngine(Engine):
    """Makes highly available routers what the arguments say."""

    name = "vrrp_routers"

    #: for the replay at boot: one router that can't be keeps no other from coming back
    tolerant = False

    def __init__(
        self,
        params: t.Dict[str, t.Any],
        systemd: t.Optional[Systemd] = None,
        paths: t.Optional[vrrp_program.Paths] = None,
        health_paths: t.Optional[vrrp_health.Paths] = None,
    ):
        Engine.__init__(self, params)
        self.desired = vrrp_current.parse(params)
        self.purge = bool(params.get("purge"))
        self.systemd = systemd or Systemd()
        self.paths = paths or vrrp_program.Paths(DIRECTORY)
        self.health = vrrp_health.Health(params.get("health"), self.purge, self.systemd, health_paths)
        self._current = vrrp_current.Current({})

    def read(self) -> vrrp_current.Current:
        idle = self._is_idle()
        units = {} if idle else self.systemd.units(*vrrp_program.PATTERNS)
        self._current = vrrp_current.read(self.desired, self.paths, units)
        timer = units.get(vrrp_program.REFRESH_TIMER)
        self._current.refreshed = timer is not None and timer.active
        self.health.read()
        return self._current

    def _is_idle(self) -> bool:
        """Tell whether there is nothing to look after: a host that never had such a router need not have systemd.

        Routers that are not to be there don't count: each that is of another kind is listed as one.
        """
        wanted = any(router.present for router in self.desired.values())
        # A unit that has lost its files still has the directory in which it runs.
        found = vrrp_current.directories(self.paths.directory) + vrrp_current.directories(self.paths.run)
        return not wanted and not found and not self._has_shared()

    def _has_shared(self) -> bool:
        return any(os.path.exists(path) for path in vrrp_program.file_names(self.paths))

    def diff(self, current: vrrp_current.Current) -> t.List[Operation]:
        wanted = any(router.present for router in self.desired.values())
        shared = vrrp_program.files(self.paths) if wanted else {}
        return self.health.diff() + vrrp_plan.plan(current, self.desired, self.purge, shared)

    def apply(self, operations: t.List[Operation]) -> None:
        asked: Asked = {kind: [] for kind in range(vrrp_plan.WATCHES + 1)}
        for operation in operations:
            kind, name = operation.payload
            if kind != vrrp_health.HEALTH and name not in asked[kind]:
                asked[kind].append(name)
        refused = self._check(asked)
        # Out of the old namespace first: in the new one it has the same name.
        moving = [name for name in asked[vrrp_plan.REMOVE] if name in asked[vrrp_plan.WRITE]]
        self._remove(moving, False)
        units = [self.health.write(operations), self._write_shared(asked[vrrp_plan.SHARED])]
        if any(units):
            self.systemd.daemon_reload()
        # Before the routers, which read what it writes.
        self.health.run(operations)
        if asked[vrrp_plan.WATCHES]:
            self._raise_watches()
        for name in asked[vrrp_plan.WRITE]:
            self._write_files(self.desired[name])
        # A router without its peers' sessions is better than none.
        failed = self._attempt(self._run_sessions, asked)
        self._run(asked)
        self._note(self._told(asked))
        leaving = [name for name in asked[vrrp_plan.REMOVE] if name not in moving]
        self._remove(leaving, bool(asked[vrrp_plan.REMOVE_SHARED]))
        if refused or failed:
            raise FabricError("; ".join(refused + failed))

    # before anything is changed

    def _check(self, asked: Asked) -> t.List[str]:
        """Refuse all, or with tolerant leave out those that can't be and return why."""
        refused = {}
        # New routers have no working configuration to lose, and come from one template: one speaks for all.
        spoken_for = asked[vrrp_plan.START][1:]
        for name in asked[vrrp_plan.START] + asked[vrrp_plan.RESTART] + asked[vrrp_plan.RELOAD]:
            reason = self._refusal(name, name not in spoken_for)
            if reason is not None and not self.tolerant:
                raise FabricError("nothing was changed: " + reason)
            if reason is not None:
                refused[name] = reason
        for kind, names in asked.items():
            asked[kind] = [name for name in names if name not in refused]
        return list(refused.values())

    def _refusal(self, name: str, tested: bool) -> t.Optional[str]:
        router, state = self.desired[name], self._current.routers[name]
        try:
            vrrp_current.refuse_missing(router, state)
            # The stamp of one that does not run need not mean that it ever ran with this.
            known = state.unit.active and state.stamp.get("config") == vrrp_files.digest(
                router.files[vrrp_current.CONFIG]
            )
            if tested and not known:
                _test(router)
        except FabricError as error:
            return str(error)
        return None

    # files

    def _path(self, name: str, file: str = "") -> str:
        return os.path.join(self.paths.directory, name, file)

    def _write_shared(self, paths: t.Sequence[str]) -> bool:
        """Write what all routers share; return whether units are among it."""
        texts = vrrp_program.files(self.paths) if paths else {}
        for path in paths:
            vrrp_files.write(path, texts[path], _PROGRAM_MODE if path == self.paths.program else _UNIT_MODE)
        return any(path != self.paths.program for path in paths)

    def _write_files(self, router: vrrp_current.Router) -> None:
        for file, text in router.files.items():
            if file == vrrp_current.NAMESPACE:
                vrrp_files.link(self._path(router.name, file), text or "")
            elif text is not None:
                vrrp_files.write(self._path(router.name, file), text, durable=False)

    def _raise_watches(self) -> None:
        routers = sum(router.present for router in self.desired.values())
        with open(self.paths.watches, "w", encoding="ascii") as stream:
            stream.write("%d\n" % vrrp_plan.watches_for(routers))

    # daemons

    @staticmethod
    def _attempt(action: t.Callable[[Asked], None], asked: Asked) -> t.List[str]:
        try:
            action(asked)
        except FabricError as error:
            return [str(error)]
        return []

    def _run_sessions(self, asked: Asked) -> None:
        """Start, stop and renew conntrackd. It reads its configuration only when it starts."""
        stop = asked[vrrp_plan.SYNC_STOP]
        self.systemd.stop([sessions_name(name) for name in stop + asked[vrrp_plan.SYNC_RESTART]])
        for name in asked[vrrp_plan.WRITE]:
            if self.desired[name].files[vrrp_current.SESSIONS] is None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path(name, vrrp_current.SESSIONS))
        self.systemd.start([sessions_name(name) for name in asked[vrrp_plan.SYNC] + asked[vrrp_plan.SYNC_RESTART]])
        if asked[vrrp_plan.TIMER]:
            self.systemd.start([vrrp_program.REFRESH_TIMER])
        if asked[vrrp_plan.TIMER_STOP]:
            self.systemd.stop([vrrp_program.REFRESH_TIMER])

    def _run(self, asked: Asked) -> None:
        # First those that run: one that does not start must not keep from them what they are to know.
        self.systemd.reload([unit_name(name) for name in asked[vrrp_plan.RELOAD]])
        self._note(asked[vrrp_plan.RELOAD])
        self.systemd.stop([unit_name(name) for name in asked[vrrp_plan.RESTART]])
        starting = asked[vrrp_plan.START] + asked[vrrp_plan.RESTART]
        self._note(starting)
        self._tell_crowd(starting)
        self.systemd.start([unit_name(name) for name in starting])

    def _tell_crowd(self, names: t.Sequence[str]) -> None:
        """Let each of many routers know for how long the others are being started."""
        seconds = vrrp_plan.crowd_delay(len(names))
        for name in names if seconds else ():
            vrrp_files.write(os.path.join(self.paths.run, name, "crowd"), "%d\n" % seconds, durable=False)

    def _note(self, names: t.Iterable[str]) -> None:
        """Write down what the daemons were told."""
        for name in names:
            state = self._current.routers[name]
            vrrp_files.write_stamp(self._path(name), vrrp_current.stamp(self.desired[name], state))

    @staticmethod
    def _told(asked: Asked) -> t.List[str]:
        kinds = (
            vrrp_plan.SYNC,
            vrrp_plan.SYNC_RESTART,
            vrrp_plan.SYNC_STOP,
            vrrp_plan.START,
            vrrp_plan.RESTART,
            vrrp_plan.RELOAD,
        )
        return sorted({name for kind in kinds for name in asked[kind]})

    def _remove(self, names: t.Sequence[str], shared: bool) -> None:
        kept = [name for name in names if name in self.desired and self._keeps(self.desired[name])]
        for name in kept:
            vrrp_files.write(os.path.join(self.paths.run, name, "keep"), "")
        self.systemd.kill([unit_name(name) for name in kept if self._current.routers[name].unit.active])
        self.systemd.stop([unit_name(name) for name in names] + [sessions_name(name) for name in names])
        for name in names:
            shutil.rmtree(self._path(name), ignore_errors=True)
            shutil.rmtree(os.path.join(self.paths.run, name), ignore_errors=True)
        if shared:
            self._remove_shared()

    @staticmethod
    def _keeps(router: vrrp_current.Router) -> bool:
        """Tell whether what keepalived has put in stays: also in a namespace that the router leaves."""
        return router.keep or router.present

    def _remove_shared(self) -> None:
        self.systemd.stop([vrrp_program.REFRESH_TIMER])
        for path in [*vrrp_program.file_names(self.paths), vrrp_program.lock_of(self.paths)]:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        self.systemd.daemon_reload()
        for directory in (self.paths.directory, self.paths.run, os.path.dirname(self.paths.program)):
            # Something that is not ours may be in there.
            with contextlib.suppress(OSError):
                os.rmdir(directory)


_TRACKED_FILE = re.compile(r'^(\s*file ")/run/[^"]+', re.MULTILINE)


def _test(router: vrrp_current.Router) -> None:
    """Let keepalived read a configuration before it replaces one that works: it may die of a reload.

    As one of a crowd, as that has lines of its own.
    """
    with tempfile.TemporaryDirectory(prefix="weft-vrrp-") as directory:
        path = os.path.join(directory, vrrp_current.CONFIG)
        # keepalived 2.3 refuses a tracked file that isn't there yet.
        tracked = os.path.join(directory, "tracked")
        vrrp_files.write(tracked, "0\n", durable=False)
        config = _TRACKED_FILE.sub(lambda found: found.group(1) + tracked, router.files[vrrp_current.CONFIG] or "")
        vrrp_files.write(path, config, durable=False)
        words = ["ip", "netns", "exec", router.namespace, vrrp_program.executable("keepalived")]
        done = command.run(words + ["--config-test", "--vrrp", "--config-id=crowd-1", "--use-file=" + path])
    if done.returncode != 0:
        reason = " ".join((done.stderr + done.stdout).replace(directory + os.sep, "").split())
        raise FabricError("keepalived refuses the configuration of %s: %s" % (router.where, reason))
