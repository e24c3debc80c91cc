# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs on a node whose interfaces in two switches are a bond: it boots from the one, and both are its server's."""

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.weft.fabric.tests.unit.bare_metal.operator import Operator
from ansible_collections.weft.fabric.tests.unit.bare_metal.pretended import (
    CHECKSUM,
    DEPLOYMENT,
    RED,
    TENANTS,
    Answer,
    volume_server,
)

OTHER = "vlan at leaf2"
#: what is noted down of a node whose disk is written
DEPLOYED = {"phase": "tenant", "server": "id-of-red", "name": "red/db", "image": CHECKSUM}


@pytest.fixture
def bonded(one: Operator) -> Operator:
    """Node n1 with a second interface, at leaf2, from which it does not boot."""

    def widen(state: Answer) -> None:
        node = state["nodes"]["n1"]
        node[OTHER] = None
        data = node["data"]
        nic = {"name": "nic1", "mac_address": "52:54:00:00:00:99", "interface": "Ethernet99", "switch": "leaf2"}
        data["nics"] = [{**data["nics"][0], "bond": "bond0"}, {**nic, "pxe": False, "bond": "bond0"}]
        for phase, items in data["phases"].items():
            second = copy.deepcopy(items[0])
            second["switch"] = second["arguments"]["switch"]["name"] = "leaf2"
            (port,) = second["arguments"]["ports"]
            if phase not in ("idle", "tenant"):
                port = {"state": "absent"}
            second["arguments"]["ports"] = [{**port, "name": "Ethernet99"}]
            items.append(second)

    one.world.change(widen)
    return one


def places(operator: Operator) -> tuple[str, int | None, int | None]:
    node = operator.world.node("n1")
    return node["power"], node["vlan"], node[OTHER]


def change(operator: Operator, **values: t.Any) -> None:
    operator.world.change(lambda state: state["nodes"]["n1"].update(values))


def test_both_ports_are_led_home_while_it_is_off_and_out_again_afterwards(bonded: Operator) -> None:
    bonded.good("server_deploy")
    place = DEPLOYMENT.index("VLAN 110") + 1
    assert bonded.world.log("n1") == [*DEPLOYMENT[:place], "VLAN 110 at leaf2", *DEPLOYMENT[place:]]
    assert places(bonded) == ("on", 110, 110)
    before = bonded.world.log("n1")
    for verb in ("server_deploy", "server_rebuild", "node_adopt"):
        assert "changed=0" in bonded.good(verb, *RED)
    assert "leaf1 Ethernet11: VLAN 110, leaf2 Ethernet99: VLAN 110" in bonded.good("server_status")
    assert bonded.world.log("n1") == before
    bonded.good("server_delete", *RED)
    assert places(bonded) == ("off", None, None)
    # Whoever is deployed there next does not meet the tenant's system, nor does that see the cleaning network.
    assert bonded.world.log("n1")[len(before) :] == [
        "power off softly",
        "VLAN 150",
        "VLAN None at leaf2",
        "files ramdisk for cleaning",
        "boot pxe",
        "power on",
        "connect",
        "clean metadata",
        "poweroff inside",
        "files absent",
        "VLAN None",
    ]
    assert "changed=0" in bonded.good("server_delete", *RED)


@pytest.mark.parametrize("vlan", [None, 150, TENANTS["blue"]])
def test_a_member_that_is_elsewhere_is_told_and_nobody_is_switched_off_for_it(
    bonded: Operator, vlan: int | None
) -> None:
    bonded.good("server_deploy")
    change(bonded, **{OTHER: vlan})
    said = bonded.bad("server_status")
    assert "its ports are in VLANs of none of its phases: look who changed them" in said
    assert f"leaf2 Ethernet99: {'no VLAN' if vlan is None else f'VLAN {vlan}'}" in said
    before = bonded.world.log("n1")
    assert "its ports are in VLANs of none of its phases" in bonded.bad("server_deploy")
    assert "its ports are in VLANs of none of its phases" in bonded.bad("server_rebuild", *RED)
    assert bonded.world.log("n1") == before
    assert places(bonded) == ("on", 110, vlan)


@pytest.mark.parametrize("vlan", [None, 150])
def test_a_member_that_is_elsewhere_is_led_home_once_the_node_is_off(bonded: Operator, vlan: int | None) -> None:
    bonded.good("server_deploy")
    change(bonded, power="off", runs=None, **{OTHER: vlan})
    bonded.good("server_deploy")
    assert places(bonded) == ("on", 110, 110)
    assert bonded.world.log("n1").count("write") == 1
    assert "changed=0" in bonded.good("server_deploy")


@pytest.mark.parametrize(("vlan", "other"), [(110, None), (None, 110), (110, 120)])
def test_adoption_looks_at_both_ports_and_changes_none(bonded: Operator, vlan: int | None, other: int | None) -> None:
    change(bonded, power="on", runs="disk", vlan=vlan, **{OTHER: other})
    assert "its ports are not in its server's networks" in bonded.bad("node_adopt", *RED)
    assert bonded.world.log("n1") == []
    change(bonded, vlan=110, **{OTHER: 110})
    bonded.good("node_adopt", *RED)
    assert bonded.world.log("n1") == ["files local for tenant"]
    assert places(bonded) == ("on", 110, 110)
    assert "changed=0" in bonded.good("node_adopt", *RED)


@pytest.mark.parametrize("verb", ["server_deploy", "server_boot_from_volume"])
def test_a_switch_that_fails_after_the_other_leaves_no_port_in_the_tenants_network(bonded: Operator, verb: str) -> None:
    if verb == "server_boot_from_volume":
        bonded.world.change(lambda state: state["nodes"]["n1"]["data"].update(server=volume_server("red")))
    bonded.world.change(lambda state: state.update(faults={"n1:switch_ports at leaf2": "leaf2 is out of order"}))
    if verb == "server_deploy":
        # What it is set to already it need not be asked for; the deployment is not what is looked at here.
        change(bonded, power="off", vlan=None, boot="local", record=DEPLOYED)
    said = bonded.bad(verb)
    assert "It is off. Not all of its ports could be led out of its server's networks: see to its switches" in said
    assert "leaf2 is out of order. It is off" in said
    assert places(bonded) == ("off", None, None)
    assert "VLAN 110" in bonded.world.log("n1")
    # The switch is back, and takes what it is told.
    bonded.world.change(lambda state: state.update(faults={}))
    bonded.good(verb)
    assert places(bonded) == ("on", 110, 110)


def test_whoever_could_be_led_out_of_the_tenants_network_is(bonded: Operator) -> None:
    change(bonded, boot="local", record=DEPLOYED)
    bonded.world.change(lambda state: state.update(faults={"n1:bmc_boot_device": "it does not listen"}))
    assert "it does not listen. It is off, and in no network of a tenant" in bonded.bad("server_deploy")
    assert places(bonded) == ("off", None, None)
