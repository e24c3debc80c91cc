# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build_all
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.lockfile import diff_lock, lock_path, write_lock
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError

MAX_REPORTED_CHANGES = 1000


class ActionModule(ActionBase):
    """Writes the lock file on the controller."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("path",))

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(argument_spec={"path": {"type": "path"}})
        path = arguments["path"] or (task_vars or {}).get("weft_topology")
        if not path:
            raise AnsibleActionFail("no topology: use a topology file as the inventory, or give its path")
        try:
            built = build_all(str(path))
        except TopologyError as error:
            raise AnsibleActionFail(f"the topology has problems, the lock file was not written:\n{error}") from error
        lock = lock_path(os.path.abspath(str(path)))
        before = lock.read_text(encoding="utf-8") if lock.exists() else ""
        after = built.wanted.dump()
        changes = list(describe(built.lock.entries, built.wanted.entries))
        result = {
            "path": str(lock),
            "changed": before != after,
            "changes": changes[:MAX_REPORTED_CHANGES],
            "changes_total": len(changes),
        }
        if before != after:
            if self._task.diff:
                result["diff"] = {"prepared": diff_lock(before, after, str(lock))}
            if not self._task.check_mode:
                write_lock(lock, after)
        return result


def describe(before, after):
    """Yield what becomes of each resource's numbers, in the order of their paths."""
    for path in sorted({*before, *after}):
        if path not in before:
            yield f"add {path}"
        elif path not in after:
            yield f"remove {path}"
        elif before[path] != after[path]:
            yield f"change {path}"
