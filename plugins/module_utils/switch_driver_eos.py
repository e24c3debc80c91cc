# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arista EOS: OpenConfig, with running edited directly and saved through a command."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.switch_driver_openconfig import OpenConfigDriver
from ansible_collections.weft.fabric.plugins.module_utils.switch_xml import Maker, Node

_CLI = Maker("http://arista.com/yang/cli")


class EosDriver(OpenConfigDriver):
    name = "eos"

    # Its candidate is known to lose or mix up edits.
    target = "running"
    confirmed_commit = False

    def save_edit(self) -> t.Optional[Node]:
        return _CLI("commands", _CLI("command", "write memory"))
