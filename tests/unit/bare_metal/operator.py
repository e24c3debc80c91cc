# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever runs the verbs on nodes that are pretended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.weft.fabric.tests.unit.bare_metal.pretended import CHECKSUM, OTHER, Answer, World


class Operator:
    """Runs playbooks as an operator does, with nothing of this machine's settings."""

    def __init__(self, directory: Path, **holders: Answer | None) -> None:
        self.directory = directory
        place = directory / "collections/ansible_collections/weft/fabric"
        place.mkdir(parents=True)
        self.world = World(directory / "world.json")
        self.world.install(place)
        self.world.begin(**holders)
        for name in ("ramdisk", "boot/ramdisk", "boot/images"):
            (directory / name).mkdir(parents=True)
        for name in ("ramdisk", "boot/ramdisk"):
            (directory / name / "manifest.json").write_text("{}")
        for image in (CHECKSUM, OTHER):
            (directory / f"boot/images/{image[7:]}.raw").touch()
        variables = {
            "weft_node": "{{ (lookup('ansible.builtin.file', 'WORLD') | from_json).nodes[inventory_hostname].data }}"
        }
        variables["weft_node"] = variables["weft_node"].replace("WORLD", str(self.world.path))
        variables["weft_node_bmc"] = {"protocol": "ipmi", "password": "{{ 'x' }}"}
        variables["weft_node_volume_auth"] = {"username": "db", "password": "{{ 'very' }} secret"}
        switch = {"weft_switch_credentials": {"username": "weft"}}
        inventory = {
            "all": {
                "hosts": {"net1": {}, "leaf1": switch, "leaf2": switch},
                "vars": {
                    "ansible_connection": "local",
                    "ansible_become": False,
                    "ansible_python_interpreter": sys.executable,
                    "node_ramdisk_directory": str(directory / "ramdisk"),
                    "node_boot_directory": str(directory / "boot"),
                },
                "children": {"bare_metal_nodes": {"hosts": dict.fromkeys(holders, variables)}},
            }
        }
        (directory / "inventory.yml").write_text(json.dumps(inventory), encoding="utf-8")

    def run(self, playbook: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ansible.cli.playbook", "-i", "inventory.yml", f"weft.fabric.{playbook}", *words],
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

    def good(self, playbook: str, *words: str) -> str:
        """Run a playbook that has to succeed, and break no rule."""
        done = self.run(playbook, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert self.world.load()["broken"] == []
        assert "very secret" not in done.stdout + done.stderr
        return done.stdout

    def bad(self, playbook: str, *words: str) -> str:
        """Run a playbook that has to fail, and break no rule."""
        done = self.run(playbook, *words)
        assert done.returncode not in (0, -9), done.stdout + done.stderr
        assert self.world.load()["broken"] == []
        return done.stdout
