# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges what the hosts say of their routers, on the controller."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.weft.fabric.plugins.plugin_utils.routers import judge
from ansible_collections.weft.fabric.plugins.plugin_utils.routers.answers import collect

ARGUMENTS = {
    "routers": {"type": "list", "elements": "dict", "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "variable": {"type": "str", "required": True},
}


class ActionModule(ActionBase):
    """Returns a verdict on each router."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(ARGUMENTS)

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        answers = collect(task_vars["hostvars"], given["hosts"], given["variable"])
        verdicts = judge.judge(given["routers"], answers)
        return {
            "changed": False,
            "routers": [verdict.returned() for verdict in verdicts],
            "lines": judge.lines(verdicts),
            "problems": judge.problems(verdicts),
        }
