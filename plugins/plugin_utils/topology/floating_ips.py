# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which router has a floating IP: the one that joins the subnet of its port with its external network.

That needs the ports' addresses, so it comes after their allocation.
"""

from __future__ import annotations

from .model import FloatingIp, IPAddress, Port, Router, Topology, Where
from .problems import Problems

# A subnet, by the network's project and name and its own.
_SubnetKey = tuple[str, str, str]


def bind_floating_ips(topology: Topology, problems: Problems) -> None:
    """Fill in the router and the inside address of every floating IP that is in use."""
    _Binder(topology, problems).bind()


class _Binder:
    """Finds routers, and keeps which inside address is whose."""

    def __init__(self, topology: Topology, problems: Problems) -> None:
        self._topology = topology
        self._problems = problems
        self._floating: dict[tuple[tuple[str, str], IPAddress], FloatingIp] = {}
        self._routers: dict[_SubnetKey, list[tuple[bool, Router]]] = {}

    def bind(self) -> None:
        floating_ips = list(self._topology.floating_ips())
        if not floating_ips:
            return
        for router in self._topology.routers():
            for interface in router.interfaces if router.external_gateway is not None else ():
                gateway_ip = self._topology.network(interface.network).subnets[interface.subnet].gateway_ip
                legs = self._routers.setdefault((*interface.network, interface.subnet), [])
                legs.append((interface.address != gateway_ip, router))
        # Whole addresses first: a forwarding of one of them is a mistake in the forwarding.
        for floating_ip in floating_ips:
            if floating_ip.port is not None:
                self._bind_address(floating_ip, floating_ip.port)
        for floating_ip in floating_ips:
            for index in range(len(floating_ip.port_forwardings)):
                self._bind_forwarding(floating_ip, index)

    def _bind_address(self, floating_ip: FloatingIp, port_name: str) -> None:
        port = self._topology.projects[floating_ip.project].ports[port_name]
        found = self._address_of(floating_ip, port, floating_ip.fixed_address, "")
        if found is None:
            return
        subnet, address = found
        router = self._router_of(floating_ip, port, subnet, "port")
        if router is None:
            return
        floating_ip.fixed_address, floating_ip.router = address, router.key
        other = self._floating.setdefault((router.key, address), floating_ip)
        if other is not floating_ip:
            self._note(
                floating_ip,
                "port",
                f"{address} of port {port.name} has a floating IP already, {_shown(other)}",
                "remove one of the two, or give the port a second address",
            )

    def _bind_forwarding(self, floating_ip: FloatingIp, index: int) -> None:
        forwarding = floating_ip.port_forwardings[index]
        here = f"port_forwardings[{index}]."
        port = self._topology.projects[floating_ip.project].ports[forwarding.port]
        found = self._address_of(floating_ip, port, forwarding.internal_address, here)
        if found is None:
            return
        subnet, address = found
        router = self._router_of(floating_ip, port, subnet, f"{here}port")
        if router is None:
            return
        forwarding.internal_address = address
        whole = self._floating.get((router.key, address))
        if whole is not None:
            # The answers of a distributed router's port leave under its own floating IP, on another host.
            message = f"{address} of port {port.name} has a floating IP of its own, {_shown(whole)}"
            self._note(floating_ip, f"{here}port", message, "remove one of the two")
        if floating_ip.router is not None and floating_ip.router != router.key:
            first = "/".join(floating_ip.router)
            message = f"port {port.name} is behind router {router.project}/{router.name}, the others are behind {first}"
            self._note(floating_ip, f"{here}port", message, "give each router a floating IP of its own")
            return
        floating_ip.router = router.key

    def _address_of(
        self, floating_ip: FloatingIp, port: Port, wanted: IPAddress | None, here: str
    ) -> tuple[str, IPAddress] | None:
        """Return the subnet and address inside that is meant."""
        found = [(fixed.subnet, fixed.address) for fixed in port.fixed_ips if fixed.address is not None]
        if len(found) < len(port.fixed_ips):
            return None  # no address was left for it, which has been noted
        known = [(subnet, address) for subnet, address in found if address.version == 4]
        for subnet, address in known:
            if wanted in (None, address):
                return subnet, address
        if not known:
            message = f"port {port.name} has no IPv4 address"
            self._note(floating_ip, f"{here}port", message, "give it one, or name another port")
        else:
            message = f"{wanted} is no address of port {port.name}"
            addresses = ", ".join(str(address) for _subnet, address in known)
            self._note(floating_ip, f"{here}fixed_ip", message, f"use {addresses}, or leave it out")
        return None

    def _router_of(self, floating_ip: FloatingIp, port: Port, subnet: str, attribute: str) -> Router | None:
        """Return the router between a port's subnet and the external network.

        Of several the one that is the subnet's gateway, as the port's answers go there; then one of the same project.
        """
        legs = [
            (not_gateway, router.project != floating_ip.project, router.key, router)
            for not_gateway, router in self._routers.get((port.project, port.network, subnet), ())
            if router.external_gateway is not None and router.external_gateway.network == floating_ip.network
        ]
        if legs:
            return min(legs, key=lambda leg: leg[:3])[-1]
        external = "/".join(floating_ip.network)
        self._note(
            floating_ip,
            attribute,
            f"no router joins subnet {subnet} of network {port.network}, where port {port.name} is, with {external}",
            f"give a router an interface in that subnet and its external_gateway in {external}",
        )
        return None

    def _note(self, floating_ip: FloatingIp, attribute: str, message: str, remedy: str) -> None:
        where = floating_ip.where
        self._problems.add(Where(where.file, where.line, f"{where.path}.{attribute}"), message, remedy)


def _shown(floating_ip: FloatingIp) -> str:
    where = floating_ip.where
    return f"{floating_ip.project}/{floating_ip.name} ({where.file}:{where.line})"
