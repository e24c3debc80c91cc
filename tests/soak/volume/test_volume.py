# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the firmware's first question to a system whose root is the volume: by BIOS and UEFI, and when it may not."""

from __future__ import annotations

import pytest

from ansible_collections.weft.fabric.tests.soak.volume.tenant_network import IQN, TenantNetwork
from ansible_collections.weft.fabric.tests.unit.netboot.machine import ADDRESSES, SERVER

KEY = r"^tiny: host key (\S+ \S+)"


@pytest.mark.parametrize(("boot_mode", "loader"), [("bios", None), ("uefi", "snponly.efi")])
def test_a_node_boots_from_its_volume_each_time(network: TenantNetwork, boot_mode: str, loader: str | None) -> None:
    network.lead()
    keys = []
    for turn in ("first", "second"):
        with network.node(boot_mode, turn) as node:
            node.says(rf"^tiny: boots from volume {IQN}")
            node.says(r"^tiny: ready")
            keys.append(node.says(KEY)[1])
            assert f"tiny: address {ADDRESSES['n1']}/24" in node.console()
            assert f"IP Address: {ADDRESSES['n1']}" in network.sessions()
    # Its system made a key and wrote it down, and has it again after a power cut.
    assert keys[0] == keys[1]
    # Who gives addresses is the tenant's DHCP server; the QEMU of a BIOS has iPXE on its card, and needs no loader.
    assert f"http://{SERVER}/boot.ipxe" in network.asked()
    assert loader is None or loader in network.asked()


def test_a_node_that_the_volume_does_not_let_in_reads_nothing_and_goes_on_trying(network: TenantNetwork) -> None:
    before = network.digest()
    network.lead(password="another-password")
    with network.node("bios") as node:
        node.says(r"The volume did not come; again in 1 s")
        node.says(r"The volume did not come; again in 2 s")
        assert "IP Address" not in network.sessions()
    assert network.digest() == before
    # What is right is read by the next start.
    network.lead()
    with network.node("bios", "again") as node:
        node.says(rf"^tiny: boots from volume {IQN}")


def test_a_node_that_boots_its_own_disk_does_not_touch_the_volume(network: TenantNetwork) -> None:
    """As after a deletion: there is no script for it, and it goes on with its next boot device."""
    before = network.digest()
    network.lead()
    network.net.boot({"name": "n1", "boot": "absent"})
    with network.node("bios") as node:
        node.says(r"Nothing to boot from this network")
    assert network.sessions().strip() == ""
    assert network.digest() == before
