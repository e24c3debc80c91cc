# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a topology consists of.

Plain dataclasses with Neutron's names. The loader fills in what the file says (and the defaults),
the allocator fills in what it does not say (numbers, MACs, addresses), the scheduler fills in
placement. After that the model is read only: the compiler turns it into host states.

Every resource knows the file and line it came from, so that each later stage can point there.
"""

from __future__ import annotations

import hashlib
import typing as t
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from .model_bare_metal import BareMetal, Flavor, Image, Node, Server
from .model_switches import Switch

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

# The names of devices and namespaces on every host derive from this: never change it.
_ID_NAMESPACE = uuid.UUID("6f1c8c0e-51a5-5f0e-9a55-77656674fab1").bytes

TUNNEL_TYPES = ("vxlan", "gre", "geneve")
PROVIDER_TYPES = ("vlan", "flat")
HOST_ROLES = ("network_node", "compute_node")
ROUTER_GROUP = "router_node"  # the inventory group of the hosts on which a router is
BINDING_KINDS = ("tap", "veth", "internal", "iface_id")

# Bytes of the IP header around a tunnelled frame, by IP version.
OUTER_IP_HEADER = {4: 20, 6: 40}

# Who a port belongs to, when it is none of the file's own (Neutron: device_owner).
DHCP_OWNER = "network:dhcp"
ROUTER_INTERFACE_OWNER = "network:router_interface"
ROUTER_GATEWAY_OWNER = "network:router_gateway"
ROUTER_HA_OWNER = "network:router_ha_interface"
ROUTER_DISTRIBUTED_OWNER = "network:router_interface_distributed"
ROUTER_SNAT_OWNER = "network:router_centralized_snat"
FLOATING_IP_AGENT_OWNER = "network:floatingip_agent_gateway"

# The hidden network over which a project's HA routers hear each other. Users' names begin with a letter or digit.
HA_NETWORK = "_ha"
HA_SUBNET = "ha"
HA_CIDR = IPv4Network("169.254.192.0/18")  # Neutron's l3_ha_net_cidr

# Of this each distributed router with floating IPs has a pair of addresses, the same on every host, for the way
# between its namespace and theirs. Neutron's range for that.
TRANSIT_CIDR = IPv4Network("169.254.64.0/18")

# A local VLAN of 4095 is Neutron's quarantine (DEAD_VLAN_TAG); it is never allocated.
LOCAL_VLAN_RANGE = (1, 4094)

# Of one network on one host. A flood is one flow, and OpenFlow ends at 64 KiB a flow: some 1,600 ports. Open vSwitch
# ends at 4096 table lookups a frame, of which a copy takes two now and will take about four with a firewall.
MAX_LOCAL_PORTS = 1000


def resource_id(*parts: str) -> str:
    """Return the UUID of a resource: the same name has the same id on every machine, for ever."""
    # What uuid5() does, in a third of its time: each port of a large fabric needs one.
    digits = hashlib.sha1(_ID_NAMESPACE + "/".join(parts).encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


@dataclass(slots=True, frozen=True)
class Where:
    """Where a resource stands: file, line (1-based) and path inside the file (projects.blue.ports.web-1)."""

    file: str
    line: int
    path: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.path}"


@dataclass(slots=True)
class PhysicalNetwork:
    """A layer-2 segment outside the fabric that provider networks map to."""

    name: str
    where: Where
    mtu: int = 1500


@dataclass(slots=True)
class HostPhysicalNetwork:
    """How one host reaches a physical network.

    With an interface the collection makes the bridge and plugs the interface into it; without one,
    the bridge belongs to somebody else, must exist, and only gets a patch port.
    """

    physical_network: str
    bridge: str
    interface: str | None = None


@dataclass(slots=True)
class Underlay:
    """The tunnel end point (VTEP) of a host.

    With datapath_type netdev, Open vSwitch wants the VTEP address on a bridge of its own:
    then interface is plugged into bridge and the addresses move to the bridge.
    """

    address: IPAddress
    prefix_length: int | None = None
    interface: str | None = None
    bridge: str | None = None
    mtu: int = 1500
    routes: tuple[tuple[IPNetwork, IPAddress], ...] = ()  # (to, via) of a routed underlay
    # What else the interface has, which moves to the bridge with the VTEP address: (address, prefix length).
    other_addresses: tuple[tuple[IPAddress, int | None], ...] = ()


@dataclass(slots=True)
class Host:
    """A machine the collection configures."""

    name: str
    where: Where
    roles: tuple[str, ...]
    underlay: Underlay | None = None
    datapath_type: str = "system"  # or netdev
    physical_networks: dict[str, HostPhysicalNetwork] = field(default_factory=dict)
    vars: dict[str, t.Any] = field(default_factory=dict)  # plain Ansible variables, ansible_host among them
    # Allocated: the source of what its distributed routers send to other hosts. Their legs have one MAC everywhere, and
    # no switch may see that one at two places.
    dvr_mac_address: str = ""

    def reaches(self, network: Network) -> bool:
        """Tell whether the host can have a port of a network at all."""
        if network.physical_network is not None:
            return network.physical_network in self.physical_networks
        return self.underlay is not None


@dataclass(slots=True)
class DhcpOption:
    """One DHCP option: a name dnsmasq knows or a number, and its value as text."""

    name: str
    value: str
    ip_version: int = 4


@dataclass(slots=True)
class Subnet:
    """An address range of a network (Neutron: subnet)."""

    name: str
    where: Where
    cidr: IPNetwork
    gateway_ip: IPAddress | None = None  # first address unless said otherwise; None: no gateway
    enable_dhcp: bool = True
    allocation_pools: tuple[tuple[IPAddress, IPAddress], ...] = ()
    dns_nameservers: tuple[IPAddress, ...] = ()
    ntp_servers: tuple[IPAddress, ...] = ()
    host_routes: tuple[tuple[IPNetwork, IPAddress], ...] = ()  # (destination, nexthop)
    ipv6_mode: str | None = None  # slaac | dhcpv6-stateless | dhcpv6-stateful; None on IPv4
    lease_time: int = 86400  # seconds
    extra_dhcp_opts: tuple[DhcpOption, ...] = ()

    @property
    def ip_version(self) -> int:
        return self.cidr.version


@dataclass
class Network:
    """A layer-2 segment of a project (Neutron: network)."""

    name: str
    project: str
    where: Where
    type: str = "vxlan"
    physical_network: str | None = None
    segmentation_id: int | None = None  # VNI, GRE key or VLAN id; the allocator fills it in for tunnels
    local_vlan: int | None = None  # preferred VLAN on br-int; see Topology.local_vlan()
    mtu: int = 0  # bytes of IP packet; filled in by the allocator when the file does not say
    external: bool = False
    shared: bool = False  # True: other projects' routers may have a leg in it
    mac_learning: bool = False  # True: unknown MACs live here; learn them and flood to find them
    dhcp_servers: int = 1  # on how many network nodes dnsmasq serves this network
    dns_domain: str = ""
    subnets: dict[str, Subnet] = field(default_factory=dict)

    @cached_property
    def id(self) -> str:
        return resource_id(self.project, "networks", self.name)

    @property
    def key(self) -> tuple[str, str]:
        return (self.project, self.name)


@dataclass(slots=True)
class FixedIp:
    """An address of a port in a subnet of its network. The allocator fills in a missing address."""

    subnet: str
    address: IPAddress | None = None
    pinned: bool = False  # the topology file named it


@dataclass(slots=True)
class AddressPair:
    """A further address (a CIDR) that may appear behind a port, with the port's own MAC unless it names one."""

    cidr: IPNetwork
    mac_address: str | None = None


@dataclass(slots=True)
class Binding:
    """How a port is plugged into br-int on its host.

    tap: a persistent tap for QEMU/libvirt. veth: one end in a namespace. internal: an OVS internal
    port. iface_id: an interface that libvirt, Proxmox or Incus plugs in, found by external_ids:iface-id.
    """

    kind: str = "tap"
    interface: str | None = None  # device name on the host (tap, internal) or inside the namespace (veth)
    namespace: str | None = None  # veth: the namespace of the far end, made if it is missing
    owner: str | None = None  # tap: the user that may open it
    iface_id: str | None = None  # iface_id: what external_ids:iface-id says; the port's id unless given


@dataclass(slots=True)
class Port:
    """A connection to a network: address, MAC and the place where it is plugged in (Neutron: port)."""

    name: str
    project: str
    network: str
    where: Where
    host: str | None = None
    mac_address: str = ""
    mac_pinned: bool = False
    fixed_ips: list[FixedIp] = field(default_factory=list)
    fixed_ips_given: bool = False  # False: the allocator chooses the subnets; True with none: no address is wanted
    binding: Binding = field(default_factory=Binding)
    port_security_enabled: bool = True
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    dns_name: str = ""  # the port's name unless given
    extra_dhcp_opts: tuple[DhcpOption, ...] = ()
    device_owner: str = ""  # network:… for the ports the scheduler adds
    router: tuple[str, str] | None = None  # whose leg it is: (project, name)
    # Scheduled: plugged in at a switch instead of on a host: (node, interface whose MAC address it has).
    nic: tuple[str, str] | None = None
    # Whether the firmware behind it boots by what DHCP tells it in this network.
    boots: bool = False

    @property
    def id(self) -> str:
        return resource_id(self.project, "ports", self.name)

    @property
    def device(self) -> str:
        """The name of its device on br-int, unless somebody else plugs it in."""
        kind = self.binding.kind
        if self.binding.interface and kind in ("tap", "internal"):
            return self.binding.interface
        return ("int" if kind == "internal" else "tap") + self.id[:11]

    @property
    def addresses(self) -> list[IPAddress]:
        return [ip.address for ip in self.fixed_ips if ip.address is not None]

    @property
    def plugged(self) -> bool:
        """Whether it is plugged in anywhere: on a host, or at a switch."""
        return self.host is not None or self.nic is not None

    @property
    def distributed(self) -> bool:
        """Whether it is a leg that a distributed router has, with one MAC and the same addresses, on many hosts."""
        return self.device_owner == ROUTER_DISTRIBUTED_OWNER


@dataclass(slots=True)
class RouterInterface:
    """One address of a router in a network inside the fabric (Neutron: router interface)."""

    network: tuple[str, str]  # (project, name)
    subnet: str
    address: IPAddress | None = None  # the subnet's gateway_ip unless the file says otherwise


@dataclass(slots=True)
class ExternalGateway:
    """How a router reaches what is outside the fabric (Neutron: external_gateway_info)."""

    network: tuple[str, str]  # (project, name) of an external network
    enable_snat: bool = True
    fixed_ips: list[FixedIp] = field(default_factory=list)  # one of each IP version when the file names none
    fixed_ips_given: bool = False


@dataclass
class Router:
    """Joins subnets, and leads out of the fabric (Neutron: router)."""

    name: str
    project: str
    where: Where
    ha: bool = False
    distributed: bool = False
    network_nodes: int = 2  # ha: on how many network nodes it stands by
    hosts: tuple[str, ...] = ()  # pinned placement, the preferred primary first
    interfaces: list[RouterInterface] = field(default_factory=list)
    external_gateway: ExternalGateway | None = None
    routes: tuple[tuple[IPNetwork, IPAddress], ...] = ()  # (destination, nexthop); several of one destination: ECMP
    # Scheduled: the network nodes it runs on, the preferred primary first. One, unless it is HA. Of a distributed one
    # what leads out of the fabric is there; without an external gateway, nothing.
    nodes: tuple[str, ...] = ()
    # Scheduled: the hosts that a distributed router routes on, sorted: where somebody is whom it serves.
    places: tuple[str, ...] = ()
    # Allocated, for a distributed router with floating IPs: which pair of TRANSIT_CIDR joins it with them.
    transit: int | None = None

    @cached_property
    def id(self) -> str:
        return resource_id(self.project, "routers", self.name)

    @property
    def key(self) -> tuple[str, str]:
        return (self.project, self.name)


@dataclass(slots=True)
class PortForwarding:
    """Ports of a floating IP that lead to ports of an address inside. Both ranges are equally long."""

    protocol: str  # tcp | udp
    external_ports: tuple[int, int]  # first and last
    port: str  # a port of the floating IP's project
    internal_ports: tuple[int, int]
    internal_address: IPAddress | None = None  # the port's first IPv4 address unless the file says otherwise


@dataclass
class FloatingIp:
    """An address outside that stands for one inside (Neutron: floating IP)."""

    name: str
    project: str
    where: Where
    network: tuple[str, str]  # (project, name) of an external network
    address: IPAddress | None = None
    pinned: bool = False
    port: str | None = None  # a port of the same project; None: not in use, or port_forwardings only
    fixed_address: IPAddress | None = None  # which of the port's addresses; the first IPv4 address unless given
    port_forwardings: tuple[PortForwarding, ...] = ()
    # Scheduled: the router that has it: (project, name). None while nothing uses the address.
    router: tuple[str, str] | None = None
    # Scheduled: the host of its port, where a distributed router translates it. None: the router's network node does.
    host: str | None = None

    @cached_property
    def id(self) -> str:
        return resource_id(self.project, "floating_ips", self.name)


@dataclass
class Project:
    """A tenant: a name space for resources, apart from all others (Neutron: project)."""

    name: str
    where: Where
    networks: dict[str, Network] = field(default_factory=dict)
    ports: dict[str, Port] = field(default_factory=dict)
    routers: dict[str, Router] = field(default_factory=dict)
    floating_ips: dict[str, FloatingIp] = field(default_factory=dict)
    servers: dict[str, Server] = field(default_factory=dict)


@dataclass
class Topology:
    """The whole model."""

    files: tuple[str, ...] = ()
    inventory_options: dict[str, t.Any] = field(default_factory=dict)  # of ansible.builtin.constructed, for Ansible
    underlay_mtu: int = 1500
    tunnel_type: str = "vxlan"  # of the networks that the scheduler makes
    hosts: dict[str, Host] = field(default_factory=dict)
    physical_networks: dict[str, PhysicalNetwork] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    switches: dict[str, Switch] = field(default_factory=dict)
    bare_metal: BareMetal | None = None
    images: dict[str, Image] = field(default_factory=dict)
    flavors: dict[str, Flavor] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    read_files: list[str] = field(default_factory=list)  # further files that were read: user data, checksums
    # Scheduled: the DHCP port of a network on each network node that serves it.
    dhcp_ports: dict[tuple[str, str], list[Port]] = field(default_factory=dict)
    # Scheduled: the legs of routers in a network. A leg that may be on several hosts (HA) has one Port for each, which
    # share name, id, MAC and addresses.
    router_ports: dict[tuple[str, str], list[Port]] = field(default_factory=dict)
    # Scheduled: the ports that nodes and the boot server have in the networks that nodes are deployed in.
    node_ports: dict[tuple[str, str], list[Port]] = field(default_factory=dict)
    # Allocated: exceptions to Network.local_vlan, where two networks with one number meet on a host.
    local_vlan_overrides: dict[tuple[str, tuple[str, str]], int] = field(default_factory=dict)

    def networks(self) -> t.Iterator[Network]:
        for project in self.projects.values():
            yield from project.networks.values()

    def routers(self) -> t.Iterator[Router]:
        for project in self.projects.values():
            yield from project.routers.values()

    def floating_ips(self) -> t.Iterator[FloatingIp]:
        for project in self.projects.values():
            yield from project.floating_ips.values()

    def servers(self) -> t.Iterator[Server]:
        for project in self.projects.values():
            yield from project.servers.values()

    @cached_property
    def server_of(self) -> dict[str, Server]:
        """The server that is on each node."""
        return {server.placed_on: server for server in self.servers() if server.placed_on is not None}

    def router(self, key: tuple[str, str]) -> Router:
        return self.projects[key[0]].routers[key[1]]

    @cached_property
    def floating_ips_by_router(self) -> dict[tuple[str, str], list[FloatingIp]]:
        """The floating IPs of each router, in a stable order."""
        found: dict[tuple[str, str], list[FloatingIp]] = {}
        for floating_ip in sorted(self.floating_ips(), key=lambda floating_ip: (floating_ip.project, floating_ip.name)):
            if floating_ip.router is not None:
                found.setdefault(floating_ip.router, []).append(floating_ip)
        return found

    @cached_property
    def tunnel_mtu(self) -> int:
        """What the underlay carries from any host to any other, without the outer IP header: in bytes."""
        underlays = [host.underlay for host in self.hosts.values() if host.underlay is not None]
        smallest = min((underlay.mtu for underlay in underlays), default=self.underlay_mtu)
        return smallest - max((OUTER_IP_HEADER[underlay.address.version] for underlay in underlays), default=20)

    def network(self, key: tuple[str, str]) -> Network:
        return self.projects[key[0]].networks[key[1]]

    @cached_property
    def ports_by_network(self) -> dict[tuple[str, str], list[Port]]:
        """All ports of each network, those of DHCP, routers and nodes among them, in a stable order."""
        found: dict[tuple[str, str], list[Port]] = {network.key: [] for network in self.networks()}
        for project in self.projects.values():
            for port in project.ports.values():
                found[(project.name, port.network)].append(port)
        for scheduled in (self.dhcp_ports, self.router_ports, self.node_ports):
            for key, ports in scheduled.items():
                found[key].extend(ports)
        return found

    @cached_property
    def router_hosts(self) -> frozenset[str]:
        """The hosts on which a router is."""
        return frozenset(host for router in self.routers() for host in (*router.nodes, *router.places))

    @cached_property
    def needed_vlan_networks(self) -> dict[str, list[Network]]:
        """The vlan networks of each physical network that somebody is in, or a switch port names, by VLAN."""
        named = {key for switch in self.switches.values() for port in switch.ports.values() for key in port.networks}
        found: dict[str, list[Network]] = {}
        for network in self.networks():
            if network.type != "vlan" or network.physical_network is None:
                continue
            if network.key in named or any(port.plugged for port in self.ports_by_network[network.key]):
                found.setdefault(network.physical_network, []).append(network)
        for networks in found.values():
            networks.sort(key=lambda network: (network.segmentation_id or 0, network.key))
        return found

    @cached_property
    def networks_by_host(self) -> dict[str, list[Network]]:
        """The networks that have a port on a host: all that this host needs to know of."""
        found: dict[str, dict[tuple[str, str], Network]] = {name: {} for name in self.hosts}
        for key, ports in self.ports_by_network.items():
            network = self.network(key)
            for port in ports:
                if port.host is not None:
                    found[port.host][key] = network
        return {host: list(networks.values()) for host, networks in found.items()}

    def local_vlan(self, host: str, network: Network) -> int:
        """Return the VLAN that stands for a network on a host's br-int."""
        number = self.local_vlan_overrides.get((host, network.key), network.local_vlan)
        if number is None:
            raise ValueError(f"network {network.project}/{network.name} has no local VLAN: allocate first")
        return number
