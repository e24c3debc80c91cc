# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPv6 through distributed routers: advertised on the spot, routed where the sender is, and out by a network node."""

from __future__ import annotations

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.eui64 import link_local
from ansible_collections.weft.fabric.tests.wire.conftest_routers import ECHO, WORLD_V6
from ansible_collections.weft.fabric.tests.wire.lab import Capture, wait_for
from ansible_collections.weft.fabric.tests.wire.traffic import REFUSED, SILENCE

ENDS = ("web-1", "db-2")
PREFIXES = ("2001:db8:1:1::/64", "2001:db8:1:2::/64")
ADVERTISEMENT = "icmp6 and ip6[40] == 134"


@pytest.mark.parametrize("name", ENDS)
def test_the_default_route_comes_from_the_router_of_the_same_host(machines, router, lab, name):
    machine = machines("red", name).autoconfigured()
    leg = router("red", "ha").leg(machine.model.network)
    assert f"via {link_local(leg.mac_address)} " in machine.default_route_v6()
    unit = f"weft-fabric-ra@{router('red', 'ha').id}"
    underlay = [Capture(lab(host), "eth1", "udp port 4789") for host in ("net1", "net2", "cmp1", "cmp2")]
    capture = machine.tenant.capture(ADVERTISEMENT)
    assert "Prefix" in machine.solicit()
    heard = capture.stop()
    assert heard
    assert all(f"{leg.mac_address} >" in line for line in heard)
    carried = [line for one in underlay for line in one.stop()]
    assert [line for line in carried if "router advertisement" in line] == []
    # Nobody else answers: not the one on the other host, and nothing on a network node.
    machine.host.run(f"systemctl kill --signal=STOP {unit}")
    try:
        assert "Prefix" not in machine.solicit()
    finally:
        machine.host.run(f"systemctl kill --signal=CONT {unit}")
    assert "Prefix" in machine.solicit()


def test_across_subnets_and_hosts_with_the_source_kept(machines, model, lab):
    first, second = (machines("red", name).autoconfigured() for name in ENDS)
    captures = [Capture(lab(host), "eth1", "udp port 4789") for host in ("net1", "net2")]
    assert first.reaches(second.address(6))
    questions = (("tcp", second.address(6), ECHO), ("udp", second.address(6), ECHO))
    assert first.ask(*questions) == [f"{second} {first.address(6)}"] * 2
    assert [line for capture in captures for line in capture.stop() if second.address(6) in line] == []


def test_prefixes_are_routed_and_never_translated(machines, router, world):
    """Without a way back in the world nothing answers; with it, both sides see the other's own address."""
    first, second = (machines("red", name).autoconfigured() for name in ENDS)
    out, back = ("tcp", WORLD_V6, ECHO), ("tcp", first.address(6), ECHO)
    assert set(first.ask(out, ("udp", WORLD_V6, ECHO))) <= {SILENCE, REFUSED}
    for prefix in PREFIXES:
        world.route(prefix, router("red", "ha").outside(6))
    try:
        assert first.ask(out, ("udp", WORLD_V6, ECHO)) == [f"world {first.address(6)}"] * 2
        assert second.ask(out) == [f"world {second.address(6)}"]
        assert world.ask(back) == [f"{first} {WORLD_V6}"]
    finally:
        for prefix in PREFIXES:
            world.forget(prefix)


def test_who_has_no_ipv6_subnet_gets_no_advertisement(machines):
    machine = machines("red", "app-1")
    assert "Prefix" not in machine.solicit()
    assert not machine.default_route_v6()


def test_a_stateful_lease_and_a_route_beside_it(machines):
    """A router that is converted later: its address comes by DHCPv6, its default route by advertisement."""
    stateful, other = machines("green", "left-1"), machines("green", "right-1").autoconfigured()
    lease = stateful.tenant.dhcp(6)
    assert lease["new_ip6_address"] == stateful.address(6)
    wait_for("a default route", lambda: stateful.default_route_v6() or (stateful.solicit() and None), 20)
    assert stateful.reaches(other.address(6))
    assert stateful.ask(("tcp", other.address(6), ECHO)) == [f"{other} {stateful.address(6)}"]
