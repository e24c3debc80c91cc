# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces and links on a real kernel, read by ip."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import typing as t
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import (
    announce,
    command,
    iproute,
    namespaces,
    namespaces_info,
    netns,
)
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ask, ip, links
from ansible_collections.weft.fabric.tests.unit.namespaces.runs import (
    Item,
    changes,
    existing,
    inside,
    outside,
    run,
    tap,
    veth,
)
from ansible_collections.weft.fabric.tests.unit.topology.compile import frames

pytestmark = pytest.mark.usefixtures("host")

MAC = "fa:16:3e:00:00:01"
FULL = veth(mac=MAC, mtu=1450, addresses=["10.0.0.2/24", "fd00::2/64"], resource="ports/blue/web-1")


def routes(namespace: str | None = None, family: str = "-4", table: str = "main") -> set[tuple[str, ...]]:
    """Return the routes the collection made, or anybody but the kernel."""
    found = ask(f"route show table {table}", namespace, family)
    return {
        (route["type"], route["dst"], route.get("gateway", ""), route.get("dev", ""))
        for route in found
        if route["protocol"] not in ("kernel", "ra")
    }


# The life of each thing


def test_a_namespace_with_a_pair() -> None:
    assert changes(inside(FULL)) == ["create namespace weft-t-a", "create veth eth0 in weft-t-a with peer tap1"]
    inner, outer = links("weft-t-a")["eth0"], links()["tap1"]
    assert (inner["address"], inner["mtu"], inner["global"]) == (MAC, 1450, {"10.0.0.2/24", "fd00::2/64"})
    assert (outer["mtu"], outer["global"]) == (1450, set())
    assert inner["link_index"] == outer["ifindex"]
    for link in (inner, outer):
        assert "UP" in link["flags"]
        assert link["ifalias"] == "weft.fabric ports/blue/web-1"
    assert "UP" in ask("link show lo", "weft-t-a")[0]["flags"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"mtu": 1450}, {"mtu": 1400}, ["set MTU of eth0 in weft-t-a from 1450 to 1400", "tap1 in the host"]),
        ({"mac": MAC}, {"mac": "fa:16:3e:00:00:02"}, ["set MAC of eth0 in weft-t-a"]),
        ({"up": True}, {"up": False}, ["set state of eth0 in weft-t-a from up to down", "tap1 in the host"]),
        ({"up": False}, {"up": True}, ["set state of eth0 in weft-t-a from down to up", "tap1 in the host"]),
        ({"resource": "ports/a/b"}, {"resource": "ports/a/c"}, ["set mark of eth0", "set mark of tap1"]),
        ({"tx_checksum": True}, {"tx_checksum": False}, ["set checksum offload of eth0 in weft-t-a from on to off"]),
        ({"tx_checksum": False}, {"tx_checksum": True}, ["set checksum offload of eth0 in weft-t-a from off to on"]),
        (
            {"addresses": ["10.0.0.2/24"]},
            {"addresses": ["10.0.0.3/24"]},
            ["add address 10.0.0.3/24", "remove address 10.0.0.2/24"],
        ),
        ({"addresses": ["10.0.0.2/24"]}, {"addresses": ["10.0.0.2/16"]}, ["add address", "remove address"]),
        ({"addresses": ["fd00::2/64"]}, {"addresses": []}, ["remove address fd00::2/64"]),
        ({"peer": "tap1"}, {"peer": "tap2"}, ["create veth eth0 in weft-t-a with peer tap2"]),
    ],
)
def test_a_pair_changes(before: Item, after: Item, expected: list[str]) -> None:
    run(inside(veth(**before)))
    index = links("weft-t-a")["eth0"]["ifindex"]
    told = changes(inside(veth(**after)))
    assert len(told) == len(expected)
    for text, part in zip(told, expected, strict=True):
        assert part in text
    inner = links("weft-t-a")["eth0"]
    assert (inner["ifindex"] == index) == ("peer" not in after), "a link is made anew only when it must"
    if "mtu" in after:
        assert inner["mtu"] == links()["tap1"]["mtu"] == after["mtu"]
    if "mac" in after:
        assert inner["address"] == after["mac"]
    if "up" in after:
        assert ("UP" in inner["flags"]) == ("UP" in links()["tap1"]["flags"]) == after["up"]
    if "addresses" in after:
        assert inner["global"] == set(after["addresses"])
    if "tx_checksum" in after:
        assert offload("weft-t-a", "eth0") == after["tx_checksum"]
    if "peer" in after:
        assert set(links()) == {after["peer"]}


def offload(namespace: str, device: str) -> bool:
    command = ["ip", "netns", "exec", namespace, "ethtool", "-k", device]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return "tx-checksumming: on" in text


def test_a_tap() -> None:
    assert changes(outside(tap(mtu=1450, owner="nobody"))) == ["create tap tap9 in the host"]
    found = links()["tap9"]
    assert found["linkinfo"]["info_data"]["type"] == "tap"
    assert found["linkinfo"]["info_data"]["user"] == "nobody"
    assert found["mtu"] == 1450
    told = changes(outside(tap(mtu=1400, owner="daemon")))
    assert told == ["set MTU of tap9 in the host from 1450 to 1400", "set owner of tap9 in the host from 65534 to 1"]
    assert links()["tap9"]["linkinfo"]["info_data"]["user"] == "daemon"
    assert links()["tap9"]["ifindex"] == found["ifindex"]
    assert changes(outside({**tap(), "state": "absent"})) == ["remove tap tap9 in the host"]
    assert links() == {}


def test_the_owner_of_a_tap_in_use() -> None:
    run(outside(tap(owner="nobody")))
    with open("/dev/net/tun", "r+b", buffering=0) as user:
        fcntl.ioctl(user, 0x400454CA, struct.pack("16sH22x", b"tap9", 0x1002))
        with pytest.raises(FabricError, match=r"tap tap9 cannot get another owner while a program uses it"):
            run(outside(tap(owner="daemon")))


def test_a_tap_in_a_namespace() -> None:
    told = changes(inside(tap(mtu=1450), sysctls={"net.ipv6.conf.tap9.accept_ra": 0}))
    assert told[:2] == ["create namespace weft-t-a", "create tap tap9 in weft-t-a"]
    assert links("weft-t-a")["tap9"]["mtu"] == 1450
    assert links() == {}


def test_both_ends_in_the_host() -> None:
    assert changes(outside(veth("left", "right", mtu=1400))) == ["create veth left in the host with peer right"]
    assert {name: link["mtu"] for name, link in links().items()} == {"left": 1400, "right": 1400}
    assert changes(outside(), purge=True) == ["remove veth right in the host"]
    assert links() == {}


def test_another_kind_replaces_the_link() -> None:
    run(outside(tap("dev1")))
    assert changes(outside(veth("dev1", "dev2"))) == ["create veth dev1 in the host with peer dev2"]
    assert links()["dev1"]["linkinfo"]["info_kind"] == "veth"


def test_a_port_moves_to_another_namespace() -> None:
    run(inside(FULL))
    told = changes(inside(name="weft-t-a"), inside(FULL, name="weft-t-b"), purge=True)
    assert told[:2] == ["create namespace weft-t-b", "create veth eth0 in weft-t-b with peer tap1"]
    assert "eth0" in links("weft-t-b")
    assert links("weft-t-a") == {}


def test_routes_neighbours_rules_and_sysctls() -> None:
    wanted = inside(
        veth(addresses=["10.0.0.2/24", "fd00::2/64"]),
        routes=[
            {"to": "default", "via": "10.0.0.1"},
            {"to": "::/0", "via": "fd00::1", "dev": "eth0"},
            {"to": "10.9.0.0/16", "via": "10.7.7.7", "dev": "eth0", "onlink": True, "metric": 50},
            {"to": "10.8.0.0/16", "type": "blackhole", "table": 77},
            {"to": "fd08::/64", "type": "unreachable"},
            {"to": "10.6.0.0/16", "dev": "eth0"},
        ],
        neighbours=[
            {"ip": "10.0.0.9", "mac": "02:00:00:00:00:09", "dev": "eth0"},
            {"ip": "fd00::9", "mac": "02:00:00:00:00:09", "dev": "eth0"},
        ],
        rules=[
            {"priority": 100, "from": "10.0.0.0/24", "to": "10.3.0.0/16", "iif": "eth0", "table": 77},
            {"priority": 101, "from": "fd00::/64", "table": "77"},
            {"priority": 102, "iif": "lo", "table": "main", "ip_version": 6},
        ],
        sysctls={"net.ipv4.ip_forward": True, "net.ipv6.conf.eth0.accept_ra": 0, "net.ipv4.tcp_rmem": "4096 131072 9"},
    )
    assert len(changes(wanted)) == 2 + 6 + 2 + 3 + 3
    assert routes("weft-t-a") == {
        ("unicast", "default", "10.0.0.1", "eth0"),
        ("unicast", "10.9.0.0/16", "10.7.7.7", "eth0"),
        ("unicast", "10.6.0.0/16", "", "eth0"),
    }
    assert ("unicast", "default", "fd00::1", "eth0") in routes("weft-t-a", "-6")
    assert ("unreachable", "fd08::/64", "", "lo") in routes("weft-t-a", "-6")
    assert routes("weft-t-a", table="77") == {("blackhole", "10.8.0.0/16", "", "")}
    entries = {entry["dst"]: entry["lladdr"] for entry in ask("neigh show nud permanent", "weft-t-a")}
    assert entries == {"10.0.0.9": "02:00:00:00:00:09", "fd00::9": "02:00:00:00:00:09"}
    assert {rule["priority"] for rule in ask("rule show", "weft-t-a") if rule["protocol"] == "119"} == {100}
    assert {rule["priority"] for rule in ask("rule show", "weft-t-a", "-6") if rule["protocol"] == "119"} == {101, 102}
    command = ["ip", "netns", "exec", "weft-t-a", "sysctl", "-n", "net.ipv4.ip_forward", "net.ipv4.tcp_rmem"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "4096", "131072", "9"]

    changed = inside(
        veth(addresses=["10.0.0.2/24", "fd00::2/64"]),
        routes=[{"to": "default", "via": "10.0.0.254"}],
        neighbours=[{"ip": "10.0.0.9", "mac": "02:00:00:00:00:0a", "dev": "eth0"}],
        rules=[],
    )
    assert changes(changed) == [
        "replace route to default via 10.0.0.254 in weft-t-a",
        "set neighbour 10.0.0.9 on eth0 in weft-t-a to 02:00:00:00:00:0a",
    ]
    assert len(changes(changed, purge=True)) == 5 + 1 + 3
    assert routes("weft-t-a") == {("unicast", "default", "10.0.0.254", "eth0")}
    assert routes("weft-t-a", "-6") == set()
    gone = {"to": "default", "via": "10.0.0.254", "state": "absent"}
    assert changes(inside(veth(), routes=[gone])) == ["remove route: weft-t-a route default via 10.0.0.254 dev eth0"]


def test_neighbours_are_told_of_an_address_that_has_come() -> None:
    def told(*addresses: str, announce: bool = True) -> list[bytes]:
        """Change the addresses, and return what came out at the host's end: a last frame says that it was all."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as host_end:
            host_end.bind(("tap1", 3))
            host_end.settimeout(5)
            run(inside(veth(mac=MAC, addresses=list(addresses), announce=announce)))
            with netns.entered("weft-t-a"), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as last:
                last.bind(("eth0", 0))
                last.send(bytes(12) + b"\x88\xb5" + bytes(46))
            heard: list[bytes] = []
            while (got := host_end.recv(2000))[12:14] != b"\x88\xb5":
                heard.append(got)
        # Beside them are those of the kernel: its multicast reports.
        return [got for got in heard if got[12:14] == b"\x08\x06" or got[54:55] == b"\x88"]

    run(inside(veth(mac=MAC)))
    mac = bytes.fromhex(MAC.replace(":", ""))
    arp, advertisement = told("10.0.0.2/24", "fd00::2/64")
    assert arp == frames.arp(MAC, "10.0.0.2", "10.0.0.2")[:42]
    all_nodes = "33:33:00:00:00:01"
    assert advertisement == frames.advertisement(MAC, all_nodes, "fd00::2", "ff02::1", "fd00::2", MAC, flags=0xA0)
    assert told("10.0.0.2/24", "fd00::2/64") == []
    assert told("10.0.0.2/24", "10.0.0.3/32") == [announce.frame(mac, "10.0.0.3")]
    assert told("10.0.0.4/24", announce=False) == []


def test_connection_tracking_is_loaded_for_its_sysctls(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Sequence[str]] = []

    def modprobe(words: Sequence[str], data: str = "") -> command.Result:
        called.append(words)
        raise FileNotFoundError(words[0])

    run(inside())
    monkeypatch.setattr(command, "run", modprobe)
    with netns.entered("weft-t-a"):
        netns.write_sysctl("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal", "1")
        assert called == [], "it is there"
        with pytest.raises(FabricError, match=r"nf_conntrack_nothing cannot be set to '1'"):
            netns.write_sysctl("/proc/sys/net/netfilter/nf_conntrack_nothing", "1")
    assert called == [["modprobe", "nf_conntrack"]]


def test_routes_survive_what_happens_to_their_link() -> None:
    """A link that goes down, or loses an address, takes routes with it."""
    options = {"routes": [{"to": "default", "via": "10.0.0.1"}], "neighbours": [neighbour("10.0.0.1")]}
    run(inside(veth(addresses=["10.0.0.2/24", "10.0.0.3/24"]), **options))
    assert changes(inside(veth(addresses=["10.0.0.3/24"]), **options)) == [
        "remove address 10.0.0.2/24 from eth0 in weft-t-a"
    ]
    assert links("weft-t-a")["eth0"]["global"] == {"10.0.0.3/24"}
    ip("link set eth0 down", namespace="weft-t-a")
    assert len(changes(inside(veth(addresses=["10.0.0.3/24"]), **options))) > 0
    assert routes("weft-t-a") == {("unicast", "default", "10.0.0.1", "eth0")}


def test_a_route_by_several_gateways() -> None:
    link = veth(addresses=["10.0.0.2/24", "fd00::2/64"])

    def several(*ends: str) -> Item:
        v4 = {"to": "10.9.0.0/16", "nexthops": [{"via": f"10.0.0.{end}", "dev": "eth0"} for end in ends]}
        v6 = {"to": "fd09::/64", "nexthops": [{"via": f"fd00::{end}"} for end in ends]}
        return inside(link, routes=[v4, v6])

    def gateways() -> tuple[set[str], set[str]]:
        found = [
            ask(f"route show {to}", "weft-t-a", family) for family, to in (("-4", "10.9.0.0/16"), ("-6", "fd09::/64"))
        ]
        first, second = ([hop for route in routes for hop in route.get("nexthops", [route])] for routes in found)
        return {hop["gateway"] for hop in first}, {hop["gateway"] for hop in second}

    run(inside(link))
    assert changes(several("8", "9")) == [
        "add route to 10.9.0.0/16 nexthop via 10.0.0.8 dev eth0 nexthop via 10.0.0.9 dev eth0 in weft-t-a",
        "add route to fd09::/64 metric 1024 nexthop via fd00::8 nexthop via fd00::9 in weft-t-a",
    ]
    assert gateways() == ({"10.0.0.8", "10.0.0.9"}, {"fd00::8", "fd00::9"})
    assert changes(several("9", "8")) == [], "their order means nothing"
    for ends in (("7", "8", "9"), ("7", "9"), ("7",), ("8", "9")):
        assert len(changes(several(*ends))) == 2
        assert gateways() == ({f"10.0.0.{end}" for end in ends}, {f"fd00::{end}" for end in ends})
    (described,) = namespaces_info.describe(["weft-t-a"], False)
    assert changes(described, purge=True) == []
    assert len(changes(inside(link, routes=[]), purge=True)) == 2
    assert gateways() == (set(), set())


def neighbour(address: str) -> Item:
    return {"ip": address, "mac": "02:00:00:00:00:09", "dev": "eth0"}


# Whose is it


def make_foreign() -> None:
    ip(
        "netns add foreign",
        "link add keep type bridge",
        "link add other netns foreign type veth peer name other-p",
        "addr add 192.0.2.1/24 dev keep",
        "link set keep up",
        "route add 203.0.113.0/24 via 192.0.2.9",
        "neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev keep nud permanent",
        "rule add priority 7 from 192.0.2.0/24 table 7",
    )


def foreign_state() -> str:
    return json.dumps(
        [
            {name: (sorted(link["global"]), link["flags"]) for name, link in links().items()},
            sorted(links("foreign")),
            sorted(routes()),
            ask("neigh show nud permanent"),
            ask("rule show"),
        ]
    )


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


# Drift and interruption


@pytest.mark.parametrize(
    "damage",
    [
        ["netns del weft-t-a"],
        ["link del tap1"],
        ["-n link del eth0"],
        ["-n link set eth0 name other"],
        ["-n link set eth0 address 02:00:00:00:00:99 mtu 1300"],
        ["-n link set eth0 down"],
        ["link set tap1 down"],
        ["-n addr flush dev eth0"],
        ["-n addr add 10.0.0.77/24 dev eth0"],
        ["-n route del default"],
        ["-n route replace default via 10.0.0.3"],
        ["-n link set lo down"],
        ["link del tap9"],
        ["link set tap9 mtu 1300"],
    ],
)
def test_drift_is_mended(damage: list[str]) -> None:
    items = [inside(FULL, routes=[{"to": "default", "via": "10.0.0.1"}]), outside(tap(mtu=1450))]
    run(*items, purge=True)
    before = picture()
    for line in damage:
        prefix, rest = line.split(" ", 1)
        ip(rest if prefix == "-n" else line, namespace="weft-t-a" if prefix == "-n" else None)
    assert picture() != before
    run(*items, purge=True)
    assert picture() == before
    assert not run(*items, purge=True)["changed"]


def picture() -> dict[str, t.Any]:
    """Return all that stands, without what differs by chance."""
    found: dict[str, t.Any] = {}
    for name in [None, *sorted(os.listdir("/run/netns"))]:
        if name is not None and os.stat(f"/run/netns/{name}").st_dev != os.stat("/proc/self/ns/net").st_dev:
            found[name] = "broken"
            continue
        present = ask("addr show", name)
        found[str(name)] = {
            link["ifname"]: [
                link["mtu"],
                "UP" in link["flags"],
                link.get("ifalias"),
                link["address"] if link["ifname"] == "eth0" else None,
                sorted(entry["local"] for entry in link["addr_info"] if entry["scope"] == "global"),
            ]
            for link in present
        }
        found[f"routes of {name}"] = sorted(routes(name))
    return found


def test_a_namespace_removed_under_a_running_program() -> None:
    """The program keeps the namespace alive, and with it the host's end of the pair."""
    run(inside(FULL))
    program = subprocess.Popen(
        ["ip", "netns", "exec", "weft-t-a", "sh", "-c", "echo; exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    program.stdout.readline()
    ip("netns del weft-t-a")
    assert "tap1" in links()
    assert changes(inside(FULL)) == ["create namespace weft-t-a", "create veth eth0 in weft-t-a with peer tap1"]
    assert links("weft-t-a")["eth0"]["link_index"] == links()["tap1"]["ifindex"]
    program.communicate()


class Killed(BaseException):
    """Like SIGKILL, nothing catches it."""


CUT = [
    inside(FULL, routes=[{"to": "default", "via": "10.0.0.1"}]),
    inside(tap("tap8", mtu=1450), veth("eth1", "tap2", tx_checksum=False), name="weft-t-b"),
    outside(tap(mtu=1450), veth("left", "right")),
]


def cut_after(limit: int, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[], bool]:
    """Let ip do so many lines and no more. Return whether it came to that."""
    left = [limit]
    call = iproute._call

    def short(options: list[str], lines: list[str], name: str | None, family: int | None) -> t.Any:
        chosen = lines[: left[0]]
        done = call(options, chosen, name, family) if chosen else None
        left[0] -= len(chosen)
        if len(chosen) < len(lines):
            raise Killed
        return done

    monkeypatch.setattr(iproute, "_call", short)
    return lambda: left[0] == 0


@pytest.mark.parametrize("purge_next", [False, True])
def test_a_run_killed_anywhere_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch, purge_next: bool) -> None:
    run(*CUT)
    expected = picture()
    run(purge=True)
    empty = picture()
    for limit in range(100):
        with monkeypatch.context() as patch:
            cut_after(limit, patch)
            try:
                run(*CUT)
            except Killed:
                killed = True
            else:
                killed = False
        if purge_next:
            # The operator thought again: what was half made must go, marked or not.
            run(purge=True)
            assert picture() == empty, f"after {limit} lines"
        run(*CUT)
        assert picture() == expected, f"after {limit} lines"
        assert not run(*CUT)["changed"]
        run(purge=True)
        assert picture() == empty
        if not killed:
            assert limit > 20
            return
    raise AssertionError("the run never came to its end")


def test_a_removal_killed_anywhere_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = picture()
    for limit in range(100):
        run(*CUT)
        with monkeypatch.context() as patch:
            cut_after(limit, patch)
            try:
                run(purge=True)
            except Killed:
                killed = True
            else:
                killed = False
        run(purge=True)
        assert picture() == empty, f"after {limit} lines"
        if not killed:
            return
    raise AssertionError("the run never came to its end")


def test_only_what_was_begun_is_adopted() -> None:
    """The negative: the note of an interrupted run does not cover what came from elsewhere."""
    namespaces.namespaces_current.write_intent(["weft-t-a"], {None: ["tap1"], "weft-t-a": ["eth0"]})
    ip("link add tap9 type bridge")
    with pytest.raises(FabricError, match=r"link tap9 in the host exists"):
        run(inside(FULL), outside(tap()))
    changes(inside(FULL))
    assert not os.path.exists(namespaces.namespaces_current.INTENT_FILE)


def test_a_namespace_file_without_a_namespace() -> None:
    Path("/run/netns/weft-t-a").touch()
    assert changes(inside(FULL))[0] == "create namespace weft-t-a"
    assert "eth0" in links("weft-t-a")


# Size


def count_processes(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    calls: list[Sequence[str]] = []
    real = command.run

    def counting(words: Sequence[str], data: str = "") -> command.Result:
        calls.append(words)
        return real(words, data)

    monkeypatch.setattr(command, "run", counting)
    return calls


def test_one_process_for_the_host_and_one_for_each_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [inside(veth(peer=f"tap{number}", tx_checksum=False), name=f"weft-t-{number}") for number in range(20)]
    many.append(outside(*[tap(f"wtk{number}") for number in range(200)]))
    calls = count_processes(monkeypatch)
    run(*many)
    assert len(calls) == 1 + 20
    calls.clear()
    run(*many, purge=True)
    assert calls == []
    run(*many[5:], purge=True)
    assert len(calls) == 1, "removal is one process for the host"
    calls.clear()
    run(purge=True)
    assert len(calls) == 1
    assert links() == {}


def test_removal_of_many_leaves_the_group_of_others_alone() -> None:
    run(outside(*[tap(f"wtk{number}") for number in range(10)]))
    ip("link add mine type bridge", f"link set mine group {0x7765}")
    # Left over by a run that was killed between the two, and wanted again.
    ip(f"link set wtk0 group {0x7765}")
    run(outside(tap("wtk0")), purge=True)
    assert set(links()) == {"mine", "wtk0"}


# Information


def test_info_goes_back_in() -> None:
    make_foreign()
    run(
        inside(
            FULL,
            tap(owner="nobody"),
            routes=[
                {"to": "default", "via": "10.0.0.1"},
                {"to": "::/0", "dev": "eth0"},
                {"to": "10.8.0.0/16", "type": "blackhole", "table": 7},
            ],
            neighbours=[neighbour("10.0.0.1")],
            rules=[{"priority": 100, "from": "fd00::/64", "table": 7}, {"priority": 101, "iif": "lo", "table": 7}],
        ),
        inside(veth("eth9", "tap2"), name="foreign"),
        outside(tap("tap3", mtu=1400), veth("left", "right")),
    )
    for names, everything in ((None, False), (["weft-t-a"], False), (None, True)):
        found = namespaces_info.describe(names, everything)
        assert not run(*found)["changed"], found
    found = namespaces_info.describe(None, False)
    assert not run(*found, purge=True)["changed"]
    before = picture()
    run(purge=True)
    run(*found)
    assert picture() == before
    listed = {item.get("name"): [link["name"] for link in item["links"]] for item in found}
    assert listed == {None: ["tap3", "left"], "foreign": ["eth9"], "weft-t-a": ["eth0", "tap9"]}


def test_info_of_an_empty_host() -> None:
    assert namespaces_info.describe(None, False) == [{"links": [], "routes": [], "neighbours": [], "rules": []}]
    assert namespaces_info.describe(["nowhere"], False) == []


# The host lacks something


def test_without_ip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FabricError, match=r"the program ip is missing on this host: install iproute2"):
        run(inside(FULL))


def test_without_the_right_to(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "from ansible_collections.weft.fabric.plugins.module_utils import command\n"
        "from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError\n"
        "from ansible_collections.weft.fabric.tests.unit import runner\n"
        "from ansible_collections.weft.fabric.tests.unit.namespaces.runs import inside, run, veth\n"
        "command.use(runner.run)\n"
        "try:\n    run(inside(veth()))\nexcept FabricError as error:\n    print(error)\n"
    )
    words = ["setpriv", "--bounding-set", "-net_admin,-sys_admin", "--inh-caps", "-all", sys.executable, str(script)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    assert "root is needed, in a container CAP_NET_ADMIN and CAP_SYS_ADMIN too" in done.stdout
