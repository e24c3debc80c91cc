# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs as an operator calls them, on nodes that are pretended. More of that is among the long runs."""

from __future__ import annotations

import hashlib

import pytest

from ansible_collections.weft.fabric.tests.unit.bare_metal.operator import Operator
from ansible_collections.weft.fabric.tests.unit.bare_metal.pretended import (
    DELETION,
    DEPLOYMENT,
    RED,
    VOLUME,
    volume_server,
)


def test_servers_are_deployed_and_then_left_alone(operator: Operator) -> None:
    assert operator.good("server_deploy", "--check").count("power off") == 0
    assert operator.world.load()["log"] == []
    operator.good("server_deploy")
    assert operator.world.log("n1") == DEPLOYMENT
    assert operator.world.node("n2")["vlan"] == 120
    assert operator.world.log("n3") == []
    before = operator.world.load()["log"]
    for verb in ("server_deploy", "server_rebuild", "node_adopt"):
        assert "changed=0" in operator.good(verb, *RED)
    assert "n3  -  power off  idle" in operator.good("server_status")
    assert operator.world.load()["log"] == before


@pytest.mark.parametrize("vlan", [110, 150, None])
def test_a_server_that_is_written_and_off_is_only_led_home(one: Operator, vlan: int | None) -> None:
    """Somebody has switched it off, or a run was ended when its disk was done."""
    one.good("server_deploy")
    one.world.change(lambda state: state["nodes"]["n1"].update(power="off", runs=None, vlan=vlan))
    one.good("server_deploy")
    node = one.world.node("n1")
    assert (node["power"], node["vlan"], node["runs"]) == ("on", 110, "disk")
    assert one.world.log("n1").count("write") == 1
    assert "changed=0" in one.good("server_deploy")


def test_rescue_and_back(one: Operator) -> None:
    one.good("server_deploy")
    shown = one.good("node_rescue", *RED, "-e", "rescue_key=ssh-ed25519")
    assert "weft-fabric-relay qboot-deploy-id 10.66.100.11 22" in shown
    assert "changed=0" in one.good("node_rescue", *RED)
    assert "rescue" in one.good("server_status")
    one.good("node_unrescue", *RED)
    assert one.world.node("n1")["runs"] == "disk"
    assert one.world.log("n1").count("write") == 1
    assert "changed=0" in one.good("node_unrescue", *RED)
    assert "changed=0" in one.good("server_deploy")


def test_an_image_that_nobody_knows_keeps_its_own_server_only_from_being_written(operator: Operator) -> None:
    problem = "topology.yml:9: images.tiny.checksum_file: SHA256SUMS is not there. Remedy: make it."
    unknown = {"checksum": None, "served": None, "problem": problem}
    operator.world.change(lambda state: state["nodes"]["n1"]["data"]["server"]["image"].update(unknown))
    said = operator.bad("server_status")
    assert "n2  blue/db  power off  idle" in said
    assert problem in said
    assert said.count("failed=1") == 1
    assert f"n1: {problem} Nothing was changed." in operator.bad("server_deploy")
    assert operator.world.log("n1") == []
    assert operator.world.node("n2")["runs"] == "disk"
    assert "changed=0" in operator.good("server_delete", *RED)


def test_an_image_that_is_not_what_its_checksum_says_is_not_served(one: Operator) -> None:
    """Under the name of what it should be it would stay there, whatever becomes of the file here."""
    image = one.directory / "new.raw"
    digest = hashlib.sha256(b"whole").hexdigest()
    new = {"url": f"file://{image}", "checksum": f"sha256:{digest}", "served": f"{digest}.raw"}
    one.world.change(lambda state: state["nodes"]["n1"]["data"]["server"]["image"].update(new))
    assert "new.raw, which nodes are to fetch, cannot be read: No such file" in one.bad("server_deploy")
    image.write_bytes(b"half")
    assert f"has checksum sha256:{hashlib.sha256(b'half').hexdigest()}, and the topology says" in one.bad(
        "server_deploy"
    )
    assert one.world.log("n1") == []
    image.write_bytes(b"whole")
    one.good("server_deploy")
    assert (one.directory / f"boot/images/{digest}.raw").read_bytes() == b"whole"


def test_a_disk_is_written_by_the_boot_server_and_an_image_that_is_there_is_not_written_again(one: Operator) -> None:
    one.world.change(lambda state: state["nodes"]["n1"]["data"].update(deploy_interface="iscsi"))
    one.good("server_deploy")
    place = DEPLOYMENT.index("write")
    assert one.world.log("n1") == [*DEPLOYMENT[:place], "export", "write over iSCSI", *DEPLOYMENT[place:]]
    assert "changed=0" in one.good("server_deploy")
    # A run that ended behind the writing: the image is there whole.
    record = {"phase": "deployment", "server": "id-of-red", "name": "red/db", "image": None}
    one.world.change(
        lambda state: state["nodes"]["n1"].update(power="off", runs=None, boot="ramdisk", vlan=150, record=record)
    )
    one.good("server_deploy")
    assert one.world.log("n1").count("write over iSCSI") == 1
    one.good("server_rebuild", *RED, "-e", "force=true")
    assert one.world.log("n1").count("write over iSCSI") == 2


@pytest.mark.parametrize(
    ("verb", "words", "error"),
    [
        ("server_deploy", ["-e", "server=red/dp"], "there is no server 'red/dp': did you mean red/db?"),
        ("server_deploy", ["-e", "node=n4"], "there is no node 'n4'"),
        ("server_delete", [], "which node? Say -e server=PROJECT/SERVER"),
        ("server_rebuild", [], "which node?"),
        ("node_power", ["-e", "server=n1"], "there is no server 'n1'"),
    ],
)
def test_a_wrong_name_is_one_error_before_any_node_is_touched(
    one: Operator, verb: str, words: list[str], error: str
) -> None:
    assert error in one.bad(verb, *words)
    assert one.world.load()["log"] == []


def test_a_server_that_was_switched_off_is_powered_on_again(one: Operator) -> None:
    one.good("server_deploy")
    one.good("node_power", *RED, "-e", "power=off")
    one.good("server_deploy")
    assert one.world.log("n1")[-1] == "power on"
    assert one.world.log("n1").count("write") == 1


def test_a_server_boots_from_a_volume_and_its_node_is_cleaned_afterwards(one: Operator) -> None:
    one.world.change(lambda state: state["nodes"]["n1"]["data"].update(server=volume_server("red")))
    assert "server_boot_from_volume" in one.bad("server_deploy", *RED)
    assert "changed=0" not in one.good("server_boot_from_volume", "--check")
    assert one.world.load()["log"] == []
    one.good("server_boot_from_volume", "-vvv")
    booted = ["files iscsi for tenant", "VLAN 110", "boot pxe", "power on"]
    assert one.world.log("n1") == booted
    assert (one.world.node("n1")["runs"], one.world.node("n1")["persistent"]) == ("volume", True)
    assert "changed=0" in one.good("server_boot_from_volume")
    assert f"volume {VOLUME}" in one.good("server_status")
    one.good("server_delete", *RED)
    assert one.world.log("n1")[len(booted) :] == DELETION


def test_a_server_that_runs_is_not_switched_off_because_its_bmc_would_not_listen(one: Operator) -> None:
    one.good("server_deploy")
    one.world.change(lambda state: state["nodes"]["n1"].update(device="pxe"))
    one.world.change(lambda state: state.update(faults={"n1:bmc_boot_device": "it is out of order"}))
    said = one.bad("server_deploy")
    assert "it is out of order. It runs on as before" in said
    assert one.world.node("n1")["power"] == "on"
    assert one.world.node("n1")["vlan"] == 110


def test_a_server_that_runs_is_not_switched_off_because_it_could_not_be_told_something(one: Operator) -> None:
    one.world.change(lambda state: state["nodes"]["n1"]["data"].update(server=volume_server("red")))
    one.world.change(lambda state: state.update(faults={"n1:switch_ports": "it is out of order"}))
    said = one.bad("server_boot_from_volume")
    assert "It is off. Not all of its ports could be led out of its server's networks: see to its switches" in said
    assert "it is out of order. It is off" in said
    one.world.change(lambda state: state.update(faults={}))
    one.good("server_boot_from_volume")
    one.world.change(lambda state: state.update(faults={"n1:boot_files": "it is out of order"}))
    assert "It runs on as before" in one.bad("server_boot_from_volume", "-e", "force=true")
    assert one.world.node("n1")["runs"] == "volume"


def test_deploying_all_leaves_those_with_volumes_alone_and_the_other_way_round(operator: Operator) -> None:
    operator.world.change(lambda state: state["nodes"]["n1"]["data"].update(server=volume_server("red")))
    operator.good("server_deploy")
    assert operator.world.log("n1") == []
    before = operator.world.log("n2")
    operator.good("server_boot_from_volume")
    assert operator.world.node("n1")["runs"] == "volume"
    assert operator.world.log("n2") == before
