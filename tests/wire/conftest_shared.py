# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all scenarios' tests share: the hosts, a working copy of the topology, and the figures they print."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

import pytest

from .lab import Host

_figures: list[str] = []


@pytest.fixture(scope="session")
def lab() -> t.Callable[[str], Host]:
    """Return hosts of the lab by name."""
    hosts: dict[str, Host] = {}
    return lambda name: hosts.setdefault(name, Host(name))


@pytest.fixture(scope="session")
def figure() -> t.Callable[[str], None]:
    """Keep a measured figure; all are printed at the end of the run."""
    return _figures.append


@pytest.fixture
def topology(tmp_path: Path, topology_source: Path) -> Path:
    """Return a copy of the scenario's topology that a test may edit."""
    target = tmp_path / "topology.yml"
    shutil.copy(topology_source, target)
    lock = topology_source.with_suffix(".lock.yml")
    if lock.exists():
        shutil.copy(lock, target.with_suffix(".lock.yml"))
    return target


def pytest_terminal_summary(terminalreporter: t.Any) -> None:
    if _figures:
        terminalreporter.section("measured")
        for line in _figures:
            terminalreporter.write_line(line)
