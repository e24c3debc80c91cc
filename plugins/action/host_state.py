# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles the state of the task's host and hands it to the module in one piece."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.weft.fabric.plugins.module_utils.packing import pack
from ansible_collections.weft.fabric.plugins.plugin_utils.host_state import read_template, topology_of
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import CONCERNS, compile_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError

MODULE = "weft.fabric.host_state"

#: What the compiler has nothing to say of: it is the same on every host.
REPLAY = "boot_replay"


class ActionModule(ActionBase):
    """Runs the module with the state of the task's host."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        given = dict(self._task.args)
        if "state" in given:
            raise AnsibleActionFail("state is what the topology says: edit the topology, or use the single modules")
        try:
            state = self._compile(given, task_vars)
        except TopologyError as error:
            raise AnsibleActionFail(str(error)) from error
        arguments = {**given, "state": pack(state)}
        result.update(self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars))
        return result

    def _compile(self, given, task_vars):
        """Return the state: the arguments of each concern that is asked for."""
        host = task_vars["inventory_hostname"]
        topology = topology_of(host, given.get("topology") or task_vars.get("weft_topology"), task_vars)
        if host in topology.switches:
            raise AnsibleActionFail(f"{host} is a switch: use the playbook weft.fabric.switches, or the role switch")
        if host in topology.nodes:
            raise AnsibleActionFail(f"{host} is a node of bare metal: use the playbook weft.fabric.server_deploy")
        templates = {name: read_template(path) for name, path in (given.get("templates") or {}).items() if path}
        keep = given.get("keep") or []
        state = {}
        for concern in ["requirements", *(given.get("concerns") or ["underlay", *CONCERNS, REPLAY])]:
            if concern == REPLAY:
                state[concern] = {}
            else:
                state.update(compile_host(topology, host, concern, templates))
            if concern in CONCERNS:
                state[concern]["purge"] = concern not in keep
        return state
