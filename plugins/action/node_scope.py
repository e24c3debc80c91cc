# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks up the nodes an operator means, on the controller, before any of them is touched."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.plan import VERBS
from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.scope import (
    ScopeError,
    firsts,
    payloads,
    select,
    server_name,
)

ARGUMENTS = {
    "verb": {"type": "str", "required": True, "choices": list(VERBS)},
    "servers": {"type": "list", "elements": "str", "default": []},
    "nodes": {"type": "list", "elements": "str", "default": []},
}


class ActionModule(ActionBase):
    """Returns the nodes that a verb is about."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(ARGUMENTS)

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        hostvars = task_vars["hostvars"]
        nodes = {name: hostvars[name]["weft_node"] for name in task_vars["ansible_play_hosts_all"]}
        try:
            chosen = select(
                nodes, given["verb"], given["servers"], given["nodes"], bool(task_vars.get("ansible_limit"))
            )
        except ScopeError as error:
            raise AnsibleActionFail(str(error)) from error
        return {
            "changed": False,
            "nodes": chosen,
            "first": firsts(nodes[name] for name in chosen),
            "boot_servers": payloads([nodes[name] for name in chosen]),
            "servers": {name: found for name in chosen if (found := server_name(nodes[name]))},
        }
