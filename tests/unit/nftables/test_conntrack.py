# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections end with the elements they came from, and no others do. Read by conntrack(8)."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import conntrack, netns, nftables, nftables_tracked
from ansible_collections.weft.fabric.plugins.module_utils.conntrack import Match
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip
from ansible_collections.weft.fabric.tests.unit.nftables.runs import (
    PORT,
    PORT_TYPE,
    ROUTER,
    TABLE,
    TCP_UDP,
    Item,
    addresses,
    chain,
    changes,
    dnat,
    looked_up,
    match,
    meta,
    payload,
    rule,
    run,
    table,
)

pytestmark = pytest.mark.usefixtures("host")

OUTSIDE, INSIDE = "weft-t-outside", "weft-t-inside"
FIRST, SECOND, ROUTERS = "203.0.113.120", "203.0.113.121", "203.0.113.150"
TCP, UDP = 6, 17


def entries(*filters: str) -> set[str]:
    """Return the connections of the router: protocol, source, destination and ports before translation."""
    words = ["ip", "netns", "exec", ROUTER, "conntrack", "-L", *filters]
    found = set()
    for line in subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines():
        fields: dict[str, str] = {}
        for word in line.split():
            name, _equals, value = word.partition("=")
            fields.setdefault(name, value)
        found.add(f"{line.split()[0]} {fields['src']}:{fields['sport']} {fields['dst']}:{fields['dport']}")
    return found


def insert(source: str, destination: str, port: int, protocol: str = "tcp", *options: str) -> str:
    """Make a connection known to the router."""
    words = ["ip", "netns", "exec", ROUTER, "conntrack", "-I", "-p", protocol, "-t", "300", "-s", source]
    words += ["-d", destination, "--sport", "40000", "--dport", str(port)]
    words += ["--state", "ESTABLISHED"] * (protocol == "tcp")
    subprocess.run([*words, "-u", "ASSURED,SEEN_REPLY", *options], check=True, capture_output=True)
    return f"{protocol} {source}:40000 {destination}:{port}"


def end(*matches: Match) -> int:
    with netns.entered(ROUTER):
        return conntrack.end(matches)


@pytest.mark.parametrize("direction", conntrack.DIRECTIONS)
def test_each_direction_means_its_address(direction: str) -> None:
    ours, other = insert("10.0.0.9", FIRST, 80), insert("10.0.0.10", SECOND, 80)
    address = {"orig-dst": FIRST, "orig-src": "10.0.0.9", "reply-src": FIRST, "reply-dst": "10.0.0.9"}[direction]
    assert entries() == {ours, other}
    assert end(Match(direction, address + "/32")) == 1
    assert entries() == {other}


def test_a_translated_connection_has_another_address_in_each_direction() -> None:
    ours = insert("10.0.0.9", "192.0.2.1", 80, "tcp", "--src-nat", FIRST)
    assert end(Match("orig-src", FIRST + "/32"), Match("reply-src", FIRST + "/32")) == 0
    assert entries() == {ours}
    assert end(Match("reply-dst", FIRST + "/32")) == 1
    assert entries() == set()


def test_protocol_and_ports_are_part_of_it() -> None:
    stay = {
        insert("192.0.2.1", FIRST, 2222, "udp"),
        insert("192.0.2.1", FIRST, 2223),
        insert("192.0.2.1", SECOND, 2222),
    }
    go = {insert("192.0.2.1", FIRST, 2222), insert("192.0.2.1", FIRST, 3000), insert("192.0.2.1", FIRST, 3010)}
    stay.add(insert("192.0.2.1", FIRST, 3011))
    assert entries() == stay | go
    assert (
        end(Match("orig-dst", FIRST + "/32", TCP, (2222, 2222)), Match("orig-dst", FIRST + "/32", TCP, (3000, 3010)))
        == 3
    )
    assert entries() == stay


def test_ipv6_and_prefixes() -> None:
    inside, outside = insert("fd00::9", "2001:db8::1", 80), insert("fd00:0:0:1::9", "2001:db8::2", 80)
    assert entries("-f", "ipv6") == {inside, outside}
    assert end(Match("orig-dst", "2001:db8::2/128")) == 1
    assert entries("-f", "ipv6") == {inside}
    assert end(Match("orig-src", "fd00:0:0:1::/64")) == 0
    assert end(Match("orig-src", "fd00::/64")) == 1


def test_many_addresses_are_looked_for_in_one_list() -> None:
    first = ipaddress.ip_address("198.51.100.0")
    stay = insert("192.0.2.1", SECOND, 80)
    for number in range(5):
        insert("192.0.2.1", str(first + number), 80)
    assert end(*(Match("orig-dst", f"{first + number}/32") for number in range(100))) == 5
    assert entries() == {stay}


def test_a_zone_is_no_hindrance() -> None:
    insert("192.0.2.1", FIRST, 80, "tcp", "--zone", "7")
    assert end(Match("orig-dst", FIRST + "/32")) == 1
    assert entries() == set()


def test_nothing_meant_is_nothing_ended() -> None:
    ours = insert("192.0.2.1", FIRST, 80)
    assert end() == 0
    assert entries() == {ours}


def test_where_nothing_is_tracked_nothing_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a list the kernel looks at the connections of all namespaces: with hundreds of new routers, for seconds."""

    def refused(_what: str) -> t.NoReturn:
        raise AssertionError("the kernel was asked")

    with monkeypatch.context() as patched:
        patched.setattr(conntrack, "Socket", refused)
        assert end(Match("orig-dst", FIRST + "/32")) == 0
        ours = insert("192.0.2.1", FIRST, 80)
        with pytest.raises(AssertionError, match="the kernel was asked"):
            end(Match("orig-dst", FIRST + "/32"))
    assert entries() == {ours}
    assert end(Match("orig-dst", FIRST + "/32")) == 1


# Elements and real connections


@pytest.fixture
def wired(host: None) -> None:
    """A router between an outside and an inside, each with a machine."""
    ip(f"netns add {OUTSIDE}", f"netns add {INSIDE}")
    ip(f"link add eth0 netns {OUTSIDE} type veth peer name qg-1 netns {ROUTER}")
    ip(f"link add eth0 netns {INSIDE} type veth peer name qr-1 netns {ROUTER}")
    ip("address add 203.0.113.2/24 dev eth0", "link set eth0 up", namespace=OUTSIDE)
    ip("address add 10.0.0.9/24 dev eth0", "address add 10.0.0.10/24 dev eth0", "link set eth0 up", namespace=INSIDE)
    ip("route add default via 10.0.0.1", namespace=INSIDE)
    ip("address add 10.0.0.1/24 dev qr-1", "address add 203.0.113.1/24 dev qg-1", namespace=ROUTER)
    ip(*(f"address add {address}/32 dev qg-1" for address in (FIRST, SECOND, ROUTERS)), namespace=ROUTER)
    ip("link set qr-1 up", "link set qg-1 up", namespace=ROUTER)
    with netns.entered(ROUTER):
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")


def router(
    floating: dict[str, str], forwarded: list[tuple[str, int, str, int]] | None = None, **options: t.Any
) -> Item:
    """The table of a router: floating IPs both ways, port forwardings, and translation of the rest."""
    keys = [{"concat": [address, "tcp", port]} for address, port, _to, _port in forwarded or []]
    hosts = [[key, to] for key, (_address, _port, to, _inner) in zip(keys, forwarded or [], strict=True)]
    ports = [[key, inner] for key, (_address, _port, _to, inner) in zip(keys, forwarded or [], strict=True)]
    leaving = match(meta("oifname"), "qg-1")
    place = {"addr": looked_up("forward_address", *PORT), "port": looked_up("forward_port", *PORT)}
    return table(
        addresses(floating),
        addresses({inner: outer for outer, inner in floating.items()}, "fip_snat"),
        {"map": {"name": "forward_address", "type": PORT_TYPE, "map": "ipv4_addr", "elem": hosts}},
        {"map": {"name": "forward_port", "type": PORT_TYPE, "map": "inet_service", "elem": ports}},
        chain("prerouting"),
        chain("postrouting", 100),
        rule("prerouting", TCP_UDP, {"dnat": {"family": "ip", **place}}),
        rule("prerouting", dnat()),
        rule("postrouting", leaving, {"snat": {"family": "ip", "addr": looked_up("fip_snat", payload("ip", "saddr"))}}),
        rule("postrouting", leaving, {"snat": {"family": "ip", "addr": ROUTERS, "flags": "fully-random"}}),
        conntrack=[
            {"map": "fip_dnat", "direction": "orig-dst"},
            {"map": "fip_dnat", "direction": "reply-dst"},
            {"map": "forward_address", "direction": "orig-dst"},
            {"map": "forward_port", "direction": "orig-dst"},
        ],
        **options,
    )


class Session:
    """A TCP session between two namespaces, as long as the test lasts."""

    def __init__(self, source: tuple[str, str], server: tuple[str, str], to: str, port: int, inner: int) -> None:
        with netns.entered(server[0]):
            self._listener = socket.create_server((server[1], inner))
        with netns.entered(source[0]):
            self._client = socket.create_connection((to, port), timeout=5, source_address=(source[1], 0))
        self._server, self.seen = self._listener.accept()
        for end_ in (self._client, self._server):
            end_.settimeout(1)

    def lives(self) -> bool:
        """Whether a word from the server arrives at the client, and back."""
        try:
            for sender, receiver in ((self._server, self._client), (self._client, self._server)):
                sender.sendall(b"word")
                assert receiver.recv(16) == b"word"
        except TimeoutError:
            return False
        except ConnectionError:
            return False
        return True

    def close(self) -> None:
        for end_ in (self._client, self._server, self._listener):
            end_.close()


@pytest.fixture
def session() -> t.Iterator[t.Callable[..., Session]]:
    opened: list[Session] = []

    def opener(*arguments: t.Any) -> Session:
        opened.append(Session(*arguments))
        assert opened[-1].lives()
        return opened[-1]

    yield opener
    for one in opened:
        one.close()


Opener = t.Callable[..., Session]
CLIENT = (OUTSIDE, "203.0.113.2")
BOTH = {FIRST: "10.0.0.9", SECOND: "10.0.0.10"}


@pytest.mark.usefixtures("wired")
def test_a_session_ends_with_its_floating_ip_and_the_neighbours_goes_on(session: Opener) -> None:
    run(router(BOTH))
    gone = session(CLIENT, (INSIDE, "10.0.0.9"), FIRST, 80, 80)
    stays = session(CLIENT, (INSIDE, "10.0.0.10"), SECOND, 80, 80)
    assert len(changes(router({SECOND: "10.0.0.10"}))) == 2
    assert not any(FIRST in entry for entry in entries())
    assert stays.lives()
    assert not gone.lives()


@pytest.mark.usefixtures("wired")
def test_a_session_ends_when_its_floating_ip_moves(session: Opener) -> None:
    run(router(BOTH))
    gone = session(CLIENT, (INSIDE, "10.0.0.9"), FIRST, 80, 80)
    stays = session(CLIENT, (INSIDE, "10.0.0.10"), SECOND, 80, 80)
    changes(router({FIRST: "10.0.0.11", SECOND: "10.0.0.10"}))
    assert stays.lives()
    assert not gone.lives()


@pytest.mark.usefixtures("wired")
def test_what_left_by_the_floating_ip_ends_and_what_left_by_the_router_goes_on(session: Opener) -> None:
    run(router({}))
    earlier = session((INSIDE, "10.0.0.9"), CLIENT, CLIENT[1], 80, 80)
    assert earlier.seen[0] == ROUTERS
    run(router(BOTH))
    assert earlier.lives(), "a floating IP that came has ended a session"
    gone = session((INSIDE, "10.0.0.9"), CLIENT, CLIENT[1], 81, 81)
    assert gone.seen[0] == FIRST
    run(router({SECOND: "10.0.0.10"}))
    assert earlier.lives()
    assert not gone.lives()


@pytest.mark.usefixtures("wired")
def test_a_port_forwarding_ends_its_own_sessions_only(session: Opener) -> None:
    forwarded = [(FIRST, 2222, "10.0.0.9", 22), (FIRST, 2223, "10.0.0.10", 22)]
    run(router({SECOND: "10.0.0.10"}, forwarded))
    gone = session(CLIENT, (INSIDE, "10.0.0.9"), FIRST, 2222, 22)
    stays = session(CLIENT, (INSIDE, "10.0.0.10"), FIRST, 2223, 22)
    changes(router({SECOND: "10.0.0.10"}, forwarded[1:]))
    assert stays.lives()
    assert not gone.lives()


@pytest.mark.usefixtures("wired")
def test_a_table_that_goes_ends_the_sessions_of_its_elements(session: Opener) -> None:
    run(router(BOTH))
    gone = session(CLIENT, (INSIDE, "10.0.0.9"), FIRST, 80, 80)
    run(router(BOTH, state="absent"))
    assert not gone.lives()
    assert entries("-g") == set()


@pytest.mark.usefixtures("wired")
def test_a_table_that_nobody_speaks_of_ends_what_it_has_translated_and_nothing_else(session: Opener) -> None:
    """Else the next holder of the address would not hear of whoever comes from the same port as before."""
    ip("link set lo alias weft.fabric", namespace=ROUTER)
    forwarded = [(SECOND, 2222, "10.0.0.10", 22)]
    run(router({FIRST: "10.0.0.9"}, forwarded))
    session(CLIENT, (INSIDE, "10.0.0.9"), FIRST, 80, 80)
    session((INSIDE, "10.0.0.9"), CLIENT, CLIENT[1], 81, 81)
    session(CLIENT, (INSIDE, "10.0.0.10"), SECOND, 2222, 22)
    stay = {insert("10.0.0.9", "10.0.1.9", 80), insert("192.0.2.1", SECOND, 2223)}
    session((INSIDE, "10.0.0.10"), CLIENT, CLIENT[1], 82, 82)  # with the router's address
    assert run(purge=True)["changes"] == [f"remove table {TABLE}"]
    found = entries()
    assert stay <= found
    assert any(entry.endswith("203.0.113.2:82") for entry in found)
    assert not any(entry.endswith((f"{FIRST}:80", "203.0.113.2:81", f"{SECOND}:2222")) for entry in found)


@pytest.mark.usefixtures("wired")
def test_a_map_that_goes_from_a_table_ends_what_it_has_translated(session: Opener) -> None:
    run(router({FIRST: "10.0.0.9"}))
    gone = session(CLIENT, (INSIDE, "10.0.0.9"), FIRST, 80, 80)
    changes(table(chain("prerouting")))
    assert not any(FIRST in entry for entry in entries())
    assert not gone.lives()


@pytest.mark.usefixtures("wired")
def test_no_session_ends_with_drift_that_is_healed_or_without_a_change(session: Opener) -> None:
    run(router(BOTH))
    stays = [
        session(CLIENT, (INSIDE, "10.0.0.9"), FIRST, 80, 80),
        session(CLIENT, (INSIDE, "10.0.0.10"), SECOND, 80, 80),
    ]
    subprocess.run(["ip", "netns", "exec", ROUTER, "nft", "delete", "table", "inet", "weft_fabric"], check=True)
    assert changes(router(BOTH))
    assert not run(router(BOTH))["changed"]
    assert all(one.lives() for one in stays)


def test_an_element_that_comes_ends_what_came_to_its_address_before_and_was_not_translated() -> None:
    run(router({}))
    gone = insert("192.0.2.1", FIRST, 53, "udp")
    stay = {
        insert("192.0.2.2", FIRST, 53, "udp", "--dst-nat", "10.0.0.9"),
        insert("192.0.2.1", SECOND, 53, "udp"),
        insert("10.0.0.9", "192.0.2.1", 53, "udp"),
    }
    assert entries() == {gone, *stay}
    changes(router({FIRST: "10.0.0.9"}))
    assert entries() == stay
    changes(router({FIRST: "10.0.0.9"}, [(SECOND, 53, "10.0.0.9", 53)]))
    assert entries() == stay, "the forwarding is for TCP only"


@pytest.mark.usefixtures("wired")
def test_a_stream_to_a_floating_ip_that_begins_before_it_reaches_the_inside() -> None:
    run(router({}))
    with netns.entered(INSIDE):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with netns.entered(OUTSIDE):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with receiver, sender:
        receiver.bind(("10.0.0.9", 53))
        receiver.settimeout(5)
        sender.sendto(b"before", (FIRST, 53))
        assert len(entries("-p", "udp", "-d", FIRST)) == 1
        changes(router(BOTH))
        sender.sendto(b"after", (FIRST, 53))
        assert receiver.recv(16) == b"after"


def test_a_killed_run_leaves_it_to_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    run(router(BOTH))
    gone, stays = insert("192.0.2.1", FIRST, 80), insert("192.0.2.1", SECOND, 80)
    left = {SECOND: "10.0.0.10"}

    def killed(_matches: object) -> int:
        raise FabricError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(nftables.conntrack, "end", killed)
        with pytest.raises(FabricError, match="killed"):
            run(router(left))
    assert entries() == {gone, stays}
    assert changes(router(left)) == [f"end connections in {ROUTER} that an interrupted run has left"]
    assert entries() == {stays}
    assert not Path(nftables_tracked.INTENT_FILE).exists()


def test_connections_of_a_namespace_that_went_need_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    nftables_tracked.write_intent({"qrouter-gone": [Match("orig-dst", "192.0.2.1/32", UDP, (53, 53))]})
    assert changes() == ["end connections in qrouter-gone that an interrupted run has left"]
    assert nftables_tracked.read_intent() == {}
