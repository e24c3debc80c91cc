# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot server in a tenant's network, for nodes that boot from volumes: a dnsmasq and an nginx that really run."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import netns
from ansible_collections.weft.fabric.tests.unit.dhcp.wire_client import DISCOVER
from ansible_collections.weft.fabric.tests.unit.netboot.firmware import BIOS, ipxe, pxe, tftp
from ansible_collections.weft.fabric.tests.unit.netboot.machine import (
    ADDRESSES,
    CLIENTS,
    MACS,
    SERVER,
    BootNet,
    boot,
    script,
)

PASSWORD = "chap-secret-42"
VOLUME: dict[str, t.Any] = {
    "portal": "10.0.1.9",
    "target": "iqn.2016-01.example:disk-1",
    "initiator": "iqn.2016-01.example:n1",
    "lun": 1,
    "username": "db",
    "password": PASSWORD,
}


@pytest.fixture
def tenants(net: BootNet) -> BootNet:
    """A boot server for nodes n1 and n2, of which n1 boots from a volume."""
    net.run(net.server(volumes=True, ra_prefix=None))
    net.add_ramdisk()
    Path(net.paths.join("http", "images", "of-another-tenant.raw")).write_bytes(b"secret")
    net.boot(boot("iscsi", iscsi=VOLUME))
    return net


def test_it_gives_no_addresses_as_the_network_has_a_dhcp_server_of_its_own(tenants: BootNet) -> None:
    for options in (pxe(BIOS), ipxe(BIOS)):
        with tenants.firmware(MACS["n1"]) as firmware:
            assert firmware.speak(DISCOVER, options, 1.0) == []


@pytest.mark.parametrize("name", ["undionly.kpxe", "snponly.efi"])
def test_it_gives_loaders(tenants: BootNet, name: str) -> None:
    with netns.entered(CLIENTS):
        assert tftp(SERVER, name, ADDRESSES["n1"]) == Path(tenants.paths.join("tftp", name)).read_bytes()
    assert tenants.get("n1", f"/loader/{name}").status == 200
    assert "/nodes/" in tenants.get("n1", "/boot.ipxe").text


def test_the_script_is_its_nodes_and_nobody_elses(tenants: BootNet) -> None:
    text = tenants.get("n1", script()).text
    assert "sanboot iscsi:10.0.1.9::3260:1:iqn.2016-01.example:disk-1" in text
    assert f"set password:hex {PASSWORD.encode().hex(':')}" in text
    for other in ("n2", "stranger"):
        answer = tenants.get(other, script())
        assert answer.status == 403
        assert b"iscsi" not in answer.body


@pytest.mark.parametrize("path", ["/ramdisk/vmlinuz", "/images/of-another-tenant.raw", "/images/", "/deployments/"])
def test_a_tenants_system_finds_nothing_else_there(tenants: BootNet, path: str) -> None:
    """It runs behind the very address that boots."""
    assert tenants.get("n1", path).status == 404


def test_no_change_and_no_diff_tells_the_password(net: BootNet) -> None:
    """What else is returned holds it, for a caller that asked with no_log; what is only read does not."""
    net.run(net.server(volumes=True, ra_prefix=None))
    for password in (PASSWORD, "another-one"):
        item = boot("iscsi", iscsi={**VOLUME, "password": password})
        for check_mode in (True, False):
            done = net.boot(item, check_mode=check_mode)
            assert done["changed"]
            for word in (PASSWORD, "another-one", PASSWORD.encode().hex(":")):
                assert word not in str((done["changes"], done["diff"]))
        assert not net.boot(item)["changed"]
        assert password not in str(net.info())
