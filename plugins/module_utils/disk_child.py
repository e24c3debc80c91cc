# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that work beside this one for long, and are spoken to by pipes while they do."""

from __future__ import annotations

import os
import select
import subprocess
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError


class Child(subprocess.Popen):
    """A program that runs. AnsibleModule.run_command() only returns when one has ended.

    Its errors are among its output when it has no pipe of its own for them.
    """

    def __init__(self, words: t.Sequence[str], has_stdin: bool = False, has_stderr: bool = False, keep: int = -1):
        self.name = words[0]
        try:
            super().__init__(
                words,
                bufsize=0,
                stdin=subprocess.PIPE if has_stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if has_stderr else subprocess.STDOUT,
                env=dict(os.environ, LC_ALL="C"),
                pass_fds=[keep] if keep >= 0 else [],
            )
        except FileNotFoundError:
            raise FabricError("the program %s is missing on this machine" % words[0]) from None

    def end_input(self) -> None:
        """Let it see the end of what it reads."""
        if self.stdin is not None:
            self.stdin.close()

    def input(self) -> int:
        """Return the end of its pipe that is written to."""
        return -1 if self.stdin is None else self.stdin.fileno()

    def output(self) -> int:
        """Return the end of its pipe that is read."""
        return -1 if self.stdout is None else self.stdout.fileno()

    def complaint(self) -> str:
        """Return the last line that it wrote to standard error, after its end."""
        return last_line(self.stderr.read() if self.stderr is not None else b"")

    def end(self) -> int:
        """End it by force if it has not ended, and close what is left of its pipes. Return its exit code."""
        if self.poll() is None:
            self.kill()
        code = self.wait()
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()
        return code


def run(words: t.Sequence[str], seconds: float) -> t.Tuple[int, str, str]:
    """Run a program that may take long. Return exit code, output and errors; its end by force is an error, too."""
    try:
        child = Child(words, has_stderr=True)
    except FabricError as error:
        return 127, "", str(error)
    pipes = {child.output(): b"", -1 if child.stderr is None else child.stderr.fileno(): b""}
    open_pipes, until = list(pipes), time.monotonic() + seconds
    try:
        while open_pipes:
            ready = select.select(open_pipes, [], [], max(0.0, until - time.monotonic()))[0]
            if not ready:
                return 124, "", "%s did not end within %g s" % (words[0], seconds)
            for pipe in ready:
                piece = os.read(pipe, 65536)
                pipes[pipe] += piece
                if not piece:
                    open_pipes.remove(pipe)
        child.wait()
    finally:
        code = child.end()
    out, err = (told.decode("utf-8", "replace") for told in pipes.values())
    return code, out, err


def last_line(told: bytes) -> str:
    """Return the last thing that a program said; progress that it overwrites counts as lines."""
    lines = [line.strip() for line in told.decode("utf-8", "replace").replace("\r", "\n").split("\n")]
    return next((line for line in reversed(lines) if line), "")
