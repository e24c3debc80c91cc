# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single ports of a floating IP lead inside, by TCP and by UDP, one by one and in ranges; all others lead nowhere."""

from __future__ import annotations

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_routers import ECHO, WORLD
from ansible_collections.weft.fabric.tests.wire.traffic import REFUSED, SILENCE

# Whom the two floating IPs with port forwardings lead to: the first and the second machine of each.
MACHINES = {"ha": ("web-2", "db-3"), "single": ("app-2", "store-3")}
FORWARDED = [
    ("tcp", 2222, 0),
    ("udp", 2222, 1),
    *(("udp", port, 0) for port in range(3000, 3011)),
    *(("tcp", port, 1) for port in range(4000, 4003)),
]
# The machines listen on all of these, by both protocols.
OTHERS = [
    *(("tcp", port) for port in (22, 23, 3000, 3005, 3010, 3999, 4003, 5000, 5002, ECHO)),
    *(("udp", port) for port in (22, 23, 2999, 3011, 4000, 4002, 5001, ECHO)),
]


@pytest.fixture(params=sorted(MACHINES))
def kind(request):
    return request.param


@pytest.fixture
def address(model, kind):
    return str(model.projects["red"].floating_ips[f"{kind}-ports"].address)


@pytest.fixture
def inside(machines, kind):
    return [machines("red", name) for name in MACHINES[kind]]


def forwarded(address, inside, source):
    """Return questions to all forwarded ports, and the answers they should get."""
    questions = [(protocol, address, port) for protocol, port, _machine in FORWARDED]
    return questions, [f"{inside[machine]} {source}" for _protocol, _port, machine in FORWARDED]


def test_forwarded_ports_lead_in_with_the_source_kept(world, address, inside):
    questions, expected = forwarded(address, inside, WORLD)
    assert dict(zip(questions, world.ask(*questions), strict=True)) == dict(zip(questions, expected, strict=True))


def test_other_ports_lead_nowhere(world, address, inside):
    questions = [(protocol, address, port) for protocol, port in OTHERS]
    answers = dict(zip(questions, world.ask(*questions), strict=True))
    assert {question: answer for question, answer in answers.items() if answer not in (SILENCE, REFUSED)} == {}


def test_hairpin_with_a_floating_ip_and_without(machines, router, kind, address, inside):
    """From inside, also from a machine to itself, the sender is its floating IP, else the gateway's address."""
    with_one = machines("red", {"ha": "web-1", "single": "app-1"}[kind])
    gateway = router("red", kind).outside()
    for sender, source in ((with_one, with_one.floating), (inside[0], gateway), (inside[1], gateway)):
        questions, expected = forwarded(address, inside, source)
        assert dict(zip(questions, sender.ask(*questions), strict=True)) == dict(zip(questions, expected, strict=True))


def test_from_another_project(machines, address, inside):
    sender = machines("blue", "web-1")
    questions, expected = forwarded(address, inside, sender.floating)
    assert sender.ask(*questions) == expected
    others = sender.ask(*((protocol, address, port) for protocol, port in OTHERS))
    assert set(others) <= {SILENCE, REFUSED}


def test_the_machines_own_connections_do_not_leave_by_it(router, kind, inside, world):
    """An address of which only ports are forwarded is nobody's source."""
    gateway = router("red", kind).outside()
    for machine in inside:
        assert machine.ask(("tcp", WORLD, ECHO)) == [f"world {gateway}"]
