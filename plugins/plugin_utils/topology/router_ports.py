# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports that routers have in their networks, once it is known on which hosts they are."""

from __future__ import annotations

import typing as t

from .lockfile import Lock
from .model import (
    HA_CIDR,
    HA_NETWORK,
    HA_SUBNET,
    ROUTER_DISTRIBUTED_OWNER,
    ROUTER_GATEWAY_OWNER,
    ROUTER_HA_OWNER,
    ROUTER_INTERFACE_OWNER,
    ROUTER_SNAT_OWNER,
    Binding,
    FixedIp,
    IPAddress,
    Network,
    Port,
    Router,
    Subnet,
    Topology,
)
from .pool import router_path

# What the name of a leg's device begins with.
_PREFIXES = {
    ROUTER_INTERFACE_OWNER: "qr",
    ROUTER_DISTRIBUTED_OWNER: "qr",
    ROUTER_SNAT_OWNER: "sg",
    ROUTER_GATEWAY_OWNER: "qg",
    ROUTER_HA_OWNER: "ha",
}


def add_ports(topology: Topology, router: Router, lock: Lock) -> None:
    """Add what a router has on its network nodes."""
    for key, addresses in _addresses(router).items():
        if router.distributed:
            # The subnets' gateways are on the hosts of those they serve; here it has addresses of its own.
            own = [FixedIp(subnet) for subnet in dict.fromkeys(subnet for subnet, _address in addresses)]
            _add(topology, router, key, _leg_name("snat", router, key), ROUTER_SNAT_OWNER, own, router.nodes)
        else:
            given = [FixedIp(subnet, address, pinned=True) for subnet, address in addresses]
            _add(topology, router, key, _leg_name("router", router, key), ROUTER_INTERFACE_OWNER, given, router.nodes)
    if router.external_gateway is not None:
        gateway = router.external_gateway
        if not gateway.fixed_ips_given:
            gateway.fixed_ips = _gateway_addresses(topology.network(gateway.network), router, lock)
        name = f"gateway:{router.project}:{router.name}"
        _add(topology, router, gateway.network, name, ROUTER_GATEWAY_OWNER, gateway.fixed_ips, router.nodes)
    if router.ha:
        _add_ha_ports(topology, router)


def add_distributed_ports(topology: Topology, router: Router) -> None:
    """Add the legs of a distributed router on all hosts that it routes on.

    Names and numbers are those it has without being distributed: a machine notices no conversion.
    """
    for key, addresses in _addresses(router).items():
        fixed_ips = [FixedIp(subnet, address, pinned=True) for subnet, address in addresses]
        _add(
            topology, router, key, _leg_name("router", router, key), ROUTER_DISTRIBUTED_OWNER, fixed_ips, router.places
        )


def _leg_name(kind: str, router: Router, key: tuple[str, str]) -> str:
    return f"{kind}:{router.project}:{router.name}:{key[0]}:{key[1]}"


def _addresses(router: Router) -> dict[tuple[str, str], list[tuple[str, IPAddress | None]]]:
    """Return the subnets and addresses of a router's interfaces, by network."""
    found: dict[tuple[str, str], list[tuple[str, IPAddress | None]]] = {}
    for interface in router.interfaces:
        found.setdefault(interface.network, []).append((interface.subnet, interface.address))
    return found


def _add(
    topology: Topology,
    router: Router,
    key: tuple[str, str],
    name: str,
    owner: str,
    fixed_ips: list[FixedIp],
    hosts: t.Iterable[str],
) -> None:
    """Add a leg on several hosts. Its ports share the list of addresses: what one is given, all have."""
    ports = topology.router_ports.setdefault(key, [])
    ports.extend(_port(router, topology.network(key), name, owner, fixed_ips, host) for host in hosts)


def _add_ha_ports(topology: Topology, router: Router) -> None:
    """Add the ports through which a router's nodes hear each other."""
    network = topology.projects[router.project].networks.get(HA_NETWORK)
    if network is None:
        network = _ha_network(topology, router)
        topology.projects[router.project].networks[HA_NETWORK] = network
    ports = topology.router_ports.setdefault(network.key, [])
    for host in router.nodes:
        ports.append(_port(router, network, f"ha:{router.name}:{host}", ROUTER_HA_OWNER, [FixedIp(HA_SUBNET)], host))


def _ha_network(topology: Topology, router: Router) -> Network:
    network = Network(HA_NETWORK, router.project, router.where, type=topology.tunnel_type, dhcp_servers=0)
    network.subnets[HA_SUBNET] = Subnet(HA_SUBNET, router.where, HA_CIDR, enable_dhcp=False)
    return network


def _port(router: Router, network: Network, name: str, owner: str, fixed_ips: list[FixedIp], host: str) -> Port:
    port = Port(
        name=name,
        project=network.project,
        network=network.name,
        where=router.where,
        host=host,
        fixed_ips=fixed_ips,
        fixed_ips_given=True,
        device_owner=owner,
        router=router.key,
    )
    kind = "snat" if router.distributed and owner != ROUTER_DISTRIBUTED_OWNER else "qrouter"
    device = f"{_PREFIXES[owner]}-{port.id[:11]}"
    port.binding = Binding(kind="veth", namespace=f"{kind}-{router.id}", interface=device)
    return port


def _gateway_addresses(network: Network, router: Router, lock: Lock) -> list[FixedIp]:
    """Return where a gateway has addresses when the file does not say: in one subnet of each IP version.

    A subnet where it has an address stays: one that is added beside it changes nothing.
    """
    locked = lock.get(f"{router_path(router.key)}/gateway").get("addresses")
    held = locked if isinstance(locked, dict) else {}
    chosen: dict[int, str] = {}
    for subnet in sorted(network.subnets.values(), key=lambda subnet: subnet.name not in held):
        chosen.setdefault(subnet.ip_version, subnet.name)
    return [FixedIp(name) for _version, name in sorted(chosen.items())]
