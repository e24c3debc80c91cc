# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches and hosts that are pretended: playbooks run as they are, but what they ask of a device is done in a file.

An action plugin takes the place of each module that would reach a device, and writes down what it was asked.
"""

from __future__ import annotations

import fcntl
import json
import os
import typing as t
from pathlib import Path

_ACTION = """
from pathlib import Path
from ansible.plugins.action import ActionBase
from ansible_collections.weft.fabric.tests.unit.switch_plays.pretended import World

class ActionModule(ActionBase):
    _requires_connection = False
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        return World(Path({path!r})).{verb}(task_vars["inventory_hostname"], self._task.args, self._task.check_mode)
"""


class World:
    """What the devices are, in a file; and what was asked of them, in order."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def install(self, collection: Path, place: Path) -> None:
        """Make a collection that is the real one but for what would touch a device."""
        for entry in collection.iterdir():
            if entry.name != "plugins":
                (place / entry.name).symlink_to(entry)
        (place / "plugins/action").mkdir(parents=True)
        for entry in (collection / "plugins").iterdir():
            if entry.name != "action":
                (place / "plugins" / entry.name).symlink_to(entry)
        for module, verb in (("switch_ports", "make"), ("switch_ports_info", "info"), ("host_state", "host")):
            text = _ACTION.format(path=str(self.path), verb=verb)
            (place / f"plugins/action/{module}.py").write_text(text, encoding="utf-8")
        self.save({"switches": {}, "away": [], "log": []})

    def load(self) -> dict[str, t.Any]:
        found: dict[str, t.Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return found

    def save(self, state: dict[str, t.Any]) -> None:
        self.path.write_text(json.dumps(state), encoding="utf-8")

    def change(self, what: t.Callable[[dict[str, t.Any]], t.Any]) -> t.Any:
        """Change the file, alone: devices act at the same time."""
        descriptor = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            state = self.load()
            found = what(state)
            self.save(state)
            return found
        finally:
            os.close(descriptor)

    @property
    def log(self) -> list[str]:
        found: list[str] = self.load()["log"]
        return found

    # what the modules do

    def info(self, switch: str, _arguments: dict[str, t.Any], _check_mode: bool) -> dict[str, t.Any]:
        def what(state: dict[str, t.Any]) -> dict[str, t.Any]:
            if switch in state["away"]:
                return {"failed": True, "msg": f"{switch} does not answer"}
            return {"changed": False, "ports": list(state["switches"].get(switch, {}).values()), "vlans": []}

        found: dict[str, t.Any] = self.change(what)
        return found

    def make(self, switch: str, arguments: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        def what(state: dict[str, t.Any]) -> dict[str, t.Any]:
            if switch in state["away"]:
                return {"failed": True, "msg": f"{switch} does not answer"}
            has = state["switches"].setdefault(switch, {})
            expected = [item["name"] for item in arguments["ports"] if item.get("expected_current")]
            state["expected"] = state.get("expected", []) + expected
            wanted = {
                item["name"]: {name: value for name, value in item.items() if name != "expected_current"}
                for item in arguments["ports"]
                if item.get("state") != "absent"
            }
            gone = {item["name"] for item in arguments["ports"]} - set(wanted)
            after = {**{name: item for name, item in has.items() if name not in gone}, **wanted}
            shown = " ".join(f"{name}={item.get('allowed_vlans', item.get('vlan'))}" for name, item in after.items())
            changes = [] if after == has else [shown]
            if changes:
                purge = " purge" if arguments["purge_vlans"] else ""
                state["log"].append(f"{switch}:{' check' if check_mode else ''}{purge} {shown}".rstrip())
            state["login"] = arguments["switch"]
            state["who"] = arguments["who"]
            if not check_mode:
                state["switches"][switch] = after
            return {"changed": bool(changes), "changes": changes}

        found: dict[str, t.Any] = self.change(what)
        return found

    def host(self, name: str, _arguments: dict[str, t.Any], _check_mode: bool) -> dict[str, t.Any]:
        def what(state: dict[str, t.Any]) -> dict[str, t.Any]:
            state["log"].append(name)
            return {"changed": False, "packages": [], "changes": []}

        found: dict[str, t.Any] = self.change(what)
        return found
