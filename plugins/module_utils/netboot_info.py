# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot servers of a host, in the shape the boot_servers module takes."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import dhcp_release, netboot_current
from ansible_collections.weft.fabric.plugins.module_utils.netboot_desired import (
    DHCP_CONFIG,
    HTTP_CONFIG,
    PLAIN,
    SCRIPTS,
)
from ansible_collections.weft.fabric.plugins.module_utils.netboot_paths import Paths
from ansible_collections.weft.fabric.plugins.module_utils.netboot_units import KINDS
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import read_file
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd

Item = t.Dict[str, t.Any]


def describe(names: t.Optional[t.List[str]], paths: Paths, systemd: Systemd) -> t.Dict[str, t.Any]:
    """Return the servers of these names, or all of them, with their leases and whether they run."""
    found: t.Dict[str, t.Any] = {"servers": [], "leases": {}, "active": {}}
    if not os.path.isdir(paths.directory):
        return found
    for name, state in netboot_current.read({}, paths, systemd).servers.items():
        facts = netboot_current.parse_json(state.files[netboot_current.FACTS])
        if not facts or (names is not None and name not in names):
            continue
        found["servers"].append(_server(state, facts))
        leases = dhcp_release.parse_leases(read_file(paths.server(name, netboot_current.LEASES)) or "")[0]
        found["leases"][name] = [
            {"address": lease.address, "client": lease.key, "expires": lease.expires} for lease in leases
        ]
        found["active"][name] = {kind: state.units[kind].active for kind in KINDS}
    return found


def _server(state: netboot_current.State, facts: t.Mapping[str, t.Any]) -> Item:
    item: Item = {key: facts.get(key) for key in PLAIN}
    return dict(
        item,
        name=state.name,
        namespace="qboot-" + state.name,
        nodes=facts.get("nodes"),
        dhcp_config=state.files[DHCP_CONFIG],
        http_config=state.files[HTTP_CONFIG],
        scripts={script: state.files[file] for script, file in SCRIPTS.items()},
    )
