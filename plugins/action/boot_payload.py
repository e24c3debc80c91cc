# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a boot server the ramdisk and the images that nodes fetch from it, from the controller."""

from __future__ import annotations

import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal import payload

ARGUMENTS = {
    "directory": {"type": "str", "required": True},
    "ramdisk": {"type": "path", "required": True},
    "images": {"type": "list", "elements": "dict", "default": []},
}


class ActionModule(ActionBase):
    """Asks the boot server what it has, and copies what it lacks."""

    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(ARGUMENTS)

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        directory, images = given["directory"], given["images"]
        try:
            served = payload.parse(self._command(payload.look(directory), "look what it serves"), directory)
            ramdisk = payload.ramdisk_transfers(served, given["ramdisk"])
            others = payload.image_transfers(served, images)
            transfers = ramdisk + others
            payload.check(transfers, served, directory)
        except payload.PayloadProblem as problem:
            raise AnsibleActionFail(str(problem)) from problem
        if transfers and not self._task.check_mode:
            # What belongs together comes together.
            for part in [ramdisk, *([one] for one in others)]:
                self._copy(directory, part)
        return {
            "changed": bool(transfers),
            "changes": [f"copy {one.source} to {one.target}" for one in transfers],
            "elsewhere": [dict(image) for image in payload.elsewhere(served, images)],
        }

    def _copy(self, directory, transfers):
        if not transfers:
            return
        shell = self._connection._shell
        temporary = shell.tmpdir or self._make_tmp_path()
        staged = [(shell.join_path(temporary, os.path.basename(one.target)), one) for one in transfers]
        for copy, one in staged:
            self._transfer_file(one.source, copy)
        self._fixup_perms2([temporary, *(copy for copy, _one in staged)])
        self._command(payload.place(directory, staged), f"take {', '.join(one.target for one in transfers)}")

    def _command(self, script, what):
        done = self._low_level_execute_command(script)
        if done["rc"] != 0:
            said = (done["stderr"].strip() or done["stdout"].strip() or f"exit code {done['rc']}").splitlines()[-1]
            raise AnsibleActionFail(f"the boot server could not {what}: {said}")
        return done["stdout"]
