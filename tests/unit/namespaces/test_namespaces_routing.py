# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes, neighbours, rules and sysctls, and what is told of new addresses."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import (
    announce,
    command,
    namespaces_info,
    netns,
)
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ask, ip, links
from ansible_collections.weft.fabric.tests.unit.namespaces.runs import (
    MAC,
    Item,
    changes,
    inside,
    neighbour,
    routes,
    run,
    veth,
)
from ansible_collections.weft.fabric.tests.unit.topology.compile import frames

pytestmark = pytest.mark.usefixtures("host")


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


# What keepalived has made, and the router has no standby any more.
LEFT = ("10.8.0.0/16 via 10.0.0.9", "10.9.0.0/16 via 10.0.0.9", "fd08::/64 via fd00::9")


def keepalived_routes(namespace: str) -> None:
    for route in LEFT:
        ip(f"route add {route} dev eth0 proto 18", namespace=namespace)
    ip(
        "route add 10.7.0.0/16 proto 18 nexthop via 10.0.0.8 dev eth0 nexthop via 10.0.0.9 dev eth0",
        namespace=namespace,
    )


@pytest.mark.parametrize("kept", [[], [{"to": "10.8.0.0/16", "via": "10.0.0.9", "dev": "eth0"}]], ids=["none", "one"])
def test_what_keepalived_has_left_goes_when_it_is_not_wanted(kept: list[Item]) -> None:
    link = veth(addresses=["10.0.0.2/24", "fd00::2/64"])
    changes(inside(link), purge=True)
    keepalived_routes("weft-t-a")
    assert changes(inside(link), purge=True) == [], "without a word about routes they are keepalived's"
    done = changes(inside(link, routes=kept), purge=True)
    assert len(done) == 4
    assert sum(text.startswith("remove route: ") for text in done) == 4 - len(kept)
    wanted = {("unicast", route["to"], route["via"], "eth0") for route in kept}
    assert routes("weft-t-a") == wanted
    assert ("unicast", "fd08::/64", "fd00::9", "eth0") not in routes("weft-t-a", "-6")
    assert not any(route["protocol"] == "keepalived" for route in ask("route show", "weft-t-a"))


def test_what_keepalived_has_in_somebody_else_s_namespace_stays() -> None:
    ip("netns add foreign", "link add eth0 netns foreign type bridge")
    ip("addr add 10.0.0.2/24 dev eth0", "addr add fd00::2/64 dev eth0 nodad", "link set eth0 up", namespace="foreign")
    keepalived_routes("foreign")
    before = routes("foreign") | routes("foreign", "-6")
    item = {"name": "foreign", "routes": [{"to": "10.6.0.0/16", "via": "10.0.0.9", "dev": "eth0"}]}
    assert len(changes(item, purge=True)) == 1
    added = {("unicast", "10.6.0.0/16", "10.0.0.9", "eth0")}
    assert routes("foreign") | routes("foreign", "-6") == before | added
