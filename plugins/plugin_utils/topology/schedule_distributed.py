# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where distributed routers route: on every host that has somebody whom they serve.

All legs of a router are on each of these hosts, so the host joins all of its networks; and a leg may be somebody whom
another router serves, in a network that they share. So one host may follow from another, until none does any more.

A DHCP server is nobody who needs a router: it answers its own network, and asks nobody.
"""

from __future__ import annotations

from .model import FLOATING_IP_AGENT_OWNER, Binding, Host, Network, Port, Router, Topology
from .problems import Problems
from .router_ports import add_distributed_ports

_Key = tuple[str, str]


def schedule_distributed(topology: Topology, problems: Problems) -> None:
    """Place every distributed router and add its legs, and the ports of the floating IPs that are with them."""
    routers = {router.key: router for router in topology.routers() if router.distributed}
    if not routers:
        return
    for key, hosts in _Spread(topology, routers).hosts().items():
        router = routers[key]
        router.places = tuple(name for name in sorted(hosts) if _can_route(topology, router, name, problems))
        add_distributed_ports(topology, router)
    _add_floating_ip_agents(topology, routers)


class _Spread:
    """Finds the hosts of all distributed routers."""

    def __init__(self, topology: Topology, routers: dict[_Key, Router]) -> None:
        self._routers = routers
        self._members: dict[_Key, list[_Key]] = {}  # network: the distributed routers that have a leg in it
        self._networks: dict[_Key, list[_Key]] = {}  # and the other way round
        for key, router in routers.items():
            self._networks[key] = list(dict.fromkeys(interface.network for interface in router.interfaces))
            for network in self._networks[key]:
                self._members.setdefault(network, []).append(key)
        self._found: dict[_Key, set[str]] = {key: set() for key in routers}
        self._waiting: list[tuple[_Key, str]] = []
        self._look_around(topology)

    def hosts(self) -> dict[_Key, set[str]]:
        """Return the hosts of each router."""
        while self._waiting:
            key, host = self._waiting.pop()
            for network in self._networks[key]:
                self._serve(network, host, key)
        return self._found

    def _look_around(self, topology: Topology) -> None:
        """Begin with who is there anyway: the machines' ports, and those of routers on network nodes."""
        for project in topology.projects.values():
            for port in project.ports.values():
                if port.host is not None:
                    self._serve((project.name, port.network), port.host, None)
        for network, ports in topology.router_ports.items():
            for port in ports:
                if port.host is not None:
                    self._serve(network, port.host, port.router)

    def _serve(self, network: _Key, host: str, who: _Key | None) -> None:
        """Note that somebody on a host is in a network. A router does not serve itself."""
        for key in self._members.get(network, ()):
            if key != who and host not in self._found[key]:
                self._found[key].add(host)
                self._waiting.append((key, host))


def _can_route(topology: Topology, router: Router, host: str, problems: Problems) -> bool:
    """Tell whether a host reaches all networks of a router; a problem is noted when it does not."""
    here = topology.hosts.get(host)
    if here is None:
        return False  # of which the port's own check speaks
    for key in dict.fromkeys(interface.network for interface in router.interfaces):
        network = topology.network(key)
        if not here.reaches(network):
            problems.add(router.where, *_out_of_reach(here, network))
            return False
    return True


def _out_of_reach(host: Host, network: Network) -> tuple[str, str]:
    """Return message and remedy."""
    why = f"host {host.name} has ports in the networks of this distributed router, so it routes there"
    if network.physical_network is not None:
        return (
            f"{why}, and does not reach physical network {network.physical_network} of network {network.name}",
            f"add {network.physical_network} to the physical_networks of {host.name}, or set distributed: false",
        )
    return (
        f"{why}, and has no underlay, which the {network.type} network {network.name} needs",
        f"give {host.name} an underlay address, or set distributed: false",
    )


def _add_floating_ip_agents(topology: Topology, routers: dict[_Key, Router]) -> None:
    """Add a port in the external network on each host where a distributed router may translate a floating IP.

    It is one port for all routers of the host. Which router has a floating IP is known later, from addresses.
    """
    between: dict[tuple[_Key, _Key], set[str]] = {}  # (inside, outside): where routers between the two route
    for router in routers.values():
        gateway = router.external_gateway
        if gateway is None:
            continue
        for interface in router.interfaces:
            between.setdefault((interface.network, gateway.network), set()).update(router.places)
    wanted: dict[_Key, set[str]] = {}
    for floating_ip in topology.floating_ips():
        port = topology.projects[floating_ip.project].ports.get(floating_ip.port or "")
        host = topology.hosts.get(port.host or "") if port is not None else None
        if port is None or host is None or not host.reaches(topology.network(floating_ip.network)):
            continue
        if host.name in between.get(((port.project, port.network), floating_ip.network), ()):
            wanted.setdefault(floating_ip.network, set()).add(host.name)
    for key, hosts in wanted.items():
        network = topology.network(key)
        topology.router_ports.setdefault(key, []).extend(_agent_port(network, host) for host in sorted(hosts))


def _agent_port(network: Network, host: str) -> Port:
    """Return the port through which all floating IPs of a host reach an external network. It needs no address."""
    port = Port(
        name=f"fip:{network.name}:{host}",
        project=network.project,
        network=network.name,
        where=network.where,
        host=host,
        fixed_ips_given=True,
        device_owner=FLOATING_IP_AGENT_OWNER,
    )
    port.binding = Binding(kind="veth", namespace=f"fip-{network.id}", interface=f"fg-{port.id[:11]}")
    return port
