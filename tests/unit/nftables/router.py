# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a router with one of everything that routers use."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.tests.unit.nftables.runs import (
    PORT,
    PORT_TYPE,
    TCP_UDP,
    Item,
    addresses,
    chain,
    dnat,
    looked_up,
    match,
    meta,
    payload,
    regular,
    rule,
    table,
)

FLOATING = {"203.0.113.120": "10.0.0.9", "203.0.113.121": "10.0.0.10"}
GATEWAY = "qg-1"
PLACE = {"concat": ["203.0.113.122", "tcp", 2222]}
RANGE = {"concat": ["203.0.113.122", "udp", {"range": [3000, 3010]}]}
ACCEPT: Item = {"accept": None}
DROP: Item = {"drop": None}


def sets() -> list[Item]:
    prefix = {"prefix": {"addr": "10.0.0.0", "len": 24}}
    ports = {"type": PORT_TYPE, "map": "ipv4_addr"}
    legs = [["qr-a", {"jump": {"target": "helper"}}], ["qr-b", DROP]]
    return [
        addresses(FLOATING),
        addresses({value: key for key, value in FLOATING.items()}, "fip_snat"),
        {"map": {"name": "forward_address", **ports, "elem": [[PLACE, "10.0.0.9"]]}},
        {"map": {"name": "forward_port", **ports, "map": "inet_service", "elem": [[PLACE, 22]]}},
        {"map": {"name": "forward_range", **ports, "flags": ["interval"], "elem": [[RANGE, "10.0.0.9"]]}},
        {"set": {"name": "inside", "type": "ipv4_addr", "flags": ["interval"], "elem": [prefix, "10.0.2.5"]}},
        {"set": {"name": "inside6", "type": "ipv6_addr", "elem": ["FD00:0::9"]}},
        {"map": {"name": "by_leg", "type": "ifname", "map": "verdict", "elem": legs}},
    ]


def translation() -> t.Iterator[Item]:
    leaving, staying = (match(meta("oifname"), GATEWAY, op) for op in ("==", "!="))
    inside = match(payload("ip", "saddr"), "@inside")
    to = {"addr": looked_up("forward_address", *PORT), "port": looked_up("forward_port", *PORT)}
    own = {"snat": {"family": "ip", "addr": "203.0.113.150", "flags": "fully-random"}}
    source = {"snat": {"family": "ip", "addr": looked_up("fip_snat", payload("ip", "saddr"))}}
    yield rule("prerouting", TCP_UDP, {"dnat": {"family": "ip", **to}})
    yield rule("prerouting", TCP_UDP, {"dnat": {"family": "ip", "addr": looked_up("forward_range", *PORT)}})
    yield rule("prerouting", {"counter": None}, dnat(), comment="floating IPs")
    yield rule("postrouting", leaving, source)
    yield rule("postrouting", leaving, inside, own)
    yield rule("postrouting", staying, match({"ct": {"key": "status"}}, "dnat", "in"), source)
    yield rule("postrouting", staying, match({"ct": {"key": "status"}}, "dnat", "!"), ACCEPT)


def filtering() -> t.Iterator[Item]:
    syn = {"&": [payload("tcp", "flags"), ["fin", "syn", "rst", "ack"]]}
    state = {"ct": {"key": "state"}}
    size = {"key": {"tcp option": {"name": "maxseg", "field": "size"}}, "value": {"rt": {"key": "mtu"}}}
    yield rule("forward", match(state, "invalid", "in"), DROP)
    yield rule("forward", match(state, ["related", "established"], "in"), ACCEPT)
    yield rule("forward", match(state, "new", "in"), match(syn, "syn", "!="), DROP)
    yield rule("forward", match(payload("tcp", "flags"), "syn", "in"), {"mangle": size})
    yield rule("forward", match(meta("nfproto"), "ipv6"), ACCEPT)
    yield rule("forward", {"vmap": {"key": meta("iifname"), "data": "@by_leg"}})
    yield rule("forward", match({"ct": {"key": "ip daddr", "dir": "original"}}, "203.0.113.122"), ACCEPT)
    yield rule("helper", match(payload("udp", "dport"), {"set": [68, 67]}), ACCEPT)
    yield rule("helper", match(payload("icmpv6", "type"), "nd-router-advert"), DROP)
    yield rule("helper", {"mangle": {"key": {"ct": {"key": "mark"}}, "value": meta("mark")}})
    yield rule("helper", {"limit": {"rate": 10, "per": "second"}}, {"log": {"prefix": "weft "}})
    yield rule("helper", {"reject": {"type": "icmpx", "expr": "admin-prohibited"}})


def router(**options: t.Any) -> Item:
    chains = [chain("prerouting"), chain("postrouting", 100), chain("forward", 0, kind="filter"), regular("helper")]
    return table(*sets(), *chains, *translation(), *filtering(), **options)
