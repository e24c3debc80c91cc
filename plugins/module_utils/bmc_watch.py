# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one node's work is doing now, and until when: so that no wait is without a bound and a name."""

from __future__ import annotations

import contextlib
import time
import typing as t

Report = t.Dict[str, t.Any]


class Overdue(BaseException):
    """A step took too long. No Exception, so that no library takes it for one of its own."""

    def __init__(self, name: str, seconds: float):
        super().__init__("it took longer than %g s to %s" % (seconds, name))
        self.name = name


class Watch(object):
    """The steps of one node's work, and what it has to report so far.

    Who watches is told of each change: the deadline, and the report.
    """

    #: how long may pass between two steps
    IDLE_SECONDS = 30.0

    def __init__(self, name: str, tell: t.Callable[[float, Report], None] = lambda deadline, report: None):
        self._tell = tell
        self._steps: t.List[t.Tuple[float, str, float]] = []
        self._planned = ""
        self.report: Report = {
            "name": name,
            "changed": False,
            "changes": [],
            "commands": [],
            "warnings": [],
            "error": None,
        }

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    @contextlib.contextmanager
    def step(self, name: str, seconds: float) -> t.Iterator[None]:
        """Do something that ends within so many seconds, or is ended. name continues "it took too long to"."""
        self._steps.append((self.now() + seconds, name, seconds))
        self.tell()
        try:
            yield
        finally:
            self._steps.pop()
            self.tell()

    def tell(self) -> None:
        self._tell(self._first()[0], self.report)

    def overdue(self) -> Overdue:
        """Return the error of the step that should have ended first."""
        _deadline, name, seconds = self._first()
        return Overdue(name, seconds)

    def _first(self) -> t.Tuple[float, str, float]:
        return min(self._steps) if self._steps else (self.now() + self.IDLE_SECONDS, "go on", self.IDLE_SECONDS)

    # Reporting

    def plan(self, text: str, before: str, after: str) -> None:
        """Note what is to be changed: as a text, and as the lines of a diff."""
        self._planned = text
        self.report["diff"] = (before, after)

    def command(self, text: str) -> None:
        """Note a command before it is sent: whatever comes then, it may have been obeyed."""
        self.report["commands"].append(text)
        self.report["changed"] = True
        self.tell()

    def done(self) -> None:
        """What was planned is so now, or would be in check mode."""
        self.report["changed"] = True
        self.report["changes"].append(self._planned)

    def warn(self, text: str) -> None:
        self.report["warnings"].append(text)
