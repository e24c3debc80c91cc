# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPv6 by DHCPv6 behind routers: advertisements say whether there is a lease or more to ask for, and lead on."""

from __future__ import annotations

import re

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.eui64 import link_local
from ansible_collections.weft.fabric.tests.wire.conftest_routers import ECHO, WORLD_V6
from ansible_collections.weft.fabric.tests.wire.lab import wait_for

# For each kind of router: who is behind it in another network.
NEIGHBOURS = {"ha": "db-2", "single": "store-2"}
PREFIXES = {
    "ha-leased": "2001:db8:1:5::/64",
    "ha-told": "2001:db8:1:6::/64",
    "single-leased": "2001:db8:1:7::/64",
    "single-told": "2001:db8:1:8::/64",
}


def flag(advertisement, name):
    """Return what an advertisement says of stateful configuration: of addresses (M), of other things (O)."""
    return re.search(rf"Stateful {name}\s*:\s*(\w+)", advertisement).group(1) == "Yes"


def routed(machine, router, kind):
    """Wait for the default route that an advertisement gives, and see that it is by the router."""
    wait_for(f"a default route of {machine}", lambda: machine.default_route_v6() or (machine.solicit() and None), 20)
    leg = router("red", kind).leg(machine.model.network)
    assert f"via {link_local(leg.mac_address)} " in machine.default_route_v6()
    assert "proto ra" in machine.default_route_v6()


def leads_on(machine, machines, router, world, kind):
    """See that it reaches who is behind the router, and the world beyond once that knows the way back."""
    other = machines("red", NEIGHBOURS[kind]).autoconfigured()
    assert machine.reaches(other.address(6))
    assert machine.ask(("tcp", other.address(6), ECHO)) == [f"{other} {machine.address(6)}"]
    assert not machine.reaches(WORLD_V6, 1)
    prefix = PREFIXES[machine.model.network]
    world.route(prefix, router("red", kind).outside(6))
    try:
        assert machine.reaches(WORLD_V6)
        assert machine.ask(("udp", WORLD_V6, ECHO)) == [f"world {machine.address(6)}"]
    finally:
        world.forget(prefix)


@pytest.mark.parametrize("kind", sorted(NEIGHBOURS))
def test_a_leased_address_and_the_router_s_default_route(machines, router, world, kind):
    machine, other = machines("red", f"{kind}-leased"), machines("red", NEIGHBOURS[kind]).autoconfigured()
    advertisement = machine.solicit()
    assert flag(advertisement, "address conf.")
    assert not re.search(r"Autonomous address conf\.\s*:\s*Yes", advertisement)
    # The way out is known, and yet it has no address to leave with: that takes a lease.
    routed(machine, router, kind)
    assert [address for address in machine.tenant.addresses() if ":" in address] == []
    assert not machine.reaches(other.address(6), 1)
    lease = machine.tenant.dhcp(6)
    assert lease["new_ip6_address"] == machine.address(6)
    assert "red.example" in lease["new_dhcp6_domain_search"]
    assert [address for address in machine.tenant.addresses() if ":" in address] == [machine.address(6)]
    leads_on(machine, machines, router, world, kind)


@pytest.mark.parametrize("kind", sorted(NEIGHBOURS))
def test_an_address_of_one_s_own_and_the_rest_by_dhcp(machines, router, world, kind):
    machine = machines("red", f"{kind}-told")
    advertisement = machine.solicit()
    assert not flag(advertisement, "address conf.")
    assert flag(advertisement, "other conf.")
    machine.autoconfigured()
    routed(machine, router, kind)
    lease = machine.tenant.dhcp(6, stateless=True)
    assert "new_ip6_address" not in lease
    assert "red.example" in lease["new_dhcp6_domain_search"]
    assert lease["new_dhcp6_name_servers"]
    assert [address for address in machine.tenant.addresses() if ":" in address] == [machine.address(6)]
    leads_on(machine, machines, router, world, kind)
