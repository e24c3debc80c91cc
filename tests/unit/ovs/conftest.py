# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private Open vSwitch for each test."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.weft.fabric.tests.unit.ovs_sandbox import OvsSandbox


@pytest.fixture
def box() -> t.Iterator[OvsSandbox]:
    with OvsSandbox() as sandbox:
        yield sandbox
