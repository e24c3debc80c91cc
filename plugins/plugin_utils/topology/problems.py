# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a topology: all of it at once, each with file, line, path and remedy."""

from __future__ import annotations

import difflib
import typing as t
from collections.abc import Collection
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice

from .model import Where

# A file of another kind given by mistake has a problem on every line; nobody reads more than this.
MAX_PROBLEMS = 100

# A suggestion among very many names must not cost seconds.
_MAX_LOOKED_AT = 2000
_MAX_COMPARED = 20


@dataclass(slots=True, frozen=True)
class Problem:
    """One thing that is wrong, where, and what to do about it."""

    where: Where
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}. Remedy: {self.remedy}."


class TopologyError(Exception):
    """The topology can't be used. str() names every problem, up to MAX_PROBLEMS."""

    def __init__(self, problems: t.Sequence[Problem], total: int | None = None) -> None:
        self.problems = list(problems)
        self.total = len(self.problems) if total is None else total
        lines = [str(problem) for problem in self.problems]
        if self.total > len(lines):
            lines.append(f"and {self.total - len(lines)} more problems")
        super().__init__("\n".join(lines))


class Problems:
    """Collects problems. Keeps the first MAX_PROBLEMS and counts the others."""

    def __init__(self) -> None:
        self.found: list[Problem] = []
        self.total = 0

    def __bool__(self) -> bool:
        return self.total > 0

    @property
    def full(self) -> bool:
        return self.total >= MAX_PROBLEMS

    def add(self, where: Where, message: str, remedy: str) -> None:
        self.total += 1
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(Problem(where, message, remedy))

    def raise_if_any(self) -> None:
        if self.total:
            found = sorted(self.found, key=lambda problem: (problem.where.file, problem.where.line, problem.where.path))
            raise TopologyError(found, self.total)


def near_miss(word: str, known: Collection[str]) -> str | None:
    """Return the known word that was probably meant."""
    letters = set(word)
    # difflib compares two words slowly: it gets those with about the same letters.
    alike = (len(letters ^ set(other)) for other in islice(known, _MAX_LOOKED_AT))
    ranked = nsmallest(_MAX_COMPARED, zip(alike, islice(known, _MAX_LOOKED_AT), strict=False))
    found = difflib.get_close_matches(word[:64], [other for _difference, other in ranked], n=1, cutoff=0.6)
    return found[0] if found else None


def shown(value: object, limit: int = 60) -> str:
    """Return a value as it can stand in a message: on one line, printable, and short."""
    text = value if isinstance(value, str) else str(value)
    clipped = text if len(text) <= limit else text[:limit] + "…"
    return repr(clipped)
