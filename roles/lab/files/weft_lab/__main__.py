# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entry point for both ``python3 -m weft_lab`` and ``python3 path/to/weft_lab``."""

from __future__ import annotations

import sys
import types
from pathlib import Path

HERE = Path(__file__).resolve().parent

if not __package__:
    # Run as a directory: Python put the package's own directory on the path, from where its
    # modules could be imported a second time under other names.
    sys.path[:] = [str(HERE.parent)] + [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]

# The rest of the collection is the one around this file, wherever a checkout of it stands and whatever is installed.
for name, directory in (
    ("ansible_collections", []),
    ("ansible_collections.weft", []),
    ("ansible_collections.weft.fabric", [str(HERE.parents[3])]),
):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = directory

from weft_lab.cli import main

if __name__ == "__main__":
    sys.exit(main())
