# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of faults share: a topology that is changed for a while, and a deployment that has to fail."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

from ansible_collections.weft.fabric.tests.wire.leaf import Leaf
from ansible_collections.weft.fabric.tests.wire.metal import PORTS, RED, VLANS, node_play
from ansible_collections.weft.fabric.tests.wire.node import Node
from ansible_collections.weft.fabric.tests.wire.plays import Play, edit, play

#: what a run takes besides the wait that ends it, on a machine that has other things to do
MARGIN = 60.0
#: from power on into the ramdisk, and what is asked of it first, where that is not what fails
RAMDISK_SECONDS = 120.0


@contextlib.contextmanager
def changed(topology: Path, change: t.Callable[[dict[str, t.Any]], t.Any], site: bool = False) -> t.Iterator[None]:
    """Change the topology for a while."""
    before = topology.read_text(encoding="utf-8")
    edit(topology, change)
    try:
        if site:
            play("weft.fabric.site", topology)
        yield
    finally:
        topology.write_text(before, encoding="utf-8")
        if site:
            play("weft.fabric.site", topology)


def n1(**values: t.Any) -> t.Callable[[dict[str, t.Any]], None]:
    """Return a change of n1 in the topology."""
    return lambda data: data["nodes"]["n1"].update(values)


def failed(done: Play, words: str) -> str:
    """Return the one error of n1 in a run that has failed; no task may have said another one of a node."""
    assert done.returncode != 0, done.output
    said = [row for row in done.tasks if row["failed"] and row["host"] == "n1"]
    text = str(said[-1]["result"]["msg"])
    assert words in text, text
    assert "n1" in text
    assert "n2" not in done.failures
    return text


def deploy_in_vain(topology: Path, leaf: Leaf, node: Node, words: str, bound: float, *extra: str) -> str:
    """Deploy n1, which has to fail within a bound, and see that nothing is worse than before. Return the error."""
    done = node_play("server_deploy", topology, RED, *extra, check=False)
    said = failed(done, words)
    assert done.seconds < bound + MARGIN, f"{done.seconds:.0f} s: {said}"
    assert node.power() == "off"
    assert leaf.port(PORTS["n1"]).get("vlan") != VLANS["red"]
    return said
