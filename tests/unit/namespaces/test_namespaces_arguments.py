# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before anything runs, and what gets into a line for ip."""

from __future__ import annotations

import re
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.weft.fabric.plugins.module_utils import namespaces_desired
from ansible_collections.weft.fabric.plugins.module_utils.namespaces import NamespacesEngine
from ansible_collections.weft.fabric.plugins.module_utils.namespaces_current import Current, State
from ansible_collections.weft.fabric.plugins.module_utils.namespaces_plan import Plan
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.namespaces.runs import Item, existing, inside, outside, tap, veth

EVIL = ["a\nnetns del b", "a b", "", "-batch", "a;b", "$(id)", "`id`", '"', "'", "a\0", "../x", "a/b", "é", "{{ x }}"]


def several(*hops: Item, **options: t.Any) -> Item:
    """Return a route by several gateways."""
    return {"to": "10.9.0.0/16", "nexthops": [{"via": "10.0.0.1"}, *hops], **options}


PLACES: dict[str, t.Callable[[str], Item]] = {
    "namespace": lambda text: inside(name=text),
    "link": lambda text: inside(tap(text)),
    "peer": lambda text: inside(veth(peer=text)),
    "mac": lambda text: inside(tap(mac=text)),
    "mtu": lambda text: inside(tap(mtu=text)),
    "owner": lambda text: inside(tap(owner=text)),
    "address": lambda text: inside(tap(addresses=[text])),
    "scoped address": lambda text: inside(tap(addresses=[f"fe80::1%{text}/64"])),
    "kind": lambda text: inside({"name": "a", "kind": text}),
    "source of addresses": lambda text: inside(existing("a", addresses=["10.0.0.1/8"], takes_addresses_from=text)),
    "route": lambda text: inside(routes=[{"to": text, "dev": "a"}]),
    "gateway": lambda text: inside(routes=[{"to": "default", "via": text}]),
    "device of a route": lambda text: inside(routes=[{"to": "default", "via": "10.0.0.1", "dev": text}]),
    "one of several gateways": lambda text: inside(routes=[several({"via": text, "dev": "a"})]),
    "device of one of several gateways": lambda text: inside(routes=[several({"via": "10.0.0.2", "dev": text})]),
    "table": lambda text: inside(routes=[{"to": "default", "via": "10.0.0.1", "table": text}]),
    "neighbour": lambda text: inside(neighbours=[{"ip": text, "mac": "02:00:00:00:00:01", "dev": "a"}]),
    "MAC of a neighbour": lambda text: inside(neighbours=[{"ip": "10.0.0.1", "mac": text, "dev": "a"}]),
    "device of a neighbour": lambda text: inside(
        neighbours=[{"ip": "10.0.0.1", "mac": "02:00:00:00:00:01", "dev": text}]
    ),
    "source of a rule": lambda text: inside(rules=[{"priority": 1, "from": text, "table": 1}]),
    "device of a rule": lambda text: inside(rules=[{"priority": 1, "iif": text, "table": 1}]),
    "priority of a rule": lambda text: inside(rules=[{"priority": text, "table": 1}]),
    "sysctl": lambda text: inside(sysctls={f"net.ipv4.{text}": "1"}),
    "sysctl outside the network": lambda text: inside(sysctls={f"kernel.{text}": "1"}),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", EVIL)
def test_injection_is_refused(place: str, text: str) -> None:
    if (place, text) == ("sysctl", "-batch"):
        text = "../-batch"  # by itself it is the name of a file like any other
    with pytest.raises(FabricError, match="namespace"):
        NamespacesEngine({"namespaces": [PLACES[place](text)]})


@pytest.mark.parametrize("text", ["a\nb", "1\0", "\x1b[0m"])
def test_a_value_of_a_sysctl_is_one_line(text: str) -> None:
    with pytest.raises(FabricError, match="must be one line"):
        NamespacesEngine({"namespaces": [inside(sysctls={"net.ipv4.ip_forward": text})]})


@given(st.text(max_size=20))
def test_a_resource_is_a_path_or_refused(text: str) -> None:
    try:
        engine = NamespacesEngine({"namespaces": [inside(tap(resource=text))]})
    except FabricError:
        return
    link = engine.desired["weft-t-a"].links["tap9"]
    assert re.fullmatch(r"weft\.fabric( [A-Za-z0-9_./:+-]+)?", link.mark)


@given(st.sampled_from(sorted(PLACES)), st.text(max_size=20))
def test_whatever_is_accepted_stays_one_line_of_plain_words(place: str, text: str) -> None:
    try:
        desired = namespaces_desired.parse({"namespaces": [PLACES[place](text)]})
    except FabricError:
        return
    current = Current()
    current.states[None] = State(None)
    try:
        operations = Plan(current, desired, False).make()
    except FabricError:
        return
    for step in (step for operation in operations for step in operation.payload):
        assert re.fullmatch(r"[A-Za-z0-9_.:+/@ -]+", step.text)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([inside(), inside()], "namespace weft-t-a is listed twice"),
        ([outside(), outside()], "the host's own namespace is listed twice"),
        ([{"state": "absent"}], "the host's own namespace cannot be absent"),
        ([inside(tap(), tap())], "link tap9 is listed twice"),
        ([inside(veth()), inside(veth(), name="b")], "its peer tap1 is already named by link eth0 of weft-t-a"),
        ([inside(veth()), outside(tap("tap1"))], "its peer tap1 is already named by the host's own links"),
        ([inside({"name": "a", "kind": "veth"})], "peer: None is not a device name"),
        ([inside(tap(peer="b"))], "link tap9: peer is for links of kind veth only"),
        ([inside(veth(owner="root"))], "link eth0: owner is for links of kind tap only"),
        ([inside(tap(owner="nobody-here"))], "there is no user nobody-here on this host"),
        ([inside(existing("a", state="absent"))], "belongs to somebody else and is never removed"),
        ([inside(existing("a", takes_addresses_from="b"))], "takes_addresses_from needs addresses"),
        ([inside(tap(mtu=67))], "67 is not a number from 68 to 65535"),
        ([inside(tap(mtu=True))], "True is not a number"),
        ([inside(tap("a" * 16))], "is not a device name"),
        ([inside(tap("all"))], "'all' is not a device name"),
        ([inside(routes=[{"to": "10.0.0.1/8", "via": "10.0.0.1"}])], "without host bits"),
        ([inside(routes=[{"to": "10.0.0.0/8", "via": "fd00::1"}])], "mixes IPv4 and IPv6"),
        ([inside(routes=[{"to": "10.0.0.0/8"}])], "needs via, dev or both"),
        ([inside(routes=[{"to": "default", "dev": "a"}])], "a default route needs via"),
        ([inside(routes=[{"to": "10.0.0.0/8", "dev": "a", "type": "nat"}])], "type 'nat' is none of"),
        ([inside(routes=[several(via="10.0.0.3")])], "nexthops stand in place of via, dev and onlink"),
        ([inside(routes=[several(type="blackhole")])], "nexthops are for routes of type unicast only"),
        ([inside(routes=[several({"via": "10.0.0.1"})])], "a next hop of 10.9.0.0/16 is listed twice"),
        ([inside(routes=[several({"via": "fd00::1"})])], "10.9.0.0/16 and its nexthops mix IPv4 and IPv6"),
        ([inside(routes=[{"to": "0.0.0.0/0", "dev": "a"}, {"to": "default", "via": "10.0.0.1"}])], "listed twice"),
        ([inside(rules=[{"priority": 1, "from": "10.0.0.0/8", "to": "fd00::/64", "table": 1}])], "mix IPv4 and IPv6"),
        ([inside(rules=[{"priority": 0, "table": 1}])], "0 is not a number from 1 to 4294967295"),
    ],
)
def test_what_makes_no_sense_is_refused(items: list[Item], message: str) -> None:
    with pytest.raises(FabricError, match=re.escape(message)):
        NamespacesEngine({"namespaces": items})


def test_all_none_is_nothing() -> None:
    """The replay at boot has what Ansible filled up with None."""
    names = ("links", "routes", "neighbours", "rules", "sysctls", "state")
    NamespacesEngine({"namespaces": [{"name": "a", **dict.fromkeys(names)}], "purge": None})
    options = ("mac", "mtu", "addresses", "tx_checksum", "owner", "up", "resource", "takes_addresses_from", "state")
    engine = NamespacesEngine({"namespaces": [inside(veth(**dict.fromkeys(options)))]})
    link = engine.desired["weft-t-a"].links["eth0"]
    assert (link.up, link.present, link.mark) == (True, True, "weft.fabric")
    assert NamespacesEngine({"namespaces": None}).desired == {}


def test_addresses_are_compared_in_the_kernels_spelling() -> None:
    engine = NamespacesEngine({"namespaces": [inside(tap(mac="FA:16:3E:00:00:0A", addresses=["FD00:0::2/64"]))]})
    link = engine.desired["weft-t-a"].links["tap9"]
    assert (link.mac, link.addresses) == ("fa:16:3e:00:00:0a", ("fd00::2/64",))
