# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module in a node's ramdisk, and shows meanwhile what the node says of how far it is."""

from __future__ import annotations

import os
import shlex
import tempfile
import threading
import time
import typing as t
from pathlib import Path

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from .connection import PREFIX, Way, is_way
from .progress import Meter, Teller, describe, parse

display = Display()

PROGRESS_FILE = "/run/weft/progress.json"
LIVE_SECONDS, PLAIN_SECONDS = 2.0, 5.0
#: how progress is shown: live in one line of a terminal, plain as lines of a log
SETTING = "WEFT_PROGRESS"


class WatchedAction(ActionBase):
    """The action of a module that takes long in a ramdisk, named like it."""

    MODULE: t.ClassVar[str]
    TRANSFERS_FILES = False

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        variables = task_vars or {}
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        watcher = None if self._task.check_mode else Watcher.of(variables)
        try:
            result.update(self._execute_module(module_name=self.MODULE, task_vars=variables))
        except AnsibleConnectionFailure as error:
            # No host that is away for now: a node that is gone while it is written has to be dealt with.
            return {**result, "failed": True, "msg": f"the ramdisk is gone: {error}"}
        finally:
            if watcher is not None:
                watcher.stop()
        if result.pop("unreachable", False):
            result.update(failed=True, msg=f"the ramdisk is gone: {result.get('msg', 'no answer')}")
        return result


class Watcher:
    """Reads a node's progress file over the connection that its module runs on too, until stopped."""

    def __init__(self, node: str, way: Way, run: int) -> None:
        self.node = node
        self.way = way
        self.run = run
        self.live = is_live(run)
        self._teller = Teller(time.monotonic)
        self._meter = Meter()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @classmethod
    def of(cls, variables: t.Mapping[str, t.Any]) -> Watcher | None:
        """Return a watcher of the task's host, if it is reached by a way that we have laid."""
        words = shlex.split(str(variables.get("ansible_ssh_args") or ""))
        directory = os.path.dirname(words[words.index("-F") + 1]) if "-F" in words[:-1] else ""
        if not directory or not is_way(directory) or os.environ.get(SETTING) == "none":
            return None
        return cls(str(variables["inventory_hostname"]), Way(directory), os.getppid())

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(1.0)
        if self.live:
            display.display("\r\x1b[K", screen_only=True, newline=False)

    def _watch(self) -> None:
        while not self._stopped.wait(LIVE_SECONDS if self.live else PLAIN_SECONDS):
            done = self.way.run(f"cat {PROGRESS_FILE} 2>/dev/null", 10)
            found = parse(done.stdout)
            if found is not None and not self._stopped.is_set():
                self._show(found)

    def _show(self, found: dict[str, t.Any]) -> None:
        text = describe(self.node, found, self._meter.rate(found))
        if self.live:
            path = Path(self.way.directory, "progress")
            path.write_text(text, encoding="utf-8")
            display.display(f"\r\x1b[K{self._all()}", screen_only=True, newline=False)
        elif self._teller.worth_telling(found):
            display.display(text)

    def _all(self) -> str:
        """Return what all nodes of this run have told last, in one line."""
        texts = []
        for path in sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}{self.run}-*/progress")):
            try:
                texts.append(path.read_text(encoding="utf-8"))
            except OSError:
                continue
        return " | ".join(texts)


def is_live(run: int) -> bool:
    """Tell whether somebody looks at a terminal: neither a file, nor the terminal that AWX pretends."""
    setting = os.environ.get(SETTING)
    if setting in ("live", "plain"):
        return setting == "live"
    if "AWX_ISOLATED_DATA_DIR" in os.environ or "AWX_PRIVATE_DATA_DIR" in os.environ:
        return False
    try:
        return os.readlink(f"/proc/{run}/fd/1").startswith(("/dev/pts/", "/dev/tty"))
    except OSError:
        return False
