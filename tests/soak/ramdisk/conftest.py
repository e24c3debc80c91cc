# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ramdisk, built where the cache is, and a network for the nodes of a test module."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.soak.ramdisk.guest import ADDRESS, MAC, OTHER_MAC, Guest, Keys
from ansible_collections.weft.fabric.tests.soak.ramdisk.wire import DhcpServer, Wire
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import private_network


class Site(t.NamedTuple):
    """Two networks that a node is plugged into: the one to be deployed by, and another with a DHCP server as well."""

    directory: Path
    ramdisk: Path
    deployment: Wire
    other: Wire
    server: DhcpServer
    other_server: DhcpServer
    keys: Keys

    def guest(self, name: str, archive: bytes = b"", ramdisk: Path | None = None, **options: t.Any) -> Guest:
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        taps = {self.other.tap: OTHER_MAC, self.deployment.tap: MAC}
        return Guest(directory, ramdisk or self.ramdisk, taps, archive, **options)


def _built(kernel: str, name: str) -> Path:
    directory = Path(os.environ.get("WEFT_CACHE", "/var/cache/weft-fabric")) / name
    words = ["ansible-playbook", "-i", "localhost,", "weft.fabric.ramdisk_build"]
    words += ["-e", f"deploy_ramdisk_directory={directory}", "-e", f"deploy_ramdisk_kernel={kernel}"]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    return directory


@pytest.fixture(scope="session")
def ramdisk() -> Path:
    """The one for virtual machines, which is what most nodes here are."""
    return _built("linux-image-cloud-amd64", "ramdisk-cloud")


@pytest.fixture(scope="session")
def ramdisk_for_servers() -> Path:
    """The one that knows real hardware."""
    return _built("linux-image-amd64", "ramdisk")


@pytest.fixture(scope="module")
def site(ramdisk: Path, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    with private_network():
        deployment, other = Wire("dep", "10.66.100.2"), Wire("oth", "10.66.200.2")
        server = DhcpServer(directory / "dhcp", deployment.name, {MAC: ADDRESS})
        other_server = DhcpServer(directory / "other-dhcp", other.name, {OTHER_MAC: "10.66.200.11"})
        try:
            yield Site(directory, ramdisk, deployment, other, server, other_server, Keys(directory))
        finally:
            server.close()
            other_server.close()
