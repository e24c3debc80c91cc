# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the time of a deployment goes: what the machine and its disk take, and all else, which are control steps."""

from __future__ import annotations

import typing as t

from .plays import Play

# What takes less is not shown.
SHOWN_SECONDS = 0.25

Row = dict[str, t.Any]


def times(play: Play, node: str) -> list[str]:
    """Return lines on a node's deployment. Control is all that is not the machine's, from the start of the run on."""
    rows = [row for row in play.tasks if row["host"] == node]
    machine = {words: sum(map(taken, rows)) for words, taken in MACHINE.items()}
    whole = max(row["ended"] for row in rows) - play.began
    parts = ", ".join(f"{words} {took:.1f} s" for words, took in machine.items())
    steps = {task: took - sum(map(_of_machine, _named(rows, task))) for task, took in play.spent(node).items()}
    longest = sorted(((took, task) for task, took in steps.items() if took >= SHOWN_SECONDS), reverse=True)
    return [
        f"{node}: {parts}; all control steps {whole - sum(machine.values()):.1f} s of {whole:.1f} s",
        f"{node}: control steps: {', '.join(f'{task} {took:.1f} s' for took, task in longest)}",
    ]


def _named(rows: list[Row], task: str) -> list[Row]:
    return [row for row in rows if row["task"].rpartition(" : ")[2] == task]


def _whole(task: str) -> t.Callable[[Row], float]:
    return lambda row: sum(one["seconds"] for one in _named([row], task))


def _writing(row: Row) -> float:
    """Return how long an image was written; that a module had to be started for it, counts as control."""
    return sum(one["result"].get("seconds", 0.0) for one in _named([row], "Write its image"))


def _of_machine(row: Row) -> float:
    return sum(taken(row) for taken in MACHINE.values())


#: what is no control step, by what a task and its result tell of it
MACHINE: dict[str, t.Callable[[Row], float]] = {
    "firmware, kernel and ramdisk until login": _whole("Wait for its ramdisk"),
    "image": _writing,
    "ramdisk's power off": _whole("Wait until it is off"),
}
