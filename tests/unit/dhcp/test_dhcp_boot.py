# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tenant's DHCP server, and a node that boots from a volume there: a real dnsmasq with the compiler's own text."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import netns
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.dhcp import BOOTS, TEMPLATE
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.template import render
from ansible_collections.weft.fabric.tests.unit.dhcp.machine import CLIENTS, Net, host, mac
from ansible_collections.weft.fabric.tests.unit.netboot.firmware import (
    BIOS,
    EFI,
    EFI_HTTP,
    Firmware,
    ipxe,
    option,
    pxe,
)

BOOT_SERVER = "10.0.0.65"
URL = f"http://{BOOT_SERVER}"
SYSTEM = option(55, bytes([1, 3, 6, 17, 43, 60, 66, 67]))


@pytest.fixture
def serving(net: Net) -> Net:
    """Two ports: number 1 boots from a volume, number 2 does not."""
    config = render(
        TEMPLATE,
        None,
        network="red/metal",
        interface="s0",
        addresses=["10.0.0.2"],
        domain="",
        mtu=1500,
        ranges=[{"tag": "v4", "ip_version": 4, "start": "10.0.0.0", "netmask": "255.255.255.0", "lease_time": "3600"}],
        lease_max=256,
        directory=str(net.directory / "weft-t-1"),
        boot_server={"address": BOOT_SERVER, "url": URL, "tag": BOOTS},
    )
    net.run(net.server(1, [host(1, tags=[BOOTS]), host(2)], config=config))
    return net


def ask(number: int, options: bytes) -> t.Any:
    with netns.entered(CLIENTS), Firmware("br0", mac(number)) as firmware:
        reply = firmware.boot(options)
    assert reply is not None
    return reply


def text(reply: t.Any, number: int) -> str:
    return bytes(reply.options.get(number, b"")).rstrip(b"\0").decode()


@pytest.mark.parametrize(("architecture", "file"), [(BIOS, "undionly.kpxe"), (EFI, "snponly.efi")])
def test_firmware_is_sent_to_the_boot_server_for_its_loader(serving: Net, architecture: int, file: str) -> None:
    reply = ask(1, pxe(architecture))
    assert (reply.address, text(reply, 67), text(reply, 66)) == ("10.0.0.101", file, BOOT_SERVER)
    # Whatever else it is told is what all in this network are told: it is behind the tenant's router.
    assert reply.options[3] == bytes([10, 0, 0, 1])


def test_firmware_that_boots_by_http_gets_a_url(serving: Net) -> None:
    reply = ask(1, pxe(EFI_HTTP))
    assert (text(reply, 67), text(reply, 60)) == (f"{URL}/loader/snponly.efi", "HTTPClient")


@pytest.mark.parametrize("architecture", [BIOS, EFI])
def test_ipxe_gets_its_script(serving: Net, architecture: int) -> None:
    reply = ask(1, ipxe(architecture))
    assert text(reply, 67) == f"{URL}/boot.ipxe"
    assert reply.options[175].startswith(bytes([176, 1, 1]))


@pytest.mark.parametrize(
    ("number", "options"),
    [(1, SYSTEM), (2, SYSTEM), (2, pxe(BIOS)), (2, pxe(EFI)), (2, pxe(EFI_HTTP)), (2, ipxe(BIOS))],
    ids=["its system", "another system", "another BIOS", "another EFI", "another HTTP", "another iPXE"],
)
def test_nobody_else_is_told_of_it(serving: Net, number: int, options: bytes) -> None:
    reply = ask(number, options)
    assert reply.address == f"10.0.0.10{number}"
    assert not {17, 60, 66, 67, 175} & set(reply.options)
