# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers for what the topology does not number: VNIs, local VLANs, MACs, addresses, MTUs.

A number comes from the topology (a pin), else from the lock, else from a hash of the resource's own
name. Never from a counter: two branches that add different resources then choose different numbers.
What a pin and the lock, or two entries of the lock, both claim is an error that names both.
"""

from __future__ import annotations

import hashlib
import typing as t
from ipaddress import IPv4Address, IPv6Address

from .eui64 import interface_identifier
from .lockfile import Entry, Lock
from .model import (
    LOCAL_VLAN_RANGE,
    TUNNEL_TYPES,
    FixedIp,
    IPAddress,
    Network,
    Port,
    Subnet,
    Topology,
    Where,
)
from .problems import Problems

# Small VNIs are what people pin by hand; those we choose start above the VLAN range.
SEGMENTATION_RANGE = (4096, 2**24 - 1)

# Neutron's base MAC: the first three bytes of every MAC we choose.
MAC_PREFIX = 0xFA163E << 24

# From so many addresses at the beginning of an IPv6 subnet one is chosen, unless it has allocation_pools.
IPV6_ADDRESSES = 2**24

# Bytes of inner Ethernet header and encapsulation, without the outer IP header. Neutron's figures.
OVERHEAD = {"vxlan": 30, "geneve": 30, "gre": 22}


def hashed(*parts: str) -> int:
    """Return 64 bits that depend on the parts alone, on every machine."""
    return int.from_bytes(hashlib.blake2b("/".join(parts).encode(), digest_size=8).digest(), "big")


class Pool:
    """Numbers of one kind, each held by one resource."""

    def __init__(self, what: str, first: int, last: int, problems: Problems, show: t.Callable[[int], str] = str):
        self.what = what
        self.ranges = [(first, last)]
        self.problems = problems
        self.show = show
        self.holders: dict[int, tuple[str, Where]] = {}

    def hold(self, number: int, path: str, where: Where) -> None:
        """Reserve a pinned or locked number; two holders are a problem."""
        holder = self.holders.setdefault(number, (path, where))
        if holder[0] != path:
            self.problems.add(
                where,
                f"{self.what} {self.show(number)} is also held by {holder[0]} ({holder[1].file}:{holder[1].line})",
                "pin another number, or delete one of the two lines from the lock file and write the lock anew",
            )

    def choose(self, path: str, where: Where) -> int | None:
        """Return a free number, by the hash of the path and the next free one after it; None: there is none."""
        size = sum(last - first + 1 for first, last in self.ranges)
        if size <= 0:
            return None
        start = hashed(self.what, path) % size
        for step in range(min(size, len(self.holders) + 1)):
            number = self._at((start + step) % size)
            if number not in self.holders:
                self.holders[number] = (path, where)
                return number
        return None

    def _at(self, offset: int) -> int:
        for first, last in self.ranges:
            if offset <= last - first:
                return first + offset
            offset -= last - first + 1
        raise AssertionError("offset lies outside the pool")


def network_path(network: Network) -> str:
    return f"projects/{network.project}/networks/{network.name}"


def port_path(port: Port) -> str:
    """Return where the lock keeps a port's numbers; a DHCP port's stand with its network."""
    if port.device_owner == "network:dhcp":
        return f"projects/{port.project}/networks/{port.network}/dhcp/{port.host}"
    return f"projects/{port.project}/ports/{port.name}"


def allocate(topology: Topology, lock: Lock, problems: Problems) -> Lock:
    """Fill in the model's missing numbers and return the complete lock: what the lock file should say."""
    written: dict[str, Entry] = {}
    ports = [port for ports in topology.ports_by_network.values() for port in ports]
    _allocate_segments(topology, lock, problems, written)
    _allocate_local_vlans(topology, lock, problems, written)
    _allocate_macs(ports, lock, problems, written)
    _allocate_addresses(topology, lock, problems, written)
    for network in topology.networks():
        if not network.mtu:
            network.mtu = largest_mtu(topology, network)
    return Lock(lock.file, written)


def _note(written: dict[str, Entry], path: str, key: str, value: t.Any) -> None:
    written.setdefault(path, {})[key] = value


def _number(entry: Entry, key: str, pool: Pool, lock: Lock, path: str, problems: Problems) -> int | None:
    """Return a whole number from the lock, if it is one that can be."""
    value = entry.get(key)
    if value is None:
        return None
    first, last = pool.ranges[0]
    if isinstance(value, int) and not isinstance(value, bool) and first <= value <= last:
        return value
    problems.add(
        lock.where(path),
        f"{key} must be a number from {first} to {last}",
        "delete the line and write the lock anew",
    )
    return None


def _allocate_segments(topology: Topology, lock: Lock, problems: Problems, written: dict[str, Entry]) -> None:
    pools = {kind: Pool(f"{kind} segmentation_id", *SEGMENTATION_RANGE, problems) for kind in TUNNEL_TYPES}
    waiting = []
    for network in topology.networks():
        if network.type not in pools:
            continue
        pool, path = pools[network.type], network_path(network)
        if network.segmentation_id is not None:
            pool.hold(network.segmentation_id, path, network.where)
            continue
        number = _number(lock.get(path), "segmentation_id", pool, lock, path, problems)
        if number is None:
            waiting.append(network)
            continue
        pool.hold(number, path, lock.where(path))
        network.segmentation_id = number
        _note(written, path, "segmentation_id", number)
    for network in sorted(waiting, key=network_path):
        path = network_path(network)
        network.segmentation_id = pools[network.type].choose(path, network.where)
        if network.segmentation_id is None:
            problems.add(network.where, f"no {network.type} segmentation_id is left", "remove networks")
        else:
            _note(written, path, "segmentation_id", network.segmentation_id)


def _allocate_local_vlans(topology: Topology, lock: Lock, problems: Problems, written: dict[str, Entry]) -> None:
    """Give each network one number that no other has, as long as there are enough; then numbers host by host."""
    pool = Pool("local_vlan", *LOCAL_VLAN_RANGE, problems)
    waiting = []
    for network in topology.networks():
        path = network_path(network)
        network.local_vlan = _number(lock.get(path), "local_vlan", pool, lock, path, problems)
        if network.local_vlan is None:
            waiting.append(network)
        else:
            pool.hold(network.local_vlan, path, lock.where(path))
    for network in sorted(waiting, key=network_path):
        network.local_vlan = pool.choose(network_path(network), network.where)
    for network in topology.networks():
        if network.local_vlan is not None:
            _note(written, network_path(network), "local_vlan", network.local_vlan)
    if len(pool.holders) == LOCAL_VLAN_RANGE[1]:
        _allocate_vlans_by_host(topology, lock, problems, written)


def _allocate_vlans_by_host(topology: Topology, lock: Lock, problems: Problems, written: dict[str, Entry]) -> None:
    """More networks than VLANs: those without a number of their own get one on each host, beside who is there."""
    for host, networks in topology.networks_by_host.items():
        pool = Pool(f"local_vlan on {host}", *LOCAL_VLAN_RANGE, problems)
        waiting = []
        for network in networks:
            path = f"{network_path(network)}/hosts/{host}"
            number = _number(lock.get(path), "local_vlan", pool, lock, path, problems)
            if number is not None:
                pool.hold(number, path, lock.where(path))
                topology.local_vlan_overrides[host, network.key] = number
                _note(written, path, "local_vlan", number)
            else:
                waiting.append(network)
        for network in sorted(waiting, key=lambda network: (network.local_vlan is None, network_path(network))):
            path = f"{network_path(network)}/hosts/{host}"
            if network.local_vlan is not None and network.local_vlan not in pool.holders:
                pool.hold(network.local_vlan, path, network.where)
                continue
            number = pool.choose(path, network.where)
            if number is None:
                problems.add(network.where, f"host {host} has more than 4094 networks", "move ports to other hosts")
            else:
                topology.local_vlan_overrides[host, network.key] = number
                _note(written, path, "local_vlan", number)


def mac_text(number: int) -> str:
    text = f"{number:012x}"
    return ":".join(text[i : i + 2] for i in range(0, 12, 2))


def _mac_number(value: t.Any) -> int | None:
    try:
        return int(value.replace(":", ""), 16) if len(value) == 17 else None
    except (AttributeError, ValueError, TypeError):
        return None


def _allocate_macs(ports: list[Port], lock: Lock, problems: Problems, written: dict[str, Entry]) -> None:
    pool = Pool("MAC address", MAC_PREFIX + 1, MAC_PREFIX + 0xFFFFFF, problems, mac_text)
    waiting = []
    for port in ports:
        path = port_path(port)
        if port.mac_address:
            number = _mac_number(port.mac_address)
            if number is not None:
                pool.hold(number, path, port.where)
            continue
        locked = lock.get(path).get("mac_address")
        number = _mac_number(locked)
        if locked is not None and number is None:
            problems.add(
                lock.where(path), "mac_address is not a MAC address", "delete the line and write the lock anew"
            )
        if number is None:
            waiting.append((path, port))
            continue
        pool.hold(number, path, lock.where(path))
        port.mac_address = mac_text(number)
        _note(written, path, "mac_address", port.mac_address)
    for path, port in sorted(waiting, key=lambda row: row[0]):
        number = pool.choose(path, port.where)
        if number is None:
            problems.add(port.where, "no MAC address is left", "remove ports")
        else:
            port.mac_address = mac_text(number)
            _note(written, path, "mac_address", port.mac_address)


def default_fixed_ips(network: Network) -> list[FixedIp]:
    """Return where a port has addresses when the file does not say: Neutron's choice.

    One IPv4 subnet, one IPv6 subnet with addresses from DHCPv6, and every IPv6 subnet whose addresses follow
    from the MAC.
    """
    found: list[FixedIp] = []
    chosen: set[str] = set()
    for subnet in network.subnets.values():
        kind = "auto" if _is_auto(subnet) else f"ipv{subnet.ip_version}"
        if kind == "auto" or kind not in chosen:
            chosen.add(kind)
            found.append(FixedIp(subnet.name))
    return found


def _is_auto(subnet: Subnet) -> bool:
    return subnet.ipv6_mode in ("slaac", "dhcpv6-stateless")


def subnet_pool(network: Network, subnet: Subnet, problems: Problems) -> Pool:
    """Return the addresses that may be chosen in a subnet: its allocation pools, or all that hosts may have."""
    factory = IPv4Address if subnet.ip_version == 4 else IPv6Address
    first, last = int(subnet.cidr.network_address), int(subnet.cidr.broadcast_address)
    if subnet.cidr.prefixlen < subnet.cidr.max_prefixlen - 1:
        first, last = first + 1, last - 1
    if subnet.ip_version == 6:
        # Addresses that a person can still read; there are more of them than MACs.
        last = min(last, first + IPV6_ADDRESSES - 1)
    pool = Pool(f"address in {network.project}/{network.name}/{subnet.name}", first, last, problems)
    pool.show = lambda number: str(factory(number))
    if subnet.allocation_pools:
        pool.ranges = [(int(start), int(end)) for start, end in subnet.allocation_pools]
    if subnet.gateway_ip is not None:
        pool.hold(int(subnet.gateway_ip), f"{network_path(network)}/subnets/{subnet.name}/gateway_ip", subnet.where)
    return pool


def _allocate_addresses(topology: Topology, lock: Lock, problems: Problems, written: dict[str, Entry]) -> None:
    for key, ports in topology.ports_by_network.items():
        network = topology.network(key)
        pools = {subnet.name: subnet_pool(network, subnet, problems) for subnet in network.subnets.values()}
        for port in ports:
            if not port.fixed_ips and not port.fixed_ips_given:
                port.fixed_ips = default_fixed_ips(network)
        waiting = [
            row
            for port in ports
            for row in [(port_path(port), port, fixed) for fixed in port.fixed_ips]
            if not _settle(network, pools, lock, problems, written, *row)
        ]
        for path, port, fixed in sorted(waiting, key=lambda row: (row[0], row[2].subnet)):
            number = pools[fixed.subnet].choose(path, port.where)
            if number is None:
                problems.add(
                    port.where,
                    f"no address is left in subnet {fixed.subnet} of network {network.name}",
                    "enlarge the subnet's cidr or its allocation_pools",
                )
                continue
            _set_address(fixed, network.subnets[fixed.subnet], number)
            _note_address(written, path, fixed)


def _settle(
    network: Network,
    pools: dict[str, Pool],
    lock: Lock,
    problems: Problems,
    written: dict[str, Entry],
    path: str,
    port: Port,
    fixed: FixedIp,
) -> bool:
    """Take an address that is pinned, follows from the MAC, or stands in the lock; False: one must be chosen."""
    subnet, pool = network.subnets.get(fixed.subnet), pools.get(fixed.subnet)
    if subnet is None or pool is None:
        return True  # load and check have said so already
    if fixed.address is not None:
        pool.hold(int(fixed.address), path, port.where)
        return True
    if _is_auto(subnet):
        if port.mac_address:
            number = int(subnet.cidr.network_address) | interface_identifier(port.mac_address)
            pool.hold(number, path, port.where)
            _set_address(fixed, subnet, number)
        return True
    addresses = lock.get(path).get("addresses")
    locked = addresses.get(fixed.subnet) if isinstance(addresses, dict) else None
    if locked is None:
        return False
    address = _locked_address(subnet, locked)
    if address is None:
        # The subnet has been given another range since: the old address can't be kept.
        return False
    pool.hold(int(address), path, lock.where(path))
    fixed.address = address
    _note_address(written, path, fixed)
    return True


def _locked_address(subnet: Subnet, text: t.Any) -> IPAddress | None:
    factory = IPv4Address if subnet.ip_version == 4 else IPv6Address
    try:
        address = factory(text)
    except ValueError:
        return None
    return address if address in subnet.cidr and address != subnet.gateway_ip else None


def _set_address(fixed: FixedIp, subnet: Subnet, number: int) -> None:
    fixed.address = IPv4Address(number) if subnet.ip_version == 4 else IPv6Address(number)


def _note_address(written: dict[str, Entry], path: str, fixed: FixedIp) -> None:
    written.setdefault(path, {}).setdefault("addresses", {})[fixed.subnet] = str(fixed.address)


def largest_mtu(topology: Topology, network: Network) -> int:
    """Return the largest IP packet in bytes that fits the network's frames (Neutron's MTU arithmetic)."""
    if network.type not in OVERHEAD:
        physical = topology.physical_networks.get(network.physical_network or "")
        return physical.mtu if physical is not None else topology.underlay_mtu
    return topology.tunnel_mtu - OVERHEAD[network.type]
