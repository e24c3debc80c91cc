# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults of nodes, and their repair: what happens to a machine of metal past its BMC."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from weft_lab import bmcs, network, nodes
from weft_lab.definition import Lab
from weft_lab.lab import lap
from weft_lab.node_definition import Node
from weft_lab.system import LabError

VERBS = ("power-cut", "power-on", "freeze", "thaw", "link-down", "link-up")


def perform(lab: Lab, node: Node, verb: str, nic: str, *, check: bool) -> dict[str, Any]:
    """Say a verb of hosts to a node. Said twice, it changes nothing the second time."""
    started = time.monotonic()
    if verb not in VERBS:
        raise LabError(f"{node.name} is a node of metal, to which only these can happen: {', '.join(VERBS)}")
    if not network.exists(lab.fabric) or not nodes.is_ready(lab, node):
        raise LabError(f"lab {lab.name} is not up, or {node.name} is broken: bring the lab up")
    if verb in ("link-down", "link-up"):
        return {**change_link(lab, node, nic, verb == "link-up", check), "seconds": lap(started)}
    if verb in ("freeze", "thaw"):
        changed = change_frozen(lab, node, verb == "freeze", check)
    else:
        changed = (nodes.pid(lab, node) is None) == (verb == "power-on")
        if changed and not check:
            nodes.power(lab, node, on=verb == "power-on")
    return {"changed": changed, "host": node.name, "seconds": lap(started)}


def change_frozen(lab: Lab, node: Node, on: bool, check: bool) -> bool:
    """A machine that hangs: it keeps its power and its link, and does nothing."""
    number = nodes.pid(lab, node)
    if number is None:
        raise LabError(f"{node.name} is off: only a running node can be frozen or thawed")
    changed = bmcs.stopped(number) != on
    if changed and not check:
        os.kill(number, signal.SIGSTOP if on else signal.SIGCONT)
    return changed


def change_link(lab: Lab, node: Node, nic: str, up: bool, check: bool) -> dict[str, Any]:
    pulled, tap = nodes.pulled(lab, node), node.nic(nic).tap
    wanted = pulled - {nic} if up else pulled | {nic}
    changed = wanted != pulled or network.links(lab).get(tap) != up
    if changed and not check:
        nodes.remember_pulled(lab, node, wanted)
        network.set_tap(lab, node, nic, up)
    return {"changed": changed, "host": node.name, "nic": nic}
