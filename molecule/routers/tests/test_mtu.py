# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The MTU of each leg: what fits passes with DF, one byte more is refused by whoever may not send it."""

from __future__ import annotations

import re

import pytest

from ansible_collections.weft.fabric.tests.wire.conftest_routers import WORLD

# IP and ICMP headers of an echo request.
HEADERS = {4: 28, 6: 48}
# For each kind of router: a machine, one in a network with a smaller MTU on the other host, and that MTU.
LEGS = {"ha": ("web-1", "db-2", 1400), "single": ("app-1", "store-2", 1380)}


def probe(host, namespace, target, size):
    """Send two packets of a size that nobody may split, and return whether one was answered and what ping said."""
    inside = f"ip netns exec {namespace} " if namespace else ""
    host.run(f"{inside}ip -4 route flush cache; {inside}ip -6 route flush cache")
    headers = HEADERS[6 if ":" in target else 4]
    result = host.try_run(f"{inside}ping -n -c 2 -i 0.3 -W 1 -M do -s {size - headers} {target}")
    return result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("kind", sorted(LEGS))
def test_models_mtus(machines, model, kind):
    first, second, mtu = LEGS[kind]
    assert model.network(("red", machines("red", first).model.network)).mtu == 1500
    assert model.network(("red", machines("red", second).model.network)).mtu == mtu


@pytest.mark.parametrize("kind", sorted(LEGS))
def test_the_own_leg(machines, kind):
    """Out to the provider the whole way has 1500 bytes, and one more does not leave the machine."""
    machine = machines("red", LEGS[kind][0])
    passed, text = probe(machine.host, machine.namespace, WORLD, 1500)
    assert passed, text
    passed, text = probe(machine.host, machine.namespace, WORLD, 1501)
    assert not passed
    assert "message too long" in text.lower()


@pytest.mark.parametrize("kind", sorted(LEGS))
def test_from_a_wide_leg_to_a_narrow_one(machines, router, kind):
    """The router says what fits: from the address that the sender knows it by."""
    first, second, mtu = machines("red", LEGS[kind][0]), machines("red", LEGS[kind][1]), LEGS[kind][2]
    passed, text = probe(first.host, first.namespace, second.address(), mtu)
    assert passed, text
    passed, text = probe(first.host, first.namespace, second.address(), mtu + 1)
    assert not passed
    gateway = first.tenant.lease["new_routers"]
    assert re.search(rf"From {re.escape(gateway)} .*Frag needed and DF set \(mtu = {mtu}\)", text), text


@pytest.mark.parametrize("kind", sorted(LEGS))
def test_from_outside_by_floating_ip(machines, world, kind):
    """The refusal finds its way back through the translation: the world learns it for the floating IP."""
    second, mtu = machines("red", LEGS[kind][1]), LEGS[kind][2]
    passed, text = probe(world.host, None, second.floating, mtu)
    assert passed, text
    passed, text = probe(world.host, None, second.floating, mtu + 1)
    assert not passed
    assert re.search(rf"Frag needed and DF set \(mtu = {mtu}\)", text), text
    assert second.address() not in text


@pytest.mark.parametrize("kind", sorted(LEGS))
def test_ipv6_from_a_wide_leg_to_a_narrow_one(machines, kind):
    first, second, mtu = machines("red", LEGS[kind][0]), machines("red", LEGS[kind][1]), LEGS[kind][2]
    passed, text = probe(first.host, first.namespace, second.address(6), mtu)
    assert passed, text
    passed, text = probe(first.host, first.namespace, second.address(6), mtu + 1)
    assert not passed
    assert re.search(rf"Packet too big: mtu={mtu}", text), text


@pytest.mark.parametrize("kind", sorted(LEGS))
def test_tcp_finds_its_size(machines, kind, figure):
    """Between legs of different MTUs and across hosts data flows: nothing is lost for its size."""
    first, second = machines("red", LEGS[kind][0]), machines("red", LEGS[kind][1])
    rate = first.tenant.throughput(second.tenant, second.address())
    figure(f"routers: TCP through {kind} across hosts, MTU 1500 to {LEGS[kind][2]}: {rate:.0f} Mbit/s")
    assert rate > 1
