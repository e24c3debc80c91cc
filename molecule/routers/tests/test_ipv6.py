# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPv6 through routers: addresses and default routes by advertisements, routed prefixes, silent backups."""

from __future__ import annotations

import re

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.eui64 import link_local
from ansible_collections.weft.fabric.tests.wire.conftest_routers import ECHO, WORLD_V6
from ansible_collections.weft.fabric.tests.wire.lab import Capture
from ansible_collections.weft.fabric.tests.wire.traffic import REFUSED, SILENCE

# For each kind of router: a machine, one behind the router on the other host, and the range of all its prefixes.
MACHINES = {"ha": ("web-1", "db-2"), "single": ("app-1", "store-2")}
PREFIXES = {"ha": ("2001:db8:1:1::/64", "2001:db8:1:2::/64"), "single": ("2001:db8:1:3::/64", "2001:db8:1:4::/64")}

ADVERTISEMENT = "icmp6 and ip6[40] == 134"

# Asks all hosts on a link which multicast addresses they listen to (RFC 2710), as a switch does.
LISTENER_QUERY = r"""
import socket, sys
index = socket.if_nametoindex(sys.argv[1])
query = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
query.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
query.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, bytes([0, 0, 5, 2, 0, 0, 1, 0]))
query.sendto(bytes([130, 0, 0, 0, 0, 100, 0, 0]) + bytes(16), ("ff02::1", 0, 0, index))
"""


@pytest.mark.parametrize("kind", sorted(MACHINES))
def test_address_and_default_route_come_by_advertisement(machines, router, model, kind):
    for name in MACHINES[kind]:
        machine = machines("red", name).autoconfigured()
        leg = router("red", kind).leg(machine.model.network)
        capture = machine.tenant.capture(ADVERTISEMENT)
        text = machine.solicit()
        heard = capture.stop()
        route = machine.default_route_v6()
        assert f"via {link_local(leg.mac_address)} " in route
        assert "proto ra" in route
        assert re.search(rf"MTU\s*:\s*{model.network(('red', machine.model.network)).mtu} ", text)
        assert heard
        assert all(f"{leg.mac_address} >" in line for line in heard), "somebody else advertises too"


def test_who_has_no_ipv6_subnet_gets_no_advertisement(machines):
    machine = machines("blue", "web-1")
    assert "Prefix" not in machine.solicit()
    assert not machine.default_route_v6()
    assert not [address for address in machine.tenant.addresses() if ":" in address]


@pytest.mark.parametrize("kind", sorted(MACHINES))
def test_across_subnets_and_hosts_with_the_source_kept(machines, kind):
    first, second = (machines("red", name).autoconfigured() for name in MACHINES[kind])
    assert first.host.name != second.host.name
    assert first.reaches(second.address(6))
    questions = (("tcp", second.address(6), ECHO), ("udp", second.address(6), ECHO))
    assert first.ask(*questions) == [f"{second} {first.address(6)}"] * 2


@pytest.mark.parametrize("kind", sorted(MACHINES))
def test_prefixes_are_routed_and_never_translated(machines, router, world, kind):
    """Without a way back in the world nothing answers; with it, both sides see the other's own address."""
    first, second = (machines("red", name).autoconfigured() for name in MACHINES[kind])
    out, back = ("tcp", WORLD_V6, ECHO), ("tcp", first.address(6), ECHO)
    assert set(first.ask(out, ("udp", WORLD_V6, ECHO))) <= {SILENCE, REFUSED}
    for prefix in PREFIXES[kind]:
        world.route(prefix, router("red", kind).outside(6))
    try:
        assert first.ask(out, ("udp", WORLD_V6, ECHO)) == [f"world {first.address(6)}"] * 2
        assert second.ask(out) == [f"world {second.address(6)}"]
        assert world.ask(back) == [f"{first} {WORLD_V6}"]
    finally:
        for prefix in PREFIXES[kind]:
            world.forget(prefix)


def test_a_backup_is_silent(machines, router, lab, world):
    """No neighbour discovery, MLD, advertisement or ARP leaves it, whatever is asked; the primary answers all."""
    found = router("red", "ha")
    primary = found.primary()
    (backup,) = [node for node in found.nodes if node != primary]
    machine, other = (machines("red", name).autoconfigured() for name in MACHINES["ha"])
    assert found.held(backup) == set()
    assert found.link_locals(backup) == set()
    assert found.on(backup, "sysctl -n net.ipv6.conf.all.forwarding").strip() == "0"
    assert found.on(primary, "sysctl -n net.ipv6.conf.all.forwarding").strip() == "1"
    captures = {
        node: [
            Capture(lab(node), port.binding.interface, "", found.namespace, direction="out")
            for port in found.legs(node)
        ]
        for node in found.nodes
    }
    # And on the other end of each veth pair, where what left the namespace comes in.
    outer = [Capture(lab(backup), port.device, "", direction="in") for port in found.legs(backup)]
    for one in (machine, other):
        one.solicit()
        gateway = one.tenant.lease["new_routers"]
        one.tenant.run(f"arping -c 2 -w 2 -I eth0 {gateway} || true")
        one.tenant.run("ping -n -c 2 -i 0.2 -W 1 ff02::2%eth0 || true")
        one.tenant.run("ip -6 neighbour flush dev eth0")
        assert one.reaches(gateway)
    world.host.try_run(f"arping -c 2 -w 2 -I eth2 {found.outside()}")
    # Inside, br-int answers for the router; outside nobody does.
    world.host.run("ip -6 neighbour flush dev eth2")
    world.host.try_run(f"ping -n -c 2 -i 0.2 -W 1 {found.outside(6)}")
    world.host.run("python3 - eth2", stdin=LISTENER_QUERY)
    assert machine.reaches(other.address(6))
    heard = {node: [line for capture in some for line in capture.stop()] for node, some in captures.items()}
    for sign in ("neighbor advertisement", "router advertisement", "multicast listener report", "Reply 10."):
        assert any(sign in line for line in heard[primary]), f"no {sign} of the primary was heard: this proves nothing"
    assert heard[backup] == []
    assert [line for capture in outer for line in capture.stop()] == []
