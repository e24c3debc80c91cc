# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time for a device, among the runs of this machine.

Ansible's forks come at a device at once. Few devices have a queue for them, only a refusal; so they queue
here, where waiting costs the device nothing, and only one of them has a session at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import re
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError


def state_directory() -> str:
    """Return where this user's runs keep what outlives them: locks, and the audit file."""
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "weft-fabric")


def pauses(seconds: float, first: float = 0.05, longest: float = 1.0) -> t.Iterator[float]:
    """Yield how long to wait before each further try, until the time is over.

    The lengths are random, so that those who were refused together do not come back together.
    """
    end = time.monotonic() + seconds
    pause = first
    while time.monotonic() < end:
        yield min(random.uniform(pause / 2, pause), max(0.0, end - time.monotonic()))
        pause = min(pause * 1.5, longest)


def place_of(address: str, port: int) -> str:
    """Return the file that stands for a device."""
    return os.path.join(state_directory(), "locks", re.sub(r"[^A-Za-z0-9.]", "_", "%s-%d" % (address, port)))


@contextlib.contextmanager
def machine_lock(device: str, address: str, port: int, seconds: float, who: str) -> t.Iterator[None]:
    """Hold a device among the runs of this machine and user. The kernel drops it when the holder dies.

    device is what it is called in the error.
    """
    path = place_of(address, port)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _taken(descriptor, seconds):
            raise FabricError(
                "%s: %s has been at it for more than %g s (lock %s). Wait for it, or end it, and run again."
                % (device, _holder(descriptor), seconds, path)
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "who": who}).encode("utf-8"), 0)
        yield
    finally:
        os.close(descriptor)


def _taken(descriptor: int, seconds: float) -> bool:
    if _try(descriptor):
        return True
    for pause in pauses(seconds, longest=0.2):
        time.sleep(pause)
        if _try(descriptor):
            return True
    return False


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    try:
        told = json.loads(os.pread(descriptor, 4096, 0).decode("utf-8"))
        return "process %s on this machine (%s)" % (told["pid"], told["who"])
    except (ValueError, KeyError, TypeError):
        return "another process on this machine"
