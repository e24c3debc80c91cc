# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Broken topologies by hand: each is refused with exactly the text beside it, before any host is asked.

WEFT_GOLDEN=write writes the texts anew; read them before you commit them.
"""

from __future__ import annotations

import os
import shutil
import time
import tracemalloc
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError

BROKEN = Path(__file__).parent / "broken"
CASES = sorted(path.stem for path in BROKEN.glob("*.broken"))

# What the whole refusal may take. The promise is a second and 1 GiB; small files need far less.
SECONDS = 1.0
BYTES = 16 * 1024 * 1024


def refuse(path: Path) -> str:
    """Return the error text, with paths as if the current directory were the topology's."""
    with pytest.raises(TopologyError) as caught:
        build(str(path))
    return str(caught.value).replace(f"{path.parent}{os.sep}", "")


@pytest.mark.parametrize("case", CASES)
def test_is_refused_with_this_text(case: str, tmp_path: Path) -> None:
    path = tmp_path / "topology.yml"
    shutil.copy(BROKEN / f"{case}.broken", path)
    text = refuse(path) + "\n"
    expected = BROKEN / f"{case}.expected"
    if os.environ.get("WEFT_GOLDEN") == "write":
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_every_problem_has_a_line_and_a_remedy(case: str) -> None:
    for line in (BROKEN / f"{case}.expected").read_text(encoding="utf-8").splitlines():
        file, number, rest = line.split(":", 2)
        assert file == "topology.yml"
        assert int(number) >= 1
        assert ". Remedy: " in rest
        assert line.isprintable()


def test_there_are_many() -> None:
    assert len(CASES) >= 150
    assert sorted(path.stem for path in BROKEN.glob("*.expected")) == CASES


@pytest.mark.parametrize("case", CASES)
def test_is_refused_quickly_and_in_little_memory(case: str, tmp_path: Path) -> None:
    path = tmp_path / "topology.yml"
    shutil.copy(BROKEN / f"{case}.broken", path)
    started = time.perf_counter()
    refuse(path)
    assert time.perf_counter() - started < SECONDS
    tracemalloc.start()
    try:
        refuse(path)
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()
