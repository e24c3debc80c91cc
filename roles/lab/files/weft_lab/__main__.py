# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entry point for both ``python3 -m weft_lab`` and ``python3 path/to/weft_lab``."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    # Run as a directory: Python put the package's own directory on the path, from where its
    # modules could be imported a second time under other names.
    here = Path(__file__).resolve().parent
    sys.path[:] = [str(here.parent)] + [entry for entry in sys.path if Path(entry or ".").resolve() != here]

from weft_lab.cli import main

if __name__ == "__main__":
    sys.exit(main())
