# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are pretended: the verbs run as they are, but what they ask of a host is done in a file.

An action plugin takes the place of each module that would run on a host. It elects as keepalived does: a role stays
where it is until another node is strictly better.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import typing as t
from pathlib import Path

_ACTION = """
from pathlib import Path
from ansible.plugins.action import ActionBase
from ansible_collections.weft.fabric.tests.unit.routers.pretended import World

class ActionModule(ActionBase):
    _requires_connection = False
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        world = World(Path({path!r}))
        with world.alone():
            return world.{verb}(task_vars["inventory_hostname"], self._task.args, self._task.check_mode)
"""

_DRAINED, _BASE = -20, 100


class World:
    """What the hosts are, in a file; and what was asked of them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def install(self, collection: Path, place: Path) -> None:
        """Make a collection that is the real one but for what would touch a host."""
        for entry in collection.iterdir():
            if entry.name != "plugins":
                (place / entry.name).symlink_to(entry)
        (place / "plugins/action").mkdir(parents=True)
        for entry in (collection / "plugins").iterdir():
            if entry.name != "action":
                (place / "plugins" / entry.name).symlink_to(entry)
        for entry in (collection / "plugins/action").glob("*.py"):
            (place / "plugins/action" / entry.name).symlink_to(entry)
        for module, verb in (("router_roles_info", "info"), ("router_roles", "roles"), ("router_probe", "probe")):
            text = _ACTION.format(path=str(self.path), verb=verb)
            (place / f"plugins/action/{module}.py").write_text(text, encoding="utf-8")

    def begin(self, routers: dict[str, list[str]], alone: dict[str, str]) -> None:
        """Have HA routers with the first of their nodes as primary, and others without a standby."""
        hosts = sorted({host for nodes in routers.values() for host in nodes} | set(alone.values()) | {"cmp1"})
        self.save(
            {
                "hosts": {host: {"drained": False, "answers": True} for host in hosts},
                "handicaps": {name: dict.fromkeys(nodes, 0) for name, nodes in routers.items()},
                "primary": {name: nodes[0] for name, nodes in routers.items()},
                "alone": alone,
                "log": [],
            }
        )

    def load(self) -> dict[str, t.Any]:
        found: dict[str, t.Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return found

    def save(self, state: dict[str, t.Any]) -> None:
        self.path.write_text(json.dumps(state), encoding="utf-8")

    @contextlib.contextmanager
    def alone(self) -> t.Iterator[None]:
        """Keep others out: hosts act at the same time."""
        descriptor = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @property
    def log(self) -> list[str]:
        found: list[str] = self.load()["log"]
        return found

    # what the modules do

    def info(self, host: str, arguments: dict[str, t.Any], _check_mode: bool) -> dict[str, t.Any]:
        state = self.load()
        if not state["hosts"][host]["answers"]:
            return {"unreachable": True, "msg": "no route to host"}
        status: dict[str, t.Any] = {}
        for name, handicaps in state["handicaps"].items():
            if host in handicaps:
                status[name] = _role(state, name, host)
        for name, where in state["alone"].items():
            if host == where:
                status[name] = {"ha": False, "active": True, "addresses": ["10.0.0.1/24"]}
        held = {"active": True, "addresses": ["10.0.0.1/24"]}
        parts = dict.fromkeys(arguments.get("parts") or (), held)
        return {
            "changed": False,
            "drained": state["hosts"][host]["drained"],
            "health": {},
            "status": status,
            "parts": parts,
        }

    def roles(self, host: str, arguments: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        state = self.load()
        items = {item["name"]: item for item in arguments.get("routers") or []}
        drained = arguments.get("drained")
        changed = drained not in (None, state["hosts"][host]["drained"])
        if changed:
            state["hosts"][host]["drained"] = drained
        base = _DRAINED if state["hosts"][host]["drained"] else 0
        for name, handicaps in state["handicaps"].items():
            if host in handicaps and (name in items or drained is not None):
                wanted = base + items.get(name, {}).get("handicap", 0)
                changed = changed or wanted != handicaps[host]
                handicaps[host] = wanted
        self._elect(state)
        expected = {name: item["expect"] for name, item in items.items() if "expect" in item}
        failed = [n for n, what in expected.items() if (state["primary"][n] == host) != (what == "primary")]
        word = "drained " if drained else "undrained " if drained is False else ""
        if check_mode:
            return {"changed": changed}
        state["log"].append(f"{host}: {word}{' '.join(sorted(item['label'] for item in items.values()))}".strip())
        self.save(state)
        return {"changed": changed, "failed": bool(failed), "msg": f"stuck: {failed}"}

    @staticmethod
    def _elect(state: dict[str, t.Any]) -> None:
        for name, handicaps in state["handicaps"].items():
            best = max(handicaps, key=handicaps.__getitem__)
            if handicaps[best] > handicaps[state["primary"][name]]:
                state["primary"][name] = best

    def probe(self, host: str, arguments: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        state = self.load()
        if check_mode:
            return {"changed": False, "measuring": [], "silent": [], "results": []}
        if arguments["state"] == "started":
            names = sorted({way["router"] for way in arguments["ways"]})
            state["measured"] = {**state.get("measured", {}), host: names}
            self.save(state)
            return {"changed": False, "measuring": names, "silent": ["quiet/one"]}
        end = {"source": "10.0.0.9", "target": "203.0.113.1", "what": "outside", "longest_gap_ms": 20}
        found = [{"router": name, "sent": 100, "lost": 2, **end} for name in state["measured"].get(host, [])]
        return {"changed": False, "results": found}


def _role(state: dict[str, t.Any], name: str, host: str) -> dict[str, t.Any]:
    handicap = state["handicaps"][name][host]
    return {
        "ha": True,
        "active": True,
        "state": "primary" if state["primary"][name] == host else "backup",
        "since": 1790000000.0,
        "seconds": 60.0,
        "priority": _BASE + handicap,
        "handicap": handicap,
        "addresses": [],
        "missing": [],
        "surplus": [],
        "sessions": {"current": 1},
    }
