# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_shared import (  # re-exported: pytest finds fixtures here
    figure,
    lab,
    pytest_terminal_summary,
    topology,
)

__all__ = ["figure", "lab", "pytest_terminal_summary", "topology", "topology_source"]


@pytest.fixture(scope="session")
def topology_source() -> Path:
    return Path(__file__).parents[3] / "examples/two-tenants/topology.yml"
