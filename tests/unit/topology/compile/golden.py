# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole host states, kept as files: golden/TOPOLOGY/HOST.yml.

A change of the compiler shows in their diff what it means for hosts. After a wanted change write them anew, and read
what changed before you commit it:

    python -m ansible_collections.weft.fabric.tests.unit.topology.compile.golden
"""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

import yaml

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import host as compiler
from ansible_collections.weft.fabric.tests.unit.topology.compile.topologies import GOLDEN

DIRECTORY = Path(__file__).parent / "golden"
MODULE = "ansible_collections.weft.fabric.tests.unit.topology.compile.golden"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and no anchors."""

    def ignore_aliases(self, data: t.Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def states() -> t.Iterator[tuple[str, str]]:
    """Yield the name of each golden file, and what it must hold."""
    for name, build in GOLDEN.items():
        topology = build()
        for host in topology.hosts:
            state = {
                concern: compiler.compile_host(topology, host, concern)[concern]
                for concern in (*compiler.PREPARATIONS, *compiler.CONCERNS)
            }
            yield f"{name}/{host}.yml", yaml.dump(state, Dumper=_Dumper, sort_keys=False, width=100000)


def write() -> None:
    """Write all files anew; those of topologies that are no more go."""
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    for name, text in states():
        path = DIRECTORY / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
