# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers for what the topology does not number: VNIs, local VLANs, MACs, addresses, MTUs.

A number comes from the topology (a pin), else from the lock, else from a hash of the resource's own
name. Never from a counter: two branches that add different resources then choose different numbers.
What a pin and the lock, or two entries of the lock, both claim is an error that names both.
"""

from __future__ import annotations

from .addresses import allocate_addresses
from .allocate_distributed import allocate_dvr_macs, allocate_transit
from .lockfile import Entry, Lock
from .macs import MAC_COUNT, MAC_PREFIX, mac_number, mac_text
from .model import LOCAL_VLAN_RANGE, TUNNEL_TYPES, Network, Port, Topology
from .pool import Pool, locked_number, mac_path, network_path, node_path, note, port_path, router_path, server_path
from .problems import Problems

# Small VNIs are what people pin by hand; those we choose start above the VLAN range.
SEGMENTATION_RANGE = (4096, 2**24 - 1)

# Bytes of inner Ethernet header and encapsulation, without the outer IP header. Neutron's figures.
OVERHEAD = {"vxlan": 30, "geneve": 30, "gre": 22}


def allocate(topology: Topology, lock: Lock, problems: Problems) -> Lock:
    """Fill in the model's missing numbers and return the complete lock: what the lock file should say."""
    written: dict[str, Entry] = {}
    ports = [port for ports in topology.ports_by_network.values() for port in ports]
    _allocate_segments(topology, lock, problems, written)
    _allocate_local_vlans(topology, lock, problems, written)
    _allocate_macs(topology, ports, lock, problems, written)
    allocate_dvr_macs(topology, ports, lock, problems, written)
    allocate_transit(topology, lock, problems, written)
    allocate_addresses(topology, lock, problems, written)
    for router in topology.routers():
        # Where the scheduler has put it: held like a number, so that it stays there.
        if router.nodes and not router.hosts:
            note(written, router_path(router.key), "hosts", list(router.nodes))
    for server in topology.servers():
        if server.placed_on is not None and server.node is None:
            note(written, server_path(server), "node", server.placed_on)
    for network in topology.networks():
        if not network.mtu:
            network.mtu = largest_mtu(topology, network)
    return Lock(lock.file, written)


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
        number = locked_number(lock.get(path), "segmentation_id", pool, lock, path, problems)
        if number is None:
            waiting.append(network)
            continue
        pool.hold(number, path, lock.where(path))
        network.segmentation_id = number
        note(written, path, "segmentation_id", number)
    for network in sorted(waiting, key=network_path):
        path = network_path(network)
        network.segmentation_id = pools[network.type].choose(path, network.where)
        if network.segmentation_id is None:
            problems.add(network.where, f"no {network.type} segmentation_id is left", "remove networks")
        else:
            note(written, path, "segmentation_id", network.segmentation_id)


def _allocate_local_vlans(topology: Topology, lock: Lock, problems: Problems, written: dict[str, Entry]) -> None:
    """Give each network one number that no other has, as long as there are enough; then numbers host by host."""
    pool = Pool("local_vlan", *LOCAL_VLAN_RANGE, problems)
    waiting = []
    for network in topology.networks():
        path = network_path(network)
        network.local_vlan = locked_number(lock.get(path), "local_vlan", pool, lock, path, problems)
        if network.local_vlan is None:
            waiting.append(network)
        else:
            pool.hold(network.local_vlan, path, lock.where(path))
    for network in sorted(waiting, key=network_path):
        network.local_vlan = pool.choose(network_path(network), network.where)
    for network in topology.networks():
        if network.local_vlan is not None:
            note(written, network_path(network), "local_vlan", network.local_vlan)
    # Who has numbers by host keeps them, also when a number of its own has become free since.
    if len(pool.holders) == LOCAL_VLAN_RANGE[1] or any("/hosts/" in path for path in lock.entries):
        _allocate_vlans_by_host(topology, lock, problems, written)


def _allocate_vlans_by_host(topology: Topology, lock: Lock, problems: Problems, written: dict[str, Entry]) -> None:
    """More networks than VLANs: those without a number of their own get one on each host, beside who is there."""
    for host, networks in topology.networks_by_host.items():
        pool = Pool(f"local_vlan on {host}", *LOCAL_VLAN_RANGE, problems)
        waiting = []
        for network in networks:
            path = f"{network_path(network)}/hosts/{host}"
            number = locked_number(lock.get(path), "local_vlan", pool, lock, path, problems)
            if number is not None:
                pool.hold(number, path, lock.where(path))
                topology.local_vlan_overrides[host, network.key] = number
                note(written, path, "local_vlan", number)
            else:
                waiting.append(network)
        # First whoever can have its own number, which nobody else's is; a choice could otherwise fall on one of them.
        homeless = []
        for network in waiting:
            if network.local_vlan is not None and network.local_vlan not in pool.holders:
                pool.hold(network.local_vlan, network_path(network), network.where)
            else:
                homeless.append(network)
        for network in sorted(homeless, key=network_path):
            path = f"{network_path(network)}/hosts/{host}"
            number = pool.choose(path, network.where)
            if number is None:
                problems.add(
                    network.where,
                    f"host {host} has more than {LOCAL_VLAN_RANGE[1]} networks",
                    "move ports to other hosts",
                )
            else:
                topology.local_vlan_overrides[host, network.key] = number
                note(written, path, "local_vlan", number)


def _allocate_macs(
    topology: Topology, ports: list[Port], lock: Lock, problems: Problems, written: dict[str, Entry]
) -> None:
    pool = Pool("MAC address", MAC_PREFIX + 1, MAC_PREFIX + MAC_COUNT, problems, mac_text)
    for node in topology.nodes.values():
        for nic in node.nics.values():
            number = mac_number(nic.mac_address)
            if number is not None:
                pool.hold(number, f"{node_path(node.name)}/nics/{nic.name}", node.where)
    waiting = []
    for port in ports:
        path = port_path(port)
        if port.mac_address:
            number = mac_number(port.mac_address)
            if number is not None:
                pool.hold(number, mac_path(port), port.where)
            continue
        locked = lock.get(path).get("mac_address")
        number = mac_number(locked)
        if locked is not None and number is None:
            problems.add(
                lock.where(path), "mac_address is not a MAC address", "delete the line and write the lock anew"
            )
        if number is None:
            waiting.append((path, port))
            continue
        pool.hold(number, path, lock.where(path))
        port.mac_address = mac_text(number)
        note(written, path, "mac_address", port.mac_address)
    chosen: dict[str, int | None] = {}
    for path, port in sorted(waiting, key=lambda row: row[0]):
        # The ports of a leg that is on several hosts have one path, and one MAC.
        number = chosen[path] = chosen[path] if path in chosen else pool.choose(path, port.where)
        if number is None:
            problems.add(port.where, "no MAC address is left", "remove ports")
        else:
            port.mac_address = mac_text(number)
            note(written, path, "mac_address", port.mac_address)


def largest_mtu(topology: Topology, network: Network) -> int:
    """Return the largest IP packet in bytes that fits the network's frames (Neutron's MTU arithmetic)."""
    if network.type not in OVERHEAD:
        physical = topology.physical_networks.get(network.physical_network or "")
        return physical.mtu if physical is not None else topology.underlay_mtu
    return topology.tunnel_mtu - OVERHEAD[network.type]
