# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""./check itself: what it says, what it refuses, and how it counts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import typing as t
from pathlib import Path

import pytest

GATE = """\
#!/usr/bin/env bash
set -euo pipefail
"""


class Checkout(t.NamedTuple):
    root: Path
    environ: dict[str, str]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.root / "check"), *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def gate(self, part: str, name: str, body: str) -> None:
        path = self.root / "tools/check.d" / part / name
        path.write_text(GATE + body, encoding="utf-8")
        path.chmod(0o755)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the cache that all tests here share: its Python environment takes seconds to make."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def checkout(root: Path, tmp_path: Path, cache: Path, clean_environ: dict[str, str]) -> Checkout:
    """Return a checkout with ./check, its parts without their gates, and nothing to install."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    shutil.copy(root / "check", copy)
    shutil.copytree(root / "tools", copy / "tools")
    for gate in (copy / "tools/check.d").glob("*/*"):
        gate.unlink()
    for packages in (copy / "tools/packages").glob("*.txt"):
        packages.write_text("", encoding="utf-8")
    (copy / "tools/requirements/check.txt").write_text("", encoding="utf-8")
    return Checkout(copy, {**clean_environ, "WEFT_CACHE": str(cache)})


def rows(output: str) -> list[list[str]]:
    """Return the rows of the table, without their seconds."""
    table = output[output.index("\npart ") :].splitlines()[2:]
    return [
        line.split()[:-1]
        for line in table
        if line and line[-1].isdigit() and not line.startswith(("all", "check:", "logs:"))
    ]


def test_every_gate_is_there_and_runs(checkout: Checkout) -> None:
    checkout.gate("lint", "10-first", "echo one")
    checkout.gate("lint", "20-second", "echo two")

    done = checkout.run("lint")

    assert done.returncode == 0, done.stderr
    assert rows(done.stdout) == [["setup", "packages", "ok"], ["lint", "first", "ok"], ["lint", "second", "ok"]]
    assert done.stdout.splitlines()[-1] == "check: 3 passed, 0 failed, 0 skipped"


def test_a_failure_does_not_stop_the_rest_and_is_told(checkout: Checkout) -> None:
    checkout.gate("lint", "10-first", "exit 3")
    checkout.gate("lint", "20-second", "echo two")

    done = checkout.run("lint")

    assert done.returncode == 1
    assert rows(done.stdout)[1:] == [["lint", "first", "failed"], ["lint", "second", "ok"]]
    assert done.stdout.splitlines()[-1] == "check: 2 passed, 1 failed, 0 skipped"


def test_what_is_not_to_be_had_here_is_no_failure_and_no_success(checkout: Checkout) -> None:
    checkout.gate("soak", "10-first", "exit 77")

    done = checkout.run("soak")

    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "check: 1 passed, 0 failed, 1 skipped"


def test_a_daemon_left_behind_is_a_failure_and_no_hang(checkout: Checkout, tmp_path: Path) -> None:
    checkout.gate("lint", "10-leaves", f"sleep 600 & echo $! >{tmp_path}/pid")

    done = checkout.run("lint")

    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert done.returncode == 1
    assert "left behind still holds its output" in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "check: 1 passed, 1 failed, 0 skipped"


def test_a_daemon_that_was_meant_to_stay_does_not_lock_the_next_run_out(checkout: Checkout, tmp_path: Path) -> None:
    checkout.gate("lint", "10-leaves", f"sleep 600 >/dev/null 2>&1 & echo $! >{tmp_path}/pid")

    first, second = checkout.run("lint"), checkout.run("soak")

    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert (first.returncode, second.returncode) == (0, 0), second.stderr


def test_of_two_runs_at_once_one_gives_way(checkout: Checkout, tmp_path: Path) -> None:
    started, done = tmp_path / "started", tmp_path / "done"
    os.mkfifo(started)
    os.mkfifo(done)
    checkout.gate("lint", "10-long", f"echo >{started}\ncat {done}")
    process = subprocess.Popen([str(checkout.root / "check"), "lint"], env=checkout.environ, stdout=subprocess.DEVNULL)
    started.read_text()

    second = checkout.run("soak")

    done.write_text("")
    assert process.wait(timeout=60) == 0
    assert second.returncode == 1
    assert "another ./check of this checkout is running" in second.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_tells_how_far_it_came(checkout: Checkout, tmp_path: Path, number: int, code: int) -> None:
    started = tmp_path / "started"
    os.mkfifo(started)
    checkout.gate("lint", "10-first", "true")
    checkout.gate("lint", "20-long", f"bash -c 'echo >{started}; exec sleep 600'")
    process = subprocess.Popen(
        # A run that was started in the background has inherited that an interrupt is ignored.
        ["env", "--default-signal=INT", str(checkout.root / "check"), "lint"],
        env=checkout.environ,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    started.read_text()  # returns as soon as the gate has opened and closed it

    os.killpg(process.pid, number)

    output = process.communicate(timeout=60)[0]
    assert process.returncode == code
    assert rows(output)[1:] == [["lint", "first", "ok"], ["lint", "long", "failed"]]


def test_what_git_ignores_is_not_tested_and_what_it_would_track_is(checkout: Checkout) -> None:
    subprocess.run(["git", "init", "-q", str(checkout.root)], check=True, timeout=60)
    (checkout.root / ".gitignore").write_text("*.junk\n", encoding="utf-8")
    (checkout.root / "new file.txt").write_text("", encoding="utf-8")
    (checkout.root / "x.junk").write_text("", encoding="utf-8")
    checkout.gate(
        "lint", "10-look", "[[ -f 'new file.txt' && ! -e x.junk && $PWD == */ansible_collections/weft/fabric ]]"
    )

    assert checkout.run("lint").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nonsense",), "there is no part 'nonsense'"),
        (("lint", "nonsense"), "there is no part 'nonsense'"),
        (("lab", "nonsense"), "there is no scenario 'nonsense'"),
    ],
)
def test_unknown_words_are_refused_before_anything_runs(
    checkout: Checkout, arguments: tuple[str, ...], message: str
) -> None:
    done = checkout.run(*arguments)

    assert done.returncode == 1
    assert message in done.stderr
    assert "===" not in done.stdout


def test_the_list_names_every_gate_and_scenario(root: Path, clean_environ: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [str(root / "check"), "--list"],
        env={**clean_environ, "WEFT_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    for gate in (root / "tools/check.d").glob("*/*"):
        listed = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
        assert [words for words in listed if words[:1] == [gate.name.partition("-")[2]] and len(words) == 2], gate.name
    for scenario in (root / "molecule").glob("*/molecule.yml"):
        assert scenario.parent.name == "default" or scenario.parent.name in done.stdout
