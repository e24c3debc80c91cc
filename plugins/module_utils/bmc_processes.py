# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several nodes at once, each in a process of its own.

pyghmi keeps its sessions, sockets and a thread in the process, and after some errors none of them works any more; a
process for each BMC keeps them apart. And a process can be ended: whatever a library waits for, the bound holds.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.bmc_watch import Report, Watch

Item = t.Mapping[str, t.Any]
#: does one node's work, and notes in the watch's report what came of it, errors too
Work = t.Callable[[Item, Watch], None]

# A process ends by itself what takes too long; one that is held up even in that is ended this much later.
GRACE_SECONDS = 5.0


class _Child(object):
    """A process that does one node's work."""

    def __init__(self, work: Work, item: Item):
        # Forked, so that passwords are in no argument list and no file, and what is imported stays so.
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe(duplex=False)
        watch = Watch(item["name"])
        self.report: Report = watch.report
        self.deadline = time.monotonic() + Watch.IDLE_SECONDS
        self.process = context.Process(target=_work, args=(work, item, theirs, os.getpid()), daemon=True)
        self.process.start()
        theirs.close()

    def listen(self) -> bool:
        """Take in what the process says. Return False when it has ended."""
        try:
            deadline, self.report = self.pipe.recv()
        except (EOFError, OSError):
            return False
        self.deadline = deadline + GRACE_SECONDS
        return True

    def end_when_overdue(self) -> None:
        if time.monotonic() > self.deadline:
            self.process.kill()
            self.deadline += GRACE_SECONDS

    def finish(self) -> Report:
        self.process.join()
        self.pipe.close()
        if self.process.exitcode and not self.report["error"]:
            self.report["error"] = (
                "node %s: the process for its BMC had to be ended (code %s) as it did not end by itself. Whether the "
                "commands it sent were obeyed is not known. Run again, which reads first."
                % (self.report["name"], self.process.exitcode)
            )
        return self.report


def run_all(items: t.Sequence[Item], work: Work, parallel: int) -> t.List[Report]:
    """Do the work of all items, so many at a time, and return their reports in the order of the items."""
    reports: t.Dict[int, Report] = {}
    waiting = list(enumerate(items))
    running: t.Dict[t.Any, t.Tuple[int, _Child]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                number, item = waiting.pop(0)
                child = _Child(work, item)
                running[child.pipe] = (number, child)
            for pipe in _ready(child for _number, child in running.values()):
                number, child = running[pipe]
                if not child.listen():
                    reports[number] = child.finish()
                    del running[pipe]
            for _number, child in running.values():
                child.end_when_overdue()
    finally:
        for _number, child in running.values():
            child.process.terminate()
    return [reports[number] for number in range(len(items))]


def _ready(children: t.Iterable[_Child]) -> t.List[t.Any]:
    """Wait until a process says something or is overdue."""
    deadlines = {child.pipe: child.deadline for child in children}
    left = max(0.0, min(deadlines.values()) - time.monotonic())
    return multiprocessing.connection.wait(list(deadlines), left)


class _Orphaned(BaseException):
    """The module was killed, and nobody listens any more."""


class _Voice(object):
    """Tells the module where the work stands, and sets the alarm for when the step should be over.

    When nobody listens any more, the work ends, but logs out first.
    """

    # Time to leave a step whose bound went by while one inside of it was left.
    SHORTEST_SECONDS = 0.05
    # A library may swallow what the alarm raises, and wait on. Then it is raised again.
    AGAIN_SECONDS = 1.0

    def __init__(self, pipe: t.Any, parent: int):
        self.pipe = pipe
        self.parent = parent
        self.heard = True

    def __call__(self, deadline: float, report: Report) -> None:
        left = max(self.SHORTEST_SECONDS, deadline - time.monotonic())
        signal.setitimer(signal.ITIMER_REAL, left, self.AGAIN_SECONDS)
        if not self.heard:
            return
        # The pipe itself may be held open by the processes of other nodes.
        if os.getppid() != self.parent:
            self.heard = False
            raise _Orphaned
        self.pipe.send((deadline, report))


def _work(work: Work, item: Item, pipe: t.Any, parent: int) -> None:
    """Be the process."""
    watch = Watch(item["name"], _Voice(pipe, parent))

    def give_up(_number: int, _frame: t.Any) -> None:
        raise watch.overdue()

    signal.signal(signal.SIGALRM, give_up)
    # Whoever forked this may have handlers for these that are of use to nobody else.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    _silence()
    try:
        work(item, watch)
    except BaseException as error:
        if not watch.report["error"]:
            watch.report["error"] = "node %s: %s: %s" % (item["name"], type(error).__name__, error)
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        # The bound no longer counts, only the report does.
        pipe.send((time.monotonic() + Watch.IDLE_SECONDS, watch.report))


def _silence() -> None:
    """What a library prints is not to get between the lines of the module's result."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
