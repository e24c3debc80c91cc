# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator fears for an HA router, and the repair of each: how long traffic stands still, and what lives on.

Each test inflicts a fault on whoever is primary, and repairs it. The longest gaps are printed beside the goals.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_ha import BROKEN, show
from ansible_collections.weft.fabric.tests.wire.lab import Host, wait_for
from ansible_collections.weft.fabric.tests.wire.plays import fault, play
from ansible_collections.weft.fabric.tests.wire.router import RouterOnHosts

# How long it is watched that all stays as it is.
WATCHED = 3.0

Deed = t.Callable[[RouterOnHosts, Host], None]


@dataclass(frozen=True)
class Fault:
    """What is done to the primary, how it is mended, and what is known meanwhile."""

    inflict: Deed
    repair: Deed
    answers: bool = True  # whether the host can be asked meanwhile
    split: bool = False  # whether both must take themselves for the only one: neither can know better
    unaware: bool = False  # whether the victim never learns that it was away: then one of two equals goes on


def lab_fault(kind: str, nic: str | None = None) -> Deed:
    return lambda _router, host: fault(kind, host.name, nic)


def kill(router: RouterOnHosts, host: Host) -> None:
    host.run(f"systemctl kill --signal=KILL {router.unit}")


def nothing(_router: RouterOnHosts, _host: Host) -> None:
    """systemd mends it: the repair is when keepalived runs again."""


def power_on(_router: RouterOnHosts, host: Host) -> None:
    host.forget_connection()
    fault("power_on", host.name)


def ha_link(state: str) -> Deed:
    return lambda router, host: void(host.run(f"ip link set {router.ha_port(host.name).device} {state}"))


def void(_text: str) -> None:
    pass


def deaf(router: RouterOnHosts, host: Host) -> None:
    """The HA link looks well, and carries nothing."""
    device = router.ha_port(host.name).binding.interface
    host.run(
        f"ip netns exec {router.namespace} nft -f -",
        stdin=f"""table inet somebodys {{
            chain in {{ type filter hook input priority 0; iifname {device} drop; }}
            chain out {{ type filter hook output priority 0; oifname {device} drop; }}
        }}""",
    )


def hearing(router: RouterOnHosts, host: Host) -> None:
    router.on(host.name, "nft delete table inet somebodys")


FAULTS = {
    "keepalived killed": Fault(kill, nothing),
    "host frozen": Fault(lab_fault("freeze"), lab_fault("thaw"), answers=False, unaware=True),
    "power cut": Fault(lab_fault("power_cut"), power_on, answers=False),
    "HA link cut": Fault(ha_link("down"), ha_link("up")),
    "HA link silent": Fault(deaf, hearing, split=True),
    "underlay cut": Fault(lab_fault("link_down", "eth1"), lab_fault("link_up", "eth1")),
    "uplink cut": Fault(lab_fault("link_down", "eth2"), lab_fault("link_up", "eth2")),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_fault_and_repair(name, router, lab, traffic, figure, topology_source):
    what, found = FAULTS[name], router("red", "ha")
    before = found.primary()
    victim = lab(before)
    others = [node for node in found.nodes if node != before]

    inflicted = time.time()
    what.inflict(found, victim)
    # Asked together with the victim where that can be: it must have let go of everything.
    asked = found.nodes if what.answers and not what.split else others
    after = wait_for("the role on another node", lambda: (holder := found.primary(asked)) in others and holder, 10)
    over = time.time()
    traffic.check_sessions()
    if what.answers and not what.split:
        assert found.keeps_primary(after, WATCHED)

    repaired = time.time()
    what.repair(found, victim)
    wait_for(f"the router's part on {before}", lambda: stands_by_or_serves(found, victim), 40)
    last = found.primary()
    settled = time.time()
    assert found.keeps_primary(last, WATCHED), "the role goes on moving after the repair"
    traffic.check_sessions()
    end = time.time()

    during, afterwards = traffic.longest_gaps((inflicted, repaired), (repaired, end))
    figure(f"ha: {name}: fault, goal 0.5 s: {show(during)}; one holder seen after {over - inflicted:.1f} s")
    figure(f"ha: {name}: repair, goal 0.1 s: {show(afterwards)}; one holder seen after {settled - repaired:.1f} s")
    if what.unaware:
        figure(f"ha: {name}: what it had kept came a second time when it thawed: {traffic.answered_twice()}")
    assert {address: nodes for address, nodes in found.holders().items() if nodes != [last]} == {}
    if not what.split and not what.unaware:
        assert last == after, "a repair moves the role back, for which there is no reason"
    assert max(during.values()) < BROKEN
    assert max(afterwards.values()) < BROKEN
    again = play("weft.fabric.site", topology_source)
    assert again.changed == [], again.changes()


def stands_by_or_serves(router: RouterOnHosts, host: Host) -> bool:
    """Tell whether a node's keepalived runs and has settled."""
    result = host.try_run(f"systemctl is-active {router.unit} && cat {router.run_directory}/state")
    return result.stdout.split()[:2] in (["active", "backup"], ["active", "primary"])


def test_both_uplinks_cut_nobody_gives_up(router, figure, traffic):
    """A role goes to who is better, and nobody is: it stays, and what is inside goes on."""
    found = router("red", "ha")
    primary = found.primary()
    (backup,) = [node for node in found.nodes if node != primary]
    since = found.state(primary)
    try:
        fault("link_down", backup, "eth2")
        fault("link_down", primary, "eth2")
        assert found.keeps_primary(primary, WATCHED)
        assert found.state(primary) == since
        # The first is mended: now somebody is better.
        fault("link_up", backup, "eth2")
        wait_for("the role to go where the uplink is", lambda: found.primaries() == [backup], 10)
    finally:
        for node in found.nodes:
            fault("link_up", node, "eth2")
    assert found.primary() == backup
    assert found.keeps_primary(backup, WATCHED)
    traffic.check_sessions()


def test_both_nodes_come_back_from_a_power_cut(router, lab, machines, world, figure, topology_source):
    """Nobody but the nodes themselves: exactly one has the role, and traffic passes."""
    found = router("red", "ha")
    for node in found.nodes:
        fault("power_cut", node)
    started = time.monotonic()
    for node in found.nodes:
        power_on(found, lab(node))
    primary = found.primary(seconds=40)
    machine = machines("red", "web-2")
    wait_for("traffic after a power cut of both nodes", lambda: machine.reaches("203.0.113.1", 1), 20)
    figure(f"ha: power cut of both nodes: traffic right {time.monotonic() - started:.1f} s after power was back")
    assert found.keeps_primary(primary, WATCHED)
    assert {address: nodes for address, nodes in found.holders().items() if nodes != [primary]} == {}
    again = play("weft.fabric.site", topology_source)
    assert again.changed == [], again.changes()
