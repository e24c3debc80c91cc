# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bare metal: what the topology says of nodes, images, flavors and servers. Part of model.py."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

if t.TYPE_CHECKING:
    from .model import FixedIp, Where

NetworkKey = tuple[str, str]  # (project, name)

PROTOCOLS = ("ipmi", "redfish")
FORMATS = ("raw", "raw.zst", "raw.gz", "qcow2")
BOOT_MODES = ("bios", "uefi")
# Who writes a disk: the node itself, or the boot server over iSCSI, which can't take qcow2.
DEPLOY_INTERFACES = ("direct", "iscsi")
ARCHITECTURES = ("x86_64", "aarch64")

# A node is in one phase at a time, and its ports are in the VLANs of that phase. Those with a network of their own:
NETWORK_PHASES = ("deployment", "cleaning", "inspection", "rescue")
PHASES = ("idle", *NETWORK_PHASES, "tenant")

# Inventory groups: of all nodes, and of those that are somebody's server.
NODE_GROUP = "bare_metal_nodes"
SERVER_GROUP = "server_nodes"
NODE_GROUPS = (NODE_GROUP, SERVER_GROUP)

# Who a port belongs to. The fabric's own begin so.
OWNER_PREFIX = "baremetal:"
DEPLOYMENT_OWNER = "baremetal:deployment"
BOOT_SERVER_OWNER = "baremetal:boot_server"

HTTP_PORT = 80
LEASE_TIME = 3600  # seconds, of the addresses that a ramdisk has

# Seconds.
TIMEOUTS = {"power": 60, "soft_off": 30, "boot": 600, "write": 3600, "stall": 60}


@dataclass(slots=True)
class BareMetal:
    """Where and how nodes are deployed."""

    where: Where
    boot_server: str  # a host
    networks: dict[str, NetworkKey]  # by phase, of NETWORK_PHASES: all of them
    given: frozenset[str] = frozenset()  # the phases that the file names
    idle_vlan: int | None = None
    max_concurrent_writes: int = 4

    @property
    def network_keys(self) -> list[NetworkKey]:
        """The networks, each once, that of the deployment first."""
        return list(dict.fromkeys(self.networks[phase] for phase in NETWORK_PHASES))


@dataclass(slots=True)
class Image:
    """What is written to a disk: a whole one, with its partitions."""

    name: str
    where: Where
    url: str
    format: str
    checksum: str | None = None  # sha256:… or sha512:…, of the file as it is served
    size: int | None = None  # bytes, unpacked
    checksum_file: str | None = None  # where the checksum is to be, as long as there is none

    @property
    def served(self) -> str:
        """The name under which the boot server has it: what is in it follows from the name."""
        if self.checksum is None:
            raise ValueError(f"image {self.name} has no checksum yet")
        return f"{self.checksum.partition(':')[2]}.{self.format}"


@dataclass(slots=True)
class Flavor:
    """What a server wants of a node, at least."""

    name: str
    where: Where
    cpus: int | None = None
    memory: int | None = None  # bytes
    disk: int | None = None  # bytes
    architecture: str | None = None
    traits: tuple[str, ...] = ()


@dataclass(slots=True)
class Nic:
    """A network interface of a node, and where its cable ends."""

    name: str
    mac_address: str
    switch: str
    port: str  # as the file has it
    interface: str  # as the switch has it
    pxe: bool = False
    edge: bool = True
    bond: str | None = None

    @property
    def link(self) -> str:
        """The name of what is given a network: the bond that it is in, or itself."""
        return self.bond or self.name


@dataclass(frozen=True, slots=True)
class Link:
    """What a network is given to: an interface, or a bond of several."""

    name: str
    nics: tuple[Nic, ...]

    @property
    def bonded(self) -> bool:
        return self.nics[0].bond is not None

    @property
    def first(self) -> Nic:
        """The interface whose MAC address it has: one that the node boots from, where there is one."""
        return self.nics[0]


@dataclass
class Node:
    """A server of metal: a BMC, interfaces that are plugged into switches, disks."""

    name: str
    where: Where
    bmc: dict[str, t.Any]  # what the modules bmc_* take; secrets as the file has them
    nics: dict[str, Nic] = field(default_factory=dict)
    cpus: int | None = None
    memory: int | None = None
    disk: int | None = None
    architecture: str = "x86_64"
    root_device: dict[str, t.Any] = field(default_factory=dict)
    traits: tuple[str, ...] = ()
    boot_mode: str = "bios"
    boot_device_readable: bool = True
    deploy_interface: str = "direct"
    timeouts: dict[str, int] = field(default_factory=lambda: dict(TIMEOUTS))
    vars: dict[str, t.Any] = field(default_factory=dict)

    @property
    def pxe_nics(self) -> list[Nic]:
        return [nic for nic in self.nics.values() if nic.pxe]

    @property
    def links(self) -> dict[str, Link]:
        """In the order in which networks get them: those that the node boots from first."""
        found: dict[str, list[Nic]] = {}
        for nic in sorted(self.nics.values(), key=lambda nic: not nic.pxe):
            found.setdefault(nic.link, []).append(nic)
        return {name: Link(name, tuple(nics)) for name, nics in found.items()}


@dataclass(slots=True)
class ServerNetwork:
    """A network that a server is in. The file may leave the interface to us."""

    network: str  # of the server's project
    nic: str | None = None  # or a bond
    fixed_ips: list[FixedIp] = field(default_factory=list)
    fixed_ips_given: bool = False


@dataclass(slots=True)
class Volume:
    """A disk behind the network that a server boots from. It is somebody else's: nothing here ever writes it."""

    portal: str  # IPv4 address of the target
    port: int
    iqn: str
    lun: int
    initiator: str | None = None  # what the node calls itself
    auth: dict[str, t.Any] = field(default_factory=dict)  # username and password for CHAP, as the file has them

    @property
    def uri(self) -> str:
        """Which disk it is, as iPXE writes it."""
        return f"iscsi:{self.portal}::{self.port}:{self.lun:x}:{self.iqn}"


@dataclass
class Server:
    """What a tenant wants: an image or a volume on a node, in networks of his."""

    name: str
    project: str
    where: Where
    image: str | None = None
    volume: Volume | None = None
    node: str | None = None  # pinned
    flavor: str | None = None
    networks: list[ServerNetwork] = field(default_factory=list)
    keys: tuple[str, ...] = ()
    user_data: str | None = None
    hostname: str = ""
    # Scheduled: the node it is on, and the interface or bond for each of its networks.
    placed_on: str | None = None
    links: dict[str, str] = field(default_factory=dict)  # network: link of the node

    @property
    def key(self) -> tuple[str, str]:
        return (self.project, self.name)

    @property
    def boot_network(self) -> str | None:
        """The network in which it boots from its volume: the first that the file names."""
        return self.networks[0].network if self.volume is not None and self.networks else None

    def port_name(self, network: str) -> str:
        """Return the name of the server's port in a network: another network beside it changes nothing."""
        return f"server-{self.name}-{network}"
