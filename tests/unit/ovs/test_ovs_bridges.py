# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges, ports and interfaces on a private Open vSwitch, read back by ovs-vsctl."""

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import ovs_bridges
from ansible_collections.weft.fabric.plugins.module_utils.ovs_snapshot import read_snapshot
from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import OvsdbClient
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, reconcile
from ansible_collections.weft.fabric.tests.unit.ovs.helpers import (
    FULL,
    bridge,
    bridges_engine,
    column,
    cycle,
    port,
    ports_of,
)
from ansible_collections.weft.fabric.tests.unit.ovs_sandbox import OvsSandbox


def test_everything_is_made_as_foretold(box: OvsSandbox) -> None:
    result = cycle(bridges_engine(box, [FULL]))
    assert result["changes"] == [
        "bridge br-int: create",
        "port tap1 on br-int: create",
        "port int1 on br-int: create",
        "port vxlan1 on br-int: create",
        "port patch1 on br-int: create",
        "port patch2 on br-int: create",
    ]
    assert ports_of(box, "br-int") == ["int1", "patch1", "patch2", "tap1", "vxlan1"]
    assert column(box, "Bridge", "br-int", "datapath_type") == "netdev"
    assert column(box, "Bridge", "br-int", "fail_mode") == "secure"
    assert column(box, "Bridge", "br-int", "protocols") == ["OpenFlow10", "OpenFlow13", "OpenFlow14"]
    assert column(box, "Bridge", "br-int", "other_config") == {"disable-in-band": "true", "mac-table-size": "50000"}
    assert column(box, "Bridge", "br-int", "external_ids") == {"owner": "blue", "weft-fabric": "1"}
    assert column(box, "Port", "tap1", "tag") == 5
    assert column(box, "Port", "int1", "tag") == []
    assert column(box, "Interface", "int1", "type") == "internal"
    assert column(box, "Interface", "int1", "mtu_request") == 1450
    assert column(box, "Interface", "vxlan1", "options") == {"remote_ip": "192.0.2.2", "key": "flow"}
    assert column(box, "Interface", "tap1", "external_ids")["attached-mac"] == "fa:16:3e:00:00:01"
    assert all(number > 0 for number in box.ofports().values())


def test_check_mode_writes_nothing(box: OvsSandbox) -> None:
    reconcile(bridges_engine(box, [FULL]), check_mode=True)
    assert box.vsctl("list-br") == ""
    assert box.vsctl("get", "Open_vSwitch", ".", "next_cfg") == box.vsctl("get", "Open_vSwitch", ".", "cur_cfg")


def test_an_unchanged_run_opens_no_write_transaction(box: OvsSandbox) -> None:
    reconcile(bridges_engine(box, [FULL]))
    number = box.vsctl("get", "Open_vSwitch", ".", "next_cfg")
    reconcile(bridges_engine(box, [FULL], purge=True))
    assert box.vsctl("get", "Open_vSwitch", ".", "next_cfg") == number


def test_all_of_a_cold_host_is_one_transaction(box: OvsSandbox) -> None:
    before = int(box.vsctl("get", "Open_vSwitch", ".", "next_cfg"))
    reconcile(bridges_engine(box, [FULL, bridge("br-tun", port("gre1", type="gre"))]))
    assert int(box.vsctl("get", "Open_vSwitch", ".", "next_cfg")) == before + 1


CHANGES: list[tuple[str, t.Callable[[t.Any], object], list[str], tuple[str, str, str, t.Any]]] = [
    (
        "tag",
        lambda b: b["ports"][0].update(tag=7),
        ["port tap1 on br-int: tag: 5 -> 7"],
        ("Port", "tap1", "tag", 7),
    ),
    (
        "no tag",
        lambda b: b["ports"][0].update(tag=None),
        ["port tap1 on br-int: tag: 5 -> (none)"],
        ("Port", "tap1", "tag", []),
    ),
    (
        "port external_ids",
        lambda b: b["ports"][0].update(external_ids={"weft-fabric": "ports/blue/web-1"}),
        ["port tap1 on br-int: external_ids:weft-fabric: 1 -> ports/blue/web-1"],
        ("Port", "tap1", "external_ids", {"weft-fabric": "ports/blue/web-1"}),
    ),
    (
        "interface external_ids",
        lambda b: b["ports"][0]["interface"].update(external_ids={"iface-id": "two"}),
        ["interface tap1 on br-int: external_ids:iface-id: one -> two"],
        ("Interface", "tap1", "external_ids", {"iface-id": "two", "attached-mac": "fa:16:3e:00:00:01"}),
    ),
    (
        "mtu",
        lambda b: b["ports"][1]["interface"].update(mtu_request=1400),
        ["interface int1 on br-int: mtu_request: 1450 -> 1400"],
        ("Interface", "int1", "mtu_request", 1400),
    ),
    (
        "mac",
        lambda b: b["ports"][1]["interface"].update(mac="FA:16:3E:00:00:09"),
        ["interface int1 on br-int: mac: (none) -> fa:16:3e:00:00:09"],
        ("Interface", "int1", "mac", "fa:16:3e:00:00:09"),
    ),
    (
        "type",
        lambda b: b["ports"][1]["interface"].update(type=""),
        ["interface int1 on br-int: type: internal -> (none)"],
        ("Interface", "int1", "type", ""),
    ),
    (
        "options",
        lambda b: b["ports"][2]["interface"].update(options={"remote_ip": "192.0.2.9"}),
        ["interface vxlan1 on br-int: options: key=flow,remote_ip=192.0.2.2 -> remote_ip=192.0.2.9"],
        ("Interface", "vxlan1", "options", {"remote_ip": "192.0.2.9"}),
    ),
    (
        "fail_mode",
        lambda b: b.update(fail_mode="standalone"),
        ["bridge br-int: fail_mode: secure -> standalone"],
        ("Bridge", "br-int", "fail_mode", "standalone"),
    ),
    (
        "protocols",
        lambda b: b.update(protocols=["OpenFlow14", "OpenFlow13"]),
        ["bridge br-int: protocols: OpenFlow10,OpenFlow13,OpenFlow14 -> OpenFlow13,OpenFlow14"],
        ("Bridge", "br-int", "protocols", ["OpenFlow13", "OpenFlow14"]),
    ),
    (
        "datapath_type",
        lambda b: b.update(datapath_type="system"),
        ["bridge br-int: datapath_type: netdev -> system"],
        ("Bridge", "br-int", "datapath_type", "system"),
    ),
    (
        "other_config",
        lambda b: b.update(other_config={"mac-table-size": "9"}),
        ["bridge br-int: other_config:mac-table-size: 50000 -> 9"],
        ("Bridge", "br-int", "other_config", {"disable-in-band": "true", "mac-table-size": "9"}),
    ),
    (
        "bridge external_ids",
        lambda b: b.update(external_ids={"owner": "red", "more": 1}),
        ["bridge br-int: external_ids:more: (none) -> 1", "bridge br-int: external_ids:owner: blue -> red"],
        ("Bridge", "br-int", "external_ids", {"owner": "red", "more": "1", "weft-fabric": "1"}),
    ),
    (
        "port added",
        lambda b: b["ports"].append(port("tap9", 3)),
        ["port tap9 on br-int: create"],
        ("Port", "tap9", "tag", 3),
    ),
]


@pytest.mark.parametrize(("change", "expected", "read"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_each_parameter_changes_alone(
    box: OvsSandbox, change: t.Callable[[t.Any], object], expected: list[str], read: tuple[str, str, str, t.Any]
) -> None:
    reconcile(bridges_engine(box, [FULL]))
    wanted = copy.deepcopy(FULL)
    change(wanted)
    assert cycle(bridges_engine(box, [wanted], purge=True))["changes"] == expected
    table, record, name, value = read
    assert column(box, table, record, name) == value


def test_keys_of_others_are_left_alone(box: OvsSandbox) -> None:
    reconcile(bridges_engine(box, [FULL]))
    box.vsctl("set", "Bridge", "br-int", "other_config:theirs=1", "external_ids:theirs=1")
    box.vsctl("set", "Port", "tap1", "external_ids:theirs=1", "--", "set", "Interface", "tap1", "external_ids:x=1")
    assert not reconcile(bridges_engine(box, [FULL], purge=True))["changed"]


def test_what_is_not_given_is_left_alone(box: OvsSandbox) -> None:
    reconcile(bridges_engine(box, [FULL]))
    assert not reconcile(bridges_engine(box, [{"name": "br-int", "ports": None, "protocols": None}]))["changed"]


def test_a_port_moves_without_being_made_anew(box: OvsSandbox) -> None:
    first, second = bridge("br-a", port("tap1", 4)), bridge("br-b")
    reconcile(bridges_engine(box, [first, second]))
    uuid = column(box, "Port", "tap1", "_uuid")
    result = cycle(bridges_engine(box, [bridge("br-a"), bridge("br-b", port("tap1", 4))], purge=True))
    assert result["changes"] == ["port tap1: move from br-a to br-b"]
    assert (ports_of(box, "br-a"), ports_of(box, "br-b")) == ([], ["tap1"])
    assert column(box, "Port", "tap1", "_uuid") == uuid


def test_purge_takes_what_is_ours_and_nothing_else(box: OvsSandbox) -> None:
    box.vsctl("add-br", "br-foreign", "--", "add-port", "br-foreign", "eth9")
    reconcile(bridges_engine(box, [FULL, bridge("br-old", port("tap8"))]))
    reconcile(bridges_engine(box, [{"name": "br-foreign", "managed": False, "ports": [port("ours")]}]))
    box.vsctl("add-port", "br-int", "vnet0")
    assert not reconcile(bridges_engine(box, [bridge("br-int")]))["changed"], "without purge nothing goes"
    result = cycle(bridges_engine(box, [bridge("br-int", port("tap1", 5))], purge=True))
    assert result["changes"] == [
        "port int1 on br-int: remove",
        "port ours on br-foreign: remove",
        "port patch1 on br-int: remove",
        "port patch2 on br-int: remove",
        "port vxlan1 on br-int: remove",
        "bridge br-old: remove",
    ]
    assert ports_of(box, "br-int") == ["tap1", "vnet0"]
    assert ports_of(box, "br-foreign") == ["eth9"]
    assert sorted(box.vsctl("list-br").split()) == ["br-foreign", "br-int"]


def test_absent_removes_one_and_leaves_nothing(box: OvsSandbox) -> None:
    reconcile(bridges_engine(box, [FULL, bridge("br-b")]))
    ports = [{"name": "tap1", "state": "absent"}, {"name": "never", "state": "absent"}]
    result = cycle(bridges_engine(box, [{"name": "br-int", "ports": ports}, {"name": "br-b", "state": "absent"}]))
    assert result["changes"] == ["port tap1 on br-int: remove", "bridge br-b: remove"]
    cycle(bridges_engine(box, [], purge=True))
    for table in ("Bridge", "Port", "Interface"):
        assert box.vsctl("--no-headings", "--columns=name", "list", table) == ""


def test_a_bridge_with_guests_is_not_removed(box: OvsSandbox) -> None:
    reconcile(bridges_engine(box, [bridge("br-int")]))
    box.vsctl("add-port", "br-int", "vnet0")
    for engine in (
        bridges_engine(box, [], purge=True),
        bridges_engine(box, [{"name": "br-int", "state": "absent"}]),
    ):
        for check_mode in (True, False):
            with pytest.raises(FabricError, match="br-int is not removed: somebody else has plugged vnet0 into it"):
                reconcile(engine, check_mode=check_mode)
    assert ports_of(box, "br-int") == ["vnet0"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([bridge("br-new"), bridge("br-theirs")], "bridge br-theirs exists and was not made by weft.fabric"),
        ([bridge("br-new", port("eth9"))], "port eth9 exists on bridge br-theirs and was not made by weft.fabric"),
        ([bridge("eth9")], "bridge eth9 cannot be made: bridge br-theirs has a port of that name"),
        ([bridge("br-new", port("br-theirs"))], "port br-theirs exists on bridge br-theirs"),
        ([{"name": "br-theirs", "state": "absent"}], "br-theirs was not made by weft.fabric .* it is not removed"),
        (
            [{"name": "br-theirs", "managed": False, "ports": [{"name": "eth9", "state": "absent"}]}],
            "port eth9 .* was not made by weft.fabric .* it is not removed",
        ),
        (
            [{"name": "br-theirs", "managed": False, "ports": [port("br-theirs", 4)]}],
            "own port of a bridge that somebody else manages",
        ),
        ([{"name": "br-nowhere", "managed": False}], "br-nowhere does not exist, and managed: false"),
        ([bridge("br-a"), bridge("br-a")], "bridge br-a is listed twice"),
        ([bridge("br-a", port("tap1")), bridge("br-b", port("tap1"))], "port tap1 is listed twice"),
        ([bridge("br-a", port("g", type="nonsense"))], "port g: .* no interfaces of type nonsense; it knows .*vxlan"),
        ([bridge("br-a", datapath_type="nonsense")], "bridge br-a: .*no datapath of type nonsense. Set .*netdev"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    box: OvsSandbox, wanted: list[dict[str, t.Any]], message: str
) -> None:
    box.vsctl("add-br", "br-theirs", "--", "add-port", "br-theirs", "eth9")
    for check_mode in (True, False):
        with pytest.raises(FabricError, match=message):
            reconcile(bridges_engine(box, wanted, purge=True), check_mode=check_mode)
    assert box.vsctl("list-br").split() == ["br-theirs"]
    assert ports_of(box, "br-theirs") == ["eth9"]


def test_the_kernel_datapath_is_asked_for_before(box: OvsSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with OvsdbClient(box.socket_path) as client:
        snapshot = read_snapshot(client)
    snapshot.datapath_types = ["netdev", "system"]
    monkeypatch.setattr(ovs_bridges, "read_snapshot", lambda _client: snapshot)
    engine = bridges_engine(box, [bridge("br-a", datapath_type="system")])
    asked: list[str] = []
    answers: list[bool | None] = []

    def has_family(name: str) -> bool | None:
        asked.append(name)
        return answers[-1]

    monkeypatch.setattr(ovs_bridges, "has_family", has_family)
    for there in (False, True, None):
        answers.append(there)
        if there is False:
            with pytest.raises(FabricError, match="modprobe openvswitch"):
                reconcile(engine, check_mode=True)
        else:
            assert reconcile(engine, check_mode=True)["changed"]
    assert asked == ["ovs_datapath"] * 3
    reconcile(bridges_engine(box, [bridge("br-a")]), check_mode=True)
    assert len(asked) == 3, "netdev needs nothing of the kernel"


def test_a_managed_false_bridge_bears_only_our_ports(box: OvsSandbox) -> None:
    box.vsctl("add-br", "br-ex", "--", "set", "Bridge", "br-ex", "fail_mode=standalone", "other_config:a=b")
    wanted = bridge("br-ex", port("phy", type="patch", options={"peer": "int"}), managed=False, other_config={"a": "c"})
    assert cycle(bridges_engine(box, [wanted], purge=True))["changes"] == ["port phy on br-ex: create"]
    assert column(box, "Bridge", "br-ex", "fail_mode") == "standalone"
    assert column(box, "Bridge", "br-ex", "other_config") == {"a": "b"}
    assert column(box, "Bridge", "br-ex", "external_ids") == {}
    assert cycle(bridges_engine(box, [], purge=True))["changes"] == ["port phy on br-ex: remove"]
    assert box.vsctl("list-br").split() == ["br-ex"]


def test_the_local_port_can_be_set_up(box: OvsSandbox) -> None:
    wanted = bridge("br-u", port("br-u", None, type="internal", mtu_request=1600))
    assert cycle(bridges_engine(box, [wanted]))["changes"] == ["bridge br-u: create", "port br-u on br-u: set up"]
    assert column(box, "Interface", "br-u", "mtu_request") == 1600
    wanted["ports"][0]["interface"]["mtu_request"] = 1700
    result = cycle(bridges_engine(box, [wanted], purge=True))
    assert result["changes"] == ["interface br-u on br-u: mtu_request: 1600 -> 1700"]


def test_a_port_plugged_in_by_others_gets_its_tag_only(box: OvsSandbox) -> None:
    wanted = bridge("br-int", {"iface_id": "vm-1", "tag": 5})
    assert cycle(bridges_engine(box, [wanted]))["pending"] == ["vm-1"]
    box.vsctl("add-port", "br-int", "vnet0", "--", "set", "Interface", "vnet0", "external_ids:iface-id=vm-1")
    result = cycle(bridges_engine(box, [wanted], purge=True))
    assert result["changes"] == ["port vnet0 on br-int (iface-id vm-1): tag: (none) -> 5"]
    assert result["pending"] == []
    assert column(box, "Port", "vnet0", "tag") == 5
    assert column(box, "Port", "vnet0", "external_ids") == {}
    cycle(bridges_engine(box, [bridge("br-int")], purge=True))
    assert ports_of(box, "br-int") == ["vnet0"], "it was never ours"


def test_an_iface_id_on_another_bridge_is_not_meant(box: OvsSandbox) -> None:
    box.vsctl("add-br", "br-x", "--", "add-port", "br-x", "vnet0")
    box.vsctl("set", "Interface", "vnet0", "external_ids:iface-id=vm-1")
    result = reconcile(bridges_engine(box, [bridge("br-int", {"iface_id": "vm-1", "tag": 5})]))
    assert result["pending"] == ["vm-1"]
    assert column(box, "Port", "vnet0", "tag") == []


def items(box: OvsSandbox, everything: bool = False) -> t.Any:
    with OvsdbClient(box.socket_path) as client:
        return ovs_bridges.bridge_items(read_snapshot(client), everything)


@pytest.mark.parametrize("everything", [False, True])
def test_what_was_read_can_be_fed_back(box: OvsSandbox, everything: bool) -> None:
    box.vsctl("add-br", "br-ex", "--", "add-port", "br-ex", "eth9")
    box.vsctl("add-br", "br-other")
    reconcile(bridges_engine(box, [FULL, {"name": "br-ex", "managed": False, "ports": [port("ours", 9)]}]))
    found, others = items(box, everything)
    assert [item["name"] for item in found] == ["br-ex", "br-int"] + (["br-other"] if everything else [])
    assert [item["name"] for item in others] == (["eth9"] if everything else [])
    assert not reconcile(bridges_engine(box, found, purge=True))["changed"]
    cycle(bridges_engine(box, [], purge=True))
    cycle(bridges_engine(box, [item for item in found if item["name"] != "br-other"]))
    assert items(box)[0] == [item for item in found if item["name"] != "br-other"]
