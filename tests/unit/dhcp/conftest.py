# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network for each test."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.unit.dhcp.machine import Net
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import private_network


@pytest.fixture
def net(tmp_path: Path) -> t.Iterator[Net]:
    """One network with one wired server, weft-t-1."""
    with private_network(), Net(tmp_path) as found:
        found.add_server(1)
        yield found


@pytest.fixture
def pair(net: Net) -> Net:
    """The same with a second server, weft-t-2."""
    net.add_server(2)
    return net
