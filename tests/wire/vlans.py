# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines on VLANs of the physical network that the fabric knows nothing of, behind the lab's world.

The bridge that tags their frames is of Open vSwitch, as the kernel may know no VLANs. What the world itself says
without tags goes past it.
"""

from __future__ import annotations

import typing as t

import pytest

from .lab import Capture, Host, reachable
from .traffic import Question, Server, ask

BRIDGE, UPLINK = "weft-t-vlans", "eth2"
INTERFACE = "eth0"


class VlanMachine:
    """A machine in a VLAN: a namespace with one interface, and a server that answers with a name."""

    def __init__(self, host: Host, name: str, vlan: int | None, addresses: t.Sequence[str], *ports: int | str) -> None:
        self.host, self.name, self.namespace = host, name, f"weft-t-{name}"
        self.address = next(iter(addresses)).partition("/")[0]
        self._device = f"weft-t-{vlan}"
        host.run(
            f"ip netns add {self.namespace}; ip -n {self.namespace} link set lo up;"
            f" ip link add {self._device} type veth peer name {INTERFACE} netns {self.namespace};"
            f" sysctl -q -w net.ipv6.conf.{self._device}.disable_ipv6=1; ip link set {self._device} up;"
            f" ovs-vsctl add-port {BRIDGE} {self._device} tag={vlan}"
        )
        # Nobody would fill in the checksums that a kernel leaves to the hardware.
        self.run(f"ethtool -K {INTERFACE} tx off")
        self.run(f"ip link set {INTERFACE} up")
        for address in addresses:
            nodad = " nodad" if ":" in address else ""
            self.run(f"ip address add {address} dev {INTERFACE}{nodad}")
        self._server = Server(host, self.namespace, name, *ports)

    def __str__(self) -> str:
        return self.name

    def run(self, command: str) -> str:
        return self.host.run(f"ip netns exec {self.namespace} {command}")

    def ask(self, *questions: Question, seconds: float = 2.5) -> list[str]:
        return ask(self.host, self.namespace, questions, seconds)

    def reaches(self, target: str, count: int = 3) -> bool:
        return reachable(self.host, self.namespace, target, count)

    def capture(self, expression: str = "") -> Capture:
        return Capture(self.host, INTERFACE, expression, self.namespace)

    def neighbour(self, address: str) -> str:
        """Return the MAC address that it has for a neighbour; empty when it knows none."""
        words = self.run(f"ip neighbour show {address} dev {INTERFACE}").split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else ""

    def stop(self) -> None:
        self._server.stop()
        self.host.run(f"ip netns delete {self.namespace}; ovs-vsctl --if-exists del-port {self._device}")


class Vlans:
    """The world's bridge, and the machines behind it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._machines: list[VlanMachine] = []
        # What a killed run has left would be in the way.
        host.run(f"ovs-vsctl --if-exists del-br {BRIDGE}")
        host.run(
            f"ovs-vsctl add-br {BRIDGE} -- set bridge {BRIDGE} datapath_type=netdev"
            f" -- add-port {BRIDGE} {UPLINK} vlan_mode=trunk"
        )

    def machine(self, name: str, vlan: int | None, addresses: t.Sequence[str], *ports: int | str) -> VlanMachine:
        self._machines.append(VlanMachine(self._host, name, vlan, addresses, *ports))
        return self._machines[-1]

    def stop(self) -> None:
        for machine in self._machines:
            machine.stop()
        self._host.run(f"ovs-vsctl del-br {BRIDGE}")


@pytest.fixture(scope="module")
def vlans(lab: t.Callable[[str], Host]) -> t.Iterator[Vlans]:
    found = Vlans(lab("world"))
    yield found
    found.stop()
