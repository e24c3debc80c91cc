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
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    AddressPair,
    Binding,
    DhcpOption,
    FixedIp,
    Host,
    HostPhysicalNetwork,
    IPAddress,
    Network,
    PhysicalNetwork,
    Port,
    Project,
    Subnet,
    Topology,
    Underlay,
    Where,
)

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

    def _project(self, name: str) -> Project:
        return self.topology.projects.setdefault(name, Project(name, NOWHERE))

    def _mac(self) -> str:
        self._macs += 1
        return "fa:16:3e:00:" + ":".join(f"{self._macs:04x}"[i : i + 2] for i in (0, 2))


def _address(subnet: Subnet, mac: str, number: int) -> IPAddress:
    if subnet.ipv6_mode in ("slaac", "dhcpv6-stateless"):
        return IPv6Address(int(subnet.cidr.network_address) | interface_identifier(mac))
    return subnet.cidr[number]
