# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs are run in one way, which whoever uses the engines brings along.

A module brings AnsibleModule.run_command, the replay at boot a runner of its own, tests what they like.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import tempfile
import threading
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

ENVIRONMENT = {"LC_ALL": "C", "LANG": "C", "SYSTEMD_PAGER": ""}

# How long a program may take, in seconds. None of ours comes near it, not even a start of hundreds of units; and it is
# less than systemd grants the replay at boot, which is to tell which program it was.
LIMIT = 240.0

_MAX_TOLD = 200  # characters of a command

_AT_A_TIME = 8

# What a shell says of a program that is missing.
_MISSING = 127


class Result(t.NamedTuple):
    """What a program left: its exit code and what it printed."""

    returncode: int
    stdout: str
    stderr: str


# Called with the words of a command and the text for its standard input. A missing program is a FileNotFoundError; one
# that has not ended after LIMIT is killed, and is what hangs() returns.
Runner = t.Callable[[t.Sequence[str], str], Result]

_runners: t.List[Runner] = []


def use(runner: Runner) -> None:
    """Let all programs be run by runner from now on."""
    _runners[:] = [runner]


def run(words: t.Sequence[str], data: str = "") -> Result:
    """Run a program, give it text on its standard input, and wait for its end."""
    return _runners[0](words, data)


def run_all(programs: t.Sequence[t.Tuple[t.Sequence[str], str]]) -> t.List[Result]:
    """Run programs, some at a time and in any order, whatever becomes of each; return what each left.

    Many of them wait for the kernel more than they work. A shell starts them: a process as large as a module needs 6 ms
    to start a program, one as small as a shell 1 ms.
    """
    if len(programs) < 2:
        return [run(words, data) for words, data in programs]
    with _directory() as directory:
        for number, (_words, data) in enumerate(programs):
            _write(directory, "%d.in" % number, data)
        lines = [_line(number, words) for number, (words, _data) in enumerate(programs)]
        parts = ["".join(lines[first::_AT_A_TIME]) for first in range(min(_AT_A_TIME, len(lines)))]
        _write(directory, "all", "".join("{\n%s} &\n" % part for part in parts) + "wait\n")
        try:
            run(["sh", "-c", 'cd "$1" && . ./all', "sh", directory])
        except FabricError:
            hanging = _kill_all(directory)
            raise hangs(programs[hanging[0]][0] if hanging else ["sh"]) from None
        found = [_result(directory, number) for number in range(len(programs))]
    for (words, _data), result in zip(programs, found):
        if result.returncode == _MISSING:
            raise FileNotFoundError(2, result.stderr.strip() or "No such file or directory", words[0])
    return found


@contextlib.contextmanager
def _directory() -> t.Iterator[str]:
    """Have a directory for a while. Shells whose programs were killed may still write into it while it is removed."""
    directory = tempfile.mkdtemp(prefix="weft-run-")
    try:
        yield directory
    finally:
        for _attempt in range(100):
            shutil.rmtree(directory, ignore_errors=True)
            if not os.path.exists(directory):
                break


def _line(number: int, words: t.Sequence[str]) -> str:
    quoted = " ".join(shlex.quote(word) for word in words)
    line = "{1} < {0}.in > {0}.out 2> {0}.err & echo $! > {0}.pid; wait $!; echo $? > {0}.code\n"
    return line.format(number, quoted)


def _kill_all(directory: str) -> t.List[int]:
    """Kill what run_all() has started and has not ended, and return its numbers."""
    # First, so that what was to come after them does not start: a shell starts nothing without its input.
    for name in os.listdir(directory):
        if name.endswith(".in"):
            os.unlink(os.path.join(directory, name))
    names = os.listdir(directory)
    started = sorted(int(name[: -len(".pid")]) for name in names if name.endswith(".pid"))
    hanging = [number for number in started if "%d.code" % number not in names]
    for number in hanging:
        with contextlib.suppress(ValueError, ProcessLookupError):
            os.kill(int(_read(directory, "%d.pid" % number)), signal.SIGKILL)
    return hanging


def _write(directory: str, name: str, text: str) -> None:
    with open(os.path.join(directory, name), "w", encoding="utf-8") as stream:
        stream.write(text)


def _read(directory: str, name: str) -> str:
    with open(os.path.join(directory, name), "r", encoding="utf-8", errors="surrogateescape") as stream:
        return stream.read()


def _result(directory: str, number: int) -> Result:
    code, out, error = (_read(directory, "%d.%s" % (number, what)) for what in ("code", "out", "err"))
    return Result(int(code), out, error)


def hangs(words: t.Sequence[str], limit: t.Optional[float] = None) -> FabricError:
    """Return the error that a program does not end."""
    told = " ".join(words)
    told = told if len(told) <= _MAX_TOLD else told[:_MAX_TOLD] + "..."
    return FabricError(
        "the program %s did not end within %g s and was killed (%s). Run it by hand on this host to see what it waits "
        "for, look for what hangs (ps -eo pid,stat,wchan:20,args; journalctl), and run again."
        % (words[0], limit or LIMIT, told)
    )


def module_runner(module: t.Any, limit: t.Optional[float] = None) -> Runner:
    """Return the runner of an Ansible module. limit: what a program may take, in seconds, unless it is LIMIT."""

    def runner(words: t.Sequence[str], data: str) -> Result:
        # run_command() knows no limit, but shows the process it waits for.
        watch = _Watch(limit or LIMIT)
        try:
            done = module.run_command(
                list(words),
                data=data,
                binary_data=False,
                environ_update=ENVIRONMENT,
                expand_user_and_vars=False,
                handle_exceptions=False,
                before_communicate_callback=watch.start,
            )
        except BrokenPipeError:
            if watch.killed:  # while it was to read its standard input
                raise hangs(words, limit) from None
            raise
        finally:
            watch.end()
        if watch.killed:
            raise hangs(words, limit)
        return Result(*done)

    return runner


class _Watch(object):
    """Kills a process when its time is over. What others have started outlives it, but nobody waits for that."""

    def __init__(self, limit: float) -> None:
        self.killed = False
        self._limit = limit
        self._timer: t.Optional[threading.Timer] = None

    def start(self, process: t.Any) -> None:
        """Begin to count."""
        self._timer = threading.Timer(self._limit, self._kill, [process])
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        """Count no longer. The thread has ended, too: the next program is started by a process with one thread."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()

    def _kill(self, process: t.Any) -> None:
        if process.poll() is None:
            self.killed = True
            process.kill()
