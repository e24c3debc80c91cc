# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An operator of a few nodes that are pretended."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.unit.bare_metal.operator import Operator
from ansible_collections.weft.fabric.tests.unit.bare_metal.pretended import server


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path, n1=server("red"), n2=server("blue"), n3=None)


@pytest.fixture
def one(tmp_path: Path) -> Operator:
    return Operator(tmp_path, n1=server("red"))
