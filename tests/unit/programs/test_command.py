# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How programs are run: by a module, by the replay at boot, and by tests. All three keep to one contract."""

from __future__ import annotations

import tempfile
import threading
import time
import typing as t
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.weft.fabric.plugins.module_utils import boot_files, command
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit import runner
from ansible_collections.weft.fabric.tests.unit.vrrp.fake_systemd import wait_for


def module_runner() -> command.Runner:
    with patch_module_args({}):
        return command.module_runner(AnsibleModule({}))


def replay_runner() -> command.Runner:
    """Return what the main program of the replay defines."""
    source, _use, _main = boot_files._MAIN.partition("command.use(")
    defined: dict[str, t.Any] = {}
    exec(compile(source, "__main__.py", "exec"), defined)
    found: command.Runner = defined["run"]
    return found


@pytest.fixture(params=[module_runner, replay_runner, lambda: runner.run], ids=["module", "replay", "tests"])
def run(request: pytest.FixtureRequest) -> command.Runner:
    found: command.Runner = request.param()
    return found


def test_a_program_is_given_its_words_and_text(run: command.Runner) -> None:
    done = run(["sh", "-c", 'cat; echo "$1 $LANG" >&2; exit 3', "sh", "$HOME *"], "text\n")
    # A module adds an end of line to what a program reads.
    assert done._replace(stdout=done.stdout.rstrip()) == command.Result(3, "text", "$HOME * C\n")
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_a_missing_program_is_told_of(run: command.Runner) -> None:
    with pytest.raises(FileNotFoundError):
        run(["weft-there-is-no-such-program"], "")


@pytest.mark.parametrize(
    ("script", "data"),
    [("exec sleep 60", ""), ("exec sleep 60", "x" * 1_000_000), ("sleep 4 & wait", "")],
    ids=["silent", "reads nothing", "has a child"],
)
def test_a_program_that_hangs_is_killed(
    run: command.Runner, script: str, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "LIMIT", 0.2)
    start = time.monotonic()
    with pytest.raises(FabricError, match=r"^the program sh did not end within 0\.2 s and was killed \(sh -c .*ps -eo"):
        run(["sh", "-c", script], data)
    assert time.monotonic() - start < 3.5


@pytest.fixture
def chosen(run: command.Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Sequence[str]]:
    """All programs are run by each of the runners in turn. What it was asked to run."""
    found: list[Sequence[str]] = []

    def noted(words: Sequence[str], data: str) -> command.Result:
        found.append(words)
        return run(words, data)

    monkeypatch.setattr(command, "_runners", [noted])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return found


def test_each_of_many_has_its_words_its_text_and_its_result(chosen: list[Sequence[str]], tmp_path: Path) -> None:
    evil = "$HOME `id` 'x' \"y\" ; * \\ ü"
    script = 'cat; printf "%s %s" "$1" "$LANG" >&2; exit "$2"'
    done = command.run_all([(["sh", "-c", script, "sh", evil, str(n)], f"text {n}\n'$(id)\n") for n in range(40)])
    assert done == [command.Result(n, f"text {n}\n'$(id)\n", f"{evil} C") for n in range(40)]
    assert len(chosen) == 1
    assert list(tmp_path.iterdir()) == []


def test_one_program_needs_no_shell(chosen: list[Sequence[str]]) -> None:
    assert command.run_all([(["cat"], "text\n")])[0].stdout.rstrip() == "text"
    assert command.run_all([]) == []
    assert chosen == [["cat"]]


def test_many_wait_at_the_same_time(chosen: list[Sequence[str]], tmp_path: Path) -> None:
    """Each of two ends only when it has seen the other."""
    script = 'touch "$1/$2"; until [ -e "$1/$3" ]; do sleep 0.01; done'
    done = command.run_all([(["sh", "-c", script, "sh", str(tmp_path), *pair], "") for pair in ("ab", "ba")])
    assert [result.returncode for result in done] == [0, 0]


def test_a_missing_one_of_many_is_told_of(chosen: list[Sequence[str]]) -> None:
    with pytest.raises(FileNotFoundError):
        command.run_all([(["true"], ""), (["weft-there-is-no-such-program"], "")])


def test_one_of_many_that_hangs_is_named(
    chosen: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is killed, and what was to come after it is not done: the run is over, and another may have begun."""
    monkeypatch.setattr(command, "LIMIT", 1.5)
    hangs, later = tmp_path / "hangs", tmp_path / "later"
    programs = [(["true"], "")] * 40
    programs[3] = (["sh", "-c", 'echo $$ > "$1"; exec sleep 60', "sh", str(hangs)], "")
    programs[3 + 8] = (["touch", str(later)], "")
    with pytest.raises(FabricError, match=r"^the program sh did not end within 1\.5 s and was killed \(sh -c echo "):
        command.run_all(programs)
    process = Path("/proc", hangs.read_text().strip())
    wait_for("the end of what hangs", lambda: not process.exists() or "(zombie)" in (process / "status").read_text())
    assert list(tmp_path.iterdir()) == [hangs]
    assert not later.exists()


def test_a_long_command_is_cut_short() -> None:
    told = str(command.hangs(["systemctl", "start", *[f"unit-{number}.service" for number in range(1000)]]))
    assert "unit-1.service" in told
    assert len(told) < 600


def test_the_replay_is_not_ended_before_it_can_tell() -> None:
    for unit in (boot_files.REPLAY_UNIT, boot_files.PORTS_UNIT):
        waits = int((unit.partition("flock --timeout ")[2].split() or ["0"])[0])
        assert int(unit.partition("TimeoutStartSec=")[2].split()[0]) > waits + command.LIMIT
