# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs as an operator calls them, when something goes wrong, on nodes that are pretended."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.weft.fabric.tests.unit.bare_metal.operator import Operator
from ansible_collections.weft.fabric.tests.unit.bare_metal.pretended import DELETION, DEPLOYMENT, OTHER, RED, server


def fault(operator: Operator, *names: str, text: str = "it is out of order") -> None:
    operator.world.change(lambda state: state.update(faults=dict.fromkeys(names, text)))


def test_a_server_is_deleted_and_its_node_goes_to_another(one: Operator) -> None:
    one.good("server_deploy")
    one.good("server_delete", *RED)
    assert one.world.log("n1")[len(DEPLOYMENT) :] == DELETION
    assert "changed=0" in one.good("server_delete", *RED)
    one.world.change(lambda state: state["nodes"]["n1"]["data"].update(server=server("blue")))
    one.world.change(
        lambda state: state["nodes"]["n1"]["data"]["phases"]["tenant"][0]["arguments"]["ports"][0].update(vlan=120)
    )
    one.good("server_deploy")
    assert one.world.node("n1")["vlan"] == 120


def test_a_server_that_left_the_file_is_not_written_over(one: Operator) -> None:
    one.good("server_deploy")
    one.world.change(lambda state: state["nodes"]["n1"]["data"].update(server=server("blue")))
    assert "still carries server red/db. server_delete cleans it first" in one.bad("server_deploy")
    assert "it carries server red/db" in one.bad("server_status")
    one.good("server_delete", "-e", "node=n1")


def test_another_image_waits_for_a_rebuild(one: Operator) -> None:
    one.good("server_deploy")
    one.world.change(lambda state: state["nodes"]["n1"]["data"].update(server=server("red", OTHER)))
    assert "server_rebuild" in one.bad("server_deploy")
    assert "server_rebuild" in one.bad("server_status")
    one.good("server_rebuild", *RED)
    assert one.world.node("n1")["disk"] == ["id-of-red", OTHER]
    assert "changed=0" in one.good("server_rebuild", *RED)
    one.good("server_rebuild", *RED, "-e", "force=true")
    assert one.world.log("n1").count("write") == 3


def test_power_is_switched_where_the_node_belongs(one: Operator) -> None:
    assert "does not belong" in one.bad("node_power", *RED)
    one.good("server_deploy")
    one.good("node_power", *RED, "-e", "power=off")
    assert one.world.log("n1")[-1] == "power off softly"
    assert "changed=0" in one.good("node_power", *RED, "-e", "power=off")
    assert "stopped" in one.good("server_status")
    one.good("node_power", *RED)
    one.good("node_power", *RED, "-e", "power=restarted")
    assert one.world.node("n1")["runs"] == "disk"


def test_a_node_is_adopted_without_a_write(one: Operator) -> None:
    one.world.change(lambda state: state["nodes"]["n1"].update(power="on", vlan=110, runs="disk"))
    assert "node_adopt takes it as it is" in one.bad("server_deploy")
    assert "no run wrote it" in one.bad("server_status")
    one.good("node_adopt", *RED)
    assert one.world.log("n1") == ["files local for tenant"]
    assert "changed=0" in one.good("server_deploy")
    assert "image adopted" in one.good("server_status")


@pytest.mark.parametrize(
    ("module", "phase"),
    [
        ("switch_ports", "set its switch ports"),
        ("ramdisk_connection", "wait for its ramdisk"),
        ("disk_image", "write its image"),
    ],
)
def test_what_fails_ends_with_one_error_and_harms_nobody(operator: Operator, module: str, phase: str) -> None:
    fault(operator, f"n1:{module}")
    said = operator.bad("server_deploy")
    assert f"n1: {phase} failed: it is out of order" in said
    node = operator.world.node("n1")
    assert node["vlan"] != 110
    assert node["power"] == "off"
    assert "It is off, and in no network of a tenant" in said
    assert operator.world.node("n2")["runs"] == "disk"
    fault(operator)
    operator.good("server_deploy")
    assert operator.world.node("n1")["runs"] == "disk"


def test_a_silent_bmc_leaves_a_running_server_alone(operator: Operator) -> None:
    operator.good("server_deploy")
    before = operator.world.load()["log"]
    fault(operator, "n1:bmc_info", "n1:bmc_power")
    operator.bad("server_deploy")
    assert operator.world.load()["log"] == before
    said = operator.bad("server_status")
    assert "n1  it is out of order" in said
    assert "n2  blue/db  power on  active" in said
    fault(operator, "n1:switch_ports_info", text="the switch does not answer")
    said = operator.bad("server_status")
    assert "n1  the switch does not answer" in said
    assert "n2  blue/db  power on  active" in said


def test_a_node_that_stays_on_keeps_its_ports(one: Operator) -> None:
    one.good("server_deploy")
    fault(one, "n1:bmc_power", text="its power is still not off")
    said = one.bad("server_delete", *RED)
    assert "IT MAY BE ON" in said
    assert one.world.node("n1")["vlan"] == 110


def test_keys_that_somebody_else_has_fetched_too_are_not_trusted(one: Operator) -> None:
    one.world.change(lambda state: state.update(kill=["ramdisk_connection", "after", 1]))
    assert one.run("server_deploy").returncode == -9
    one.world.change(lambda state: state["nodes"]["n1"]["fetches"].append("identity.cpio"))
    assert "whoever else has it can pretend to be this node" in one.bad("server_deploy")
    assert "write" not in one.world.log("n1")


# Where else a run may end, test_plan.py knows; these are ends of the playbook itself.
KILLS = [
    ("boot_files", "before", 1),
    ("boot_files", "after", 1),
    ("ramdisk_connection", "after", 1),
    ("disk_image", "after", 1),
    ("ramdisk_connection", "after", 2),  # which powers it off
    ("boot_files", "after", 2),
    ("switch_ports", "after", 2),
    ("bmc_boot_device", "after", 2),
    ("bmc_power", "after", 4),
]


@pytest.mark.parametrize(("module", "when", "times"), KILLS)
def test_a_deployment_that_is_killed_goes_on(one: Operator, module: str, when: str, times: int) -> None:
    _killed(one, "server_deploy", module, when, times)
    assert one.world.log("n1").count("write") == 1
    assert one.world.node("n1")["runs"] == "disk"
    if (module, times) == ("disk_image", 1):
        assert one.world.log("n1").count("power on") == 2, "the ramdisk was there, and was booted again"


@pytest.mark.parametrize(
    ("module", "times"), [("switch_ports", 1), ("disk_info", 1), ("boot_files", 2), ("switch_ports", 2)]
)
def test_a_deletion_that_is_killed_goes_on(one: Operator, module: str, times: int) -> None:
    one.good("server_deploy")
    _killed(one, "server_delete", module, "after", times, *RED)
    node = one.world.node("n1")
    assert (node["power"], node["vlan"], node["disk"]) == ("off", None, None)


def _killed(operator: Operator, verb: str, module: str, when: str, times: int, *words: t.Any) -> None:
    operator.world.change(lambda state: state.update(kill=[module, when, times]))
    assert operator.run(verb, *words).returncode == -9
    assert operator.world.load()["broken"] == []
    operator.good(verb, *words)
    assert "changed=0" in operator.good(verb, *words)
