# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who changed which port of which switch, when, from what to what, and how it ended: one line of JSON each."""

from __future__ import annotations

import datetime
import getpass
import json
import os
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.device_lock import state_directory
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import Plan
from ansible_collections.weft.fabric.plugins.module_utils.switch_text import record


def default_file() -> str:
    return os.path.join(state_directory(), "switches.jsonl")


def default_who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "uid %d" % os.getuid()


class Audit(object):
    """The record of one write. Opened before anything is written: what can't be recorded is not done.

    What goes in is built from ports and VLANs alone, so that no credentials can.
    """

    def __init__(self, path: str, who: str, switch: str):
        self._who = who
        self._switch = switch
        self._began = time.monotonic()
        self._when = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        try:
            os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FabricError("the audit file cannot be written, so nothing was changed: %s" % error) from error

    def write(self, plan: Plan, session: str, result: str) -> None:
        """Add a line for each port and VLAN. All lines go in one write, which others do not interleave with."""
        common = {
            "when": self._when,
            "who": self._who,
            "switch": self._switch,
            "session": session,
            "duration": round(time.monotonic() - self._began, 3),
            "result": result,
        }
        lines: t.List[t.Dict[str, t.Any]] = [
            dict(common, vlan=change.vlan_id, before=change.before, after=change.after) for change in plan.vlans
        ]
        lines.extend(
            dict(common, port=change.name, before=record(change.before), after=record(change.after))
            for change in plan.ports
        )
        text = "".join(json.dumps(line, sort_keys=True, separators=(",", ":")) + "\n" for line in lines)
        os.write(self._descriptor, text.encode("utf-8"))

    def close(self) -> None:
        os.close(self._descriptor)
