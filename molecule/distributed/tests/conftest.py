# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Topology
from ansible_collections.weft.fabric.tests.wire.conftest_routers import (  # re-exported: pytest finds fixtures here
    ECHO,
    machines,
    model,
    router,
    world,
)
from ansible_collections.weft.fabric.tests.wire.conftest_shared import (
    figure,
    lab,
    pytest_terminal_summary,
    topology,
)
from ansible_collections.weft.fabric.tests.wire.vlans import VlanMachine, Vlans, vlans

pytest.register_assert_rewrite("ansible_collections.weft.fabric.tests.wire.nat_matrix")

__all__ = [
    "figure",
    "lab",
    "machines",
    "metro",
    "model",
    "pytest_terminal_summary",
    "router",
    "topology",
    "topology_source",
    "vlans",
    "world",
]


# The world outside in a VLAN.
METRO = "198.18.0.1"


@pytest.fixture(scope="session")
def topology_source() -> Path:
    return Path(__file__).parents[1] / "topology.yml"


@pytest.fixture(scope="module")
def metro(vlans: Vlans, model: Topology) -> VlanMachine:
    """Return the other world outside."""
    vlan = model.network(("admin", "metro")).segmentation_id
    return vlans.machine("metro", vlan, [f"{METRO}/24"], ECHO)
