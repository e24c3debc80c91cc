# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds models as the loader, the scheduler and the allocator leave them, in a few words.

Numbers are counted up, not allocated: a test of the compiler wants to foresee them.
"""

from __future__ import annotations

import typing as t
from ipaddress import IPv6Address, ip_address, ip_interface, ip_network

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.eui64 import interface_identifier
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.floating_ip_places import place_floating_ips
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.lockfile import Lock
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    AddressPair,
    Binding,
    DhcpOption,
    ExternalGateway,
    FixedIp,
    FloatingIp,
    Host,
    HostPhysicalNetwork,
    IPAddress,
    Network,
    PhysicalNetwork,
    Port,
    PortForwarding,
    Project,
    Router,
    RouterInterface,
    Subnet,
    Topology,
    Underlay,
    Where,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import Problems
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.schedule_routers import schedule_routers

NOWHERE = Where("test.yml", 1, "")


class Builder:
    """A topology in the making; topology is the result."""

    def __init__(self) -> None:
        self.topology = Topology()
        self._macs = 0
        self._numbers = 0

    def physnet(self, name: str, mtu: int = 1500) -> Builder:
        self.topology.physical_networks[name] = PhysicalNetwork(name, NOWHERE, mtu)
        return self

    def host(
        self,
        name: str,
        underlay: str | None = None,
        physnets: dict[str, str | None] | None = None,
        datapath_type: str = "netdev",
        interface: str | None = None,
        routes: t.Iterable[tuple[str, str]] = (),
    ) -> Builder:
        """Add a host; physnets maps a physical network to its interface, None: the bridge is somebody else's."""
        point = None
        if underlay is not None:
            address = ip_interface(underlay)
            point = Underlay(
                address.ip,
                address.network.prefixlen,
                interface,
                mtu=1550,
                routes=tuple((ip_network(to), ip_address(via)) for to, via in routes),
            )
        self.topology.hosts[name] = Host(
            name,
            NOWHERE,
            ("compute_node",),
            underlay=point,
            datapath_type=datapath_type,
            physical_networks={
                physnet: HostPhysicalNetwork(physnet, f"br-{physnet}", interface)
                for physnet, interface in (physnets or {}).items()
            },
        )
        return self

    def network(self, project: str, name: str, kind: str = "vxlan", **settings: t.Any) -> Network:
        self._numbers += 1
        settings.setdefault(
            "segmentation_id", {"flat": None, "vlan": 200 + self._numbers}.get(kind, 5000 + self._numbers)
        )
        settings.setdefault("local_vlan", self._numbers)
        settings.setdefault("mtu", 1450)
        network = Network(name, project, NOWHERE, type=kind, **settings)
        self._project(project).networks[name] = network
        return network

    def subnet(self, network: Network, cidr: str, gateway: str | None = "first", **settings: t.Any) -> Subnet:
        prefix = ip_network(cidr)
        gateway_ip = prefix[1] if gateway == "first" else ip_address(gateway) if gateway else None
        name = f"{network.name}-v{prefix.version}-{len(network.subnets)}"
        subnet = Subnet(name, NOWHERE, prefix, gateway_ip, **settings)
        network.subnets[name] = subnet
        return subnet

    def port(
        self,
        network: Network,
        name: str,
        host: str | None,
        kind: str = "tap",
        number: int | None = None,
        binding: dict[str, t.Any] | None = None,
        pairs: t.Iterable[tuple[str, str | None]] = (),
        options: t.Iterable[tuple[str, str, int]] = (),
        **settings: t.Any,
    ) -> Port:
        """Add a port with an address in each subnet: number is the host part, counted up unless given."""
        port = Port(
            name,
            network.project,
            network.name,
            NOWHERE,
            host=host,
            mac_address=self._mac(),
            binding=Binding(kind, **(binding or {})),
            allowed_address_pairs=tuple(AddressPair(ip_network(cidr), mac) for cidr, mac in pairs),
            extra_dhcp_opts=tuple(DhcpOption(*option) for option in options),
            **settings,
        )
        number = number or self._macs + 10
        port.fixed_ips = [FixedIp(s.name, _address(s, port.mac_address, number)) for s in network.subnets.values()]
        self._project(network.project).ports[name] = port
        return port

    def dhcp(self, network: Network, *hosts: str) -> Builder:
        """Place the DHCP servers of a network."""
        for host in hosts:
            name = f"dhcp-{network.name}-{host}"
            port = self.port(network, name, host, "veth", device_owner="network:dhcp")
            del self._project(network.project).ports[name]
            self.topology.dhcp_ports.setdefault(network.key, []).append(port)
        return self

    def router(
        self,
        project: str,
        name: str,
        hosts: t.Iterable[str],
        networks: t.Iterable[Network],
        external: Network | None = None,
        enable_snat: bool = True,
        routes: t.Iterable[tuple[str, str]] = (),
        addresses: dict[str, str] | None = None,
        distributed: bool = False,
    ) -> Router:
        """Add a router, HA on several hosts. It is its subnets' gateway, unless addresses (by subnet) say else.

        Of a distributed one the hosts are where it leads out of the fabric.
        """
        nodes = tuple(hosts)
        given = {subnet: ip_address(address) for subnet, address in (addresses or {}).items()}
        router = Router(name, project, NOWHERE, len(nodes) > 1, distributed, len(nodes), nodes)
        router.interfaces = [
            RouterInterface(network.key, subnet.name, given.get(subnet.name, subnet.gateway_ip))
            for network in networks
            for subnet in network.subnets.values()
        ]
        if external is not None:
            router.external_gateway = ExternalGateway(external.key, enable_snat)
        router.routes = tuple((ip_network(to), ip_address(via)) for to, via in routes)
        self._project(project).routers[name] = router
        return router

    def floating_ip(
        self, router: Router, external: Network, address: str, port: Port | None = None, *forwardings: PortForwarding
    ) -> FloatingIp:
        """Add a floating IP of a port's first address, or of single ports."""
        name = f"fip-{address}"
        found = FloatingIp(name, router.project, NOWHERE, external.key, ip_address(address), router=router.key)
        if port is not None:
            found.port, found.fixed_address = port.name, port.addresses[0]
        found.port_forwardings = forwardings
        self._project(router.project).floating_ips[name] = found
        return found

    def place_routers(self) -> Topology:
        """Add the legs of all routers, and return the topology: it is complete."""
        before = [network.key for network in self.topology.networks()]
        schedule_routers(self.topology, list(self.topology.hosts.values()), Lock(), Problems())
        for network in self.topology.networks():
            if network.key not in before:
                self._numbers += 1
                network.segmentation_id, network.local_vlan, network.mtu = 5000 + self._numbers, self._numbers, 1450
        macs: dict[tuple[str, str], str] = {}
        for ports in self.topology.router_ports.values():
            for port in ports:
                key = (port.project, port.name)
                port.mac_address = macs[key] if key in macs else self._mac()
                macs[key] = port.mac_address
                subnets = self.topology.network((port.project, port.network)).subnets
                for fixed in port.fixed_ips:
                    fixed.address = fixed.address or subnets[fixed.subnet].cidr[self._macs + 100]
        self._number_distributed()
        place_floating_ips(self.topology)
        return self.topology

    def _number_distributed(self) -> None:
        for number, host in enumerate(self.topology.hosts.values(), 1):
            if any(host.name in router.places for router in self.topology.routers()):
                host.dvr_mac_address = f"fa:16:3f:00:00:{number:02x}"
        for number, router in enumerate(self.topology.routers(), 1):
            router.transit = number if router.places and router.external_gateway is not None else None

    def _project(self, name: str) -> Project:
        return self.topology.projects.setdefault(name, Project(name, NOWHERE))

    def _mac(self) -> str:
        self._macs += 1
        return "fa:16:3e:00:" + ":".join(f"{self._macs:04x}"[i : i + 2] for i in (0, 2))


def _address(subnet: Subnet, mac: str, number: int) -> IPAddress:
    if subnet.ipv6_mode in ("slaac", "dhcpv6-stateless"):
        return IPv6Address(int(subnet.cidr.network_address) | interface_identifier(mac))
    return subnet.cidr[number]
