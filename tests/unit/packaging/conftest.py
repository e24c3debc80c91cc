# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the collection stands, for the tests of how it is packed and checked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the collection's root."""
    return Path(__file__).resolve().parents[3]


@pytest.fixture
def clean_environ(root: Path) -> dict[str, str]:
    """Return an environment for the repository's own programs, in which nothing points elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WEFT_", "ANSIBLE_"))}
    return {**kept, "WEFT_ROOT": str(root)}
