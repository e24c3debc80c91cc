# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks up the names an operator has given, on the controller, before any host is touched."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.weft.fabric.plugins.plugin_utils.host_state import find_topology
from ansible_collections.weft.fabric.plugins.plugin_utils.routers.scope import ScopeError, find, ways
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError

ARGUMENTS = {
    "routers": {"type": "list", "elements": "str", "default": []},
    "host": {"type": "str"},
    "to": {"type": "str"},
    "verb": {"type": "str", "default": "status", "choices": ["status", "failover", "drain", "undrain", "rebalance"]},
    "topology": {"type": "str"},
}


class ActionModule(ActionBase):
    """Returns what a verb is about."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(ARGUMENTS)

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        verb = given["verb"]
        try:
            topology = build(find_topology(given["topology"] or task_vars.get("weft_topology"), task_vars))
            scope = find(
                topology,
                given["routers"],
                given["host"] or None,
                given["to"] or None,
                needs_choice=verb == "failover",
                needs_host=verb in ("drain", "undrain"),
                with_parts=verb == "status",
            )
        except (ScopeError, TopologyError) as error:
            raise AnsibleActionFail(str(error)) from error
        return {
            "changed": False,
            "routers": scope.described(),
            "hosts": scope.hosts,
            "ways": ways(topology, scope.routers),
        }
