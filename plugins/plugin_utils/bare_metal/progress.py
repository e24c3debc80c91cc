# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a node has come, for people: percent, rate, and time left. Pure but for the files that runs share."""

from __future__ import annotations

import json
import typing as t

Item = t.Mapping[str, t.Any]
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def parse(text: str) -> dict[str, t.Any] | None:
    """Return what a node's progress file says, or None while there is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "phase" in found else None


def percent(found: Item) -> float | None:
    total = found.get("total")
    if not isinstance(total, int | float) or not total:
        return None
    return min(100.0, 100.0 * float(found.get("bytes") or 0) / total)


class Meter:
    """Bytes per second of the phase that a node is in, from what it told since that phase was first seen."""

    def __init__(self) -> None:
        self._phase = ""
        self._first = (0.0, 0.0)

    def rate(self, found: Item) -> float | None:
        now, done = float(found.get("updated") or 0), float(found.get("bytes") or 0)
        if found["phase"] != self._phase:
            self._phase, self._first = str(found["phase"]), (now, done)
        seconds, more = now - self._first[0], done - self._first[1]
        return more / seconds if seconds > 0 and more > 0 else None


def describe(node: str, found: Item, speed: float | None = None) -> str:
    """Return one line: n1: write 45 %, 43 of 96 MiB, 12.3 MiB/s, 4 s left."""
    texts = []
    part, total = percent(found), found.get("total")
    done = float(found.get("bytes") or 0)
    if part is not None:
        texts += [f"{part:.0f} %", f"{size(done)} of {size(float(total or 0))}"]
    elif done:
        texts.append(size(done))
    if speed:
        texts.append(f"{size(speed)}/s")
    if speed and part is not None and part < 100:
        texts.append(f"{duration((float(total or 0) - done) / speed)} left")
    return f"{node}: {found['phase']}{' ' if texts else ''}{', '.join(texts)}"


def size(number: float) -> str:
    for unit in _UNITS:
        if number < 1024 or unit == _UNITS[-1]:
            return f"{number:.0f} {unit}" if number >= 10 or unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    raise AssertionError("unreachable")


def duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60} s"


class Teller:
    """Decides which of many looks are worth a line in a log: a new phase, ten percent more, or long silence."""

    SILENCE_SECONDS = 30.0

    def __init__(self, now: t.Callable[[], float]) -> None:
        self._now = now
        self._last: tuple[str, int] | None = None
        self._told = 0.0

    def worth_telling(self, found: Item) -> bool:
        mark = (str(found["phase"]), int((percent(found) or 0) // 10))
        if mark == self._last and self._now() - self._told < self.SILENCE_SECONDS:
            return False
        self._last, self._told = mark, self._now()
        return True
