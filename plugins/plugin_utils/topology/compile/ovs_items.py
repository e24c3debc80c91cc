# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Items of ovs_bridges that several files need."""

from __future__ import annotations

import typing as t

# Ours is what has this key in its external_ids; the value says what a row stands for.
MARK = "weft-fabric"
PROTOCOLS = ("OpenFlow10", "OpenFlow13", "OpenFlow14")

Item = dict[str, t.Any]


def bridge(name: str, datapath_type: str, ports: list[Item], fail_mode: str = "secure") -> Item:
    """Return a bridge. Without flows it drops (secure) unless said otherwise: switching, tenants would meet."""
    return {
        "name": name,
        "managed": True,
        "datapath_type": datapath_type,
        "fail_mode": fail_mode,
        "protocols": list(PROTOCOLS),
        "other_config": {"disable-in-band": "true"},
        "external_ids": {MARK: f"bridges/{name}"},
        "ports": ports,
    }


def patch(name: str, peer: str) -> Item:
    """Return one end of a patch between two bridges."""
    return {
        "name": name,
        "external_ids": {MARK: f"patches/{name}"},
        "interface": {"type": "patch", "options": {"peer": peer}},
    }


def device(name: str, resource: str) -> Item:
    """Return a port that is a device of the host."""
    return {"name": name, "external_ids": {MARK: resource}, "interface": {"type": ""}}
