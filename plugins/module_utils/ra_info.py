# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The router advertisements of a host, in the shape the router_advertisements module takes."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import (
    ra_current,
    ra_unit,
    vrrp_current,
    vrrp_files,
    vrrp_program,
)
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd


def describe(
    names: t.Optional[t.List[str]], directory: str, systemd: Systemd, vrrp_run: str = vrrp_program.RUN_DIR
) -> t.Dict[str, t.Any]:
    """Return the routers of these names, or all of them, and whether each advertises now."""
    found: t.Dict[str, t.Any] = {"routers": [], "active": {}}
    if not vrrp_current.directories(directory):
        return found
    current = ra_current.read({}, directory, vrrp_run, None, systemd.units(ra_unit.PATTERN))
    for name, state in current.routers.items():
        if not state.exists or (names is not None and name not in names):
            continue
        found["routers"].append(
            {
                "name": name,
                "namespace": vrrp_files.namespace_of(name),
                "config": state.files[ra_current.CONFIG],
                "start": state.files[ra_current.SETTINGS] != "no\n",
            }
        )
        found["active"][name] = state.unit.active
    return found
