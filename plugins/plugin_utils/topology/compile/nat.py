# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Address translation and packet filter of routers: the arguments of nftables.

What changes with a floating IP stands in maps, so that the rules stay as they are while addresses come and go.

What arrives where:
- Inside to inside, by the addresses they have, nothing is translated or asked, and IPv6 is only routed.
- Inside to outside goes out with the sender's floating IP, else with the gateway's address (enable_snat).
- To a floating IP, from outside, it arrives with the sender's address; from inside, with the sender's floating IP, else
  with the gateway's address: answers would go past the router otherwise when both are in one network.
- From outside to an address inside, nothing is let in where enable_snat hides the addresses.
"""

from __future__ import annotations

import typing as t
from ipaddress import IPv4Network, collapse_addresses

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import fip
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import router as routing
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import HostView, RouterView
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    HA_CIDR,
    FloatingIp,
    PortForwarding,
)

TABLE = "weft_fabric"

Item = dict[str, t.Any]
Expression = list[Item]

# The connections that end with an element of a map: those to the floating IP, and those that left with it.
_CONNECTIONS = (
    ("fip_dnat", "orig-dst"),
    ("fip_dnat", "reply-dst"),
    ("forward_address", "orig-dst"),
    ("forward_port", "orig-dst"),
    ("forward_range", "orig-dst"),
)
_PORTS = ["ipv4_addr", "inet_proto", "inet_service"]
# Where the one address lies that only a primary has.
_PRIMARY = IPv4Network("169.254.0.0/24")
# The kernel looks up connections at -200.
_BEFORE_TRACKING = -300
_ACCEPT: Item = {"accept": None}
_DROP: Item = {"drop": None}


def compile_nftables(view: HostView) -> Item:
    """Return the arguments of nftables."""
    return {"tables": tables(view)}


def tables(view: HostView) -> list[Item]:
    """Return the tables of a host's routers."""
    return [
        *(_table(router) for router in view.routers if has_table(router)),
        *(
            _floating_table(router, ends[0].device)
            for router in view.distributed_routers
            if (ends := fip.transit(router))
        ),
    ]


def has_table(router: RouterView) -> bool:
    """Tell whether there is anything to translate or to filter."""
    return router.ha is not None or _outside(router) is not None


def _outside(router: RouterView) -> str | None:
    """Return the IPv4 address that a router has outside."""
    found = router.gateway.local.port.addresses if router.gateway else []
    return next((str(address) for address in found if address.version == 4), None)


def _table(router: RouterView) -> Item:
    item: Item = {"namespace": router.namespace, "family": "inet", "name": TABLE, "content": []}
    chains = {"forward": _chain("filter", "forward", 0)}
    rules: list[Item] = []
    outside, external = _outside(router), router.router.external_gateway
    if router.ha is not None:
        chains["input"] = _chain("filter", "input", 0)
        rules += _nodes_only(router.ha.device)
    if router.gateway is not None and external is not None and outside is not None:
        gateway, snat = router.gateway.device, external.enable_snat
        chains["prerouting"] = _chain("nat", "prerouting", -100)
        chains["postrouting"] = _chain("nat", "postrouting", 100)
        rules += [*_prerouting(), *_postrouting(gateway, outside, snat), *_forward(gateway, snat)]
        item["content"] = list(_maps(router))
        item["conntrack"] = [{"map": name, "direction": direction} for name, direction in _CONNECTIONS]
    return {**item, "content": [*chains.values(), *item["content"], *rules]}


def _chain(kind: str, hook: str, priority: int, name: str | None = None) -> Item:
    return {"chain": {"name": name or hook, "type": kind, "hook": hook, "prio": priority, "policy": "accept"}}


def _floating_table(router: RouterView, device: str) -> Item:
    """Return what a distributed router does on a host for the floating IPs that are with their ports there.

    All that comes from the namespace of the floating IPs, and all that goes there, is theirs. Others are not tracked: a
    connection that was seen here before its sender had a floating IP, or when the router was of another kind, would go
    on as it was for as long as it lives.
    """
    chains = [_chain("filter", name, 0) for name in ("forward", "input")]
    chains.append(_chain("filter", "prerouting", _BEFORE_TRACKING, "raw"))
    chains += [_chain("nat", "prerouting", -100), _chain("nat", "postrouting", 100)]
    come, go = _interface("iifname", "==", device), _interface("oifname", "==", device)
    inside = _interface("iifname", "!=", device)
    others = _match("!=", _ip("saddr"), "@floating")
    floating = [str(floating_ip.fixed_address) for floating_ip in router.floating_ips]
    to_inside = {"dnat": {"family": "ip", "addr": _look_up(_ip("daddr"), "fip_dnat")}}
    to_outside = {"snat": {"family": "ip", "addr": _look_up(_ip("saddr"), "fip_snat")}}
    return {
        "namespace": router.namespace,
        "family": "inet",
        "name": TABLE,
        "content": [
            *chains,
            *_floating_maps(router),
            {"set": _set({"name": "floating", "type": "ipv4_addr"}, floating)},
            _rule("raw", "who has no floating IP here", inside, others, {"notrack": None}),
            _rule("input", "the router itself is nobody's business outside", come, _DROP),
            _rule("prerouting", "to a floating IP", come, to_inside),
            _rule("postrouting", "out with the floating IP", go, to_outside),
            *_forward(device, snat=True),
        ],
        "conntrack": [{"map": name, "direction": direction} for name, direction in _CONNECTIONS if name == "fip_dnat"],
    }


def _nodes_only(device: str) -> t.Iterator[Item]:
    """Yield what keeps tenants from speaking to a router's nodes as one of them."""
    nodes = {"set": [_prefix(network) for network in (_PRIMARY, HA_CIDR)]}
    elsewhere = _interface("iifname", "!=", device)
    yield _rule("input", "a router's nodes hear each other only", elsewhere, _match("==", _ip("daddr"), nodes), _DROP)
    yield _rule("forward", "nobody is routed to them", _interface("oifname", "==", device), _DROP)


def _floating_maps(router: RouterView) -> t.Iterator[Item]:
    whole = [
        (str(floating_ip.address), str(floating_ip.fixed_address))
        for floating_ip in router.floating_ips
        if floating_ip.port is not None
    ]
    yield _map("fip_dnat", "ipv4_addr", "ipv4_addr", [list(pair) for pair in whole])
    yield _map("fip_snat", "ipv4_addr", "ipv4_addr", [[fixed, floating] for floating, fixed in whole])


def _maps(router: RouterView) -> t.Iterator[Item]:
    yield from _floating_maps(router)
    singles: list[tuple[Item, str, int]] = []
    ranges: list[list[t.Any]] = []
    for floating_ip in router.floating_ips:
        for forwarding in floating_ip.port_forwardings:
            if _is_range(forwarding):
                key = _forwarding_key(floating_ip, forwarding, {"range": list(forwarding.external_ports)})
                ranges.append([key, str(forwarding.internal_address)])
            else:
                singles += _singles(floating_ip, forwarding)
    yield _map("forward_address", _PORTS, "ipv4_addr", [[key, address] for key, address, _port in singles])
    yield _map("forward_port", _PORTS, "inet_service", [[key, port] for key, _address, port in singles])
    yield _map("forward_range", _PORTS, "ipv4_addr", ranges, flags=["interval"])
    yield {"set": _set({"name": "inside", "type": "ipv4_addr", "flags": ["interval"]}, _inside(router))}


def _map(name: str, key: str | list[str], data: str, elements: list[t.Any], **settings: t.Any) -> Item:
    return {"map": _set({"name": name, "type": key, "map": data, **settings}, elements)}


def _set(fields: Item, elements: list[t.Any]) -> Item:
    return {**fields, "elem": elements} if elements else fields


def _is_range(forwarding: PortForwarding) -> bool:
    """Tell whether a range keeps its numbers: only then nft knows which port inside is whose."""
    first, last = forwarding.external_ports
    return first != last and forwarding.external_ports == forwarding.internal_ports


def _singles(floating_ip: FloatingIp, forwarding: PortForwarding) -> t.Iterator[tuple[Item, str, int]]:
    """Yield a forwarding port by port: key, address and port inside."""
    first, last = forwarding.external_ports
    for port in range(first, last + 1):
        inner = forwarding.internal_ports[0] + port - first
        yield _forwarding_key(floating_ip, forwarding, port), str(forwarding.internal_address), inner


def _forwarding_key(floating_ip: FloatingIp, forwarding: PortForwarding, ports: t.Any) -> Item:
    return {"concat": [str(floating_ip.address), forwarding.protocol, ports]}


def _inside(router: RouterView) -> list[t.Any]:
    """Return the networks that are not outside: the router's own, and those that it has routes to through them."""
    found = [
        leg.network.network.subnets[ip.subnet].cidr
        for leg in router.legs
        for ip in leg.local.port.fixed_ips
        if ip.address is not None
    ]
    legs = {leg.device for leg in router.legs}
    further = {to: hops for to, hops in routing.routes(router).items() if to.prefixlen > 0}
    found += [to for to, hops in further.items() if legs.issuperset(hop.device for hop in hops)]
    merged = collapse_addresses(cidr for cidr in found if isinstance(cidr, IPv4Network))
    return [_prefix(cidr) for cidr in merged]


def _prefix(cidr: IPv4Network) -> t.Any:
    address = str(cidr.network_address)
    return address if cidr.prefixlen == 32 else {"prefix": {"addr": address, "len": cidr.prefixlen}}


def _prerouting() -> t.Iterator[Item]:
    key = {"concat": [_ip("daddr"), {"meta": {"key": "l4proto"}}, _payload("th", "dport")]}
    forwarded = _match("==", {"meta": {"key": "l4proto"}}, {"set": ["tcp", "udp"]})
    one = {"addr": _look_up(key, "forward_address"), "port": _look_up(key, "forward_port")}
    yield _rule("prerouting", "forwarded ports", forwarded, {"dnat": {"family": "ip", **one}})
    several = {"addr": _look_up(key, "forward_range")}
    yield _rule("prerouting", "forwarded ranges of ports", forwarded, {"dnat": {"family": "ip", **several}})
    whole = {"addr": _look_up(_ip("daddr"), "fip_dnat")}
    yield _rule("prerouting", "to a floating IP", {"dnat": {"family": "ip", **whole}})


def _postrouting(gateway: str, outside: str, snat: bool) -> t.Iterator[Item]:
    floating = {"snat": {"family": "ip", "addr": _look_up(_ip("saddr"), "fip_snat")}}
    shared = {"snat": {"family": "ip", "addr": outside, "flags": "fully-random"}}
    dnat = _match("in", {"ct": {"key": "status"}}, "dnat")
    back_in = _interface("oifname", "!=", gateway)
    yield _rule("postrouting", "out with the floating IP", _interface("oifname", "==", gateway), floating)
    yield _rule("postrouting", "to a neighbour's floating IP with one's own", dnat, back_in, floating)
    inside = _match("==", _ip("saddr"), "@inside")
    yield _rule("postrouting", "to a neighbour's floating IP without one", dnat, inside, back_in, shared)
    if snat:
        yield _rule("postrouting", "out with the gateway's address", _interface("oifname", "==", gateway), shared)


def _forward(gateway: str, snat: bool) -> t.Iterator[Item]:
    """Yield what may pass between inside and outside.

    A connection that has lost its entry must not go on untranslated, or be taken for a new one with another address.
    Between networks inside no entry is needed, and packets may go one way through this router and come back another.
    """
    state = {"ct": {"key": "state"}}
    flags = {"&": [_payload("tcp", "flags"), ["fin", "syn", "rst", "ack"]]}
    yield _rule("forward", "IPv6 is routed", _match("==", {"meta": {"key": "nfproto"}}, "ipv6"), _ACCEPT)
    yield _rule(
        "forward",
        "inside to inside",
        _interface("iifname", "!=", gateway),
        _interface("oifname", "!=", gateway),
        _ACCEPT,
    )
    yield _rule("forward", "no connection knows it", _match("in", state, "invalid"), _DROP)
    yield _rule("forward", "known connections", _match("in", state, ["established", "related"]), _ACCEPT)
    yield _rule("forward", "the midst of an unknown connection", _match("!=", flags, "syn"), _DROP)
    if snat:
        not_translated = _match("!", {"ct": {"key": "status"}}, "dnat")
        yield _rule("forward", "hidden addresses", _interface("iifname", "==", gateway), not_translated, _DROP)


def _rule(chain: str, comment: str, *expression: Item) -> Item:
    return {"rule": {"chain": chain, "comment": comment, "expr": list(expression)}}


def _match(operator: str, left: Item, right: t.Any) -> Item:
    return {"match": {"op": operator, "left": left, "right": right}}


def _interface(side: str, operator: str, name: str) -> Item:
    return _match(operator, {"meta": {"key": side}}, name)


def _payload(protocol: str, name: str) -> Item:
    return {"payload": {"protocol": protocol, "field": name}}


def _ip(name: str) -> Item:
    return _payload("ip", name)


def _look_up(key: Item, name: str) -> Item:
    return {"map": {"key": key, "data": "@" + name}}
