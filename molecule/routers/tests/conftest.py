# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_routers import (  # re-exported: pytest finds fixtures here
    machines,
    model,
    router,
    topology_source,
    world,
)
from ansible_collections.weft.fabric.tests.wire.conftest_shared import (
    figure,
    lab,
    pytest_terminal_summary,
    topology,
)

pytest.register_assert_rewrite("ansible_collections.weft.fabric.tests.wire.nat_matrix")

__all__ = [
    "figure",
    "lab",
    "machines",
    "model",
    "pytest_terminal_summary",
    "router",
    "topology",
    "topology_source",
    "world",
]
