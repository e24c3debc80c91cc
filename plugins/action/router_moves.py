# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans which roles move where, on the controller."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.weft.fabric.plugins.plugin_utils.routers import moves
from ansible_collections.weft.fabric.plugins.plugin_utils.routers.answers import collect
from ansible_collections.weft.fabric.plugins.plugin_utils.routers.judge import judge

ARGUMENTS = {
    "verb": {"type": "str", "required": True, "choices": list(moves.VERBS)},
    "routers": {"type": "list", "elements": "dict", "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "variable": {"type": "str", "required": True},
    "host": {"type": "str"},
    "to": {"type": "str"},
}


class ActionModule(ActionBase):
    """Returns the moves, and what each host does for them."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(ARGUMENTS)

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        answers = collect(task_vars["hostvars"], given["hosts"], given["variable"])
        verdicts = judge(given["routers"], answers)
        plan = moves.plan(given["verb"], verdicts, answers, given["host"] or None, given["to"] or None)
        if plan.problems:
            raise AnsibleActionFail("nothing was changed:\n" + "\n".join(plan.problems))
        return {
            "changed": False,
            "moves": [str(move) for move in plan.moves],
            "kept": plan.kept,
            "steps": plan.steps(given["verb"]),
        }
