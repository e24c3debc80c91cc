# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Topology
from ansible_collections.weft.fabric.tests.wire.conftest_shared import (  # re-exported: pytest finds fixtures here
    figure,
    lab,
    pytest_terminal_summary,
)
from ansible_collections.weft.fabric.tests.wire.lab import Host
from ansible_collections.weft.fabric.tests.wire.leaf import Leaf
from ansible_collections.weft.fabric.tests.wire.metal import Customer, Story, deploy_both, prepare
from ansible_collections.weft.fabric.tests.wire.metal_times import times
from ansible_collections.weft.fabric.tests.wire.node import Node

__all__ = ["figure", "lab", "pytest_terminal_summary"]


@pytest.fixture(scope="session")
def leaf(lab: t.Callable[[str], Host]) -> Leaf:
    return Leaf(lab("leaf1-shell"))


@pytest.fixture(scope="session")
def nodes() -> dict[str, Node]:
    return {name: Node(name) for name in ("n1", "n2")}


@pytest.fixture(scope="session")
def tenants(lab: t.Callable[[str], Host]) -> dict[str, Customer]:
    return {project: Customer(lab, project) for project in ("red", "blue")}


@pytest.fixture(scope="session")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("bare-metal"))


@pytest.fixture(scope="session")
def model(topology: Path) -> Topology:
    return build(str(topology))


@pytest.fixture(scope="session")
def story(topology: Path, leaf: Leaf, nodes: dict[str, Node], figure: t.Callable[[str], None]) -> Story:
    """Both servers are deployed, at the same time and once for all tests; all that nodes send is seen meanwhile."""
    begun = time.monotonic()
    story = deploy_both(topology, leaf, nodes)
    figure(f"bare metal: two servers deployed at once in {story.done.seconds:.0f} s; with proofs"
           f" {time.monotonic() - begun:.0f} s")  # fmt: skip
    for name in nodes:
        for line in times(story.done, name):
            figure(f"bare metal: both at once: {line}")
    return story
