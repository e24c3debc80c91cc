# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples are what they say: complete with their locks, and compiled for every host."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build_all
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host

EXAMPLES = sorted((Path(__file__).parents[4] / "examples").glob("*/topology.yml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_has_a_complete_lock_and_compiles(path: Path) -> None:
    built = build_all(str(path))
    assert built.missing == []
    assert set(built.lock.entries) == set(built.wanted.entries), "what is no longer there is out of the lock too"
    for host in built.topology.hosts:
        assert compile_host(built.topology, host)


def test_the_routers_of_the_example_are_of_both_kinds_for_each_tenant() -> None:
    (path,) = (path for path in EXAMPLES if path.parent.name == "routers")
    topology = build_all(str(path)).topology
    for project in ("red", "blue"):
        routers = topology.projects[project].routers.values()
        assert sorted(len(router.nodes) for router in routers) == [1, 2]
    cidrs = [
        {
            str(subnet.cidr)
            for network in topology.projects[project].networks.values()
            for subnet in network.subnets.values()
        }
        for project in ("red", "blue")
    ]
    assert {"10.0.0.0/24", "10.0.2.0/24"} <= cidrs[0] & cidrs[1]
