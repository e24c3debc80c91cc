# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares what a node was found to be with the topology, on the controller."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.inspection import differences, proposal

ARGUMENTS = {
    "node": {"type": "dict", "required": True},
    "hardware": {"type": "dict", "required": True},
}


class ActionModule(ActionBase):
    """Returns differences, and lines for the topology."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(ARGUMENTS)

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        if "nics" not in given["hardware"]:
            raise AnsibleActionFail(f"the ramdisk did not tell what it runs on: {given['hardware'].get('msg', 'gone')}")
        return {
            "changed": False,
            "differences": differences(given["node"], given["hardware"]),
            "proposal": proposal(given["node"], given["hardware"]),
        }
