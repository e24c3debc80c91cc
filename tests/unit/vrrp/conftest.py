# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two nodes for each test."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import private_network
from ansible_collections.weft.fabric.tests.unit.vrrp.machine import Node, Site


@pytest.fixture
def site() -> t.Iterator[Site]:
    """Two nodes that are wired, without a router."""
    with private_network(), Site() as found:
        yield found


@pytest.fixture
def node(site: Site) -> Node:
    """The first of them."""
    return site.nodes[0]
