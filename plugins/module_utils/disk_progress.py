# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a long work is, in a file that anybody on this machine can read."""

from __future__ import annotations

import json
import os
import threading
import time
import typing as t

FILE = "/run/weft/progress.json"


class Progress(object):
    """Keeps the file up to date, once a second, for as long as the work lasts."""

    def __init__(self, path: str = FILE, seconds: float = 1.0):
        self._path = path
        self._seconds = seconds
        self._state: t.Dict[str, t.Any] = {"phase": "starting", "bytes": 0, "total": None, "started": time.time()}
        self._end = threading.Event()
        self._thread: t.Optional[threading.Thread] = None

    def __enter__(self) -> "Progress":
        self._store()
        self._thread = threading.Thread(target=self._tick, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: t.Any, error: t.Any, _traceback: object) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        self.update(phase="failed" if kind else "done", **({"error": str(error)} if kind else {}))
        self._store()

    def update(self, **state: t.Any) -> None:
        """Take notes; they are written with the next tick."""
        self._state.update(state)

    def phase(self, name: str, total: t.Optional[int] = None) -> None:
        """Begin with something else."""
        self.update(phase=name, bytes=0, total=total)

    def _tick(self) -> None:
        while not self._end.wait(self._seconds):
            self._store()

    def _store(self) -> None:
        temporary = "%s.%d" % (self._path, os.getpid())
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            with open(temporary, "w", encoding="utf-8") as stream:
                json.dump(dict(self._state, updated=time.time()), stream)
            os.rename(temporary, self._path)
        except OSError:  # nobody can look on then, which is no reason to end
            pass
