# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routers: their namespaces, with the addresses they have and the routes they know.

A router without a standby gets addresses and routes once and keeps them. The nodes of an HA router have the same
links, but only who is primary has addresses and routes: keepalived takes care of them (vrrp.py).
"""

from __future__ import annotations

import typing as t
from ipaddress import ip_network

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import on_wire
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.veth import addresses_of, veth
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import HostView, Leg, RouterView
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    IPAddress,
    IPNetwork,
    Port,
    Subnet,
)

Item = dict[str, t.Any]

DEFAULT = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}

# nonlocal_bind lets who stands by open sockets for addresses that are to come. Without liberal tracking of TCP a
# session that comes from another node would be refused for sequence numbers that were never seen here. Of several next
# hops one is chosen for each connection, not for each pair of addresses.
_ROUTER = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.ip_nonlocal_bind": "1",
    "net.ipv6.ip_nonlocal_bind": "1",
    "net.ipv4.fib_multipath_hash_policy": "1",
    "net.ipv6.fib_multipath_hash_policy": "1",
    "net.netfilter.nf_conntrack_tcp_be_liberal": "1",
}
# A leg answers for its own addresses only, and nobody tells the router where to go. When an address goes, the others of
# its subnet stay.
_ALL_LEGS = {"arp_ignore": "1", "arp_announce": "2", "accept_redirects": "0", "promote_secondaries": "1"}
# Answers may come back another way than the question went. Nobody is sent elsewhere: from a neighbour's floating IP a
# redirect would lead past the translation, and to nowhere.
_LEG_V4 = {"rp_filter": "0", "send_redirects": "0"}
_LEG_V6 = {"accept_ra": "0", "accept_dad": "0"}
_NO_LINK_LOCAL, _EUI64 = "1", "0"


class Hop(t.NamedTuple):
    """Where packets go: to a gateway, or to a link without one."""

    via: IPAddress | None
    device: str


def compile_namespace(view: HostView, router: RouterView) -> Item:
    """Return the namespace of a router."""
    links = [_link(view, router, leg) for leg in router.all_legs]
    item: Item = {"name": router.namespace, "links": links}
    if router.ha is not None:
        links.append(veth(view, *router.ha, addresses_of(*router.ha)))
        item["neighbours"] = _peer_entries(router, router.ha)
    else:
        item["routes"] = route_items(router)
        if router.router.distributed:
            # Not where addresses come and go with a role: with the last one of a leg the kernel forgets its neighbours.
            item["neighbours"] = neighbours(router)
    return {**item, "sysctls": sysctls(router)}


def neighbours(router: RouterView) -> list[Item]:
    """Return an entry for every address in the networks of a distributed router that is one port's alone.

    A flow would answer a question about it, but with neither question nor answer no packet waits. An address that
    several may hold is left to them: the last one that says so has it.
    """
    own = {leg.local.port.name for leg in router.legs}
    held = {
        (leg.device, address)
        for leg in router.legs
        for address in on_wire.gateways(router.router, leg.network, leg.local.port)
    }
    return [
        {"ip": str(address), "mac": port.mac_address, "dev": leg.device}
        for leg in router.legs
        for address, port in leg.network.owned
        if port.name not in own
        and (leg.device, address) not in held
        and not (address.version == 6 and address.is_link_local)
    ]


def peers(router: RouterView, ha: Leg) -> list[Port]:
    """Return the ports of an HA router's other nodes."""
    return [port for port in ha.network.ports_by_router[router.router.key] if port.host != ha.local.port.host]


def _peer_entries(router: RouterView, ha: Leg) -> list[Item]:
    # Known beforehand, so that after a cut nothing waits for an answer to be sent in a burst.
    return [
        {"ip": str(address), "mac": port.mac_address, "dev": ha.device}
        for port in peers(router, ha)
        for address in port.addresses
    ]


def addresses(router: RouterView, leg: Leg) -> list[str]:
    """Return the addresses of a leg with prefix lengths: its own, and those that it answers for besides.

    The gateway has the floating IPs, and on the wire of a provider network a distributed router's other part those that
    its legs have on every host.
    """
    own = addresses_of(*leg)
    if leg is not router.gateway:
        further = on_wire.gateways(router.router, leg.network, leg.local.port)
        return own + [f"{address}/{address.max_prefixlen}" for address in further]
    return own + [f"{floating_ip.address}/32" for floating_ip in router.floating_ips if floating_ip.address is not None]


def routes(router: RouterView) -> dict[IPNetwork, list[Hop]]:
    """Return the routes of a router: out of the fabric, and the further ones that the topology names."""
    found: dict[IPNetwork, list[Hop]] = {}
    for version in (4, 6):
        found.update(_outward(router.gateway, version) if router.gateway else {})
    for to, via in router.router.routes:
        device = _device_towards(router, via)
        if device is not None:
            found.setdefault(to, []).append(Hop(via, device))
    # What is on the link first: a gateway may be reached that way.
    return dict(sorted(found.items(), key=lambda route: (route[0].version, route[1][0].via is not None, route[0])))


def _outward(gateway: Leg, version: int) -> dict[IPNetwork, list[Hop]]:
    """Return the default route, and that other subnets of the external network are on the link too."""
    subnets = gateway.network.network.subnets
    own = [subnets[ip.subnet] for ip in gateway.local.port.fixed_ips if subnets[ip.subnet].ip_version == version]
    if not own:
        return {}
    others = [subnet for subnet in subnets.values() if subnet.ip_version == version and subnet not in own]
    found: dict[IPNetwork, list[Hop]] = {subnet.cidr: [Hop(None, gateway.device)] for subnet in others}
    default = next((subnet.gateway_ip for subnet in [*own, *others] if subnet.gateway_ip is not None), None)
    if default is not None:
        found[DEFAULT[version]] = [Hop(default, gateway.device)]
    return found


def _device_towards(router: RouterView, address: IPAddress) -> str | None:
    """Return the leg on whose link an address is. The subnets of a router don't overlap."""
    for leg in router.all_legs:
        subnets: t.Iterable[Subnet] = leg.network.network.subnets.values()
        if leg is not router.gateway:
            subnets = [leg.network.network.subnets[ip.subnet] for ip in leg.local.port.fixed_ips]
        if any(address in subnet.cidr for subnet in subnets):
            return leg.device
    return None


def _link(view: HostView, router: RouterView, leg: Leg) -> Item:
    if router.ha is not None:
        return veth(view, *leg)
    link = veth(view, *leg, addresses(router, leg))
    # In tunnels everybody is told by flows; on a physical network nobody knows that the router has come from elsewhere.
    return {**link, "announce": True} if leg.network.provider is not None else link


def route_items(router: RouterView) -> list[Item]:
    """Return the routes of a router as arguments."""
    return [route_item(to, hops) for to, hops in routes(router).items()]


def route_item(to: IPNetwork, hops: list[Hop]) -> Item:
    """Return one route as an argument."""
    parts: list[Item] = [{**({"via": str(hop.via)} if hop.via else {}), "dev": hop.device} for hop in hops]
    return {"to": str(to), **parts[0]} if len(parts) == 1 else {"to": str(to), "nexthops": parts}


def sysctls(router: RouterView) -> Item:
    found = dict(_ROUTER)
    if router.ha is None:
        # Who stands by forwards no IPv6: it would tell the network that it is a router, from the primary's MAC.
        found["net.ipv6.conf.all.forwarding"] = "1"
    found.update({f"net.ipv4.conf.all.{name}": value for name, value in _ALL_LEGS.items()})
    legs = [leg.device for leg in (*router.all_legs, *([router.ha] if router.ha else []))]
    for scope in ("all", "default", *legs):
        found.update({f"net.ipv4.conf.{scope}.{name}": value for name, value in _LEG_V4.items()})
    for scope in ("default", *legs):
        found.update({f"net.ipv6.conf.{scope}.{name}": value for name, value in _LEG_V6.items()})
        # Who stands by says nothing, so it must not have an address to say it from.
        found[f"net.ipv6.conf.{scope}.addr_gen_mode"] = _NO_LINK_LOCAL if router.ha else _EUI64
    return found
