# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of the relay as it stands on a host."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import netboot_relay


def relay() -> str:
    """Return the program, from whatever this code was loaded from: a directory or the archive that Ansible sends."""
    loader: t.Any = netboot_relay.__spec__.loader
    source: str = loader.get_source(netboot_relay.__name__)
    return "#!/usr/bin/python3 -IS\n# Made by weft.fabric; changes are overwritten.\n" + source
