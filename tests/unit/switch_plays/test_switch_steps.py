# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first of two steps: a switch is to carry what it shall, and keeps what it has."""

from __future__ import annotations

import typing as t

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.weft.fabric.plugins.plugin_utils.switch_steps import widened

Item = dict[str, t.Any]


def state(*ports: Item, driver: str = "openconfig") -> Item:
    return {"switch": {"driver": driver}, "policy": {"allowed_vlans": ["100-199"]}, "ports": list(ports)}


def trunk(*vlans: int | str, native: int | None = None, **more: t.Any) -> Item:
    found = {"name": "Ethernet1", "mode": "trunk", "allowed_vlans": list(vlans), "enabled": True, **more}
    return found if native is None else {**found, "native_vlan": native}


def access(vlan: int, **more: t.Any) -> Item:
    return {"name": "Ethernet1", "mode": "access", "vlan": vlan, "enabled": True, **more}


ABSENT = {"name": "Ethernet1", "state": "absent"}


def one(wanted: Item, now: Item) -> Item:
    (found,) = widened(state(wanted), [now])
    return found


def test_a_trunk_keeps_its_vlans_besides_the_new_ones() -> None:
    assert one(trunk(120), trunk(121, 122)) == trunk(120, 121, 122)


def test_what_is_not_ours_is_not_kept() -> None:
    assert one(trunk(120), trunk(120, 7, 200)) == trunk(120)
    assert one(trunk(120), trunk("1-4094"))["allowed_vlans"] == list(range(100, 200))


def test_a_native_vlan_stays_until_there_is_another() -> None:
    assert one(trunk(120), trunk(120, native=100)) == trunk(120, native=100)
    assert one(trunk(120, native=101), trunk(120, native=100)) == trunk(120, native=101)
    assert one(trunk(120, native=121), trunk(121)) == trunk(120, native=121)
    # With a tag and without at once is not to be had.
    assert one(trunk(120), trunk(native=120)) == trunk(120)


def test_an_access_port_that_becomes_a_trunk_keeps_its_vlan_without_a_tag() -> None:
    assert one(trunk(120), access(121)) == trunk(120, native=121)
    assert one(trunk(120), access(1)) == trunk(120)


def test_an_access_port_moves_at_once() -> None:
    assert one(access(120), access(121)) == access(120)
    assert one(access(120), trunk(121)) == access(120)


def test_a_port_that_is_up_stays_up_and_one_that_is_let_go_is_not_touched() -> None:
    assert one(access(120, enabled=False), access(120)) == access(120)
    assert one(access(120), access(120, enabled=False)) == access(120)
    assert widened(state(ABSENT), [trunk(120)]) == []


def test_what_the_switch_does_not_tell_of_is_as_it_shall_be() -> None:
    assert widened(state(trunk(120)), []) == [trunk(120)]


def test_ports_are_known_by_any_of_their_names() -> None:
    wanted, now = {**trunk(120), "name": "Ethernet1/1"}, {**trunk(121), "name": "eth1/1"}
    (found,) = widened(state(wanted, driver="nxos"), [now])
    assert found["allowed_vlans"] == [120, 121]


def test_an_aggregate_gives_up_a_member_that_is_wanted_elsewhere() -> None:
    aggregate = {"name": "Port-Channel1", "mode": "trunk", "allowed_vlans": [120], "enabled": True}
    now = {**aggregate, "aggregate": {"members": ["Ethernet1", "Ethernet2"], "lacp": "active"}}
    gone = {"name": "Port-Channel1", "state": "absent"}
    assert widened(state(gone, trunk(120)), [now, {"name": "Ethernet1"}]) == [gone, trunk(120)]
    assert widened(state(gone), [now]) == []


vlans = st.sets(st.integers(100, 110))
ports = st.builds(lambda found, native: trunk(*sorted(found - {native}), native=native), vlans, st.integers(100, 110))


def carried(item: Item) -> set[int]:
    return {item["native_vlan"], *item["allowed_vlans"]}


@given(wanted=ports, now=ports)
def test_nothing_that_is_there_or_wanted_is_missing(wanted: Item, now: Item) -> None:
    found = one(wanted, now)
    assert carried(found) >= carried(wanted)
    assert carried(found) >= carried(now) - {now["native_vlan"]}
    assert carried(found) <= carried(now) | carried(wanted)
    assert one(wanted, found) == found
    assert one(wanted, wanted) == wanted
