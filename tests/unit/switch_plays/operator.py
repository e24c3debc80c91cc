# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs playbooks as an operator does, with nothing of this machine's settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.weft.fabric.plugins.plugin_utils.topology import build
from ansible_collections.weft.fabric.tests.unit.switch_plays.pretended import World

COLLECTION = Path(build.__file__).parents[3]


class Operator:
    """Runs playbooks."""

    def __init__(self, directory: Path, topology: str) -> None:
        self.directory = directory
        place = directory / "collections/ansible_collections/weft/fabric"
        place.mkdir(parents=True)
        self.world = World(directory / "world.json")
        self.world.install(COLLECTION, place)
        self.write(topology)

    def write(self, text: str) -> None:
        (self.directory / "topology.yml").write_text(text, encoding="utf-8")

    def run(self, playbook: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.play(f"weft.fabric.{playbook}", *words)

    def play(self, playbook: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ansible.cli.playbook", "-i", "topology.yml", playbook, *words],
            cwd=self.directory,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.directory),
                "USER": "alice",
                "LC_ALL": "C.UTF-8",
                "ANSIBLE_COLLECTIONS_PATH": str(self.directory / "collections"),
                "ANSIBLE_NOCOLOR": "1",
                "COLUMNS": "10000",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def good(self, playbook: str, *words: str) -> list[str]:
        """Run a playbook that has to succeed; return what was asked of the devices, in order."""
        before = len(self.world.log)
        done = self.run(playbook, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return self.world.log[before:]

    def away(self, *switches: str) -> None:
        self.world.change(lambda state: state.update(away=list(switches)))
