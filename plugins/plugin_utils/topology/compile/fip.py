# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Floating IPs with their ports: the namespaces through which they reach the external networks.

One namespace for each external network and host, for all distributed routers. It has no address outside: it answers
for the floating IPs (proxy ARP) and hands what comes for them to their routers, each over a pair of its own.
"""

from __future__ import annotations

import typing as t
from ipaddress import IPv4Address

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import names
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import router as routing
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.flows import Flows
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.veth import veth
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import HostView, Leg, RouterView
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    TRANSIT_CIDR,
    IPNetwork,
    Network,
    Subnet,
    resource_id,
)

Item = dict[str, t.Any]

# For what comes from one router, before what holds for all.
_PRIORITY, _FIRST_TABLE = 32000, 1000

_SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.all.accept_redirects": "0",
    # The addresses of the pairs are nobody's business outside.
    "net.ipv4.conf.all.arp_ignore": "1",
    "net.ipv4.conf.all.arp_announce": "2",
    # Floating IPs are IPv4 only: here is nothing that could speak IPv6.
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
}


class End(t.NamedTuple):
    """One end of the pair between a router and its floating IPs."""

    device: str
    address: IPv4Address
    mac: str


def transit(router: RouterView) -> tuple[End, End] | None:
    """Return the router's end and the other one; None: no floating IP of the router is on this host."""
    if not router.routes_here or not router.floating_ips or router.router.transit is None:
        return None
    first = int(TRANSIT_CIDR.network_address) + 2 * router.router.transit
    ends = zip(names.transit_names(router.router.id), ("rfp", "fpr"), strict=True)
    inside, outside = (
        End(device, IPv4Address(first + place), _mac(router.router.id, kind))
        for place, (device, kind) in enumerate(ends)
    )
    return inside, outside


def _mac(router_id: str, kind: str) -> str:
    """Return a MAC that never leaves its host. The first byte makes it one that no vendor gives out."""
    digest = resource_id("transit", router_id, kind).replace("-", "")
    return ":".join(["02", *(digest[i : i + 2] for i in range(0, 10, 2))])


def plain(device: str) -> dict[str, str]:
    """Return what keeps a device from dropping answers that come another way, and from sending anybody elsewhere."""
    return {f"net.ipv4.conf.{device}.rp_filter": "0", f"net.ipv4.conf.{device}.send_redirects": "0"}


def pair_end(router: RouterView, here: End, there: End, namespace: str, mtu: int) -> Item:
    """Return the link of one end. namespace is where the other one is."""
    return {
        "name": here.device,
        "kind": "veth",
        "peer": there.device,
        "peer_namespace": namespace,
        "mac": here.mac,
        "mtu": mtu,
        "addresses": [f"{here.address}/31"],
        "resource": "routers/" + "/".join(router.router.key),
    }


def neighbour(here: End, there: End) -> Item:
    """Return the entry for the other end: nobody has to ask for it."""
    return {"ip": str(there.address), "mac": there.mac, "dev": here.device}


def routers_of(view: HostView, agent: Leg) -> list[tuple[RouterView, End, End]]:
    """Return the routers that have floating IPs on this host in an external network, with both ends of their pairs."""
    found = []
    for router in view.distributed_routers:
        ends = transit(router)
        gateway = router.router.external_gateway
        if ends is not None and gateway is not None and gateway.network == agent.network.network.key:
            found.append((router, *ends))
    return found


def compile_namespaces(view: HostView) -> t.Iterator[Item]:
    """Yield the namespaces of this host's floating IPs."""
    for agent in view.floating_ip_agents:
        yield _namespace(view, agent)


def _namespace(view: HostView, agent: Leg) -> Item:
    network = agent.network.network
    links = [veth(view, agent.network, agent.local, [])]
    neighbours: list[Item] = []
    routers = routers_of(view, agent)
    nearby = [*_connected(network, agent.device), *_inward(routers)]
    # Until now a floating IP may have been on another host, or on the network node.
    announced = [{**route, "announce_on": agent.device} for route in _inward(routers)]
    routes = [*_connected(network, agent.device), *_default(network, agent.device), *announced]
    rules: list[Item] = []
    for router, inside, outside in routers:
        links.append(pair_end(router, outside, inside, router.namespace, network.mtu))
        neighbours.append(neighbour(outside, inside))
        further = _further(router, agent)
        if further:
            table = str(_FIRST_TABLE + (router.router.transit or 0))
            rules.append({"priority": _PRIORITY, "iif": outside.device, "table": table})
            # However wide a route is, it leads past nobody who is nearer.
            own = {route["to"]: route for route in [*further, *nearby]}
            routes += [{**route, "table": table} for route in own.values()]
    sysctls = {
        **_SYSCTLS,
        **{name: value for link in links for name, value in plain(link["name"]).items()},
        f"net.ipv4.conf.{agent.device}.proxy_arp": "1",
        # Otherwise an answer waits for up to 0.8 s, in favour of somebody who has the address.
        f"net.ipv4.neigh.{agent.device}.proxy_delay": "0",
    }
    return {
        "name": names.floating_ip_namespace(network.id),
        "links": links,
        "routes": routes,
        "neighbours": neighbours,
        "rules": rules,
        "sysctls": sysctls,
    }


def _further(router: RouterView, agent: Leg) -> list[Item]:
    """Return the routes that the topology gives this router alone, through other gateways of the external network."""
    subnets = agent.network.network.subnets.values()
    found: dict[IPNetwork, list[routing.Hop]] = {}
    for to, via in router.router.routes:
        if to.version == 4 and any(via in subnet.cidr for subnet in subnets):
            found.setdefault(to, []).append(routing.Hop(via, agent.device))
    return [routing.route_item(to, hops) for to, hops in sorted(found.items(), key=_by_network)]


def _by_network(route: tuple[IPNetwork, t.Any]) -> tuple[int, int]:
    return int(route[0].network_address), route[0].prefixlen


def _inward(routers: list[tuple[RouterView, End, End]]) -> list[Item]:
    """Return the routes to the floating IPs of this host."""
    return [
        {"to": f"{floating_ip.address}/32", "via": str(inside.address), "dev": outside.device}
        for router, inside, outside in routers
        for floating_ip in router.floating_ips
    ]


def _connected(network: Network, device: str) -> list[Item]:
    """Return the routes to the external network, which no address brings along."""
    return [{"to": str(subnet.cidr), "dev": device} for subnet in _subnets(network)]


def _default(network: Network, device: str) -> list[Item]:
    """Return the route beyond the external network."""
    gateway = next((subnet.gateway_ip for subnet in _subnets(network) if subnet.gateway_ip is not None), None)
    return [] if gateway is None else [{"to": "0.0.0.0/0", "via": str(gateway), "dev": device}]


def _subnets(network: Network) -> list[Subnet]:
    return [subnet for subnet in network.subnets.values() if subnet.ip_version == 4]


def add_agent(flows: Flows, view: HostView, agent: Leg) -> None:
    """Let questions that leave the namespace bear a floating IP as their sender.

    The namespace has no address that is known outside, and Linux would put in that of a pair. Who is asked may well
    answer to nobody but its neighbours.
    """
    addresses = [
        floating_ip.address
        for router, _inside, _outside in routers_of(view, agent)
        for floating_ip in router.floating_ips
    ]
    if not addresses:
        return
    # Whoever is asked takes it for a neighbour only with an address of its own subnet.
    _add_sender(flows, agent, 210, "", addresses[0])
    for subnet in _subnets(agent.network.network):
        neighbour_of_it = next((address for address in addresses if address in subnet.cidr), addresses[0])
        if neighbour_of_it != addresses[0]:
            _add_sender(flows, agent, 211, f",arp_tpa={subnet.cidr}", neighbour_of_it)


def _add_sender(flows: Flows, agent: Leg, priority: int, target: str, sender: t.Any) -> None:
    match = f"arp,in_port={agent.local.reference},arp_spa={TRANSIT_CIDR},arp_op=1{target}"
    flows.add(
        agent.local.cookie, "port_security", priority, match, f"set_field:{sender}->arp_spa,{flows.goto('arp_nd')}"
    )
