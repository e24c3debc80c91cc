# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from pathlib import Path

# The lab's program is a file of its role, not a plugin: it is imported from where it lies.
FILES = Path(__file__).resolve().parents[2] / "roles" / "lab" / "files"
sys.path[:0] = [str(FILES), str(FILES / "node")]
