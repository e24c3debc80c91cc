# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of process 1, and what is made of its answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import systemd as module
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd, Unit, main_processes

LISTED = """\
weft-x@a.service loaded active running Router a
weft-x@b.service loaded reloading reload-notify Router b
weft-x@c.service loaded inactive dead Router c
\u25cf weft-x@d.service loaded failed failed Router d
x weft-x@e.service not-found failed failed weft-x@e.service
weft-x.timer loaded active waiting Again and again

"""
TOO_OFTEN = "systemctl start failed: Job for a failed because start of the service was attempted too often."


class Asked(Systemd):
    """Answers as it is told, and notes what it was asked. What begins with systemctl is an error."""

    def __init__(self, *answers: str):
        self.answers = list(answers)
        self.asked: list[str] = []

    def _call(self, arguments, may_fail=False):
        self.asked.append(" ".join(arguments))
        answer = self.answers.pop(0) if self.answers else ""
        if answer.startswith("systemctl"):
            raise FabricError(answer)
        return answer


def process(proc: Path, pid: int, parent: int, started: int, cgroup: str) -> None:
    directory = proc / str(pid)
    directory.mkdir(parents=True)
    (directory / "cgroup").write_text(cgroup)
    rest = " ".join(str(number) for number in range(17))
    (directory / "stat").write_text(f"{pid} (a ) (b) S {parent} {rest} {started} 99 98\n")


def test_states_and_processes_of_units(monkeypatch):
    monkeypatch.setattr(module, "main_processes", lambda: {"weft-x@a.service": 7, "weft-x@c.service": 8, "other": 9})
    asked = Asked(LISTED)
    assert asked.units("weft-x@*.service", "weft-x.timer") == {
        "weft-x@a.service": Unit(True, 7),
        "weft-x@b.service": Unit(True, 0),
        "weft-x@c.service": Unit(False, 0),
        "weft-x@d.service": Unit(False, 0),
        "weft-x@e.service": Unit(False, 0),
        "weft-x.timer": Unit(True, 0),
    }
    assert asked.asked == ["list-units --all --full --plain --no-legend weft-x@*.service weft-x.timer"]


def test_the_main_process_is_the_oldest_child_of_process_1(tmp_path):
    unified = "0::/system.slice/system-weft.slice/weft-x@a.service\n"
    process(tmp_path, 1, 0, 1, "0::/init.scope\n")
    process(tmp_path, 30, 1, 500, unified)
    process(tmp_path, 31, 30, 501, unified)
    # It has outlived its parent; and numbers begin anew some day.
    process(tmp_path, 2, 1, 900, unified)
    process(tmp_path, 40, 1, 600, "9:name=systemd:/lab/system.slice/weft-y.service/part\n8:cpu:/lab\n0::/lab\n")
    process(tmp_path, 50, 1, 600, "0::/user.slice/user-0.slice/session-1.scope\n")
    (tmp_path / "60").mkdir()  # it has ended
    (tmp_path / "meminfo").write_text("")
    assert main_processes(str(tmp_path)) == {"weft-x@a.service": 30, "weft-y.service": 40}


def test_a_unit_that_failed_too_often_is_forgiven_once():
    asked = Asked(TOO_OFTEN)
    asked.start(["a", "b"])
    assert asked.asked == ["start a b", "reset-failed a b", "start a b"]
    asked = Asked(TOO_OFTEN, "", TOO_OFTEN)
    with pytest.raises(FabricError, match="too often"):
        asked.start(["a"])


def test_another_failure_is_told_at_once():
    asked = Asked("systemctl start failed: no such unit", "a.service loaded active running A\n")
    with pytest.raises(FabricError, match="no such unit"):
        asked.start(["a.service"])
    assert "start a.service" not in asked.asked[1:]


def test_a_unit_that_is_gone_need_not_be_killed():
    asked = Asked("systemctl kill failed: Failed to kill unit a.service: Unit a.service not loaded.")
    asked.kill(["a.service", "b.service"])
    assert asked.asked == [f"kill --signal={signal} a.service b.service" for signal in ("STOP", "KILL")]
    with pytest.raises(FabricError, match="timed out"):
        Asked("systemctl kill failed: Connection timed out").kill(["a.service"])
    assert Asked().kill([]) is None
