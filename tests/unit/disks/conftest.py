# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with one used disk, and the image of another."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.unit.disks import machine as machines


@pytest.fixture
def machine(tmp_path: Path) -> machines.Machine:
    return machines.Machine(tmp_path / "machine")


@pytest.fixture
def disk(machine: machines.Machine) -> Path:
    """Return the machine's disk, which is full of something old."""
    return machine.add_disk(fill=b"something old. ")


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return machines.make_image(tmp_path_factory.mktemp("image") / "image.raw")


@pytest.fixture(scope="session")
def packed(image: Path) -> Path:
    return machines.packed(image, "raw.zst")
