# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A router that goes hands over, and one that goes on without VRRP keeps its addresses, before any link is touched."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.module_utils.namespaces import NamespacesEngine
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import reconcile
from ansible_collections.weft.fabric.plugins.module_utils.vrrp_departures import VrrpDeparturesEngine
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ask, ip
from ansible_collections.weft.fabric.tests.unit.vrrp.fake_systemd import wait_for
from ansible_collections.weft.fabric.tests.unit.vrrp.machine import ADDRESSES, Node


def depart(node: Node, *items: dict[str, t.Any], purge: bool = True) -> list[str]:
    params = {"routers": list(items), "purge": purge}
    engine = VrrpDeparturesEngine(params, node.systemd, node.paths, node.health_paths)
    return t.cast("list[str]", reconcile(engine)["changes"])


@pytest.fixture
def primary(node: Node) -> Node:
    node.run(node.item(peers=[]))
    node.wait_for_role("primary")
    wanted = {address for address, _device in ADDRESSES if not address.startswith("fe80:")}
    wait_for("all addresses to be there", lambda: wanted <= set(node.addresses()))
    return node


def test_a_router_that_stays_is_left_alone_whatever_is_new_about_it(primary: Node) -> None:
    held = primary.addresses()
    assert depart(primary, primary.item(peers=["169.254.192.9"])) == []
    assert (primary.addresses(), primary.status()["state"]) == (held, "primary")


def test_a_router_that_is_not_here_yet_is_not_made(node: Node) -> None:
    assert depart(node, node.item()) == []


def test_a_router_that_goes_on_without_vrrp_keeps_its_addresses_when_the_ha_link_goes(primary: Node) -> None:
    held = [address for address in primary.addresses() if not address.startswith("169.254.")]
    gone = {"name": primary.name, "state": "absent", "keep_addresses": True}
    assert depart(primary, gone) == [f"remove VRRP router {primary.name}"]
    ip("link del ha-1", namespace=primary.namespace)
    assert primary.addresses() == held
    assert depart(primary, gone) == []


def test_a_route_that_goes_together_with_vrrp_does_not_stay(primary: Node) -> None:
    """What keepalived has put in outlives it. Of its routes those that are still wanted become the namespace's own."""
    kept = {"to": "0.0.0.0/0", "via": "203.0.113.1", "dev": "qg-1"}
    gone = {"name": primary.name, "state": "absent", "keep_addresses": True}
    of_keepalived = {"203.0.113.1": "keepalived", "fe80::1": "keepalived"}
    wait_for("keepalived's routes", lambda: _gateways(primary) == of_keepalived)
    depart(primary, gone)
    assert _gateways(primary) == of_keepalived
    ip("link set lo alias weft.fabric", namespace=primary.namespace)
    params = {"namespaces": [{"name": primary.namespace, "routes": [kept]}], "purge": True}
    predicted = reconcile(NamespacesEngine(params), True)["changes"]
    assert reconcile(NamespacesEngine(params))["changes"] == predicted
    assert _gateways(primary) == {"203.0.113.1": "119"}


def _gateways(node: Node) -> dict[str, str]:
    """Return where routes lead to, each with who has put it in."""
    found = [*ask("route show", node.namespace), *ask("route show", node.namespace, "-6")]
    return {route["gateway"]: route["protocol"] for route in found if "gateway" in route}


def _wire(node: Node) -> None:
    """Make the other namespace, with devices of the same names."""
    ip(f"netns add {node.centralised_namespace}")
    lines = ["link add ha-1 type veth peer name qr-1", "link add qg-1 type veth peer name other"]
    up = [f"link set {name} up" for name in ("lo", "ha-1", "qr-1", "qg-1", "other")]
    ip(*lines, *up, "addr add 169.254.192.1/18 dev ha-1", namespace=node.centralised_namespace)


def test_a_router_that_goes_on_in_another_namespace_leaves_the_first_as_it_is(primary: Node) -> None:
    """And the next to come finds nothing of it: what both do is what a prediction has told."""
    held = primary.addresses()
    _wire(primary)
    moved = primary.item(namespace=primary.centralised_namespace, peers=[])
    foretold = primary.run(moved, check_mode=True)["changes"]
    made = depart(primary, moved)
    assert made == [f"remove VRRP router {primary.name}"]
    assert primary.addresses() == held
    assert depart(primary, moved) == []
    made += primary.run(moved)["changes"]
    assert sorted(foretold) == sorted(made)
    assert primary.describe()["routers"][0]["namespace"] == primary.centralised_namespace
    assert primary.run(moved)["changes"] == []


def test_a_router_moves_to_another_namespace_without_a_departure_too(primary: Node) -> None:
    _wire(primary)
    moved = primary.item(namespace=primary.centralised_namespace, peers=[])
    primary.run(moved)
    primary.wait_for_role("primary")
    assert primary.run(moved)["changes"] == []


def test_a_router_that_is_no_longer_listed_leaves_with_a_purge_only(primary: Node) -> None:
    assert depart(primary, purge=False) == []
    assert depart(primary) == [f"remove VRRP router {primary.name}"]
    assert primary.addresses() == ["169.254.192.1/18"]
