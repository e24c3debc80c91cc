# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends a node's part of a run with one error that says all, on the controller."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.failure import text

ARGUMENTS = {
    "node": {"type": "dict", "required": True},
    "verb": {"type": "str", "required": True},
    "task": {"type": "str", "required": True},
    "message": {"type": "str", "required": True},
    "fetches": {"type": "list", "elements": "dict"},
    "power": {"type": "str", "default": "unknown"},
    "in_tenant": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    """Fails with the text."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(ARGUMENTS)

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        return {"changed": False, "failed": True, "msg": text(**given)}
