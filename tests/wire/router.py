# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routers as an operator finds them on their nodes: who is primary, and who holds which address."""

from __future__ import annotations

import json
import time
import typing as t
from ipaddress import ip_address, ip_network

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    ROUTER_GATEWAY_OWNER,
    ROUTER_HA_OWNER,
    ROUTER_SNAT_OWNER,
    Port,
    Topology,
)

from .lab import Host, wait_for

# The one address that tells who has the role.
PRIMARY_NETWORK = ip_network("169.254.0.0/24")
HA_NETWORK = ip_network("169.254.192.0/18")


class RouterOnHosts:
    """One router, on all its nodes."""

    def __init__(self, lab: t.Callable[[str], Host], model: Topology, project: str, name: str) -> None:
        self._lab = lab
        self._model = model
        self.key = (project, name)
        self.model = model.router(self.key)
        self.id = self.model.id
        # Where its addresses on its nodes are. What a distributed router has on other hosts is in another one.
        self.namespace = f"{'snat' if self.model.distributed else 'qrouter'}-{self.id}"
        self.parts_namespace = f"qrouter-{self.id}"
        self.unit = f"weft-fabric-vrrp@{self.id}"
        self.run_directory = f"/run/weft-fabric-vrrp/{self.id}"
        self.nodes = self.model.nodes

    def __str__(self) -> str:
        return "/".join(self.key)

    def _ports(self) -> t.Iterator[Port]:
        for ports in self._model.router_ports.values():
            yield from (port for port in ports if port.router == self.key)

    def legs(self, node: str) -> list[Port]:
        """Return the router's ports on a node that others may talk to."""
        found = [port for port in self._ports() if port.host == node and port.binding.namespace == self.namespace]
        return [port for port in found if port.device_owner != ROUTER_HA_OWNER]

    def leg(self, network: str) -> Port:
        """Return the router's port in a network of its project, the one that the machines there know."""
        legs = (port for port in self._ports() if (port.project, port.network) == (self.key[0], network))
        return next(port for port in legs if port.device_owner != ROUTER_SNAT_OWNER)

    @property
    def gateway_mac(self) -> str:
        """The MAC address of the gateway."""
        return next(port.mac_address for port in self._ports() if port.device_owner == ROUTER_GATEWAY_OWNER)

    def ha_port(self, node: str) -> Port:
        return next(port for port in self._ports() if port.host == node and port.device_owner == ROUTER_HA_OWNER)

    def outside(self, version: int = 4) -> str:
        """Return the gateway's address."""
        port = next(port for port in self._ports() if port.device_owner == ROUTER_GATEWAY_OWNER)
        return next(str(address) for address in port.addresses if address.version == version)

    def addresses(self) -> set[str]:
        """Return the addresses that somebody must have, and one only: all but each node's own."""
        found = {str(address) for node in self.nodes[:1] for port in self.legs(node) for address in port.addresses}
        # Those that a distributed router translates on the hosts of their ports are not its nodes'.
        floating_ips = self._model.floating_ips_by_router.get(self.key, ())
        found |= {str(fip.address) for fip in floating_ips if fip.host is None}
        return found

    def on(self, node: str, command: str) -> str:
        """Run a command in the router's namespace."""
        return self._lab(node).run(f"ip netns exec {self.namespace} {command}")

    def held(self, node: str) -> set[str]:
        """Return the addresses a node has, without those that are its own for ever."""
        found = set()
        for link in json.loads(self.on(node, "ip -j address show")):
            for entry in link.get("addr_info", ()):
                address = ip_address(entry["local"])
                own = address.version == 4 and address in HA_NETWORK and address not in PRIMARY_NETWORK
                if link["ifname"] != "lo" and not own and not (address.is_link_local and address.version == 6):
                    found.add(str(address))
        return found

    def link_locals(self, node: str) -> set[str]:
        """Return the link-local IPv6 addresses of a node's legs."""
        found = json.loads(self.on(node, "ip -j -6 address show scope link"))
        return {entry["local"] for link in found for entry in link.get("addr_info", ()) if link["ifname"] != "lo"}

    def primaries(self, nodes: t.Iterable[str] | None = None) -> list[str]:
        """Return the nodes that have the address which tells who is primary."""
        return [
            node
            for node in (self.nodes if nodes is None else nodes)
            if any(ip_address(address) in PRIMARY_NETWORK for address in self.held(node))
        ]

    def state(self, node: str) -> tuple[str, float]:
        """Return a node's role, and since when."""
        role, since = self._lab(node).run(f"cat {self.run_directory}/state").split()
        return role, float(since)

    def primary(self, nodes: t.Iterable[str] | None = None, seconds: float = 10) -> str:
        """Wait until exactly one of some nodes holds all addresses, and return it."""
        nodes = list(self.nodes if nodes is None else nodes)
        return wait_for(f"one holder of the addresses of {self}", lambda: self._only_holder(nodes), seconds)

    def _only_holder(self, nodes: list[str]) -> str | None:
        held = {node: self.held(node) for node in nodes}
        holders = [node for node, addresses in held.items() if addresses]
        if len(holders) == 1 and self.addresses() <= held[holders[0]]:
            return holders[0]
        return None

    def holders(self, nodes: t.Iterable[str] | None = None) -> dict[str, list[str]]:
        """Return who has each address."""
        found: dict[str, list[str]] = {address: [] for address in self.addresses()}
        for node in self.nodes if nodes is None else nodes:
            for address in self.held(node):
                found.setdefault(address, []).append(node)
        return found

    def handicap(self, node: str, worth: int) -> None:
        """Make a node worse by hand."""
        path = f"{self.run_directory}/handicap"
        self._lab(node).run(f"echo {worth} > {path}.new && mv {path}.new {path}")

    def keeps_primary(self, node: str, seconds: float) -> bool:
        """Watch for a while whether a node keeps all addresses to itself."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._only_holder(list(self.nodes)) != node:
                return False
        return True
