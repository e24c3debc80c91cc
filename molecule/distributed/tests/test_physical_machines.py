# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine at a switch, in a VLAN whose gateway is a distributed router: what leads outside routes for it."""

from __future__ import annotations

import re

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import ROUTER_SNAT_OWNER
from ansible_collections.weft.fabric.tests.wire.conftest_routers import ECHO
from ansible_collections.weft.fabric.tests.wire.lab import wait_for
from ansible_collections.weft.fabric.tests.wire.plays import play
from ansible_collections.weft.fabric.tests.wire.traffic import REFUSED, SILENCE

ADDRESS, GATEWAY = "10.60.0.77", "10.60.0.1"
ADDRESS_V6, GATEWAY_V6 = "2001:db8:3:200::77", "2001:db8:3:200::1"
PROTOCOLS = ("tcp", "udp")
MAC = r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}"


@pytest.fixture(scope="module")
def metal(vlans, model):
    """A machine that the topology does not know: all it knows itself is its gateway."""
    vlan = model.network(("olive", "rack")).segmentation_id
    found = vlans.machine("metal", vlan, [f"{ADDRESS}/24", f"{ADDRESS_V6}/64"], ECHO)
    found.run(f"ip route add default via {GATEWAY}")
    found.run(f"ip -6 route add default via {GATEWAY_V6}")
    return found


@pytest.fixture(scope="module")
def centre(model):
    """The MAC address of the port that the router has in the VLAN on its network nodes."""
    ports = model.router_ports["olive", "rack"]
    return next(port.mac_address for port in ports if port.device_owner == ROUTER_SNAT_OWNER)


def test_one_answers_for_the_gateway(metal, centre, router):
    answers = metal.run(f"arping -c 2 -w 3 -I eth0 {GATEWAY}").lower()
    assert set(re.findall(MAC, answers)) == {centre}
    assert len(re.findall("bytes from|reply from", answers)) == 2
    assert router("olive", "each").leg("rack").mac_address != centre


@pytest.mark.parametrize("name", ["three-1", "three-2"])
def test_it_reaches_the_other_subnet_and_is_reached(metal, machines, name):
    """On both hosts, with the source kept; also after the leg there has asked for it."""
    machine = machines("olive", name)
    target = machine.address()
    assert metal.ask(*((protocol, target, ECHO) for protocol in PROTOCOLS)) == [f"{machine} {ADDRESS}"] * 2
    seen = f"{metal} {machine.address()}"
    assert machine.ask(*((protocol, ADDRESS, ECHO) for protocol in PROTOCOLS)) == [seen] * 2


def test_by_ipv6_too(metal, machines):
    machine = machines("olive", "three-1").autoconfigured()
    assert metal.reaches(machine.address(6))
    assert metal.ask(("tcp", machine.address(6), ECHO)) == [f"{machine} {ADDRESS_V6}"]
    assert machine.ask(("tcp", ADDRESS_V6, ECHO)) == [f"{metal} {machine.address(6)}"]


def test_it_leaves_with_the_gateway_s_address(metal, metro, router):
    source = router("olive", "each").outside()
    assert metal.ask(*((protocol, metro.address, ECHO) for protocol in PROTOCOLS)) == [f"{metro} {source}"] * 2


def test_what_the_legs_ask_does_not_mislead_it(metal, machines, centre, router):
    """Every host's leg asks for it by turns, and it remembers who asks."""
    leg = router("olive", "each").leg("rack").mac_address
    assert metal.reaches(machines("olive", "three-1").address())
    for name in ("three-1", "three-2"):
        machine = machines("olive", name)
        part = router("olive", "each").parts_namespace
        machine.host.run(f"ip -n {part} neighbour flush to {ADDRESS}")
        capture = metal.capture(f"arp and host {ADDRESS}")
        assert machine.reaches(ADDRESS)
        asked = [line for line in capture.stop() if "Request who-has" in line]
        assert asked
        assert not any(leg in line.split(" > ")[0] or f"tell {GATEWAY}," in line for line in asked)
        assert metal.neighbour(GATEWAY) == centre


def test_those_on_hosts_keep_to_their_leg(metal, machines, centre, router):
    """Also while the other part says to everybody on the wire that it is the gateway."""
    found = router("olive", "each")
    rack, leg = machines("olive", "rack-1"), found.leg("rack").mac_address
    primary = found.primary()
    device = next(port.binding.interface for port in found.legs(primary) if port.mac_address == centre)
    assert rack.reaches(GATEWAY)
    captures = [one.capture(f"arp and ether src {centre}") for one in (metal, rack.tenant)]
    found.on(primary, f"arping -U -c 2 -w 2 -I {device} -s {GATEWAY} {GATEWAY}")
    heard, there = (capture.stop() for capture in captures)
    assert any(f"tell {GATEWAY}," in line for line in heard), "it was not said: this proves nothing"
    assert there == []
    assert f"lladdr {leg} " in rack.tenant.run(f"ip neighbour show {GATEWAY} dev eth0")


def test_it_is_not_let_into_another_project(metal, machines):
    stranger = machines("red", "web-1")
    capture = stranger.tenant.capture(f"host {ADDRESS}")
    answers = metal.ask(*((protocol, stranger.address(), ECHO) for protocol in PROTOCOLS))
    assert set(answers) <= {SILENCE, REFUSED}
    assert capture.stop() == []


def test_its_gateway_moves_with_the_role(metal, machines, router, centre, topology_source):
    found = router("olive", "each")
    before = found.primary()
    machine = machines("olive", "three-1")
    assert metal.reaches(machine.address())
    play("weft.fabric.router_failover", topology_source, "-e", "router=olive/each")
    assert found.primary() != before
    wait_for("its gateway at the new primary", lambda: metal.reaches(machine.address(), 1), 5)
    assert metal.ask(("tcp", machine.address(), ECHO)) == [f"{machine} {ADDRESS}"]
    assert metal.neighbour(GATEWAY) == centre
