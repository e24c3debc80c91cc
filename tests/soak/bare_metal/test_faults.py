# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong on the way into the ramdisk: BMC, power, boot device, DHCP, kernel.

Each ends within its bound, with one error; the node is off and in no tenant's VLAN, others are not disturbed.
"""

from __future__ import annotations

import pytest

from ansible_collections.weft.fabric.tests.soak.bare_metal.faults import (
    MARGIN,
    changed,
    deploy_in_vain,
    failed,
    n1,
)
from ansible_collections.weft.fabric.tests.wire.metal import (
    PORTS,
    RED,
    TIMEOUTS,
    VLANS,
    at_rest,
    commands,
    node_play,
)
from ansible_collections.weft.fabric.tests.wire.plays import fault

pytestmark = pytest.mark.usefixtures("calm")
#: so long a BMC may be silent before it is given up: four attempts of connect_timeout
BMC_SECONDS = 20.0
NOTHING = "it has fetched nothing by HTTP"


def test_a_silent_bmc(topology, leaf, node):
    with node.fault("silent"):
        said = deploy_in_vain(topology, leaf, node, "BMC", BMC_SECONDS)
    assert "nobody answers there" in said


def test_a_wrong_password(topology, leaf, node, tmp_path):
    before = len(commands(node, 0.0))
    (tmp_path / "password").write_text("wrong", encoding="utf-8")

    def change(data):
        data["nodes"]["n1"]["bmc"]["password"] = f"{{{{ lookup('ansible.builtin.file', '{tmp_path}/password') }}}}"

    with changed(topology, change):
        deploy_in_vain(topology, leaf, node, "password", BMC_SECONDS)
    assert len(commands(node, 0.0)) == before


def test_a_node_that_does_not_power_on(topology, leaf, node):
    with node.fault("stuck_off"):
        deploy_in_vain(topology, leaf, node, "power it on failed", TIMEOUTS["power"])


def test_a_node_that_does_not_power_off_keeps_its_ports(topology, leaf, nodes):
    node = nodes["n1"]
    node_play("server_deploy", topology, RED)
    with node.fault("stuck_on"):
        done = node_play("server_delete", topology, RED, check=False)
        assert "IT MAY BE ON" in failed(done, "power it off failed")
        # Twice, as the power is cut once more where all failed.
        assert done.seconds < 2 * TIMEOUTS["power"] + TIMEOUTS["soft_off"] + MARGIN
        assert leaf.port(PORTS["n1"])["vlan"] == VLANS["red"]
    node_play("server_delete", topology, RED)
    assert at_rest(leaf, node)


def test_a_node_that_boots_its_disk_instead(topology, leaf, nodes):
    """There is a system on it; were there none, the firmware would try the network by itself."""
    node = nodes["n1"]
    node_play("server_deploy", topology, RED)
    with changed(topology, n1(timeouts={**TIMEOUTS, "boot": 30})):
        with node.fault("boots_disk"):
            done = node_play("server_rebuild", topology, RED, "force=true", check=False)
            failed(done, NOTHING)
        # A BMC that does not store what it accepts, and can't be asked: ipmi_sim tells nobody its boot device.
        with node.fault("forgets_boot"):
            deploy_in_vain(topology, leaf, node, NOTHING, 30)


def test_dhcp_that_is_never_asked(topology, leaf, node):
    fault("link_down", "n1", "nic0")
    try:
        with changed(topology, n1(timeouts={**TIMEOUTS, "boot": 30})):
            deploy_in_vain(topology, leaf, node, NOTHING, 30)
    finally:
        fault("link_up", "n1", "nic0")


def test_a_mac_address_that_the_node_does_not_have(topology, leaf, node):
    """It asks for an address, and gets none."""

    def change(data):
        data["nodes"]["n1"]["nics"]["nic0"]["mac_address"] = "02:57:46:a0:99:99"
        data["nodes"]["n1"]["timeouts"]["boot"] = 30

    with changed(topology, change, site=True):
        assert "MAC address" in deploy_in_vain(topology, leaf, node, NOTHING, 30)


def test_a_ramdisk_that_never_comes_up(topology, leaf, node):
    with changed(topology, n1(timeouts={**TIMEOUTS, "boot": 60})):
        words = '{"node_kernel_arguments": ["console=ttyS0", "rdinit=/nothing"]}'
        deploy_in_vain(topology, leaf, node, "it fetched all there is", 60, words)
