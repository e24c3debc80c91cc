# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network that nodes boot from, for each test."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import private_network
from ansible_collections.weft.fabric.tests.unit.netboot.machine import BootNet


@pytest.fixture
def net() -> t.Iterator[BootNet]:
    """A wired network without a boot server yet."""
    with private_network(), BootNet() as found:
        yield found


@pytest.fixture
def served(net: BootNet) -> BootNet:
    """The same with a boot server for the nodes n1 and n2, and a ramdisk."""
    net.run(net.server())
    net.add_ramdisk()
    return net
