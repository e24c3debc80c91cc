# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two projects with the same addresses, each with a router of each kind: inside all is reached, across nothing."""

from __future__ import annotations

import re

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_routers import ECHO
from ansible_collections.weft.fabric.tests.wire.lab import Capture
from ansible_collections.weft.fabric.tests.wire.traffic import REFUSED, SILENCE

HOSTS = ("net1", "net2", "cmp1", "cmp2")
COLOURS = ("red", "blue")
# For each kind of router: what both projects have under one address (sender first), and what only one has.
SHARED = {"ha": ("web-1", "db-1"), "single": ("app-1", "store-2")}
ONLY = {
    "red": {"ha": ("web-3", "db-2", "db-3"), "single": ("app-4", "store-1")},
    "blue": {"ha": ("web-5", "db-5"), "single": ("store-5",)},
}


def test_both_projects_have_the_same_addresses(machines, model):
    for names in SHARED.values():
        for name in names:
            assert machines("red", name).address() == machines("blue", name).address()
    for network in ("web", "db", "app", "store"):
        ranges = [
            {str(subnet.cidr) for subnet in model.network((colour, network)).subnets.values() if subnet.ip_version == 4}
            for colour in COLOURS
        ]
        assert ranges[0] == ranges[1]


@pytest.mark.parametrize("kind", sorted(SHARED))
@pytest.mark.parametrize("colour", COLOURS)
def test_inside_all_subnets_are_reached_and_the_right_one_answers(machines, colour, kind):
    sender = machines(colour, SHARED[kind][0])
    receivers = [machines(colour, name) for name in (SHARED[kind][1], *ONLY[colour][kind])]
    questions = [(protocol, receiver.address(), ECHO) for receiver in receivers for protocol in ("tcp", "udp")]
    assert sender.ask(*questions) == [f"{one} {sender.address()}" for one in receivers for _protocol in ("tcp", "udp")]
    for receiver in receivers:
        assert sender.reaches(receiver.address())
        assert receiver.reaches(sender.address())


@pytest.mark.parametrize("kind", sorted(SHARED))
@pytest.mark.parametrize("colour", COLOURS)
def test_across_nothing_is_reached(machines, model, router, colour, kind):
    """Each address of the other project, its routers' MACs by hand, broadcast: nothing of it is heard there."""
    other = COLOURS[1 - COLOURS.index(colour)]
    sender = machines(colour, SHARED[kind][0])
    foreign = [machines(other, name) for name in (*ONLY[other][kind], SHARED[kind][1])]
    addresses = {str(a) for port in model.projects[colour].ports.values() for a in port.addresses}
    targets = [one.address() for one in foreign if one.address() not in addresses]
    assert targets
    # The sender's MAC, and those its packets have behind its router.
    own = router(colour, kind)
    macs = [sender.tenant.mac(), *(port.mac_address for port in own.legs(own.nodes[0]))]
    captures = [one.tenant.capture(" or ".join(f"ether src {mac}" for mac in macs)) for one in foreign]
    answers = sender.ask(*((protocol, target, ECHO) for target in targets for protocol in ("tcp", "udp")))
    gateway = sender.tenant.lease["new_routers"]
    own_mac = sender.tenant.run(f"ip neighbour show {gateway}")
    theirs = router(other, kind).leg(model.projects[other].ports[SHARED[kind][0]].network).mac_address
    sender.tenant.run(f"ip neighbour replace {gateway} lladdr {theirs} dev eth0 nud permanent")
    try:
        by_their_router = [sender.reaches(one.address(), 2) for one in foreign]
    finally:
        sender.tenant.run(f"ip neighbour delete {gateway} dev eth0")
    sender.tenant.run("ping -n -c 2 -i 0.2 -W 1 -b 255.255.255.255 || true")
    heard = [capture.stop() for capture in captures]
    assert own_mac, "the gateway was never asked for: the router had no part in this"
    assert set(answers) <= {SILENCE, REFUSED}
    assert by_their_router == [False] * len(foreign)
    assert heard == [[] for _one in foreign]


@pytest.mark.parametrize("kind", sorted(SHARED))
@pytest.mark.parametrize("colour", COLOURS)
def test_only_the_right_vnis_carry_it(machines, model, lab, colour, kind):
    """A ping from one subnet to another over the router: each leg in its network's VNI, on every underlay link."""
    sender = machines(colour, SHARED[kind][0])
    # On another host than the sender, so that both legs cross the underlay.
    names = (SHARED[kind][1], *ONLY[colour][kind])
    receiver = next(
        one
        for one in (machines(colour, name) for name in names)
        if one.host.name != sender.host.name and one.model.network != sender.model.network
    )
    vni = {one: model.network((colour, one.model.network)).segmentation_id for one in (sender, receiver)}
    sender.reaches(receiver.address(), 1)
    captures = {name: Capture(lab(name), "eth1", "udp port 4789") for name in HOSTS}
    assert sender.reaches(receiver.address())
    between = (f"{sender.address()} > {receiver.address()}", f"{receiver.address()} > {sender.address()}")
    frames = [
        (name, int(found.group(1)))
        for name, capture in captures.items()
        for line in capture.stop()
        if "ICMP echo" in line and any(pair in line for pair in between) and (found := re.search(r"vni (\d+)", line))
    ]
    assert {number for _host, number in frames} == set(vni.values())
    assert {number for host, number in frames if host == sender.host.name} == {vni[sender]}
    assert {number for host, number in frames if host == receiver.host.name} == {vni[receiver]}


def test_floating_ips_of_both_projects_lead_each_to_its_own(machines, world):
    """The same address inside, two addresses outside."""
    found = [machines(colour, name) for colour in COLOURS for name in ("web-1", "app-1")]
    answers = world.ask(*(("tcp", one.floating, ECHO) for one in found))
    assert [answer.split()[0] for answer in answers] == [one.name for one in found]
