# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks BMCs, from the controller."""

from __future__ import annotations

from ansible_collections.weft.fabric.plugins.module_utils import bmc_module, bmc_read
from ansible_collections.weft.fabric.plugins.plugin_utils.controller_action import BmcAction


class ActionModule(BmcAction):
    """The action of the module bmc_info."""

    SPEC = bmc_module.arguments()

    def task(self):
        return bmc_read.task
