# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs that join two namespaces, and what such a namespace needs: late rules, addresses it answers for."""

from __future__ import annotations

import socket

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import announce, namespaces_info, netns
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ask, ip, links
from ansible_collections.weft.fabric.tests.unit.namespaces.runs import (
    Item,
    changes,
    inside,
    outside,
    picture,
    run,
    veth,
)
from ansible_collections.weft.fabric.tests.unit.namespaces.test_namespaces_interruption import Killed, cut_after

pytestmark = pytest.mark.usefixtures("host")

ONE, OTHER = "weft-t-b", "weft-t-a"
MACS = {ONE: "02:00:00:00:00:01", OTHER: "02:00:00:00:00:02"}


def end(name: str, peer: str, there: str, mac: str, address: str, **options: object) -> Item:
    return veth(name, peer, peer_namespace=there, mac=mac, mtu=1400, addresses=[address], resource="r/1", **options)


def pair(suffix: str = "", **options: object) -> list[Item]:
    """Return two namespaces with a pair between them, the one that sorts last first."""
    return [
        inside(
            end(f"rfp{suffix}", f"fpr{suffix}", OTHER, MACS[ONE], "169.254.64.2/31"),
            name=ONE,
            neighbours=[{"ip": "169.254.64.3", "mac": MACS[OTHER], "dev": f"rfp{suffix}"}],
        ),
        inside(
            end(f"fpr{suffix}", f"rfp{suffix}", ONE, MACS[OTHER], "169.254.64.3/31", **options),
            name=OTHER,
            routes=[{"to": "10.0.0.0/8", "via": "169.254.64.2", "dev": f"fpr{suffix}"}],
        ),
    ]


def answers() -> bool:
    """Tell whether a datagram goes through the pair."""
    with netns.entered(OTHER):
        there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        there.bind(("169.254.64.3", 4000))
    with netns.entered(ONE):
        here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    there.settimeout(5)
    with here, there:
        here.sendto(b"question", ("169.254.64.3", 4000))
        return there.recv(100) == b"question"


def test_a_pair_joins_two_namespaces() -> None:
    made = changes(*pair(), purge=True)
    assert made.count(f"create veth rfp in {ONE} with peer fpr in {OTHER}") == 1
    assert len(made) == 2 + 1 + 2  # namespaces, the pair, a route and a neighbour
    for name, device in ((ONE, "rfp"), (OTHER, "fpr")):
        found = links(name)[device]
        assert (found["address"], found["mtu"], found["ifalias"]) == (MACS[name], 1400, "weft.fabric r/1")
    assert links() == {}
    assert answers()


def test_each_end_has_settings_of_its_own() -> None:
    run(*pair())
    items = pair()
    items[1]["links"][0]["mtu"] = 1300
    assert changes(*items) == [f"set MTU of fpr in {OTHER} from 1400 to 1300"]
    assert (links(ONE)["rfp"]["mtu"], links(OTHER)["fpr"]["mtu"]) == (1400, 1300)


@pytest.mark.parametrize(
    "damage", [[ONE, "link del dev rfp"], [OTHER, "link del dev fpr"], [OTHER, "link set dev fpr name away"]]
)
def test_a_pair_that_is_gone_is_made_anew(damage: list[str]) -> None:
    run(*pair(), purge=True)
    ip(damage[1], namespace=damage[0])
    assert changes(*pair(), purge=True)
    assert answers()
    assert set(links(OTHER)) == {"fpr"}


def test_a_namespace_that_is_gone_comes_back_with_its_end() -> None:
    run(*pair(), purge=True)
    ip(f"netns del {OTHER}")
    assert f"create namespace {OTHER}" in changes(*pair(), purge=True)
    assert answers()


def test_an_end_that_is_on_another_pair_is_replaced() -> None:
    run(*pair(), purge=True)
    ip("link del dev rfp", "link add dev rfp type veth peer name tap0", namespace=ONE)
    ip("link set dev rfp alias weft.fabric", namespace=ONE)
    assert changes(*pair())
    assert answers()


def test_what_was_set_on_a_device_is_set_on_the_one_that_takes_its_place() -> None:
    items = pair()
    items[1]["sysctls"] = {"net.ipv4.conf.fpr.proxy_arp": "1", "net.ipv4.neigh.fpr.proxy_delay": "0"}
    run(*items, purge=True)
    ip("link del dev rfp", namespace=ONE)
    # Left over of another pair, and as it shall be: so its settings are those of a device that is about to go.
    ip("link add dev fpr type veth peer name tap0", "link set dev fpr alias weft.fabric", namespace=OTHER)
    with netns.entered(OTHER):
        for name, value in items[1]["sysctls"].items():
            netns.write_sysctl(netns.sysctl_path(name, "test"), value)
    assert f"set sysctl net.ipv4.conf.fpr.proxy_arp in {OTHER} from nothing to 1" in changes(*items)
    with netns.entered(OTHER):
        for name, value in items[1]["sysctls"].items():
            assert netns.read_sysctl(netns.sysctl_path(name, "test")) == value


def test_a_device_of_somebody_else_is_left_alone() -> None:
    run(*pair(), purge=True)
    ip("link del dev rfp", "link add dev rfp type bridge", namespace=ONE)
    with pytest.raises(FabricError, match=f"rfp in {ONE} exists and does not bear the mark"):
        run(*pair(), purge=True)


@pytest.mark.parametrize("kept", [ONE, OTHER])
def test_a_pair_goes_with_one_of_its_namespaces(kept: str) -> None:
    run(*pair(), purge=True)
    changes(inside(name=kept), purge=True)
    assert links(kept) == {}
    changes(purge=True)
    assert netns.names() == ([], [])


def test_pairs_go_when_they_are_not_wanted_any_more() -> None:
    both = [
        inside(*(item["links"][0] for item in items), name=items[0]["name"])
        for items in zip(pair(), pair("2"), strict=True)
    ]
    run(*both, purge=True)
    assert set(links(ONE)) == {"rfp", "rfp2"}
    changes(*pair(), purge=True)
    assert (set(links(ONE)), set(links(OTHER))) == ({"rfp"}, {"fpr"})
    assert answers()


def test_what_stands_is_told_in_the_shape_that_is_taken() -> None:
    run(*pair(), purge=True)
    told = namespaces_info.describe([ONE, OTHER], everything=False)
    assert {item["links"][0]["peer_namespace"] for item in told} == {ONE, OTHER}
    for item in told:
        for link in item["links"]:
            del link["tx_checksum"]
    assert not run(*told, purge=True)["changed"]


@pytest.mark.parametrize("purge_next", [False, True])
def test_a_run_killed_anywhere_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch, purge_next: bool) -> None:
    empty = picture()
    run(*pair())
    expected = picture()
    run(purge=True)
    for limit in range(100):
        with monkeypatch.context() as patch:
            cut_after(limit, patch)
            try:
                run(*pair())
            except Killed:
                killed = True
            else:
                killed = False
        if purge_next:
            run(purge=True)
            assert picture() == empty, f"after {limit} lines"
        run(*pair())
        assert picture() == expected, f"after {limit} lines"
        assert not run(*pair())["changed"]
        run(purge=True)
        assert picture() == empty
        if not killed:
            assert limit > 8
            return
    raise AssertionError("the run never came to its end")


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (pair()[:1], f"link rfp of {ONE}: list its peer fpr in {OTHER} too, with peer: rfp and peer_namespace: {ONE}"),
        ([outside(veth(peer_namespace=ONE))], f"list the link in namespace {ONE}, with eth0 as its peer"),
        ([inside(veth(peer_namespace=OTHER), name=OTHER)], f"both ends would be in {OTHER}"),
        (
            [inside({"name": "t", "kind": "tap", "peer_namespace": ONE})],
            "peer_namespace is for links of kind veth only",
        ),
        ([inside(rules=[{"priority": 32766, "table": "7"}])], "at 32766 is a rule of the kernel's own"),
        (
            [inside(routes=[{"to": "10.0.0.0/24", "dev": "eth0", "announce_on": "eth0"}])],
            "10.0.0.0/24 is no single address that could be announced",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(items: list[Item], message: str) -> None:
    with pytest.raises(FabricError) as refused:
        run(*items)
    assert message in str(refused.value)


def test_a_move_that_was_killed_is_finished_by_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    link = veth(mac=MACS[ONE], addresses=["10.0.0.2/24"])
    run(inside(link, name=OTHER))
    expected = picture()
    run(purge=True)
    for limit in range(100):
        run(inside(link, name=ONE))
        index = links()["tap1"]["ifindex"]
        with monkeypatch.context() as patch:
            cut_after(limit, patch)
            try:
                run(inside(link, name=OTHER), purge=True)
            except Killed:
                killed = True
            else:
                killed = False
        run(inside(link, name=OTHER), purge=True)
        assert picture() == expected, f"after {limit} lines"
        assert links()["tap1"]["ifindex"] == index
        run(purge=True)
        if not killed:
            return
    raise AssertionError("the run never came to its end")


def test_rules_for_what_the_main_table_does_not_know() -> None:
    rules = [
        {"priority": 33000, "from": "10.0.0.9/32", "table": "16"},
        {"priority": 33000, "from": "10.0.0.10/32", "table": "16"},
        {"priority": 33500, "iif": "lo", "table": "16"},
        {"priority": 34000, "table": "17", "ip_version": 4},
        {"priority": 34000, "table": "17", "ip_version": 6},
    ]
    assert len(changes(inside(rules=rules), purge=True)) == 1 + len(rules)
    for option, count in (("-4", 4), ("-6", 1)):
        found = [rule for rule in ask("rule show", OTHER, option) if rule["priority"] > 32767]
        assert len(found) == count
    assert len(changes(inside(rules=rules[:1]), purge=True)) == len(rules) - 1


def test_an_address_that_the_namespace_answers_for_is_told_when_its_route_comes() -> None:
    """Proxy ARP: the address is nowhere in the namespace, and whoever has known it elsewhere has to hear of it."""
    run(inside(veth()))

    def told(*addresses: str) -> list[bytes]:
        """Change the routes, and return what came out at the host's end: a last frame says that it was all."""
        routes = [{"to": f"{address}/32", "dev": "eth0", "announce_on": "eth0"} for address in addresses]
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as host_end:
            host_end.bind(("tap1", 3))
            host_end.settimeout(5)
            run(inside(veth(), routes=routes), purge=True)
            with netns.entered(OTHER), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as last:
                last.bind(("eth0", 0))
                last.send(bytes(12) + b"\x88\xb5" + bytes(46))
            heard: list[bytes] = []
            while (got := host_end.recv(2000))[12:14] != b"\x88\xb5":
                heard.append(got)
        return [got for got in heard if got[12:14] == b"\x08\x06"]

    mac = bytes.fromhex(links(OTHER)["eth0"]["address"].replace(":", ""))
    assert told("203.0.113.1") == [announce.frame(mac, "203.0.113.1")]
    assert told("203.0.113.1") == []
    assert told("203.0.113.1", "203.0.113.2") == [announce.frame(mac, "203.0.113.2")]
    assert told("203.0.113.2") == []
