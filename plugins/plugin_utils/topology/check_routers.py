# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about routers that a schema can't say."""

from __future__ import annotations

from .check_fixed_ips import address_problem, check_fixed_ips, in_no_subnet, subnet_of
from .context import Context, place
from .model import ExternalGateway, Host, IPNetwork, Network, Router, RouterInterface, Subnet, Where


def check_routers(context: Context) -> None:
    """Check all routers, and settle which subnets and addresses their interfaces have."""
    for router in context.topology.routers():
        if context.sound("routers", router.project, router.name):
            _Router(context, router).check()


class _Router:
    """Checks one router."""

    def __init__(self, context: Context, router: Router) -> None:
        self._context = context
        self._router = router
        self._holder = f"router {router.project}/{router.name}"
        # What its legs can reach directly: subnet, whose it is, and where in the router the file says so. Its line is
        # looked for when there is something to say about it: among very many routers that takes long.
        self._on_link: list[tuple[IPNetwork, str, tuple[str | int, ...]]] = []
        self._networks: list[Network] = []
        self._complete = True  # False: a network is not known, so what follows from it is not either

    def check(self) -> None:
        self._check_kind()
        self._settle_interfaces()
        if self._router.external_gateway is not None:
            self._check_gateway(self._router.external_gateway)
        self._check_overlap()
        if self._complete:
            self._check_routes()
        self._check_hosts()

    def _at(self, *parts: str | int) -> Where:
        return self._context.at_router(self._router, *parts)

    def _note(self, message: str, remedy: str, *parts: str | int) -> None:
        self._context.note(self._at(*parts), message, remedy)

    def _check_kind(self) -> None:
        router = self._router
        if router.ha and len(router.hosts) == 1:
            message = "an HA router is on two network nodes at least, and hosts names 1"
            self._note(message, "name another one, or leave hosts out, or set ha: false", "hosts")
        elif router.ha and router.hosts and router.network_nodes != len(router.hosts):
            message = f"network_nodes is {router.network_nodes}, and hosts names {len(router.hosts)}"
            self._note(message, "name as many hosts as it shall be on, or leave network_nodes out", "hosts")
        elif not router.ha and len(router.hosts) > 1:
            message = f"a router without ha is on one network node, and hosts names {len(router.hosts)}"
            self._note(message, "name one of them, or set ha: true", "hosts")

    def _network(self, key: tuple[str, str], *parts: str | int) -> Network | None:
        """Return a network, if it is known and has no problem of its own."""
        network = self._context.network(key, self._router.project, self._at, *parts, "network")
        if network is None or not self._context.sound("networks", network.project, network.name):
            self._complete = False
            return None
        return network

    def _settle_interfaces(self) -> None:
        """Replace each interface by one for each subnet it means, with its address."""
        settled: dict[tuple[tuple[str, str], str], RouterInterface] = {}
        first: dict[tuple[tuple[str, str], str], int] = {}
        for index, interface in enumerate(self._router.interfaces):
            network = self._network(interface.network, "interfaces", index)
            if network is None or not self._may_join(network, index):
                self._complete = False
                continue
            self._networks.append(network)
            for subnet in self._subnets(network, interface, index):
                key = (network.key, subnet.name)
                if key in settled:
                    message = f"subnet {subnet.name} of network {network.name} has interfaces[{first[key]}] already"
                    self._note(message, "remove one of the two", "interfaces", index)
                    continue
                first[key] = index
                settled[key] = RouterInterface(network.key, subnet.name, interface.address or subnet.gateway_ip)
                self._settle_address(network, subnet, interface, index)
        self._router.interfaces = list(settled.values())

    def _may_join(self, network: Network, index: int) -> bool:
        if network.project == self._router.project or network.shared or network.external:
            return True
        message = f"network {network.name} of project {network.project} is not shared"
        remedy = f"set shared: true on it ({place(self._context.at_network(network))}), or use a network of the project"
        self._note(message, remedy, "interfaces", index, "network")
        return False

    def _subnets(self, network: Network, interface: RouterInterface, index: int) -> list[Subnet]:
        if interface.subnet:
            subnet = network.subnets.get(interface.subnet)
            if subnet is None:
                remedy = self._context.suggestion(
                    interface.subnet, network.subnets, f"use a subnet of network {network.name}"
                )
                message = f"network {network.name} has no subnet {interface.subnet!r}"
                self._note(message, remedy, "interfaces", index, "subnet")
                return []
            if interface.address is None and subnet.gateway_ip is None:
                message = f"subnet {subnet.name} has no gateway_ip, and the interface no address"
                self._note(message, "add address, or give the subnet a gateway_ip", "interfaces", index)
                return []
            return [subnet]
        if interface.address is not None:
            subnet = subnet_of(network, interface.address)
            if subnet is None:
                self._note(*in_no_subnet(network, interface.address), "interfaces", index, "address")
            return [] if subnet is None else [subnet]
        found = [subnet for subnet in network.subnets.values() if subnet.gateway_ip is not None]
        if not found:
            message = f"network {network.name} has no subnet with a gateway_ip"
            self._note(message, "add subnet and address, or give a subnet a gateway_ip", "interfaces", index)
        return found

    def _settle_address(self, network: Network, subnet: Subnet, interface: RouterInterface, index: int) -> None:
        address = interface.address or subnet.gateway_ip
        if address is None:
            return
        parts: tuple[str | int, ...] = ("interfaces", index)
        if interface.address is not None:
            parts = (*parts, "address")
            problem = address_problem(subnet, address)
            if problem is not None:
                self._note(problem, "use another address of the subnet", *parts)
                return
        elif network.external:
            message = f"{address}, the gateway_ip of subnet {subnet.name}, is the router outside network {network.name}"
            self._note(message, "give the interface a subnet and an address of its own", *parts)
            return
        self._on_link.append((subnet.cidr, f"subnet {network.project}/{network.name}/{subnet.name}", parts))
        shown = f"{address} in network {network.name}"
        claims = self._context.addresses
        claims.claim((network.key, address), shown, self._holder, self._context.at_router, self._router, *parts)

    def _check_gateway(self, gateway: ExternalGateway) -> None:
        network = self._network(gateway.network, "external_gateway")
        if network is None:
            return
        where = ("external_gateway", "network")
        if not network.external:
            message = f"network {network.project}/{network.name} is not external"
            at = place(self._context.at_network(network))
            self._note(message, f"set external: true on it ({at}), or name another network", *where)
        elif not network.subnets:
            message = f"network {network.project}/{network.name} has no subnet for the gateway's address"
            self._note(message, "give it a subnet", *where)
        elif network in self._networks:
            message = f"the router has an interface in network {network.project}/{network.name} as well"
            self._note(message, "remove the interface, or use another external network", *where)
        else:
            check_fixed_ips(
                self._context,
                network,
                gateway.fixed_ips,
                self._holder,
                self._context.at_router,
                self._router,
                "external_gateway",
            )
        self._networks.append(network)
        for subnet in network.subnets.values():
            holder = f"subnet {network.project}/{network.name}/{subnet.name}"
            self._on_link.append((subnet.cidr, holder, where))

    def _check_overlap(self) -> None:
        """The router could not know into which of two overlapping subnets a packet shall go."""
        ordered = sorted(
            enumerate(self._on_link),
            key=lambda row: (row[1][0].version, int(row[1][0].network_address), row[1][0].prefixlen),
        )
        for one, other in zip(ordered, ordered[1:], strict=False):
            if one[1][0].version != other[1][0].version or not one[1][0].overlaps(other[1][0]):
                continue
            # The one that stands first in the file is taken for right.
            earlier, later = sorted((one, other), key=lambda row: row[0])
            first, first_holder, at = earlier[1]
            second, holder, parts = later[1]
            if first_holder != holder:
                message = f"{second} of {holder} overlaps {first} of {first_holder} ({place(self._at(*at))})"
                self._note(message, "give the subnets of one router ranges apart, or use two routers", *parts)

    def _check_routes(self) -> None:
        seen: set[tuple[object, object]] = set()
        for index, (destination, nexthop) in enumerate(self._router.routes):
            parts = ("routes", index)
            own = [interface.address for interface in self._router.interfaces]
            if destination.version != nexthop.version:
                self._note(f"{destination} and {nexthop} are of different IP versions", "use one IP version", *parts)
            elif (destination, nexthop) in seen:
                self._note(f"the route {destination} via {nexthop} is there twice", "remove one", *parts)
            elif nexthop in own:
                message = f"{nexthop} is the router's own address"
                self._note(message, "name the router that the packets shall go to", *parts, "nexthop")
            elif not any(nexthop in cidr for cidr, _holder, _parts in self._on_link):
                links = ", ".join(str(cidr) for cidr, _holder, _parts in self._on_link) or "(it has none)"
                message = f"{nexthop} is in no subnet of the router: {links}"
                self._note(message, "use an address of one of them, or add an interface", *parts, "nexthop")
            elif destination.prefixlen == 0 and self._leads_out(destination.version):
                message = f"the route {destination} is that of the external gateway"
                self._note(message, "remove it, or remove external_gateway", *parts, "destination")
            seen.add((destination, nexthop))

    def _leads_out(self, version: int) -> bool:
        """Tell whether the external gateway gives the router its default route."""
        gateway = self._router.external_gateway
        if gateway is None:
            return False
        subnets = self._context.topology.network(gateway.network).subnets.values()
        return any(subnet.ip_version == version and subnet.gateway_ip is not None for subnet in subnets)

    def _check_hosts(self) -> None:
        hosts = self._context.topology.hosts
        for index, name in enumerate(self._router.hosts):
            parts = ("hosts", index)
            if name in self._router.hosts[:index]:
                self._note(f"host {name} is there twice", "remove one", *parts)
            elif name not in hosts:
                remedy = self._context.suggestion(name, hosts, "add the host")
                self._note(f"there is no host {name!r}", remedy, *parts)
            elif self._context.sound("hosts", name):
                self._check_host(hosts[name], *parts)

    def _check_host(self, host: Host, *parts: str | int) -> None:
        if "network_node" not in host.roles:
            remedy = f"give {host.name} the role network_node, or name a host that has it"
            self._note(f"host {host.name} is no network node", remedy, *parts)
        for network in self._out_of_reach(host):
            name = network.physical_network
            if name is None:
                message = f"host {host.name} has no underlay, which the {network.type} network {network.name} needs"
                remedy = f"give {host.name} an underlay address, or name another host"
            elif name not in self._context.topology.physical_networks:
                continue
            else:
                message = f"host {host.name} does not reach physical network {name} of network {network.name}"
                remedy = f"add {name} to the physical_networks of {host.name}, or name another host"
            self._note(message, remedy, *parts)
        if self._router.ha and host.underlay is None and all(host.reaches(network) for network in self._networks):
            message = f"host {host.name} has no underlay, over which an HA router's nodes hear each other"
            self._note(message, f"give {host.name} an underlay address, or name another host", *parts)

    def _out_of_reach(self, host: Host) -> list[Network]:
        return [network for network in self._networks if not host.reaches(network)]
