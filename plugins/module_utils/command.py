# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs are run in one way, which whoever uses the engines brings along.

A module brings AnsibleModule.run_command, the replay at boot a runner of its own, tests what they like.
"""

from __future__ import annotations

import typing as t

ENVIRONMENT = {"LC_ALL": "C", "LANG": "C", "SYSTEMD_PAGER": ""}


class Result(t.NamedTuple):
    """What a program left: its exit code and what it printed."""

    returncode: int
    stdout: str
    stderr: str


# Called with the words of a command and the text for its standard input. A missing program is a FileNotFoundError.
Runner = t.Callable[[t.Sequence[str], str], Result]

_runners: t.List[Runner] = []


def use(runner: Runner) -> None:
    """Let all programs be run by runner from now on."""
    _runners[:] = [runner]


def run(words: t.Sequence[str], data: str = "") -> Result:
    """Run a program, give it text on its standard input, and wait for its end."""
    return _runners[0](words, data)


def module_runner(module: t.Any) -> Runner:
    """Return the runner of an Ansible module."""

    def runner(words: t.Sequence[str], data: str) -> Result:
        return Result(
            *module.run_command(
                list(words),
                data=data,
                binary_data=False,
                environ_update=ENVIRONMENT,
                expand_user_and_vars=False,
                handle_exceptions=False,
            )
        )

    return runner
