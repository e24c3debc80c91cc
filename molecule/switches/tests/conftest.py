# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.weft.fabric.tests.wire.conftest_shared import (  # re-exported: pytest finds fixtures here
    figure,
    lab,
    pytest_terminal_summary,
    topology,
)
from ansible_collections.weft.fabric.tests.wire.conftest_switches import blue, bonded, leaf, topology_source

__all__ = ["blue", "bonded", "figure", "lab", "leaf", "pytest_terminal_summary", "topology", "topology_source"]
