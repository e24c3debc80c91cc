# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how far the module disk_clean is, while it works in a node's ramdisk."""

from __future__ import annotations

from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.watched import WatchedAction


class ActionModule(WatchedAction):
    """Runs the module, and tells what the node says of it."""

    MODULE = "weft.fabric.disk_clean"
