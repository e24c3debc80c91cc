# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads VLANs of a switch, from the controller."""

from __future__ import annotations

from ansible_collections.weft.fabric.plugins.module_utils.switch_info import describe_vlans
from ansible_collections.weft.fabric.plugins.module_utils.switch_module import VLANS_INFO
from ansible_collections.weft.fabric.plugins.plugin_utils.controller_action import SwitchAction


class ActionModule(SwitchAction):
    """The action of the module switch_vlans_info."""

    SPEC = VLANS_INFO

    def ask(self, params):
        return describe_vlans(params["switch"], params["all"])
