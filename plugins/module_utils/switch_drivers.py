# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All drivers, by their names."""

from __future__ import annotations

from ansible_collections.weft.fabric.plugins.module_utils.switch_driver import Driver
from ansible_collections.weft.fabric.plugins.module_utils.switch_driver_eos import EosDriver
from ansible_collections.weft.fabric.plugins.module_utils.switch_driver_iosxe import IosxeDriver
from ansible_collections.weft.fabric.plugins.module_utils.switch_driver_junos import JunosDriver
from ansible_collections.weft.fabric.plugins.module_utils.switch_driver_nxos import NxosDriver
from ansible_collections.weft.fabric.plugins.module_utils.switch_driver_openconfig import OpenConfigDriver

_ALL = (EosDriver, IosxeDriver, JunosDriver, NxosDriver, OpenConfigDriver)


def driver_of(name: str) -> Driver:
    """Return a new driver: it may learn from what it reads how its switch spells things."""
    return next(driver for driver in _ALL if driver.name == name)()
