# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses are answered for. What an answer looks like is tested with frames."""

from __future__ import annotations

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host
from ansible_collections.weft.fabric.tests.unit.topology.compile.builder import Builder

OWN_MAC, OTHER_MAC = "fa:16:3e:00:00:01", "00:00:5e:00:01:01"


def is_answered(build: Builder, address: str) -> bool:
    flows = compile_host(build.topology, "h1")["openflow_flows"]["bridges"][0]["flows"]
    field = "nd_target" if ":" in address else "arp_tpa"
    return any(",table=30,priority=100," in flow and f"{field}={address}" in flow for flow in flows)


@pytest.mark.parametrize(
    ("own", "others", "answered"),
    [
        ([], [], True),
        ([], [("10.0.0.20/32", None)], False),
        ([], [("10.0.0.20/32", OTHER_MAC)], False),
        ([], [("10.0.0.0/24", None)], False),
        ([], [("0.0.0.0/0", None)], False),
        ([], [("10.0.1.0/24", None), ("10.0.0.21/32", None), ("::/0", None)], True),
        ([("10.0.0.20/32", None)], [], True),
        ([("10.0.0.0/24", OWN_MAC)], [], True),
        ([("10.0.0.20/32", OTHER_MAC)], [], False),
        ([("10.0.0.0/24", OTHER_MAC)], [], False),
    ],
)
@pytest.mark.parametrize("other_host", ["h1", "h2"])
def test_an_address_is_answered_for_when_it_has_one_owner(
    own: list[tuple[str, str | None]], others: list[tuple[str, str | None]], answered: bool, other_host: str
) -> None:
    build = Builder().host("h1", "198.51.100.1/24").host("h2", "198.51.100.2/24")
    web = build.network("blue", "web")
    build.subnet(web, "10.0.0.0/24")
    assert build.port(web, "owner", "h1", number=20, pairs=own).mac_address == OWN_MAC
    build.port(web, "other", other_host, number=30, pairs=others)
    assert is_answered(build, "10.0.0.20") is answered


def test_an_address_pair_is_not_answered_for() -> None:
    build = Builder().host("h1", "198.51.100.1/24")
    web = build.network("blue", "web")
    build.subnet(web, "10.0.0.0/24")
    build.port(web, "owner", "h1", number=20, pairs=[("10.0.0.99/32", None)])
    assert is_answered(build, "10.0.0.20")
    assert not is_answered(build, "10.0.0.99")


def test_what_another_network_claims_does_not_matter() -> None:
    build = Builder().host("h1", "198.51.100.1/24")
    for project, pairs in (("blue", []), ("red", [("10.0.0.0/24", None)])):
        web = build.network(project, "web")
        build.subnet(web, "10.0.0.0/24")
        build.port(web, project, "h1", number=20, pairs=pairs)
    assert is_answered(build, "10.0.0.20")


def test_link_local_addresses_are_answered_for_where_there_is_ipv6() -> None:
    build = Builder().host("h1", "198.51.100.1/24")
    for project, cidr in (("blue", "10.0.0.0/24"), ("red", "2001:db8::/64")):
        web = build.network(project, "web")
        build.subnet(web, cidr)
        build.port(web, project, "h1", number=20)
    assert not is_answered(build, "fe80::f816:3eff:fe00:1")
    assert is_answered(build, "fe80::f816:3eff:fe00:2")


def test_an_unbound_port_is_not_answered_for() -> None:
    build = Builder().host("h1", "198.51.100.1/24")
    web = build.network("blue", "web")
    build.subnet(web, "10.0.0.0/24")
    build.port(web, "here", "h1", number=20)
    build.port(web, "nowhere", None, number=21)
    assert is_answered(build, "10.0.0.20")
    assert not is_answered(build, "10.0.0.21")
