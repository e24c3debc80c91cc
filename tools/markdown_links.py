# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds links in Markdown files that lead nowhere: to a file that is not there, or to a heading that is not in it.

Run at the root of the checkout. Addresses on the network are not followed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"#{1,6}\s+(.*?)\s*#*$")
FENCE = re.compile(r"\s*(```|~~~)")
# Generated, or made by tools.
NOT_OURS = {".ansible", ".git", ".venv", "output"}


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Return the lines outside of code blocks, with their numbers."""
    fenced = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield number, line


def anchor_of(heading: str) -> str:
    """Return the anchor that GitHub makes of a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@cache
def anchors(path: Path) -> frozenset[str]:
    found: list[str] = []
    for _number, line in prose(path):
        if heading := HEADING.match(line):
            anchor = anchor_of(heading[1])
            repeated = sum(1 for other in found if other == anchor or re.fullmatch(rf"{re.escape(anchor)}-\d+", other))
            found.append(f"{anchor}-{repeated}" if repeated else anchor)
    return frozenset(found)


def problems(path: Path) -> Iterator[str]:
    for number, line in prose(path):
        for target in LINK.findall(re.sub(r"`[^`]*`", "", line)):
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            file, _hash, fragment = target.partition("#")
            linked = (path.parent / file) if file else path
            if not linked.exists():
                yield f"{path}:{number}: {target}: there is no such file"
            elif fragment and linked.suffix == ".md" and fragment not in anchors(linked.resolve()):
                yield f"{path}:{number}: {target}: there is no such heading"


def main() -> int:
    pages = [path for path in sorted(Path().rglob("*.md")) if not NOT_OURS & set(path.parts)]
    found = [problem for path in pages for problem in problems(path)]
    print(*found, f"{len(pages)} pages", sep="\n")
    return 1 if found or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
