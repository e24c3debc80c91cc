# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads ports of a switch, from the controller."""

from __future__ import annotations

from ansible_collections.weft.fabric.plugins.module_utils.switch_info import describe_ports
from ansible_collections.weft.fabric.plugins.module_utils.switch_module import PORTS_INFO
from ansible_collections.weft.fabric.plugins.plugin_utils.controller_action import SwitchAction


class ActionModule(SwitchAction):
    """The action of the module switch_ports_info."""

    SPEC = PORTS_INFO

    def ask(self, params):
        return describe_ports(params["switch"], params["ports"])
