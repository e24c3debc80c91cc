# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools of numbers, and the names under which resources hold them."""

from __future__ import annotations

import hashlib
import typing as t

from .lockfile import Entry, Lock
from .model import (
    DHCP_OWNER,
    FLOATING_IP_AGENT_OWNER,
    ROUTER_GATEWAY_OWNER,
    ROUTER_HA_OWNER,
    ROUTER_SNAT_OWNER,
    FloatingIp,
    Network,
    Port,
    Where,
)
from .model_bare_metal import OWNER_PREFIX, Server
from .problems import Problems


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


def note(written: dict[str, Entry], path: str, key: str, value: t.Any) -> None:
    """Note a number for the lock."""
    written.setdefault(path, {})[key] = value


def locked_number(entry: Entry, key: str, pool: Pool, lock: Lock, path: str, problems: Problems) -> int | None:
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


def network_path(network: Network) -> str:
    return f"projects/{network.project}/networks/{network.name}"


def host_path(name: str) -> str:
    return f"hosts/{name}"


def router_path(key: tuple[str, str]) -> str:
    project, name = key
    return f"projects/{project}/routers/{name}"


def node_path(name: str) -> str:
    return f"nodes/{name}"


def server_path(server: Server) -> str:
    return f"projects/{server.project}/servers/{server.name}"


def mac_path(port: Port) -> str:
    """Return who has a port's MAC: the interface of a node, whichever networks it is in, else the port."""
    return port_path(port) if port.nic is None else f"{node_path(port.nic[0])}/nics/{port.nic[1]}"


def floating_ip_path(floating_ip: FloatingIp) -> str:
    return f"projects/{floating_ip.project}/floating_ips/{floating_ip.name}"


def port_path(port: Port) -> str:
    """Return where the lock keeps a port's numbers: a DHCP port's stand with its network, a router's with the router.

    The ports of a leg that is on several hosts have one path, so they have the same numbers.
    """
    if port.device_owner == "":
        return f"projects/{port.project}/ports/{port.name}"
    if port.device_owner.startswith(OWNER_PREFIX):
        # The interfaces of a node share one address: it boots from one of them at a time.
        owner = "boot_server" if port.nic is None else node_path(port.nic[0])
        return f"{owner}/{port.project}/{port.network}"
    if port.device_owner == FLOATING_IP_AGENT_OWNER:
        return f"projects/{port.project}/networks/{port.network}/fip/{port.host}"
    if port.device_owner == DHCP_OWNER or port.router is None:
        return f"projects/{port.project}/networks/{port.network}/dhcp/{port.host}"
    router = router_path(port.router)
    if port.device_owner == ROUTER_GATEWAY_OWNER:
        return f"{router}/gateway"
    if port.device_owner == ROUTER_HA_OWNER:
        return f"{router}/ha/{port.host}"
    if port.device_owner == ROUTER_SNAT_OWNER:
        return f"{router}/snat/{port.project}/{port.network}"
    return f"{router}/interfaces/{port.project}/{port.network}"
