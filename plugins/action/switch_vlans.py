# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes VLANs of a switch, from the controller."""

from __future__ import annotations

from ansible_collections.weft.fabric.plugins.module_utils.switch_module import VLANS, of_vlans
from ansible_collections.weft.fabric.plugins.module_utils.switch_ports import SwitchRun
from ansible_collections.weft.fabric.plugins.plugin_utils.controller_action import SwitchAction


class ActionModule(SwitchAction):
    """The action of the module switch_vlans."""

    SPEC = VLANS

    def ask(self, params):
        return SwitchRun(of_vlans(params)).run(bool(self._task.check_mode))
