# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two external networks on the same hosts, without tags and in a VLAN: each router leads to its own and to no other."""

from __future__ import annotations

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_routers import ECHO, WORLD
from ansible_collections.weft.fabric.tests.wire.lab import Capture
from ansible_collections.weft.fabric.tests.wire.traffic import REFUSED, SILENCE

PREFIX = {"public": "203.0.113.0/24", "metro": "198.18.0.0/24"}
OTHER = {"public": "metro", "metro": "public"}
PROTOCOLS = ("tcp", "udp")
QUIET = 1.5  # seconds without an answer from where none may come

# Kind of router and where it leads to: its project and name, a machine with a floating IP and one without.
CASES = {
    "centralised, public": ("green", "changing", "left-1", "left-2"),
    "centralised, metro": ("olive", "plain", "one-1", "one-2"),
    "HA, metro": ("olive", "ha", "two-1", "two-2"),
    "distributed, public": ("red", "single", "app-1", "app-2"),
    "distributed with HA, public": ("red", "ha", "web-1", "web-2"),
    "distributed with HA, metro": ("olive", "each", "three-1", "three-2"),
}


class Outside:
    """A world outside: who answers there, and the wire it hears."""

    def __init__(self, machine, name, address, interface, namespace, further=""):
        self.machine, self.name, self.address = machine, name, address
        self._wire = (machine.host, interface, namespace)
        self._further = further

    def hears(self, address):
        host, interface, namespace = self._wire
        return Capture(host, interface, f"host {address}{self._further}", namespace)

    def learns(self, prefix, on_link):
        """Take a prefix for one of its own link, or forget it."""
        host, interface, namespace = self._wire
        inside = f"-n {namespace} " if namespace else ""
        host.run(f"ip {inside}route {'replace' if on_link else 'delete'} {prefix} dev {interface}")


@pytest.fixture(scope="module")
def outsides(metro, world):
    return {
        # The interface of the world carries the VLANs too.
        "public": Outside(world, "world", WORLD, "eth2", None, " and not vlan"),
        "metro": Outside(metro, "metro", metro.address, "eth0", metro.namespace),
    }


def where(case):
    return case.rpartition(" ")[2]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("floating", [True, False], ids=["with a floating IP", "without one"])
def test_who_leaves_is_seen_where_its_router_leads_and_nowhere_else(machines, router, outsides, case, floating):
    project, name, *pair = CASES[case]
    sender = machines(project, pair[0 if floating else 1])
    assert bool(sender.floating) == floating
    source = sender.floating or router(project, name).outside()
    own, other = outsides[where(case)], outsides[OTHER[where(case)]]
    captures = [other.hears(address) for address in (source, sender.address())]
    questions = [(protocol, outside.address, ECHO) for outside in (own, other) for protocol in PROTOCOLS]
    answers = sender.ask(*questions, seconds=QUIET)
    heard = [line for capture in captures for line in capture.stop()]
    assert answers[:2] == [f"{own.name} {source}"] * 2
    assert set(answers[2:]) <= {SILENCE, REFUSED}
    assert heard == []


@pytest.mark.parametrize("case", CASES)
def test_a_floating_ip_is_there_where_its_router_leads_and_nowhere_else(machines, outsides, case):
    project, _name, port, _plain = CASES[case]
    machine = machines(project, port)
    own, other = outsides[where(case)], outsides[OTHER[where(case)]]
    questions = [(protocol, machine.floating, ECHO) for protocol in PROTOCOLS]
    other.learns(PREFIX[where(case)], True)
    try:
        asked = other.hears(machine.floating)
        elsewhere = other.machine.ask(*questions, seconds=QUIET)
        lines = asked.stop()
    finally:
        other.learns(PREFIX[where(case)], False)
    assert own.machine.ask(*questions) == [f"{machine} {own.address}"] * 2
    assert set(elsewhere) <= {SILENCE, REFUSED}
    assert any("Request who-has" in line for line in lines), "nobody was asked: this proves nothing"
    assert not any("Reply" in line for line in lines)


def test_one_host_has_the_floating_ips_of_both(machines, outsides):
    """Each network's are in a namespace of its own, with a MAC address of its own."""
    found = {}
    for name, port in (("public", ("red", "web-1")), ("metro", ("olive", "three-1"))):
        machine = machines(*port)
        assert machine.host.name == "cmp1"
        capture = outsides[name].hears(machine.floating)
        assert outsides[name].machine.ask(("tcp", machine.floating, ECHO)) == [f"{machine} {outsides[name].address}"]
        lines = [line for line in capture.stop() if f" {machine.floating}.{ECHO} > " in line]
        found[name] = {line.split()[1] for line in lines}
    assert [len(macs) for macs in found.values()] == [1, 1]
    assert found["public"] != found["metro"]
