# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Router advertisements: one radvd for each router, kept running by systemd. The engine.

Files first, then the daemons, then a stamp that says what the daemons were told. A run that is killed in between
leaves a stamp that does not match, and the next one tells them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import (
    command,
    ra_current,
    ra_plan,
    ra_unit,
    vrrp_files,
    vrrp_program,
)
from ansible_collections.weft.fabric.plugins.module_utils.ra_unit import unit_name
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Engine, FabricError, Operation, read_file
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd

DIRECTORY = "/var/lib/weft-fabric/ra"

# radvd gives up its rights and reads its file again when it is told to.
_FILE_MODE = 0o644


class RouterAdvertisementsEngine(Engine):
    """Makes router advertisements what the arguments say."""

    name = "router_advertisements"

    def __init__(
        self,
        params: t.Dict[str, t.Any],
        systemd: t.Optional[Systemd] = None,
        directory: str = DIRECTORY,
        unit_file: str = ra_unit.UNIT_FILE,
        vrrp_run: str = vrrp_program.RUN_DIR,
        run_directory: str = ra_unit.RUN_DIR,
    ):
        Engine.__init__(self, params)
        self.desired = ra_current.parse(params)
        self.purge = bool(params.get("purge"))
        self.systemd = systemd or Systemd()
        self.directory = directory
        self.unit_file = unit_file
        self.run_directory = run_directory
        self.vrrp_run = vrrp_run
        self._current = ra_current.Current(None)

    def read(self) -> ra_current.Current:
        unit_text = read_file(self.unit_file)
        # A host that never advertised need not have systemd.
        idle = unit_text is None and not self.desired and not os.path.isdir(self.directory)
        units = {} if idle else self.systemd.units(ra_unit.PATTERN)
        self._current = ra_current.read(self.desired, self.directory, self.vrrp_run, unit_text, units)
        return self._current

    def diff(self, current: ra_current.Current) -> t.List[Operation]:
        wanted = any(router.present for router in self.desired.values())
        return ra_plan.plan(current, self.desired, self.purge, ra_unit.unit_text(self.directory) if wanted else "")

    def apply(self, operations: t.List[Operation]) -> None:
        asked: t.Dict[int, t.List[str]] = {kind: [] for kind in range(ra_plan.REMOVE_UNIT + 1)}
        for operation in operations:
            kind, name = operation.payload
            if name not in asked[kind]:
                asked[kind].append(name)
        self._check(asked[ra_plan.WRITE])
        if asked[ra_plan.UNIT]:
            vrrp_files.write(self.unit_file, ra_unit.unit_text(self.directory), _FILE_MODE)
            # A unit that process 1 has not heard of it reads by itself, when keepalived starts it.
            if self._current.unit_text is not None or asked[ra_plan.START] or asked[ra_plan.RESTART]:
                self.systemd.daemon_reload()
        for name in asked[ra_plan.WRITE]:
            for file, text in self.desired[name].files.items():
                vrrp_files.write(self._path(name, file), text, _FILE_MODE, durable=False)
        self._run(asked)
        self._remove(asked[ra_plan.REMOVE], bool(asked[ra_plan.REMOVE_UNIT]))

    def _check(self, names: t.Sequence[str]) -> None:
        routers = [self.desired[name] for name in names]
        told = {name: self._current.routers[name].stamp.get("config") for name in names}
        new = [router for router in routers if told[router.name] != vrrp_files.digest(router.config)]
        # All in one file, as they name different links: a process for each of them would take seconds.
        if new and _refusal("".join(router.config for router in new)) is not None:
            for router in new:
                reason = _refusal(router.config)
                if reason is not None:
                    text = "nothing was changed: radvd refuses the configuration of %s: %s"
                    raise FabricError(text % (router.name, reason))

    def _path(self, name: str, file: str = "") -> str:
        return os.path.join(self.directory, name, file)

    def _run(self, asked: t.Mapping[int, t.List[str]]) -> None:
        self._silence(asked[ra_plan.SILENCE])
        self.systemd.stop([unit_name(name) for name in asked[ra_plan.RESTART]])
        self.systemd.start([unit_name(name) for name in asked[ra_plan.START] + asked[ra_plan.RESTART]])
        self.systemd.reload([unit_name(name) for name in asked[ra_plan.RELOAD]])
        # A radvd that does not run reads what was written when keepalived starts it.
        for kind in (ra_plan.WRITE, ra_plan.START, ra_plan.RESTART, ra_plan.RELOAD):
            for name in asked[kind]:
                config = vrrp_files.digest(self.desired[name].config)
                vrrp_files.write_stamp(self._path(name), {"config": config})

    def _silence(self, names: t.Sequence[str]) -> None:
        """Stop radvd without its last word, that the router is gone: another host has the role."""
        self.systemd.kill([unit_name(name) for name in names])
        self.systemd.stop([unit_name(name) for name in names])

    def _remove(self, names: t.Sequence[str], unit_file: bool) -> None:
        self.systemd.stop([unit_name(name) for name in names])
        for name in names:
            shutil.rmtree(self._path(name), ignore_errors=True)
        if unit_file:
            os.unlink(self.unit_file)
            self.systemd.daemon_reload()
            for directory in (self.directory, self.run_directory):
                # Something that is not ours may be in there.
                with contextlib.suppress(OSError):
                    os.rmdir(directory)


def _refusal(config: str) -> t.Optional[str]:
    """Let radvd read a configuration before it replaces one that works; return what it says against it."""
    with tempfile.TemporaryDirectory(prefix="weft-ra-") as directory:
        path = os.path.join(directory, ra_current.CONFIG)
        vrrp_files.write(path, config, durable=False)
        done = command.run([vrrp_program.executable("radvd"), "--configtest", "--config=" + path])
    if done.returncode == 0:
        return None
    return " ".join((done.stderr + done.stdout).replace(directory + os.sep, "").split())
