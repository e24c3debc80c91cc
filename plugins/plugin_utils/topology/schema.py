# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a topology file may say: one table, from which the loader checks and the JSON Schema is made."""

from __future__ import annotations

from . import kinds
from .kinds import Address, Choice, Cidr, Free, OptionalAddress, Whole
from .model import BINDING_KINDS, HOST_ROLES, PROVIDER_TYPES, TUNNEL_TYPES
from .schema_bare_metal import BARE_METAL, FLAVOR, IMAGE, NODE, SERVER
from .schema_ports import FIXED_IP
from .schema_switches import SWITCH
from .shapes import Attribute, ListOf, Named, Resource

A = Attribute

ROUTE_TO_NEXTHOP = Resource(
    "route",
    (
        A("destination", Cidr(), "The network that is reached.", required=True),
        A("nexthop", Address(), "The router it is reached through.", required=True),
    ),
)

DHCP_OPTION = Resource(
    "DHCP option",
    (
        A("name", kinds.DHCP_OPTION, "A name that dnsmasq knows, or the option's number in quotes.", required=True),
        A("value", kinds.DHCP_VALUE, "The value; commas separate several.", required=True),
        A("ip_version", Whole(4, 6), "4 for DHCP, 6 for DHCPv6.", default=4),
    ),
)

POOL = Resource(
    "allocation pool",
    (
        A("start", Address(), "The first address.", required=True),
        A("end", Address(), "The last address.", required=True),
    ),
)

SUBNET = Resource(
    "subnet",
    (
        A("cidr", Cidr(), "The addresses of the subnet.", required=True),
        A("gateway_ip", OptionalAddress(), "The router's address; null for none. The first address when not given."),
        A("enable_dhcp", kinds.BOOLEAN, "Whether DHCP serves this subnet.", default=True),
        A("allocation_pools", ListOf(POOL), "Where addresses are allocated. The whole subnet when not given."),
        A("dns_nameservers", ListOf(Address()), "DNS servers told to the ports."),
        A("ntp_servers", ListOf(Address()), "NTP servers told to the ports."),
        A("host_routes", ListOf(ROUTE_TO_NEXTHOP), "Routes told to the ports."),
        A(
            "ipv6_mode",
            Choice("slaac", "dhcpv6-stateless", "dhcpv6-stateful"),
            "How ports get their IPv6 address. dhcpv6-stateful when not given.",
        ),
        A("lease_time", Whole(120, 31_536_000), "Seconds a DHCP lease lasts. That of defaults when not given."),
        A("extra_dhcp_opts", ListOf(DHCP_OPTION), "Further DHCP options told to all ports of the subnet."),
    ),
)

_NETWORK_TYPE = Choice(*TUNNEL_TYPES, *PROVIDER_TYPES)

NETWORK = Resource(
    "network",
    (
        A("type", _NETWORK_TYPE, "How it crosses the underlay. That of defaults when not given."),
        A("physical_network", kinds.NAME, "vlan, flat: the physical network it lives on."),
        A(
            "segmentation_id",
            Whole(1, 16_777_215),
            "VNI, GRE key or VLAN. Allocated for tunnels when not given; a vlan network must name its own.",
        ),
        A("mtu", Whole(576, 65_535), "Largest IP packet. Computed from the underlay when not given."),
        A("external", kinds.BOOLEAN, "Whether it leads out of the fabric.", default=False),
        A("shared", kinds.BOOLEAN, "Whether routers of other projects may have interfaces in it.", default=False),
        A("mac_learning", kinds.BOOLEAN, "Whether unknown MACs live here, to be learned and flooded.", default=False),
        A("dhcp_servers", Whole(0, 16), "On how many network nodes DHCP is served. That of defaults when not given."),
        A("dns_domain", kinds.DNS_DOMAIN, "The domain of the names inside the network.", default=""),
        A("subnets", Named(SUBNET), "The address ranges, by name."),
    ),
)

BINDING = Resource(
    "binding",
    (
        A("kind", Choice(*BINDING_KINDS), "What the port is on its host.", default="tap"),
        A("interface", kinds.DEVICE, "Name of the device on the host (tap, internal) or in the namespace (veth)."),
        A("namespace", kinds.NAMESPACE, "veth: the namespace of its far end; made when missing."),
        A("owner", kinds.USER, "tap: the user that may open it."),
        A("iface_id", kinds.INTERFACE_ID, "iface_id: the interface's external_ids:iface-id. The port's id by default."),
    ),
)

ADDRESS_PAIR = Resource(
    "address pair",
    (
        A("ip_address", Cidr(single=True), "A further address or CIDR behind the port.", required=True),
        A("mac_address", kinds.MAC, "The MAC address it has. The port's own when not given."),
    ),
)

PORT = Resource(
    "port",
    (
        A("network", kinds.NAME, "A network of the same project.", required=True),
        A("host", kinds.NAME, "The host it is plugged in on. Nowhere when not given."),
        A("mac_address", kinds.MAC, "The MAC address. Allocated when not given."),
        A("fixed_ips", ListOf(FIXED_IP), "Its addresses. One of each IP version when not given; [] for none."),
        A("binding", BINDING, "How it is plugged in. A tap when not given."),
        A("port_security_enabled", kinds.BOOLEAN, "Whether only its own addresses may leave it.", default=True),
        A("allowed_address_pairs", ListOf(ADDRESS_PAIR), "Further addresses that may appear behind it."),
        A("dns_name", kinds.DNS_LABEL, "Its name inside the network. The port's name when not given."),
        A("extra_dhcp_opts", ListOf(DHCP_OPTION), "Further DHCP options told to this port."),
    ),
)

ROUTER_INTERFACE = Resource(
    "router interface",
    (
        A("network", kinds.NETWORK, "A network of the same project, or PROJECT/NAME of a shared one.", required=True),
        A("subnet", kinds.NAME, "A subnet of it. All of them that have a gateway_ip when not given."),
        A("address", Address(), "The router's address in the subnet. The subnet's gateway_ip when not given."),
    ),
)

EXTERNAL_GATEWAY = Resource(
    "external gateway",
    (
        A("network", kinds.NETWORK, "The external network, as NAME or PROJECT/NAME.", required=True),
        A("enable_snat", kinds.BOOLEAN, "Whether who has no floating IP leaves with the router's.", default=True),
        A("fixed_ips", ListOf(FIXED_IP), "The router's addresses there. One of each IP version when not given."),
    ),
)

ROUTER = Resource(
    "router",
    (
        A("ha", kinds.BOOLEAN, "Whether it stands by on further network nodes (VRRP).", default=False),
        A("distributed", kinds.BOOLEAN, "Whether each compute node routes for its own ports (DVR).", default=False),
        A("network_nodes", Whole(2, 16), "ha: on how many network nodes it is. 2, or as many as hosts names."),
        A(
            "hosts",
            ListOf(kinds.NAME),
            "The network nodes it is on, the preferred primary first. Chosen when not given.",
        ),
        A("interfaces", ListOf(ROUTER_INTERFACE), "Where it is the router of networks inside."),
        A("external_gateway", EXTERNAL_GATEWAY, "How it leads out. Not at all when not given."),
        A("routes", ListOf(ROUTE_TO_NEXTHOP), "Static routes; several to one destination share its traffic."),
    ),
)

PORT_FORWARDING = Resource(
    "port forwarding",
    (
        A("protocol", Choice("tcp", "udp"), "Of which protocol the ports are.", required=True),
        A("external_port", kinds.PORTS, "The port of the floating IP, or a range of them.", required=True),
        A("port", kinds.NAME, "The port of the same project that it leads to.", required=True),
        A("internal_port", kinds.PORTS, "The port there, or as long a range.", required=True),
        A("fixed_ip", Address(), "Which of the port's addresses. Its first IPv4 address when not given."),
    ),
)

FLOATING_IP = Resource(
    "floating IP",
    (
        A("network", kinds.NETWORK, "The external network it is of, as NAME or PROJECT/NAME.", required=True),
        A("address", Address(), "The address. Allocated when not given."),
        A("port", kinds.NAME, "The port of the same project that it stands for."),
        A("fixed_ip", Address(), "Which of the port's addresses. Its first IPv4 address when not given."),
        A("port_forwardings", ListOf(PORT_FORWARDING), "Instead of port: single ports that lead to ports inside."),
    ),
)

PROJECT = Resource(
    "project",
    (
        A("networks", Named(NETWORK), "The project's networks, by name."),
        A("ports", Named(PORT), "The project's ports, by name."),
        A("routers", Named(ROUTER), "The project's routers, by name."),
        A("floating_ips", Named(FLOATING_IP), "The project's floating IPs, by name."),
        A("servers", Named(SERVER), "The project's servers of bare metal, by name."),
    ),
)

UNDERLAY_ROUTE = Resource(
    "underlay route",
    (
        A("to", Cidr(), "The network that is reached.", required=True),
        A("via", Address(), "The router it is reached through.", required=True),
    ),
)

UNDERLAY = Resource(
    "underlay",
    (
        A("address", Address(with_prefix=True), "The tunnel end point's address.", required=True),
        A("interface", kinds.DEVICE, "The device that carries the tunnels."),
        A(
            "other_addresses",
            ListOf(Address(with_prefix=True)),
            "netdev: further addresses of the interface, which move to the bridge together with the address.",
        ),
        A("bridge", kinds.DEVICE, "netdev: the bridge that holds the address. br-underlay when not given."),
        A("mtu", Whole(576, 65_535), "Largest IP packet of the underlay. That of defaults when not given."),
        A("routes", ListOf(UNDERLAY_ROUTE), "Routes of a routed underlay."),
    ),
)

HOST_PHYSICAL_NETWORK = Resource(
    "physical network of the host",
    (
        A("interface", kinds.DEVICE, "The device that leads there; it is plugged into the bridge."),
        A("bridge", kinds.DEVICE, "The bridge. br-NAME when not given. Without an interface it must exist."),
    ),
)

_DATAPATH = Choice("system", "netdev")

HOST = Resource(
    "host",
    (
        A("roles", ListOf(Choice(*HOST_ROLES)), "What the host does.", required=True),
        A("underlay", UNDERLAY, "Its tunnel end point."),
        A("datapath_type", _DATAPATH, "Open vSwitch datapath: kernel or userspace. That of defaults when not given."),
        A("physical_networks", Named(HOST_PHYSICAL_NETWORK), "How it reaches each physical network."),
        A("vars", Free(dict), "Any Ansible variables of the host; Jinja and !vault are allowed."),
    ),
    free_prefix="ansible_",
)

PHYSICAL_NETWORK = Resource(
    "physical network",
    (A("mtu", Whole(576, 65_535), "Largest IP packet it carries.", default=1500),),
)

DEFAULTS = Resource(
    "defaults",
    (
        A("datapath_type", _DATAPATH, "Open vSwitch datapath of hosts that don't say.", default="system"),
        A("underlay_mtu", Whole(576, 65_535), "Largest IP packet of the underlay.", default=1500),
        A("network_type", _NETWORK_TYPE, "Type of networks that don't say.", default="vxlan"),
        A("dhcp_servers", Whole(0, 16), "DHCP servers of networks that don't say.", default=1),
        A("lease_time", Whole(120, 31_536_000), "Lease time of subnets that don't say, in seconds.", default=86_400),
    ),
)

# The options of ansible.builtin.constructed; the inventory plugin hands them to Ansible.
CONSTRUCTED = (
    A("strict", kinds.BOOLEAN, "constructed: fail where an expression can't be evaluated."),
    A("compose", Free(dict), "constructed: host variables from expressions."),
    A("groups", Free(dict), "constructed: groups from conditions."),
    A("keyed_groups", Free(list), "constructed: groups from the values of variables."),
    A("use_extra_vars", kinds.BOOLEAN, "constructed: let extra variables take part."),
    A("leading_separator", kinds.BOOLEAN, "constructed: begin a keyed group without prefix with the separator."),
)

ROOT = Resource(
    "topology",
    (
        A("plugin", kinds.PLUGIN, "Makes the file an Ansible inventory source; the first line of the root file."),
        A("include", ListOf(kinds.INCLUDE), "Further files of the topology, relative to this one; patterns allowed."),
        A(
            "part_of",
            kinds.INCLUDE,
            "In an included file: the root file. As an inventory source it then stands for nothing.",
        ),
        *CONSTRUCTED,
        A("defaults", DEFAULTS, "What holds where a resource doesn't say."),
        A("physical_networks", Named(PHYSICAL_NETWORK), "Segments outside the fabric that provider networks live on."),
        A("hosts", Named(HOST), "The machines, by inventory name."),
        A("switches", Named(SWITCH), "The physical switches, by inventory name."),
        A("bare_metal", BARE_METAL, "Where and how nodes are deployed."),
        A("images", Named(IMAGE), "What is written to the disks of nodes, by name."),
        A("flavors", Named(FLAVOR), "What servers ask of nodes, by name."),
        A("nodes", Named(NODE), "The servers of metal, by inventory name."),
        A("projects", Named(PROJECT), "The tenants, by name."),
    ),
)


def is_free(depth: int, key: str) -> bool:
    """Tell whether what stands below a key belongs to Ansible. depth 1 is the top, 3 a host's attributes."""
    if depth == 1:
        return key in ("compose", "groups", "keyed_groups")
    return depth == 3 and (key in ("vars", "credentials", "bmc") or key.startswith("ansible_"))
