# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a receiver sees: floating IP or none, same and other network, same and other host, inside and outside.

The tests of scenarios whose project red has a router "ha" and a router "single", of any kind, with these machines.
"""

from __future__ import annotations

import pytest

from .conftest_routers import ECHO, WORLD
from .traffic import REFUSED, SILENCE

# For each kind of router: two senders on one host, one with a floating IP and one without; and receivers in the same
# network and in another, on the same host and on another, each with a floating IP and (the last two) without.
SENDERS = {"ha": ("web-1", "web-2"), "single": ("app-1", "app-2")}
RECEIVERS = {
    "ha": ("web-3", "web-4", "db-1", "db-2", "web-2", "db-3"),
    "single": ("app-3", "app-4", "store-1", "store-2", "app-2", "store-3"),
}
CASES = [(kind, sender) for kind, senders in SENDERS.items() for sender in senders]
PROTOCOLS = ("tcp", "udp")


def test_the_matrix_is_whole(model):
    """What the cases are called they are: the topology file may have been edited."""
    ports = model.projects["red"].ports
    floating = {fip.port for fip in model.projects["red"].floating_ips.values()}
    for kind, (with_one, without) in SENDERS.items():
        assert with_one in floating
        assert without not in floating
        places = {
            (name in floating, ports[name].network == ports[with_one].network, ports[name].host == ports[with_one].host)
            for name in RECEIVERS[kind]
        }
        assert {(True, True, True), (True, True, False), (True, False, True), (True, False, False)} <= places
        assert any(not has for has, _network, _host in places)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_source_seen_inside(machines, router, kind, name):
    """By the inside address: the sender's own. By the floating IP: the sender's floating IP, or the gateway's."""
    sender = machines("red", name)
    translated = sender.floating or router("red", kind).outside()
    questions, expected = [], []
    for receiver in (machines("red", other) for other in RECEIVERS[kind] if other != name):
        targets = [(receiver.address(), sender.address())]
        targets += [(receiver.floating, translated)] if receiver.floating else []
        for target, source in targets:
            for protocol in PROTOCOLS:
                questions.append((protocol, target, ECHO))
                expected.append(f"{receiver} {source}")
    answers = sender.ask(*questions)
    assert dict(zip(questions, answers, strict=True)) == dict(zip(questions, expected, strict=True))


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_source_seen_outside(machines, router, world, kind, name):
    sender = machines("red", name)
    source = sender.floating or router("red", kind).outside()
    assert sender.ask(*((protocol, WORLD, ECHO) for protocol in PROTOCOLS)) == [f"world {source}"] * 2
    assert sender.reaches(WORLD)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_source_seen_behind_another_router(machines, router, kind, name):
    """From one router to the other's floating IPs, and to another project's, it is as from outside."""
    sender = machines("red", name)
    source = sender.floating or router("red", kind).outside()
    other = machines("red", "store-2" if kind == "ha" else "db-2")
    blue = machines("blue", "web-1")
    answers = sender.ask(*((protocol, target.floating, ECHO) for target in (other, blue) for protocol in PROTOCOLS))
    assert answers == [f"{other} {source}"] * 2 + [f"{blue} {source}"] * 2


@pytest.mark.parametrize("kind", sorted(SENDERS))
def test_own_floating_ip_from_inside(machines, kind):
    sender = machines("red", SENDERS[kind][0])
    assert (
        sender.ask(("tcp", sender.floating, ECHO), ("udp", sender.floating, ECHO))
        == [f"{sender} {sender.floating}"] * 2
    )


@pytest.mark.parametrize("kind", sorted(RECEIVERS))
def test_from_outside_a_floating_ip_leads_in_with_the_source_kept(machines, world, kind):
    found = [machines("red", name) for name in RECEIVERS[kind]]
    receivers = [receiver for receiver in found if receiver.floating]
    answers = world.ask(*((protocol, receiver.floating, ECHO) for receiver in receivers for protocol in PROTOCOLS))
    assert answers == [f"{receiver} {WORLD}" for receiver in receivers for _protocol in PROTOCOLS]


@pytest.mark.parametrize(("kind", "network"), [("ha", "10.0.0.0/23"), ("single", "10.0.2.0/23")])
def test_from_outside_no_inside_address_is_reached(machines, router, world, kind, network):
    """Somebody outside who knows the way in, and the addresses, gets no answer: with a floating IP or without one."""
    receivers = [machines("red", name) for name in RECEIVERS[kind] if name != "db-3"]
    world.route(network, router("red", kind).outside())
    captures = [receiver.tenant.capture(f"src host {WORLD}") for receiver in receivers]
    try:
        answers = world.ask(*((protocol, one.address(), ECHO) for one in receivers for protocol in PROTOCOLS))
        control = world.ask(("udp", receivers[0].floating, ECHO))
    finally:
        world.forget(network)
        heard = [capture.stop() for capture in captures]
    assert set(answers) <= {SILENCE, REFUSED}
    assert control == [f"{receivers[0]} {WORLD}"]
    assert heard[0], "the control was not heard: the captures prove nothing"
    assert heard[1:] == [[] for _receiver in receivers[1:]]
    assert all(receivers[0].address() in line and f".{ECHO}" in line for line in heard[0])


def test_an_unused_address_outside_answers_nobody(world, model):
    used = {str(fip.address) for fip in model.floating_ips()}
    used |= {str(a) for ports in model.router_ports.values() for port in ports for a in port.addresses}
    free = next(f"203.0.113.{number}" for number in range(100, 200) if f"203.0.113.{number}" not in used)
    assert "Received 0 response" in world.host.try_run(f"arping -c 2 -w 2 -I eth2 {free}").stdout
    assert world.ask(("tcp", free, ECHO)) != [f"world {WORLD}"]
