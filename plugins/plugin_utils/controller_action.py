# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of modules whose work is the controller's: to ask a BMC, or a switch.

Where such a task is for the controller itself, it is done in the process that Ansible has for the task. A module would
be packed, unpacked, and run by another Python, which loads the libraries for SSH or IPMI once more: most of a second of
processor time for each task. Here they are loaded once in a run, by the process that all tasks are forked from.
"""

from __future__ import annotations

import typing as t

from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible.plugins.action.normal import ActionModule as NormalAction

from ansible_collections.weft.fabric.plugins.module_utils import bmc_module, switch_module
from ansible_collections.weft.fabric.plugins.module_utils.bmc_link import Task

Item = dict[str, t.Any]


class ControllerAction(NormalAction):
    """Does what the module of its name does, here if that is where the module would run, and as a module otherwise."""

    #: what the module takes
    SPEC: t.ClassVar[Item]

    def missing(self) -> str | None:
        """Return what keeps this Python from doing it, if anything does."""
        raise NotImplementedError

    def work(self, params: Item) -> Item:
        """Do it, and return what a task returns."""
        raise NotImplementedError

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> Item:
        if not self._is_here(task_vars or {}) or self.missing():
            as_module: Item = super().run(tmp, task_vars)
            return as_module
        result: Item = ActionBase.run(self, tmp, task_vars)
        checked = ArgumentSpecValidator(self.SPEC).validate(self._task.args)
        secrets = checked._no_log_values
        if checked.error_messages:
            raise AnsibleActionFail(remove_values(checked.errors.msg, secrets))
        result.update(remove_values(self.work(checked.validated_parameters), secrets))
        return result

    def _is_here(self, variables: Item) -> bool:
        """Tell whether a module would be run by this user, in this environment and by this Python."""
        elsewhere = self._connection.transport != "local" or self._connection.become is not None
        if elsewhere or self._task.async_val or any(self._task.environment or ()):
            return False
        delegated = variables.get("ansible_delegated_vars", {}).get(self._task.delegate_to)
        own = delegated or variables
        python = self._templar.template(C.config.get_config_value("INTERPRETER_PYTHON", variables=own))
        # One that is looked for is any that will do.
        return str(python).startswith("auto") or python == variables.get("ansible_playbook_python")

    @property
    def _diff(self) -> bool:
        return bool(self._task.diff)


class BmcAction(ControllerAction):
    """The action of a module for BMCs."""

    def missing(self) -> str | None:
        return bmc_module.missing()

    def task(self) -> Task:
        """Return what is done for each node."""
        raise NotImplementedError

    def work(self, params: Item) -> Item:
        return bmc_module.outcome(params, self.task(), self._diff)


class SwitchAction(ControllerAction):
    """The action of a module for switches."""

    def missing(self) -> str | None:
        return switch_module.missing()

    def ask(self, params: Item) -> Item:
        """Ask the switch, and return what came of it."""
        raise NotImplementedError

    def work(self, params: Item) -> Item:
        return switch_module.outcome(params["switch"], lambda: self.ask(params), self._diff)
