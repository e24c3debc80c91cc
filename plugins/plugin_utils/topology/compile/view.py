# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one host needs to know of the topology: its networks, who is on them, and where.

Every file of the compiler reads this view and nothing else, so a host's state can only speak of networks that
have a port on it.
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

from ansible_collections.weft.fabric.plugins.module_utils import pipeline
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.claims import Claims
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import names
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.eui64 import link_local
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    DHCP_OWNER,
    FLOATING_IP_AGENT_OWNER,
    MAX_LOCAL_PORTS,
    ROUTER_GATEWAY_OWNER,
    ROUTER_HA_OWNER,
    TUNNEL_TYPES,
    FloatingIp,
    Host,
    HostPhysicalNetwork,
    IPAddress,
    Network,
    Port,
    Router,
    Topology,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model_bare_metal import (
    BOOT_SERVER_OWNER,
    OWNER_PREFIX,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import Problem, TopologyError

# Whose ports are our own: DHCP servers and routers, the boot server and the nodes that boot from it.
_OWN = ("network:", OWNER_PREFIX)


@dataclass(slots=True)
class LocalPort:
    """A port on this host, with what its id gives computed once."""

    port: Port
    id: str
    device: str  # its name on br-int; empty for a port that somebody else plugs in
    iface_id: str  # external_ids:iface-id of its interface
    cookie: int

    @property
    def reference(self) -> str:
        """The port as a flow names it."""
        return f'"{self.device}"' if self.device else f'"iface-id:{self.iface_id}"'

    @property
    def own(self) -> bool:
        """Whether the port is the fabric's own: of a DHCP server or a router."""
        return is_own(self.port)

    @property
    def trusted(self) -> bool:
        """Whether the port may send anything: its owner said so, or it is our own."""
        return not self.port.port_security_enabled or self.own

    @property
    def interface(self) -> str:
        """The end of its veth pair that its user sees."""
        return names.far_end_name(self.port, self.id)


@dataclass
class NetworkView:
    """A network, as a host that has a port on it sees it."""

    network: Network
    vlan: int
    # Every port of the network that is plugged in, on some host or at a switch, in a stable order. One that may be on
    # several hosts (a leg of an HA router) stands here once for each, under one name.
    ports: list[Port]
    local: list[LocalPort]
    provider: HostPhysicalNetwork | None = None
    cookie: int = 0
    remote_hosts: list[Host] = field(default_factory=list)  # other hosts with a port, in a stable order

    @property
    def is_tunnel(self) -> bool:
        return self.network.type in TUNNEL_TYPES

    @property
    def uplink(self) -> str | None:
        """The patch port of br-int that leads to the rest of the network; None when all of it is here."""
        if self.provider is not None:
            return names.provider_patches(self.provider.bridge)[0]
        return names.PATCH_TO_TUNNEL if self.remote_hosts else None

    @cached_property
    def has_ipv6(self) -> bool:
        return any(subnet.ip_version == 6 for subnet in self.network.subnets.values())

    @cached_property
    def local_by_name(self) -> dict[str, LocalPort]:
        return {local.port.name: local for local in self.local}

    @cached_property
    def ports_by_mac(self) -> dict[str, list[Port]]:
        """Who may stand behind each MAC: its port, and every port with an address pair that names it."""
        found: dict[str, list[Port]] = {}
        for port in self.ports:
            for mac in dict.fromkeys((port.mac_address, *pair_macs(port))):
                found.setdefault(mac, []).append(port)
        return found

    @property
    def dhcp_server(self) -> LocalPort | None:
        """The port of this host's DHCP server; None when others serve the network, or nobody does."""
        return next((local for local in self.local if local.port.device_owner == DHCP_OWNER), None)

    @property
    def boot_server(self) -> LocalPort | None:
        """The port of this host's boot server; None when nodes don't boot from here, or not in this network."""
        return next((local for local in self.local if local.port.device_owner == BOOT_SERVER_OWNER), None)

    @property
    def dhcp_ports(self) -> list[Port]:
        """The ports of all DHCP servers of the network, wherever they are."""
        return [port for port in self.ports if port.device_owner == DHCP_OWNER]

    @cached_property
    def clients(self) -> list[Port]:
        """The ports that aren't the fabric's own."""
        return [port for port in self.ports if not is_own(port)]

    @cached_property
    def ports_by_router(self) -> dict[tuple[str, str], list[Port]]:
        """The legs of each router, wherever they are."""
        found: dict[tuple[str, str], list[Port]] = {}
        for port in self.ports:
            if port.router is not None:
                found.setdefault(port.router, []).append(port)
        return found

    @cached_property
    def replicas(self) -> list[LocalPort]:
        """The ports on this host that are on others too, one of which has the role: legs of HA routers."""
        places = Counter(port.name for port in self.ports)
        return [local for local in self.local if places[local.port.name] > 1 and not local.port.distributed]

    @cached_property
    def distributed(self) -> list[LocalPort]:
        """The legs of distributed routers on this host."""
        return [local for local in self.local if local.port.distributed]

    @cached_property
    def distributed_ports(self) -> list[Port]:
        """The legs of distributed routers, wherever they are."""
        return [port for port in self.ports if port.distributed]

    @cached_property
    def owned(self) -> list[tuple[IPAddress, Port]]:
        """The addresses that belong to one port and to nobody else, with that port.

        A leg of a router is one port, wherever it may be: all of its places have the same MAC.
        """
        owners: dict[IPAddress, list[Port]] = {}
        for port in self.ports:
            addresses = port.addresses
            if self.has_ipv6:
                addresses = [*addresses, link_local(port.mac_address)]
            for address in dict.fromkeys(addresses):
                owners.setdefault(address, []).append(port)
        claims = Claims(self.ports)
        return [
            (address, ports[0])
            for address, ports in owners.items()
            if sole_owner(ports) and not claims.contest(address, ports[0])
        ]

    def here(self, ports: t.Iterable[Port]) -> list[LocalPort]:
        """Return those of some ports that are on this host. On another one there may be a port of the same name."""
        known = self.local_by_name
        return list({port.name: known[port.name] for port in ports if port.name in known}.values())

    def hosts_of(self, ports: t.Iterable[Port]) -> list[Host]:
        """Return the other hosts among those of some ports, in a stable order."""
        wanted = {port.host for port in ports}
        return [host for host in self.remote_hosts if host.name in wanted]


class Leg(t.NamedTuple):
    """A router's port in a network, on this host."""

    network: NetworkView
    local: LocalPort

    @property
    def device(self) -> str:
        return self.local.interface


@dataclass
class RouterView:
    """A router, as a host that has it sees it.

    A distributed one has two parts. One routes, on every host of those it serves. The other leads out of the fabric, on
    network nodes; it is like a router that is not distributed.
    """

    router: Router
    floating_ips: list[FloatingIp]  # those it translates, in a stable order
    routes_here: bool = False  # True: the part of a distributed router that is on every host
    legs: list[Leg] = field(default_factory=list)  # inside, in a stable order
    gateway: Leg | None = None
    ha: Leg | None = None  # where the router's nodes hear each other

    @property
    def namespace(self) -> str:
        if self.router.distributed and not self.routes_here:
            return names.snat_namespace(self.router.id)
        return names.router_namespace(self.router.id)

    @property
    def all_legs(self) -> list[Leg]:
        return [*self.legs, *([self.gateway] if self.gateway else [])]


@dataclass
class HostView:
    """One host and its networks, in an order that doesn't depend on the order of the topology file."""

    topology: Topology
    host: Host
    networks: list[NetworkView]

    @property
    def tunnel_networks(self) -> list[NetworkView]:
        return [network for network in self.networks if network.is_tunnel]

    @property
    def local_ports(self) -> t.Iterator[tuple[NetworkView, LocalPort]]:
        for network in self.networks:
            for local in network.local:
                yield network, local

    @cached_property
    def routers(self) -> list[RouterView]:
        """The routers that this host has as a network node, in a stable order: all that leads out of the fabric."""
        found: dict[tuple[str, str], RouterView] = {}
        for network, local in self.local_ports:
            key = local.port.router
            if key is None or local.port.distributed:
                continue
            if key not in found:
                found[key] = RouterView(self.topology.router(key), self._floating_ips(key, None))
            leg = Leg(network, local)
            if local.port.device_owner == ROUTER_GATEWAY_OWNER:
                found[key].gateway = leg
            elif local.port.device_owner == ROUTER_HA_OWNER:
                found[key].ha = leg
            else:
                found[key].legs.append(leg)
        return [found[key] for key in sorted(found)]

    @cached_property
    def distributed_routers(self) -> list[RouterView]:
        """The distributed routers that route on this host, in a stable order."""
        found: dict[tuple[str, str], RouterView] = {}
        for network, local in self.local_ports:
            key = local.port.router
            if key is None or not local.port.distributed:
                continue
            if key not in found:
                floating_ips = self._floating_ips(key, self.host.name)
                found[key] = RouterView(self.topology.router(key), floating_ips, routes_here=True)
            found[key].legs.append(Leg(network, local))
        return [found[key] for key in sorted(found)]

    @cached_property
    def floating_ip_agents(self) -> list[Leg]:
        """The ports through which this host's floating IPs reach their external networks."""
        return [
            Leg(network, local)
            for network, local in self.local_ports
            if local.port.device_owner == FLOATING_IP_AGENT_OWNER
        ]

    def _floating_ips(self, router: tuple[str, str], host: str | None) -> list[FloatingIp]:
        """Return the floating IPs of a router that a host translates; None: those that a network node does."""
        found = self.topology.floating_ips_by_router.get(router, [])
        return [floating_ip for floating_ip in found if floating_ip.host == host]

    @cached_property
    def providers(self) -> dict[str, tuple[HostPhysicalNetwork, list[NetworkView]]]:
        """The provider bridges in use, by name, each with the networks it carries."""
        found: dict[str, tuple[HostPhysicalNetwork, list[NetworkView]]] = {}
        for network in self.networks:
            if network.provider is not None:
                found.setdefault(network.provider.bridge, (network.provider, []))[1].append(network)
        return dict(sorted(found.items()))

    @cached_property
    def peers(self) -> list[tuple[str, Host]]:
        """The tunnels of this host: (type, other host), one for each that shares a network of that type."""
        found = {
            (network.network.type, host.name): host for network in self.tunnel_networks for host in network.remote_hosts
        }
        return [(key[0], host) for key, host in sorted(found.items())]


def view_host(topology: Topology, host_name: str) -> HostView:
    """Return what a host needs to know; KeyError when the topology has no such host."""
    host = topology.hosts[host_name]
    networks = sorted(topology.networks_by_host[host_name], key=lambda network: network.key)
    return HostView(topology, host, [_view_network(topology, host, network) for network in networks])


def is_own(port: Port) -> bool:
    """Tell whether a port is the fabric's own: of a DHCP server, a router, or what nodes boot with."""
    return port.device_owner.startswith(_OWN)


def sole_owner(ports: t.Sequence[Port]) -> bool:
    """Tell whether some ports are but one: the only one, or one leg of a router on several hosts."""
    return len(ports) == 1 or all(port.name == ports[0].name for port in ports)


def vtep(host: Host) -> IPAddress:
    """Return the tunnel end point of a host that has a tunnel network."""
    if host.underlay is None:
        raise TopologyError(
            [
                Problem(
                    host.where,
                    f"host {host.name} has a tunnel network, but no tunnel end point",
                    "give it an underlay address",
                )
            ]
        )
    return host.underlay.address


def cookie_of(resource_id: str) -> int:
    """Return the cookie of a resource's flows: the mark, and as much of the id as fits."""
    return (pipeline.COOKIE_MARK << 32) | int(resource_id[:8], 16)


def learned_cookie_of(resource_id: str) -> int:
    """Return the cookie of the flows that a resource's flows learn."""
    return (pipeline.COOKIE_MARK_LEARNED << 32) | int(resource_id[:8], 16)


def pair_macs(port: Port) -> list[str]:
    """Return the MACs that a port's address pairs add to its own."""
    return [pair.mac_address for pair in port.allowed_address_pairs if pair.mac_address]


def _view_network(topology: Topology, host: Host, network: Network) -> NetworkView:
    ports = sorted(
        (port for port in topology.ports_by_network[network.key] if port.plugged),
        key=lambda port: (port.name, port.host or ""),
    )
    local = [_local_port(port) for port in ports if port.host == host.name]
    if len(local) > MAX_LOCAL_PORTS:
        message = f"network {network.project}/{network.name} has {len(local)} ports on host {host.name}"
        remedy = f"spread them over hosts, {MAX_LOCAL_PORTS} on each at most: a broadcast reaches no more"
        raise TopologyError([Problem(network.where, message, remedy)])
    remote = {port.host: topology.hosts[port.host] for port in ports if port.host and port.host != host.name}
    return NetworkView(
        network=network,
        vlan=topology.local_vlan(host.name, network),
        ports=ports,
        local=local,
        provider=None if network.type in TUNNEL_TYPES else _provider(host, network),
        cookie=cookie_of(network.id),
        remote_hosts=[remote[name] for name in sorted(remote)],
    )


def _provider(host: Host, network: Network) -> HostPhysicalNetwork:
    try:
        return host.physical_networks[network.physical_network or ""]
    except KeyError:
        message = (
            f"network {network.project}/{network.name} has a port on host {host.name}, "
            f"which does not reach physical network {network.physical_network}"
        )
        remedy = "name it in the host's physical_networks, or move the port"
        raise TopologyError([Problem(network.where, message, remedy)]) from None


def _local_port(port: Port) -> LocalPort:
    port_id = port.id
    plugged_by_others = port.binding.kind == "iface_id"
    return LocalPort(
        port=port,
        id=port_id,
        device="" if plugged_by_others else names.device_name(port, port_id),
        iface_id=(port.binding.iface_id or port_id) if plugged_by_others else port_id,
        cookie=cookie_of(port_id),
    )
