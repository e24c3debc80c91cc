# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each test has a host of its own."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip, private_network
from ansible_collections.weft.fabric.tests.unit.nftables.runs import ROUTER


@pytest.fixture
def host() -> t.Iterator[None]:
    """The test runs on a host without any network, but with the namespace of a router."""
    with private_network():
        ip(f"netns add {ROUTER}")
        ip("link set lo alias weft.fabric", "link set lo up", namespace=ROUTER)
        yield
