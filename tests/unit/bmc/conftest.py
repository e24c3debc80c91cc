# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A place of its own for locks, and one simulated BMC for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.wire.ipmi_sim import IpmiSim


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory in which runs keep their state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "weft-fabric"


@pytest.fixture(scope="module")
def shared_sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IpmiSim]:
    with IpmiSim(tmp_path_factory.mktemp("bmc") / "n1").running() as sim:
        yield sim


@pytest.fixture
def sim(shared_sim: IpmiSim) -> IpmiSim:
    """Return a simulator whose machine is off, and has been told nothing."""
    shared_sim.power = "off"
    shared_sim.forget()
    return shared_sim
