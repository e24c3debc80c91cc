# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lookup and the action named host_state share: where the topology and a user's templates are."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleError

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Topology


def topology_of(host: str, path: t.Any, variables: t.Mapping[str, t.Any]) -> Topology:
    """Return the topology of a host, switch or node. Raises AnsibleError, and TopologyError with all its problems."""
    found = find_topology(path, variables)
    topology = build(found)
    if not any(host in known for known in (topology.hosts, topology.switches, topology.nodes)):
        raise AnsibleError(f"host {host} does not stand in {found}: add it under hosts")
    return topology


def find_topology(path: t.Any, variables: t.Mapping[str, t.Any]) -> str:
    """Return the path of the topology on this machine."""
    if not path:
        raise AnsibleError("no topology: use a topology file as the inventory, or set weft_topology to the path of one")
    candidates = [str(path)]
    for variable in ("playbook_dir", "inventory_dir"):
        directory = variables.get(variable)
        if directory:
            candidates.append(os.path.join(str(directory), os.path.basename(str(path))))
    for candidate in candidates:
        if os.path.exists(candidate):
            return candidate
    raise AnsibleError(f"topology not found, looked for: {', '.join(candidates)}")


def read_template(path: str) -> str:
    """Return the text of a user's own template."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except OSError as error:
        raise AnsibleError(f"template {path}: {error.strerror}") from error
