# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all unit tests share: how programs are run, and how Hypothesis searches.

In a gate Hypothesis has no deadlines, as the machine may be busy, and takes the same examples each time;
HYPOTHESIS_PROFILE=explore looks for new ones, at length.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

from ansible_collections.weft.fabric.plugins.module_utils import command
from ansible_collections.weft.fabric.tests.unit import runner

_DATABASE = DirectoryBasedExampleDatabase(os.path.join(tempfile.gettempdir(), "weft-fabric-hypothesis"))

settings.register_profile("check", deadline=None, derandomize=True, print_blob=True, database=None)
settings.register_profile("explore", deadline=None, max_examples=2000, print_blob=True, database=_DATABASE)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "check"))

command.use(runner.run)

# Each of them takes half a minute and more, most of it of waiting, and is one worker's (--dist=loadfile). Whoever gets
# one of them last keeps the whole run waiting.
_LONG = (
    "bare_metal/test_verbs.py",
    "bmc/test_bmc_ipmi_stored.py",
    "bmc/test_bmc_redfish.py",
    "disks/test_disk_clean.py",
    "disks/test_disk_image_faults.py",
    "netboot/test_boot_servers.py",
    "routers/test_verbs.py",
    "switch_plays/test_switch_plays.py",
    "topology/compile/test_properties.py",
    "topology/test_generated.py",
    "topology/test_inventory.py",
    "vrrp/test_vrrp_role.py",
    "vrrp/test_vrrp_routers.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have long files come first, the others in the order that they have."""
    here = Path(__file__).parent
    long = {here / name for name in _LONG}
    items.sort(key=lambda item: item.path not in long)
