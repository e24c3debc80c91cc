# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The highly available routers of a host, in the shape the vrrp_routers module takes, and what they do now."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import (
    command,
    netns,
    rtnetlink,
    vrrp_current,
    vrrp_health,
    vrrp_program,
)
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import read_file
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd

Item = t.Dict[str, t.Any]

_PRIORITY = re.compile(r"^\s*priority (\d+)", re.MULTILINE)
_TRACKED = re.compile(r"^track_file (\S+) \{", re.MULTILINE)
_LOWEST, _HIGHEST = 1, 254


def describe(
    names: t.Optional[t.List[str]],
    paths: vrrp_program.Paths,
    systemd: Systemd,
    health_paths: t.Optional[vrrp_health.Paths] = None,
) -> t.Dict[str, t.Any]:
    """Return the routers of these names, or all of them, the health of the host's links, and what each router does."""
    health_paths = health_paths or vrrp_health.Paths()
    checks = vrrp_health.parse_text(read_file(health_paths.checks))
    health = vrrp_health.values(health_paths)
    found: t.Dict[str, t.Any] = {
        "routers": [],
        "status": {},
        "health": [{"name": check.name, "device": check.device, "weight": check.weight} for check in checks],
        "health_status": health,
    }
    if not os.path.isdir(paths.directory):
        return found
    current = vrrp_current.read({}, paths, systemd.units(*vrrp_program.PATTERNS))
    for name, state in current.routers.items():
        if not state.exists or (names is not None and name not in names):
            continue
        found["routers"].append(_router(state))
        found["status"][name] = _status(state, paths, health)
    return found


def _router(state: vrrp_current.State) -> Item:
    settings = vrrp_current.settings(state.files[vrrp_current.SETTINGS])
    return {
        "name": state.name,
        "namespace": state.namespace,
        "config": state.files[vrrp_current.CONFIG],
        "conntrackd": state.files[vrrp_current.SESSIONS],
        "peers": settings.get("peers", "").split(),
        "interface": settings.get("interface"),
        "forwarding": settings.get("forwarding", "").split(),
    }


def _status(state: vrrp_current.State, paths: vrrp_program.Paths, health: t.Mapping[str, int]) -> Item:
    directory = os.path.join(paths.run, state.name)
    role, since = _role(read_file(os.path.join(directory, "state")))
    handicap = _number(read_file(os.path.join(directory, "handicap")))
    return {
        "active": state.unit.active,
        "state": role if state.unit.active else None,
        "since": since if state.unit.active else None,
        "handicap": handicap,
        "priority": _priority(state.files[vrrp_current.CONFIG] or "", dict(health, handicap=handicap)),
        "addresses": addresses(state.namespace),
        "sessions": _sessions(state, paths) if state.sessions.active else None,
    }


def _role(text: t.Optional[str]) -> t.Tuple[t.Optional[str], t.Optional[float]]:
    """Take apart what the notify script wrote."""
    words = (text or "").split()
    return (words[0], float(words[1])) if len(words) == 2 else (None, None)


def _number(text: t.Optional[str]) -> int:
    """Return what an operator wrote; keepalived takes what is no number for 0."""
    try:
        return int(text or 0)
    except ValueError:
        return 0


def _priority(config: str, tracked: t.Mapping[str, int]) -> t.Optional[int]:
    """Return the priority as keepalived computes it; 0 when it gives up."""
    base = _PRIORITY.search(config)
    if base is None:
        return None
    values = [tracked.get(name, 0) for name in _TRACKED.findall(config)]
    if any(value <= vrrp_health.GIVES_UP for value in values):
        return 0
    return min(max(int(base.group(1)) + sum(values), _LOWEST), _HIGHEST)


def addresses(namespace: str) -> t.List[str]:
    """Return the addresses in a router's namespace, without those of the loopback device."""
    try:
        with netns.entered(namespace), rtnetlink.Reader() as reader:
            loopback = {link.ifindex for link in reader.links() if link.name == "lo"}
            return sorted(entry.address for entry in reader.addresses() if entry.ifindex not in loopback)
    except FileNotFoundError:
        return []


def _sessions(state: vrrp_current.State, paths: vrrp_program.Paths) -> t.Optional[t.Dict[str, int]]:
    """Return how many sessions conntrackd knows of its own, and how many it was told of and could not put in."""
    config = os.path.join(paths.directory, state.name, vrrp_current.SESSIONS)
    done = command.run(["conntrackd", "-C", config, "-s"])
    return None if done.returncode != 0 else parse_sessions(done.stdout)


_COUNTERS = {
    "current": re.compile(r"cache internal:\s+current active connections:\s+(\d+)"),
    "received": re.compile(r"external inject:\s+connections created:\s+(\d+)"),
    "failed": re.compile(r"external inject:\s+connections created:\s+\d+\s+failed:\s+(\d+)"),
    "lost_messages": re.compile(r"(\d+) Lost msgs"),
    "errors": re.compile(r"(\d+) Error send"),
}


def parse_sessions(text: str) -> t.Dict[str, int]:
    """Take the numbers out of conntrackd's statistics."""
    found = {name: pattern.search(text) for name, pattern in _COUNTERS.items()}
    return {name: int(match.group(1)) for name, match in found.items() if match is not None}
