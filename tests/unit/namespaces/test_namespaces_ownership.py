# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a thing is: what is foreign stands untouched, and what others make is waited for."""

from __future__ import annotations

import os
import subprocess

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import (
    namespaces,
)
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip, links
from ansible_collections.weft.fabric.tests.unit.namespaces.runs import (
    FULL,
    changes,
    existing,
    foreign_state,
    inside,
    make_foreign,
    outside,
    routes,
    run,
    tap,
    veth,
)

pytestmark = pytest.mark.usefixtures("host")


# Whose is it


def test_what_is_foreign_stands_untouched() -> None:
    make_foreign()
    before = foreign_state()
    changes(inside(FULL), inside(veth("mine", "tap2"), name="foreign"), outside(tap()), purge=True)
    assert changes(purge=True) == [
        "remove namespace weft-t-a",
        "remove veth tap2 in the host",
        "remove tap tap9 in the host",
    ]
    assert foreign_state() == before


def test_a_link_of_the_same_name_is_an_error_before_anything_is_changed() -> None:
    ip("netns add weft-t-b", "link add tap9 type bridge", "link add eth0 netns weft-t-b type bridge")
    for items in (
        [inside(FULL), outside(tap())],
        [inside(FULL), outside(veth("left", "tap9"))],
        [inside(FULL), inside(veth(peer="tap2"), name="weft-t-b")],
        [inside(FULL), outside({**tap(), "state": "absent"})],
        [inside(FULL), {"name": "weft-t-b", "state": "absent"}],
    ):
        for check_mode in (True, False):
            with pytest.raises(FabricError, match=r"nothing was changed: .*does not bear the mark"):
                run(*items, check_mode=check_mode)
    assert set(links()) == {"tap9"}
    assert not os.path.exists("/run/netns/weft-t-a")


def test_a_route_of_somebody_else_stays() -> None:
    ip("link add dummy0 type bridge", "addr add 192.0.2.1/24 dev dummy0", "link set dummy0 up")
    ip("route add 203.0.113.0/24 via 192.0.2.9")
    with pytest.raises(FabricError, match=r"the host has a route to 203\.0\.113\.0/24 via 192\.0\.2\.8"):
        run(outside(routes=[{"to": "203.0.113.0/24", "via": "192.0.2.8"}]))
    wanted = {"to": "203.0.113.0/24", "via": "192.0.2.8", "metric": 9}
    assert len(changes(outside(routes=[wanted]), purge=True)) == 1
    assert len(changes(purge=True)) == 1
    assert routes() == {("unicast", "203.0.113.0/24", "192.0.2.9", "dummy0")}


def test_without_purge_nothing_is_removed() -> None:
    run(inside(FULL), outside(tap(), veth("left", "right")))
    assert changes(inside(name="weft-t-b")) == ["create namespace weft-t-b"]
    assert set(links()) == {"tap1", "tap9", "left", "right"}


def test_links_of_another_fabric_in_a_container_stay() -> None:
    """A container may be a host of a fabric of its own, with marks that look like ours."""
    ip("netns add container")
    ip("link add c1 type bridge", "link set c1 alias weft.fabric", namespace="container")
    assert changes(outside(tap()), purge=True) == ["create tap tap9 in the host"]
    assert set(links("container")) == {"c1"}


def test_addresses_not_listed() -> None:
    """On our links permanent ones go, learned ones stay; without the option, and on others' links, all stay."""
    run(inside(veth()), outside(existing("lo")))
    ip(
        "addr add 10.0.0.7/24 dev eth0",
        "addr add 10.0.0.8/24 dev eth0 valid_lft 900 preferred_lft 900",
        namespace="weft-t-a",
    )
    assert changes(inside(veth())) == []
    assert changes(inside(veth(addresses=[]))) == ["remove address 10.0.0.7/24 from eth0 in weft-t-a"]
    assert links("weft-t-a")["eth0"]["global"] <= {"10.0.0.8/24"}
    ip("link add d0 type bridge", "addr add 192.0.2.1/24 dev d0")
    changes(outside(existing("d0", addresses=["192.0.2.2/24"], mtu=1400)))
    assert links()["d0"]["global"] == {"192.0.2.1/24", "192.0.2.2/24"}
    assert changes(purge=True) == ["remove namespace weft-t-a"]
    assert "d0" in links()


# Things that others make


def test_a_link_that_comes_later_is_waited_for() -> None:
    item = outside(existing("br-underlay", mtu=1400, addresses=["198.51.100.11/24"]))
    predicted = run(item, check_mode=True)
    maker = subprocess.Popen(["sh", "-c", "sleep 0.3; ip link add br-underlay type bridge"])
    done = run(item)
    assert maker.wait() == 0
    assert done == predicted
    found = links()["br-underlay"]
    assert (found["mtu"], found["global"]) == (1400, {"198.51.100.11/24"})
    assert not run(item)["changed"]


def test_a_link_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "WAIT_LIMIT", 0.1)
    with pytest.raises(FabricError, match=r"nothing was changed: link br-underlay .* did not appear in the host"):
        run(outside(existing("br-underlay", mtu=1400), tap()))
    assert links() == {}


UNDERLAY = existing("br-underlay", addresses=["198.51.100.11/24"], takes_addresses_from="eth1")


def make_card(*more: str) -> None:
    ip("link add eth1 type bridge", "addr add 198.51.100.11/24 dev eth1", "link set eth1 up", *more)
    ip("link add br-underlay type bridge")


def test_the_underlay_address_moves() -> None:
    make_card()
    item = outside(UNDERLAY, routes=[{"to": "10.99.0.0/16", "via": "198.51.100.1", "dev": "br-underlay"}])
    told = changes(item)
    assert told[0] == "add address 198.51.100.11/24 to br-underlay in the host, taking it from eth1"
    assert links()["eth1"]["global"] == set()
    assert links()["br-underlay"]["global"] == {"198.51.100.11/24"}
    assert routes() == {("unicast", "10.99.0.0/16", "198.51.100.1", "br-underlay")}
    # The system gives it back to the card at boot.
    ip("addr add 198.51.100.11/24 dev eth1")
    assert changes(item) == ["remove address 198.51.100.11/24 from eth1 in the host"]
    assert links()["eth1"]["global"] == set()
    assert routes() == {("unicast", "10.99.0.0/16", "198.51.100.1", "br-underlay")}


@pytest.mark.parametrize("reason", ["addr add 192.0.2.5/24 dev eth1", "route add default via 198.51.100.1"])
def test_the_underlay_address_stays_where_the_host_would_be_cut_off(reason: str) -> None:
    make_card(reason)
    with pytest.raises(FabricError, match=r"nothing was changed: the addresses of eth1 are not moved"):
        run(outside(UNDERLAY))
    assert "198.51.100.11/24" in links()["eth1"]["global"]
    assert links()["br-underlay"]["global"] == set()
