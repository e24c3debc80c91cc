# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""However a gate that uses the lab ends, the machine is left without one, unless it was asked to stay."""

from __future__ import annotations

import os
import signal
import subprocess
import typing as t
from pathlib import Path

import pytest

DOWN = "--inventory localhost, weft.fabric.lab_down"


class Gate(t.NamedTuple):
    directory: Path
    root: Path
    environ: dict[str, str]

    def start(self, body: str, **environ: str) -> subprocess.Popen[str]:
        """Start a gate whose ansible-playbook writes down its arguments, and fails where a file "broken" is."""
        script = f"""
            source "$WEFT_ROOT/tools/lib/common.sh"; source "$WEFT_ROOT/tools/lib/lab.sh"
            ansible-playbook() {{ echo "$*" >>calls; [[ ! -e broken ]]; }}
            lab_begin
            {body}
        """
        return subprocess.Popen(
            # A run that was started in the background has inherited that an interrupt is ignored.
            ["env", "--default-signal=INT", "bash", "-euo", "pipefail", "-c", script],
            cwd=self.directory,
            env={**self.environ, "WEFT_CACHE": str(self.directory), **environ},
            start_new_session=True,
        )

    def run(self, body: str, **environ: str) -> int:
        return self.start(body, **environ).wait(timeout=60)

    def calls(self) -> list[str]:
        path = self.directory / "calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@pytest.fixture
def gate(root: Path, tmp_path: Path, clean_environ: dict[str, str]) -> Gate:
    return Gate(tmp_path, root, clean_environ)


@pytest.mark.parametrize(("body", "code"), [("true", 0), ("false", 1), ("exit 7", 7)])
def test_it_starts_without_a_lab_and_ends_without_one(gate: Gate, body: str, code: int) -> None:
    assert gate.run(body) == code
    assert gate.calls() == [DOWN, DOWN]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_takes_the_lab_down(gate: Gate, tmp_path: Path, number: int, code: int) -> None:
    os.mkfifo(tmp_path / "started")
    process = gate.start("bash -c 'echo >started; exec sleep 600'")
    (tmp_path / "started").read_text()

    os.killpg(process.pid, number)

    assert process.wait(timeout=60) == code
    assert gate.calls() == [DOWN, DOWN]


def test_what_is_left_of_the_lab_is_a_failure(gate: Gate) -> None:
    assert gate.run("touch broken") == 1


def test_a_lab_that_is_to_stay_is_neither_taken_down_before_nor_after(gate: Gate) -> None:
    assert gate.run("true", WEFT_KEEP_LAB="1") == 0
    assert gate.run("false", WEFT_KEEP_LAB="1") == 1
    assert gate.calls() == []
