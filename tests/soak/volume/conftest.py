# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant's network for each test: its DHCP server, the boot server's leg in it, and an iSCSI target."""

from __future__ import annotations

import os
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import command
from ansible_collections.weft.fabric.tests.soak.volume.tenant_network import TenantNetwork
from ansible_collections.weft.fabric.tests.unit import runner
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import private_network
from ansible_collections.weft.fabric.tests.unit.netboot.machine import BootNet
from ansible_collections.weft.fabric.tests.wire import volume

command.use(runner.run)

# The lab's program is a file of its role, not a plugin: it is imported from where it lies.
sys.path[:0] = [str(Path(__file__).resolve().parents[3] / "roles" / "lab" / "files")]


@pytest.fixture(scope="session")
def images() -> Path:
    """The lab's image for nodes, built where the cache is."""
    from weft_lab import tiny_image

    cache = Path(os.environ.get("WEFT_CACHE", "/var/cache/weft-fabric")) / "images"
    cache.mkdir(parents=True, exist_ok=True)
    return tiny_image.ensure(cache=cache)[0].parent


@pytest.fixture
def network(images: Path, tmp_path: Path) -> t.Iterator[TenantNetwork]:
    disk = volume.make(tmp_path, images)
    with private_network(), BootNet() as boot, TenantNetwork(boot, tmp_path, disk) as found:
        yield found
