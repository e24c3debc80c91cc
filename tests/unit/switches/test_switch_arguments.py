# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before a switch is asked, and the names of ports."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.weft.fabric.plugins.module_utils import switch_names
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import ALL, show_vlans, vlan_set
from ansible_collections.weft.fabric.plugins.module_utils.switch_ports import SwitchRun

Item = dict[str, t.Any]

ALIASES = {
    ("eos", "Ethernet1"): ["ethernet 1", "Et1", "eth1", "E1", " Ethernet1 "],
    ("eos", "Ethernet49/1"): ["Et49/1"],
    ("eos", "Port-Channel7"): ["port-channel7", "Po7", "Port-Channel 7"],
    ("nxos", "Ethernet1/1"): ["Eth1/1", "eth1/1", "ethernet1/1", "Ethernet 1/1"],
    ("nxos", "port-channel7"): ["Po7", "Port-channel7", "po 7"],
    ("iosxe", "GigabitEthernet1/0/1"): ["Gi1/0/1", "GigabitEthernet 1/0/1", "gig1/0/1"],
    ("iosxe", "TenGigabitEthernet1/1/1"): ["Te1/1/1", "ten 1/1/1"],
    ("iosxe", "TwentyFiveGigE1/0/1"): ["Twe1/0/1"],
    ("iosxe", "Port-channel7"): ["Po7", "port-channel 7"],
    ("junos", "ge-0/0/1"): ["ge-0/0/1.0", "GE-0/0/1"],
    ("junos", "xe-0/0/1:2"): ["xe-0/0/1:2"],
    ("junos", "ae7"): ["AE7", "ae7.0"],
    ("openconfig", "Ethernet1/1"): ["Ethernet 1/1"],
}


@pytest.mark.parametrize(("driver", "name"), ALIASES)
def test_aliases_are_one_port(driver: str, name: str) -> None:
    for alias in [name, *ALIASES[driver, name]]:
        assert switch_names.normalise(driver, alias) == name
        assert switch_names.key(driver, alias) == switch_names.key(driver, name)


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        ("eos", "Gi1/0/1"),
        ("nxos", "Ethernet"),
        ("iosxe", "Ethernet1/"),
        ("junos", "Ethernet1"),
        ("junos", "ge-0/0/1.5"),
        ("openconfig", "Ethernet1\n<x/>"),
        ("openconfig", ""),
    ],
)
def test_what_is_no_name_there(driver: str, name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a port of a switch with driver"):
        switch_names.normalise(driver, name)


def test_unknown_drivers() -> None:
    with pytest.raises(ValueError, match="there is no driver 'ios'"):
        switch_names.normalise("ios", "x")


def test_a_device_with_openconfig_may_spell_as_it_likes() -> None:
    assert switch_names.key("openconfig", "eth1/1") == switch_names.key("openconfig", "Ethernet1/1")
    assert switch_names.key("openconfig", "Ethernet1/1") != switch_names.key("openconfig", "Ethernet1/2")


@given(st.sampled_from(switch_names.DRIVERS), st.text(max_size=20))
def test_a_name_is_its_own_alias(driver: str, text: str) -> None:
    try:
        name = switch_names.normalise(driver, text)
    except ValueError:
        return
    assert switch_names.normalise(driver, name) == name
    assert not set(name) & set("<>&\n\"'")


@given(st.sets(st.integers(1, 4094), max_size=50))
def test_ranges_there_and_back(vlans: set[int]) -> None:
    text = show_vlans(vlans)
    assert vlan_set(text.split(",") if vlans else [], "x") == vlans


def test_all_vlans() -> None:
    assert vlan_set(["1-4094"], "x") == vlan_set(["1..4094"], "x") == ALL


def one(**fields: t.Any) -> Item:
    return {"ports": [{"name": "Ethernet1", **fields}]}


TRUNK_WITHOUT = "port Ethernet1: mode trunk has allowed_vlans or a native_vlan or both, and no vlan"
BUNDLE = {"members": ["Ethernet5", "Ethernet6"]}

WRONG: dict[str, tuple[Item, str]] = {
    "a port twice": ({"ports": [{"name": "Ethernet1"}, {"name": "Eth 1"}]}, "port Eth1 is listed twice"),
    "no name": ({"ports": [{"name": "a b"}]}, "'a b' is not the name of a port"),
    "access without VLAN": (one(mode="access"), "port Ethernet1: mode access has a vlan"),
    "access with a list": (one(mode="access", vlan=110, allowed_vlans=[120]), "mode access has a vlan, and no"),
    "a trunk of everything": (one(mode="trunk"), TRUNK_WITHOUT),
    "a trunk with a VLAN": (one(mode="trunk", vlan=110, allowed_vlans=[110]), TRUNK_WITHOUT),
    "VLANs without a mode": (one(vlan=110), "port Ethernet1: VLANs need a mode, access or trunk"),
    "VLAN 0": (one(mode="access", vlan=0), "port Ethernet1: 0 is not a VLAN; VLANs are 1 to 4094"),
    "VLAN 4095": (one(mode="access", vlan=4095), "4095 is not a VLAN"),
    "VLAN x": (one(mode="trunk", allowed_vlans=["x"]), "'x' is not a VLAN"),
    "half a range": (one(mode="trunk", allowed_vlans=["110-"]), "'' is not a VLAN"),
    "a range backwards": (one(mode="trunk", allowed_vlans=["120-110"]), "the range 120-110 ends before it begins"),
    "two lines of description": (one(description="a\nb"), "a description is one line of at most 200 ASCII characters"),
    "absent with a mode": (one(state="absent", mode="access", vlan=110), "with state absent it can have no mode"),
    "no members": (one(aggregate={"members": []}), "port Ethernet1: an aggregate needs members"),
    "too few members": (one(aggregate={**BUNDLE, "min_links": 3}), "min_links is 3, and there are 2 members"),
    "a member of two": (
        {"ports": [{"name": "Po1", "aggregate": BUNDLE}, {"name": "Po2", "aggregate": BUNDLE}]},
        "port Ethernet5 is a member of both Po1 and Po2",
    ),
    "a member by itself": (
        {"ports": [{"name": "Po1", "aggregate": BUNDLE}, {"name": "Ethernet5", "mode": "access", "vlan": 110}]},
        "port Ethernet5 is listed by itself and as a member of Po1",
    ),
    "a VLAN twice": ({"vlans": [{"vlan_id": 110}, {"vlan_id": 110}]}, "VLAN 110 is listed twice"),
    "a name with a blank": ({"vlans": [{"vlan_id": 110, "name": "a b"}]}, "VLAN 110: 'weft-a b' is not a name"),
    "a long name": ({"vlans": [{"vlan_id": 110, "name": "x" * 28}]}, "it has 32 characters at most"),
    "an uplink's wrong name": (
        {"policy": {"allowed_vlans": [], "uplinks": ["a b"]}},
        "'a b' is not the name of a port",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments(case: str) -> None:
    given, message = WRONG[case]
    switch = {"name": "leaf1", "driver": "openconfig", "address": "192.0.2.1", "username": "weft", "password": "x"}
    with pytest.raises(FabricError) as caught:
        SwitchRun({"switch": switch, "policy": {"allowed_vlans": ["100-199"]}, **given})
    assert message in str(caught.value)
