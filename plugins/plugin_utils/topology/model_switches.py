# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Physical switches: what the topology says of them. Part of model.py."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from .model import Where

DRIVERS = ("openconfig", "junos", "iosxe", "nxos", "eos")
PERSIST = ("startup", "none", "driver")
LACP = ("active", "passive", "static")

SWITCH_GROUP = "switches"  # the inventory group of all switches
DRIVER_GROUPS = {driver: f"switch_{driver}" for driver in DRIVERS}
SWITCH_GROUPS = (SWITCH_GROUP, *DRIVER_GROUPS.values())

VLAN_MAX = 4094

# First and last VLAN.
VlanRange = tuple[int, int]
NetworkKey = tuple[str, str]  # (project, name)


@dataclass(slots=True)
class Credentials:
    """How to log in. Each is text, a Jinja template or !vault, and goes to Ansible as it stands."""

    username: str
    password: str | None = None
    ssh_key_file: str | None = None


@dataclass(slots=True)
class Aggregate:
    """The links that make one port (LAG)."""

    members: tuple[str, ...]
    lacp: str = "active"
    min_links: int | None = None


@dataclass(slots=True)
class ExpectedCurrent:
    """What a port has now, for the first run on one that was somebody else's."""

    mode: str
    vlan: int | None = None
    native: int | None = None
    allowed: tuple[VlanRange, ...] = ()


@dataclass(slots=True)
class SwitchPort:
    """A port of a switch: towards a host of the topology, or with the VLANs that the file names."""

    name: str  # as the file has it
    interface: str  # as the switch has it
    switch: str
    where: Where
    host: str | None = None
    physical_network: str | None = None  # host: which one the port leads to
    mode: str | None = None  # access | trunk; None: whatever the host needs, or nothing at all
    vlan: int | NetworkKey | None = None
    native: int | NetworkKey | None = None
    allowed: tuple[VlanRange | NetworkKey, ...] = ()
    description: str | None = None
    enabled: bool = True
    edge: bool | None = None
    neighbour: str | None = None
    aggregate: Aggregate | None = None
    expected_current: ExpectedCurrent | None = None
    given: frozenset[str] = frozenset()  # which attributes the file names

    @property
    def networks(self) -> list[NetworkKey]:
        """The networks that the file names."""
        return [key for key in (self.vlan, self.native, *self.allowed) if _is_network(key)]


@dataclass(slots=True)
class Switch:
    """A device whose ports the collection sets over NETCONF."""

    name: str
    where: Where
    driver: str
    address: str
    credentials: Credentials
    port: int = 830
    host_key: str | None = None
    known_hosts: str | None = None
    host_key_checking: bool = True
    allowed_vlans: tuple[VlanRange, ...] = ()
    allowed_ports: tuple[str, ...] | None = None  # as the switch has them; None: those below ports, and their members
    owned_vlans: tuple[VlanRange, ...] = ()  # besides allowed_vlans
    uplinks: tuple[str, ...] = ()
    manage_vlans: bool = True
    persist: str = "driver"
    physical_networks: tuple[str, ...] = ()
    settings: dict[str, int] = field(default_factory=dict)  # seconds, of those that were given: timeout, lock_timeout…
    ports: dict[str, SwitchPort] = field(default_factory=dict)  # by the name that the file has
    vars: dict[str, t.Any] = field(default_factory=dict)  # plain Ansible variables

    def allows(self, vlan: int) -> bool:
        return any(first <= vlan <= last for first, last in self.allowed_vlans)


def _is_network(key: t.Any) -> t.TypeGuard[NetworkKey]:
    return isinstance(key, tuple) and isinstance(key[0], str)
