# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process for each BMC: none stops the others, none outlives its bound."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import bmc_processes
from ansible_collections.weft.fabric.plugins.module_utils.bmc_processes import Item, run_all
from ansible_collections.weft.fabric.plugins.module_utils.bmc_watch import Overdue, Watch
from ansible_collections.weft.fabric.tests.unit.bmc.runs import within


def items(*names: str) -> list[Item]:
    return [{"name": name} for name in names]


def wait_for_ever(item: Item, watch: Watch) -> None:
    watch.command("something")
    with watch.step("end", 0.5):
        if item["name"] == "deaf":
            # As a lookup of a name in C is, which no signal ends.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        if item["name"] != "good":
            watch.sleep(60)


def test_results_come_in_order_and_one_failure_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bmc_processes, "GRACE_SECONDS", 0.5)
    with within(5):
        reports = run_all(items("deaf", "good", "slow"), wait_for_ever, 16)

    assert [report["name"] for report in reports] == ["deaf", "good", "slow"]
    assert "had to be ended (code -9)" in reports[0]["error"]
    assert reports[1]["error"] is None
    assert reports[2]["error"] == "node slow: Overdue: it took longer than 0.5 s to end"
    assert all(report["commands"] == ["something"] for report in reports), "what was sent is known all the same"
    assert all(report["changed"] for report in reports)


def test_only_so_many_at_a_time(tmp_path: Path) -> None:
    def work(item: Item, watch: Watch) -> None:
        (tmp_path / item["name"]).touch()
        watch.report["changes"] = [len(list(tmp_path.iterdir()))]
        watch.sleep(0.1)
        (tmp_path / item["name"]).unlink()

    seen = [report["changes"][0] for report in run_all(items(*"abcdefgh"), work, 3)]
    assert max(seen) <= 3


def test_an_error_nobody_thought_of_has_a_name() -> None:
    def work(item: Item, watch: Watch) -> None:
        raise KeyError(item["name"])

    assert run_all(items("n1"), work, 1)[0]["error"] == "node n1: KeyError: 'n1'"


def test_a_library_that_swallows_the_bound_is_told_once_more() -> None:
    def work(_item: Item, watch: Watch) -> None:
        with watch.step("answer", 0.2):
            # As pyghmi waits for an answer that does not come: until it is interrupted, or the test's bound is over.
            try:
                watch.sleep(60)
            except Overdue:
                watch.report["changes"].append("swallowed")
            watch.sleep(60)

    with within(10):
        (report,) = run_all(items("n1"), work, 1)
    assert report["changes"] == ["swallowed"]
    assert "Overdue: it took longer than 0.2 s to answer" in report["error"]


def test_a_request_that_is_overdue_can_be_gone_on_from() -> None:
    def work(item: Item, watch: Watch) -> None:
        try:
            with watch.step("wait", 0.2):
                watch.sleep(60)
        except Overdue:
            watch.warn("went on")

    report = run_all(items("n1"), work, 1)[0]
    assert report["error"] is None
    assert report["warnings"] == ["went on"]


ORPHAN = """
import os, sys
from ansible_collections.weft.fabric.plugins.module_utils.bmc_processes import run_all

def work(item, watch):
    try:
        print_to = open(sys.argv[1], "w")
        print_to.write(str(os.getpid()))
        print_to.flush()
        while True:
            with watch.step("go on", 5):
                watch.sleep(0.05)
    finally:
        print_to.write(" logged out")
        print_to.close()

run_all([{"name": "n1"}], work, 1)
"""


def test_when_the_module_is_killed_its_processes_log_out_and_end(tmp_path: Path) -> None:
    note = tmp_path / "note"
    module = subprocess.Popen([sys.executable, "-c", ORPHAN, str(note)], env=dict(os.environ))
    end = time.monotonic() + 20
    while not note.exists() or not note.read_text(encoding="utf-8"):
        assert time.monotonic() < end, "it does not start"
        time.sleep(0.01)
    module.kill()
    module.wait()
    while "logged out" not in note.read_text(encoding="utf-8"):
        assert time.monotonic() < end, "it does not end"
        time.sleep(0.01)
