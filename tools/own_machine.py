# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds paths of somebody's own machine in the files of the checkout.

Run in the copy of the checkout, with the place where the checkout itself stands as the only argument.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

# A checkout directly under one of these says nothing about its owner, and files may name them.
COMMON_PLACES = frozenset({"/", "/home", "/mnt", "/opt", "/root", "/srv", "/tmp", "/usr/src", "/var/tmp"})

HOME_DIRECTORIES = r"/(?:home|Users)/[a-z][a-z0-9_-]*/"


def pattern_for(checkout: Path) -> re.Pattern[str]:
    """Match home directories, and whatever lies beside or in this checkout."""
    alternatives = [HOME_DIRECTORIES, re.escape(f"{checkout}/")]
    if str(checkout.parent) not in COMMON_PLACES:
        alternatives.append(re.escape(f"{checkout.parent}/"))
    # Not inside a longer path or an address: https://example.org/home/somebody/
    return re.compile(rf"(?<![\w./-])(?:{'|'.join(alternatives)})")


def findings(tree: Path, pattern: re.Pattern[str]) -> Iterator[str]:
    for directory, subdirectories, files in os.walk(tree):
        subdirectories[:] = sorted(name for name in subdirectories if name not in {".ansible", "__pycache__"})
        for name in sorted(files):
            path = Path(directory, name)
            if path.is_symlink():
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                if found := pattern.search(line):
                    yield f"{path.relative_to(tree)}:{number}: {found.group()} is a path of one machine only"


def main() -> int:
    found = list(findings(Path.cwd(), pattern_for(Path(sys.argv[1]))))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
