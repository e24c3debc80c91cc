# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The iSCSI target of a ramdisk: tgtd, with one target for one initiator, for as long as an image is written."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import command
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

TARGET = "iqn.2026-01.weft.fabric:disk"
PORT = 3260
#: which unit is the disk, and which one takes the beginning of the image
DISK_LUN, HEAD_LUN = 1, 2
#: so many bytes of an image wait beside the disk until all others are on it
HEAD = 1 << 20

_SECONDS = 10.0


class Access(t.NamedTuple):
    """Who may log in, and where."""

    address: str  # of this machine
    port: int
    initiator_address: str
    username: str
    password: str


class Target(object):
    """The daemon. control tells it from others on the same machine."""

    def __init__(self, control: int = 0):
        self._control = ["--control-port", str(control)]

    def start(self, access: Access, units: t.Mapping[int, str]) -> None:
        """Export files or disks, each as the unit of that number."""
        # Of several programs that listen, one might be anybody's: only ours, on the one address.
        portal = "portal=%s:%d" % (access.address, access.port)
        self._run(["tgtd", *self._control, "--iscsi", portal], "start")
        self._wait_until(True, "did not come up")
        self._tell("new", "target", "--targetname", TARGET)
        for number, path in sorted(units.items()):
            unit = ["--lun", str(number)]
            self._tell("new", "logicalunit", *unit, "--backing-store", path, "--bstype", "rdwr")
            # So that zeros need not be sent: the disk may make holes, where it promises what is read from them.
            self._tell("update", "logicalunit", *unit, "--params", "thin_provisioning=1")
        # In the ramdisk nobody but its deployer sees what runs; and the password is for this one image.
        account = ["--user", access.username]
        self._tell("new", "account", *account, "--password", access.password, tid=False)
        self._tell("bind", "account", *account)
        self._tell("bind", "target", "--initiator-address", access.initiator_address)

    def stop(self) -> None:
        """End it, if it runs, whoever is logged in."""
        if not self._answers():
            return
        self._ask("delete", "target", "--force")
        self._ask("delete", "system", tid=False)
        self._wait_until(False, "did not end")

    def _answers(self) -> bool:
        try:
            return self._ask("show", "target", tid=False).returncode == 0
        except FileNotFoundError:
            return False

    def _wait_until(self, answers: bool, problem: str) -> None:
        until = time.monotonic() + _SECONDS
        while self._answers() != answers:
            if time.monotonic() > until:
                raise FabricError("tgtd %s within %g s. The node's log (dmesg) may tell why" % (problem, _SECONDS))
            time.sleep(0.1)

    def _ask(self, operation: str, mode: str, *words: str, tid: bool = True) -> command.Result:
        which = ["--tid", "1"] if tid else []
        return command.run(
            ["tgtadm", *self._control, "--lld", "iscsi", "--op", operation, "--mode", mode, *which, *words]
        )

    def _tell(self, operation: str, mode: str, *words: str, tid: bool = True) -> None:
        done = self._ask(operation, mode, *words, tid=tid)
        if done.returncode:
            raise FabricError("tgtadm: %s of %s failed: %s" % (operation, mode, done.stderr.strip()))

    def _run(self, words: t.Sequence[str], what: str) -> None:
        try:
            done = command.run(words)
        except FileNotFoundError:
            raise FabricError(
                "the ramdisk has no tgtd, so its disk cannot be exported. Build it with weft.fabric.ramdisk_build"
            ) from None
        if done.returncode:
            raise FabricError("tgtd did not %s: %s" % (what, done.stderr.strip() or "exit code %d" % done.returncode))
