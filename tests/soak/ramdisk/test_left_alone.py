# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that nobody deploys, or that somebody else wants to, does nothing and is off in time."""

from __future__ import annotations

import subprocess
import time

import pytest

from ansible_collections.weft.fabric.plugins.module_utils.ramdisk_programs import BOUNDS
from ansible_collections.weft.fabric.tests.soak.ramdisk.conftest import Site
from ansible_collections.weft.fabric.tests.soak.ramdisk.guest import (
    ADDRESS,
    MAC,
    READY,
    Keys,
    identity,
    ssh,
)
from ansible_collections.weft.fabric.tests.soak.ramdisk.wire import DhcpServer, stranger

BOOTIF = "BOOTIF=01-52-54-00-66-00-11"
BOOT = 90  # seconds that a start may take on a busy machine


def without(keys: Keys, name: str) -> bytes:
    """Return an identity in which a file has another name."""
    return identity(keys).replace(name.encode(), name[:-1].encode() + b"_")


@pytest.mark.parametrize(
    "missing", ["all", "root/.ssh/authorized_keys", "etc/ssh/ssh_host_ed25519_key", "etc/weft/node.json"]
)
def test_without_an_identity_nobody_gets_in(site: Site, missing: str) -> None:
    archive = b"" if missing == "all" else without(site.keys, missing)
    asked = site.server.asked()
    guest = site.guest(f"without-{missing.rpartition('/')[2]}", archive)
    try:
        guest.says(r"weft: no identity: /\S+ is missing", BOOT)
        assert ssh(site.keys, "true").returncode == 255
        seconds = guest.off(BOUNDS["identity"] + 20)
        assert seconds > 5
        assert "no identity: powering off" in guest.console()
        # It has not even asked for an address.
        assert site.server.asked() == asked
    finally:
        guest.close()


def test_it_powers_off_when_nobody_logs_in(site: Site) -> None:
    """Who is logged in keeps it on; the time counts from when the last one has left."""
    archive = identity(site.keys)
    guest = site.guest("timeout", archive, arguments=f"{BOOTIF} weft.timeout=15", identity_first=True)
    try:
        guest.says(READY, BOOT)
        assert ssh(site.keys, "sleep 25").returncode == 0
        left = time.monotonic()
        guest.off(60)
        assert 10 < time.monotonic() - left < 40
        assert "nobody has been logged in for 15 s (weft.timeout): powering off" in guest.console()
    finally:
        guest.close()


def test_another_dhcp_server_is_not_believed(site: Site) -> None:
    """It is the only one at first; when the right one answers, all is well."""
    site.server.close()
    with stranger(site.deployment, "10.66.100.3") as namespace:
        liar = DhcpServer(site.directory / "liar", "eth0", {MAC: "10.66.100.77"}, namespace)
        guest = site.guest("liar", identity(site.keys))
        try:
            told = (
                f"the DHCP server 10.66.100.3 gives 10.66.100.77, but the address of this node is {ADDRESS}: not taken"
            )
            guest.says(told, BOOT)
            assert "DHCPACK" in liar.asked()
            taken = subprocess.run(["ping", "-c", "1", "-w", "2", "10.66.100.77"], capture_output=True, check=False)
            assert taken.returncode != 0
        finally:
            liar.close()
            again = DhcpServer(site.directory / "again", site.deployment.name, {MAC: ADDRESS})
        try:
            guest.says(READY, 30)
            assert ssh(site.keys, "true").returncode == 0
        finally:
            guest.close()
            again.close()
