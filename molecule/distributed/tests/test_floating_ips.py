# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Floating IPs on the host of their port: past the network nodes, and without a public address for each host."""

from __future__ import annotations

import json
import re
import time

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.tests.wire.conftest_routers import ECHO, PORTS, WORLD
from ansible_collections.weft.fabric.tests.wire.lab import Capture
from ansible_collections.weft.fabric.tests.wire.plays import edit, play
from ansible_collections.weft.fabric.tests.wire.traffic import PingTrack, Server, Watched

MAC = r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}"


def test_neither_way_visits_a_network_node(machines, world, lab):
    machine, plain = machines("red", "web-1"), machines("red", "web-2")
    captures = [Capture(lab(node), nic, "") for node in ("net1", "net2") for nic in ("eth1", "eth2")]
    assert world.ask(("tcp", machine.floating, ECHO)) == [f"{machine} {WORLD}"]
    assert machine.reaches(WORLD)
    assert plain.ask(("tcp", WORLD, ECHO))
    lines = [line for capture in captures for line in capture.stop() if "ARP" not in line]
    assert any(f"{plain.address()}." in line for line in lines), "the control was not captured: this proves nothing"
    assert [line for line in lines if machine.floating in line or f" {machine.address()}" in line] == []


def test_each_is_answered_for_once_and_by_the_host_of_its_port(machines, world, router):
    macs = {}
    for name in ("web-1", "web-3", "web-4", "db-1"):
        machine = machines("red", name)
        answers = world.host.run(f"arping -c 2 -w 3 -I eth2 {machine.floating}").lower()
        found = re.findall(rf"from ({MAC})", answers) or re.findall(MAC, answers)
        assert len(set(found)) == 1, answers
        macs.setdefault(machine.host.name, set()).update(found)
    assert all(len(found) == 1 for found in macs.values())
    assert macs["cmp1"] != macs["cmp2"]
    assert router("red", "ha").gateway_mac not in {mac for found in macs.values() for mac in found}


def test_no_public_address_is_spent_on_a_host(lab, model, world, machines):
    """The hosts have none, and say none but floating IPs when they ask for their neighbours."""
    network = model.network(("admin", "public"))
    for name in ("cmp1", "cmp2"):
        links = json.loads(lab(name).run(f"ip netns exec fip-{network.id} ip -j address show"))
        found = [entry["local"] for link in links for entry in link["addr_info"]]
        assert found
        assert [address for address in found if address.startswith(("203.0.113.", "2001:db8:cafe:"))] == []
        lab(name).run(f"ip -n fip-{network.id} neighbour flush dev $(ip -n fip-{network.id} -o link"
                      " | grep -o 'fg-[^:@ ]*' | head -1)")  # fmt: skip
    capture = Capture(world.host, "eth2", "arp")
    machine = machines("red", "web-1")
    assert machine.reaches(WORLD)
    heard = capture.stop()
    known = {str(fip.address) for fip in model.floating_ips()} | {WORLD, "0.0.0.0"}
    known |= {str(a) for ports in model.router_ports.values() for port in ports for a in port.addresses}
    senders = {match.group(1) for line in heard if (match := re.search(r"tell ([\d.]+)", line))}
    assert senders
    assert senders <= known


class Arrival:
    """Gives a machine its address as soon as its namespace appears on a host, as a machine that has moved has it."""

    def __init__(self, host, namespace, address, gateway):
        there = f"ip -n {namespace} link show eth0 up"
        steps = (f"ip -n {namespace} address replace {address}/24 dev eth0",)
        steps += (f"ip -n {namespace} route replace default via {gateway}",)
        loop = f"until {there} 2>/dev/null | grep -q eth0; do sleep 0.02; done; {' && '.join(steps)}"
        self._process = host.start(f"sh -c '{loop}'")

    def stop(self):
        self._process.stop()


def test_a_port_that_moves_takes_its_floating_ip_along(machines, world, lab, topology, topology_source, model, figure):
    machine = machines("red", "roamer")
    gateway = machine.tenant.lease["new_routers"]
    neighbour, other = machines("red", "store-2"), machines("red", "app-1")
    address, floating = machine.address(), machine.floating
    watched = Watched(
        {
            "floating IP": PingTrack(world.host, None, floating),
            "east-west": PingTrack(neighbour.host, neighbour.namespace, address),
            "a neighbour's floating IP": PingTrack(world.host, None, other.floating),
        },
        {},
    )
    place = {"cmp1": topology_source, "cmp2": edit(topology, lambda data: put(data, "cmp2"))}
    lost = {}
    try:
        for target in ("cmp2", "cmp1"):
            foretold = play("weft.fabric.site", place[target], "--check")
            arrival = Arrival(lab(target), "red-roamer", address, gateway)
            started = time.time()
            done = play("weft.fabric.site", place[target])
            server = Server(lab(target), "red-roamer", "red-roamer", *PORTS)
            assert world.ask(("tcp", floating, ECHO), ("udp", floating, ECHO)) == [f"red-roamer {WORLD}"] * 2
            (gaps,) = watched.longest_gaps((started, time.time()))
            lost[target] = {name: len(ping.lost()) for name, ping in watched.pings.items()}
            figure(
                f"distributed: a port moves to {target} in {done.seconds:.1f} s, goal 1 s: "
                + ", ".join(f"{name} {gap:.2f} s" for name, gap in gaps.items())
            )
            assert foretold.changes() == done.changes()
            assert build(str(place[target])).projects["red"].floating_ips["roamer"].host == target
            assert gaps["floating IP"] < Watched.BROKEN
            server.stop()
            arrival.stop()
        assert watched.pings["a neighbour's floating IP"].lost() == []
    finally:
        watched.stop()
        machines.shut_down("red", "roamer")


def put(data, host):
    data["projects"]["red"]["ports"]["roamer"]["host"] = host
