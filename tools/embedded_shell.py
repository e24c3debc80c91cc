# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the shell programs that Python modules hold as text into files, so that they can be checked.

Run in the collection, with a directory for the files as the only argument.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

PACKAGE = "ansible_collections.weft.fabric.plugins.module_utils"
FIRST_LINE = "#!/bin/sh\n"


class _AnyPath(dict[str, str]):
    """What modules fill in are paths, and for the shell one is as good as another."""

    def __missing__(self, key: str) -> str:
        return "# note" if key == "note" else f"/{key}"


def programs_of(module: ModuleType) -> dict[str, str]:
    """Return the programs of a module by the names of its constants."""
    texts = {name: value for name, value in vars(module).items() if isinstance(value, str)}
    return {name: text % _AnyPath() for name, text in texts.items() if text.startswith(FIRST_LINE)}


def find(directory: Path) -> dict[str, str]:
    """Return {file name: program} of all modules in a directory."""
    found: dict[str, str] = {}
    for path in sorted(directory.glob("*.py")):
        if FIRST_LINE.strip() not in path.read_text(encoding="utf-8"):
            continue
        programs = programs_of(importlib.import_module(f"{PACKAGE}.{path.stem}"))
        if not programs:
            raise SystemExit(f"{path}: there is a shell program, but in no constant of the module")
        found.update({f"{path.stem}.{name.strip('_').lower()}.sh": text for name, text in programs.items()})
    return found


def main() -> int:
    target = Path(sys.argv[1])
    found = find(Path("plugins/module_utils"))
    for name, text in found.items():
        (target / name).write_text(text, encoding="utf-8")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
