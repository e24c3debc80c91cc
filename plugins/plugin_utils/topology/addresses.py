# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses for ports whose file names none: from the lock, else from a hash of the port's name."""

from __future__ import annotations

import typing as t
from ipaddress import IPv4Address, IPv6Address

from .eui64 import interface_identifier
from .lockfile import Entry, Lock
from .model import FixedIp, FloatingIp, IPAddress, Network, Port, Subnet, Topology
from .pool import Pool, floating_ip_path, network_path, port_path
from .problems import Problems

# From so many addresses at the beginning of an IPv6 subnet one is chosen, unless it has allocation_pools.
IPV6_ADDRESSES = 2**24


def allocate_addresses(topology: Topology, lock: Lock, problems: Problems, written: dict[str, Entry]) -> None:
    """Give every port its addresses, and every floating IP its own."""
    floating_ips: dict[tuple[str, str], list[FloatingIp]] = {}
    for floating_ip in topology.floating_ips():
        floating_ips.setdefault(floating_ip.network, []).append(floating_ip)
    for key, ports in topology.ports_by_network.items():
        addresses = _Addresses(topology.network(key), lock, problems, written)
        addresses.allocate(ports, floating_ips.get(key, ()))


class _Addresses:
    """The addresses of one network."""

    def __init__(self, network: Network, lock: Lock, problems: Problems, written: dict[str, Entry]) -> None:
        self._network = network
        self._lock = lock
        self._problems = problems
        self._written = written
        self._pools = {subnet.name: subnet_pool(network, subnet, problems) for subnet in network.subnets.values()}

    def allocate(self, ports: list[Port], floating_ips: t.Sequence[FloatingIp]) -> None:
        """Settle what is pinned, derived or locked first, and choose the others in an order that never changes."""
        waiting: list[tuple[str, str, Port, FixedIp]] = []
        for port in ports:
            path = port_path(port)
            locked = self._locked(path)
            if not port.fixed_ips and not port.fixed_ips_given:
                port.fixed_ips = default_fixed_ips(self._network, locked)
            for key, fixed in _keys(port):
                if fixed.subnet in self._pools and not self._settle(path, key, locked, port, fixed):
                    waiting.append((path, key, port, fixed))
        unsettled = [floating_ip for floating_ip in floating_ips if not self._settle_floating(floating_ip)]
        for path, key, port, fixed in sorted(waiting, key=lambda row: row[:2]):
            # The ports of a leg that is on several hosts share their addresses: the first one has been given them.
            if fixed.address is None:
                self._choose(path, key, port, fixed)
        for floating_ip in sorted(unsettled, key=floating_ip_path):
            self._choose_floating(floating_ip)

    def _locked(self, path: str) -> dict[str, t.Any]:
        addresses = self._lock.get(path).get("addresses")
        return addresses if isinstance(addresses, dict) else {}

    def _settle(self, path: str, key: str, locked: dict[str, t.Any], port: Port, fixed: FixedIp) -> bool:
        """Take an address that is pinned, follows from the MAC, or stands in the lock; False: one must be chosen."""
        subnet, pool = self._network.subnets[fixed.subnet], self._pools[fixed.subnet]
        if fixed.address is not None:
            # The pool holds the gateway_ip already. Only one router can have it: see check_routers.py.
            if port.router is None or fixed.address != subnet.gateway_ip:
                pool.hold(int(fixed.address), path, port.where)
            return True
        if is_auto(subnet):
            if port.mac_address:
                number = int(subnet.cidr.network_address) | interface_identifier(port.mac_address)
                pool.hold(number, path, port.where)
                fixed.address = IPv6Address(number)
            return True
        # Where the subnet has been given another range since, the old address can't be kept.
        address = _usable(subnet, locked[key]) if key in locked else None
        if address is None:
            return False
        pool.hold(int(address), path, self._lock.where(path))
        self._take(path, key, fixed, address)
        return True

    def _choose(self, path: str, key: str, port: Port, fixed: FixedIp) -> None:
        number = self._pools[fixed.subnet].choose(path, port.where)
        if number is None:
            self._problems.add(
                port.where,
                f"no address is left in subnet {fixed.subnet} of network {self._network.name}",
                "enlarge the subnet's cidr or its allocation_pools",
            )
            return
        subnet = self._network.subnets[fixed.subnet]
        self._take(path, key, fixed, IPv4Address(number) if subnet.ip_version == 4 else IPv6Address(number))

    def _take(self, path: str, key: str, fixed: FixedIp, address: IPAddress) -> None:
        fixed.address = address
        self._written.setdefault(path, {}).setdefault("addresses", {})[key] = str(address)

    def _settle_floating(self, floating_ip: FloatingIp) -> bool:
        """Take a floating IP's address that is pinned or stands in the lock; False: one must be chosen."""
        path = floating_ip_path(floating_ip)
        if floating_ip.address is not None:
            self._pool_of(floating_ip.address).hold(int(floating_ip.address), path, floating_ip.where)
            return True
        locked = self._lock.get(path).get("address")
        for subnet in self._ipv4_subnets() if locked is not None else ():
            address = _usable(subnet, locked)
            if address is not None:
                self._pools[subnet.name].hold(int(address), path, self._lock.where(path))
                self._take_floating(path, floating_ip, address)
                return True
        return False

    def _choose_floating(self, floating_ip: FloatingIp) -> None:
        path = floating_ip_path(floating_ip)
        for subnet in self._ipv4_subnets():
            number = self._pools[subnet.name].choose(path, floating_ip.where)
            if number is not None:
                self._take_floating(path, floating_ip, IPv4Address(number))
                return
        self._problems.add(
            floating_ip.where,
            f"no address is left for floating IPs in network {self._network.project}/{self._network.name}",
            "enlarge the allocation_pools of its subnets, or add a subnet",
        )

    def _take_floating(self, path: str, floating_ip: FloatingIp, address: IPAddress) -> None:
        floating_ip.address = address
        self._written.setdefault(path, {})["address"] = str(address)

    def _ipv4_subnets(self) -> list[Subnet]:
        return [subnet for subnet in self._network.subnets.values() if subnet.ip_version == 4]

    def _pool_of(self, address: IPAddress) -> Pool:
        return next(self._pools[s.name] for s in self._network.subnets.values() if address in s.cidr)


def _keys(port: Port) -> t.Iterator[tuple[str, FixedIp]]:
    """Yield under which name the lock holds each address: the subnet's, with a number from the second one on."""
    seen: dict[str, int] = {}
    for fixed in port.fixed_ips:
        count = seen[fixed.subnet] = seen.get(fixed.subnet, 0) + 1
        yield fixed.subnet if count == 1 else f"{fixed.subnet}/{count}", fixed


def is_auto(subnet: Subnet) -> bool:
    """Tell whether the addresses of a subnet follow from the ports' MACs."""
    return subnet.ipv6_mode in ("slaac", "dhcpv6-stateless")


def default_fixed_ips(network: Network, locked: t.Collection[str]) -> list[FixedIp]:
    """Return where a port has addresses when the file does not say: Neutron's choice.

    One IPv4 subnet, one IPv6 subnet with addresses from DHCPv6, and every IPv6 subnet whose addresses follow
    from the MAC. A subnet where the port has an address stays: one that is added beside it changes nothing.
    """
    chosen: dict[int, str] = {}
    for subnet in sorted(network.subnets.values(), key=lambda subnet: subnet.name not in locked):
        if not is_auto(subnet):
            chosen.setdefault(subnet.ip_version, subnet.name)
    # In the file's order, whatever the lock says: the order of addresses shows in what hosts get.
    return [FixedIp(s.name) for s in network.subnets.values() if is_auto(s) or chosen[s.ip_version] == s.name]


def subnet_pool(network: Network, subnet: Subnet, problems: Problems) -> Pool:
    """Return the addresses that may be chosen in a subnet: its allocation pools, or all that hosts may have."""
    factory = IPv4Address if subnet.ip_version == 4 else IPv6Address
    first, last = int(subnet.cidr.network_address), int(subnet.cidr.broadcast_address)
    if subnet.cidr.prefixlen < subnet.cidr.max_prefixlen - 1:
        first, last = first + 1, last - 1
    if subnet.ip_version == 6:
        # Addresses that a person can still read; there are as many of them as MACs.
        last = min(last, first + IPV6_ADDRESSES - 1)
    pool = Pool(f"address in {network.project}/{network.name}/{subnet.name}", first, last, problems)
    pool.show = lambda number: str(factory(number))
    if subnet.allocation_pools:
        pool.ranges = [(int(start), int(end)) for start, end in subnet.allocation_pools]
    if subnet.gateway_ip is not None:
        pool.hold(int(subnet.gateway_ip), f"{network_path(network)}/subnets/{subnet.name}/gateway_ip", subnet.where)
    return pool


def _usable(subnet: Subnet, text: t.Any) -> IPAddress | None:
    """Return an address from the lock, if the subnet can still give it."""
    factory = IPv4Address if subnet.ip_version == 4 else IPv6Address
    try:
        address = factory(text)
    except ValueError:
        return None
    return address if address in subnet.cidr and address != subnet.gateway_ip else None
