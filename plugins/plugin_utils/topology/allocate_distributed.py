# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that distributed routers need: a MAC for each host they are on, and a pair of transit addresses for each."""

from __future__ import annotations

from .lockfile import Entry, Lock
from .macs import DVR_MAC_PREFIX, MAC_COUNT, mac_number, mac_text
from .model import FLOATING_IP_AGENT_OWNER, TRANSIT_CIDR, Host, Port, Topology
from .pool import Pool, host_path, locked_number, note, port_path, router_path
from .problems import Problems

TRANSIT_PAIRS = TRANSIT_CIDR.num_addresses // 2

Written = dict[str, Entry]


def allocate_dvr_macs(topology: Topology, ports: list[Port], lock: Lock, problems: Problems, written: Written) -> None:
    """Give a MAC to every host that a distributed router routes on."""
    wanted = sorted({host for router in topology.routers() for host in router.places})
    if not wanted:
        return
    pool = Pool("MAC address", DVR_MAC_PREFIX + 1, DVR_MAC_PREFIX + MAC_COUNT, problems, mac_text)
    for port in ports:
        number = mac_number(port.mac_address)
        if number is not None and DVR_MAC_PREFIX <= number <= DVR_MAC_PREFIX + MAC_COUNT:
            pool.hold(number, port_path(port), port.where)  # somebody has pinned it
    waiting = [host for host in (topology.hosts[name] for name in wanted) if not _settle(host, pool, lock, problems)]
    for host in waiting:
        number = pool.choose(host_path(host.name), host.where)
        if number is None:
            problems.add(host.where, "no MAC address is left for distributed routers", "remove hosts")
        else:
            host.dvr_mac_address = mac_text(number)
    for name in wanted:
        note(written, host_path(name), "dvr_mac_address", topology.hosts[name].dvr_mac_address)


def _settle(host: Host, pool: Pool, lock: Lock, problems: Problems) -> bool:
    """Take the MAC that stands in the lock; False: one must be chosen."""
    path = host_path(host.name)
    locked = lock.get(path).get("dvr_mac_address")
    if locked is None:
        return False
    number = mac_number(locked)
    [(first, last)] = pool.ranges
    if number is None or not first <= number <= last:
        # What is outside may be a port's, whose frames would then be taken for those of a router.
        message = "dvr_mac_address is not a MAC address"
        if number is not None:
            message = f"dvr_mac_address must be a MAC address from {mac_text(first)} to {mac_text(last)}"
        problems.add(lock.where(path), message, "delete the line and write the lock anew")
        return False
    pool.hold(number, path, lock.where(path))
    host.dvr_mac_address = mac_text(number)
    return True


def allocate_transit(topology: Topology, lock: Lock, problems: Problems, written: Written) -> None:
    """Give a pair of transit addresses to every distributed router that may have floating IPs on some host.

    A router has the same pair everywhere, and no other router has it: so no change of one touches another.
    """
    external = {
        key
        for key, ports in topology.router_ports.items()
        if any(port.device_owner == FLOATING_IP_AGENT_OWNER for port in ports)
    }
    pool = Pool("transit", 0, TRANSIT_PAIRS - 1, problems)
    waiting = []
    for router in topology.routers():
        gateway = router.external_gateway
        if not router.places or gateway is None or gateway.network not in external:
            continue
        path = router_path(router.key)
        router.transit = locked_number(lock.get(path), "transit", pool, lock, path, problems)
        if router.transit is None:
            waiting.append(router)
        else:
            pool.hold(router.transit, path, lock.where(path))
            note(written, path, "transit", router.transit)
    for router in sorted(waiting, key=lambda router: router_path(router.key)):
        path = router_path(router.key)
        router.transit = pool.choose(path, router.where)
        if router.transit is None:
            message = f"no transit addresses are left: {TRANSIT_PAIRS} distributed routers have floating IPs"
            problems.add(router.where, message, "set distributed: false on routers with little traffic")
        else:
            note(written, path, "transit", router.transit)
