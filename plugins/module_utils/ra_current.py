# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Router advertisements: what is asked for, and what stands."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import ra_unit, vrrp_current, vrrp_files
from ansible_collections.weft.fabric.plugins.module_utils.dhcp_current import is_stranded
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import read_file
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Unit

CONFIG = "radvd.conf"
SETTINGS = "start"

_KIND = "router advertisements of"


class Router(t.NamedTuple):
    """A router that advertises: always, or as long as it is primary."""

    name: str
    present: bool
    config: str
    always: bool

    @property
    def files(self) -> t.Dict[str, str]:
        """Return the content of its files."""
        return {CONFIG: self.config, SETTINGS: "yes\n" if self.always else "no\n"}


class State(object):
    """A router's radvd as it is."""

    def __init__(self, name: str):
        self.name = name
        self.exists = False
        self.files: t.Dict[str, t.Optional[str]] = {}
        self.stamp: t.Dict[str, t.Any] = {}
        self.unit = Unit(False, 0)
        self.stranded = False  # radvd is not in the namespace that bears the name now
        self.primary = False  # this host has the router's role


class Current(object):
    """All routers that were looked at, and the unit file."""

    def __init__(self, unit_text: t.Optional[str]):
        self.unit_text = unit_text
        self.routers: t.Dict[str, State] = {}


def parse(params: t.Mapping[str, t.Any]) -> t.Dict[str, Router]:
    """Return the desired routers by name."""
    found: t.Dict[str, Router] = {}
    for item in params.get("routers") or []:
        name = vrrp_files.router_name(item, _KIND, found)
        present = item.get("state") != "absent"
        config = vrrp_files.config_text(item.get("config"), "%s %s: config" % (_KIND, name)) if present else ""
        found[name] = Router(name, present, config, item.get("start") is not False)
    return found


def read(
    desired: t.Mapping[str, Router],
    directory: str,
    vrrp_run: str,
    unit_text: t.Optional[str],
    units: t.Mapping[str, Unit],
) -> Current:
    """Look at all routers there are and those that are wanted."""
    current = Current(unit_text)
    running = {ra_unit.router_name(unit): state for unit, state in units.items()}
    active = {name for name, unit in running.items() if unit.active}
    for name in sorted(set(vrrp_current.directories(directory)) | set(desired) | active):
        if not vrrp_files.NAME.match(name):
            continue
        state = State(name)
        own = os.path.join(directory, name)
        state.exists = os.path.isdir(own)
        state.files = {file: read_file(os.path.join(own, file)) for file in (CONFIG, SETTINGS)}
        state.stamp = vrrp_files.read_stamp(own)
        state.unit = running.get(name, state.unit)
        state.stranded = state.unit.active and is_stranded(vrrp_files.namespace_of(name), state.unit.pid)
        state.primary = (read_file(os.path.join(vrrp_run, name, "state")) or "").startswith("primary ")
        current.routers[name] = state
    return current
