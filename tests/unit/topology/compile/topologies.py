# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The topologies of the golden files: each shows one thing."""

from __future__ import annotations

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    Network,
    PortForwarding,
    Topology,
)
from ansible_collections.weft.fabric.tests.unit.topology.compile.builder import Builder


def vxlan() -> Topology:
    """Two tenants with the same addresses on two hosts of a userspace datapath."""
    build = Builder().host("h1", "198.51.100.1/24", interface="eth1").host("h2", "198.51.100.2/24", interface="eth1")
    for project in ("blue", "red"):
        web = build.network(project, "web")
        build.subnet(web, "10.0.0.0/24")
        build.port(web, f"{project}-1", "h1", "veth", 11, {"namespace": f"{project}-1", "interface": "eth0"})
        build.port(web, f"{project}-2", "h2", "tap", 12, {"owner": "libvirt-qemu"})
    return build.topology


def gre_and_geneve() -> Topology:
    """A kernel datapath, two tunnel types, and a third host that has nothing to do with the first."""
    build = Builder()
    for number in (1, 2, 3):
        build.host(f"h{number}", f"198.51.100.{number}/24", datapath_type="system")
    old = build.network("blue", "old", "gre")
    new = build.network("blue", "new", "geneve")
    for network, hosts in ((old, ("h1", "h2")), (new, ("h2", "h3"))):
        build.subnet(network, "10.0.0.0/24")
        for host in hosts:
            build.port(network, f"{network.name}-{host}", host)
    return build.topology


def provider() -> Topology:
    """VLAN and flat networks; h1 plugs in an interface, on h2 the bridge is somebody else's."""
    build = Builder().physnet("physnet1").physnet("a-long-name")
    build.host("h1", physnets={"physnet1": "eth2", "a-long-name": "eth3"})
    build.host("h2", physnets={"physnet1": None})
    tagged = build.network("blue", "tagged", "vlan", physical_network="physnet1", segmentation_id=200, mtu=1500)
    untagged = build.network("red", "untagged", "flat", physical_network="a-long-name", mtu=1500)
    build.subnet(tagged, "203.0.113.0/24")
    build.subnet(untagged, "192.0.2.0/24")
    build.port(tagged, "tagged-1", "h1")
    build.port(tagged, "tagged-2", "h2")
    build.port(untagged, "untagged-1", "h1")
    return build.topology


def underlay_v6() -> Topology:
    """An IPv6 underlay that is routed."""
    build = Builder()
    build.host("h1", "2001:db8:1::1/64", interface="eth1", routes=[("2001:db8:2::/64", "2001:db8:1::ff")])
    build.host("h2", "2001:db8:2::1/64", interface="eth1", routes=[("2001:db8:1::/64", "2001:db8:2::ff")])
    web = build.network("blue", "web", mtu=1430)
    build.subnet(web, "2001:db8:100::/64", ipv6_mode="slaac")
    build.port(web, "web-1", "h1")
    build.port(web, "web-2", "h2")
    return build.topology


def address_pairs() -> Topology:
    """A virtual address with a MAC of its own that two ports share, one range, and a port without security."""
    build = Builder().host("h1", "198.51.100.1/24", interface="eth1").host("h2", "198.51.100.2/24", interface="eth1")
    web = build.network("blue", "web")
    build.subnet(web, "10.0.0.0/24")
    build.subnet(web, "2001:db8:100::/64", ipv6_mode="dhcpv6-stateful")
    shared = [("10.0.0.100/32", "00:00:5e:00:01:01"), ("2001:db8:100::100/128", None)]
    build.port(web, "web-1", "h1", number=11, pairs=shared)
    build.port(web, "web-2", "h2", number=12, pairs=shared)
    build.port(web, "gateway", "h1", number=1, pairs=[("10.9.0.0/16", None)])
    build.port(web, "free", "h1", number=14, port_security_enabled=False)
    # An address that another port may take over has no single owner.
    build.port(web, "taken", "h2", number=100)
    return build.topology


def learning() -> Topology:
    """Networks with MACs that the topology doesn't know, over tunnels and on a physical network."""
    build = Builder().physnet("physnet1")
    for number in (1, 2):
        build.host(f"h{number}", f"198.51.100.{number}/24", {"physnet1": "eth2"}, interface="eth1")
    for kind, physnet in (("vxlan", None), ("vlan", "physnet1")):
        lan = build.network("blue", f"lan-{kind}", kind, physical_network=physnet, mac_learning=True)
        build.subnet(lan, "10.0.0.0/24")
        build.port(lan, f"{kind}-bridge", "h1", number=11, port_security_enabled=False)
        build.port(lan, f"{kind}-plain", "h2", number=12)
    return build.topology


def bindings() -> Topology:
    """Every kind of binding on one host, which no other shares a network with."""
    build = Builder().host("h1", "198.51.100.1/24", datapath_type="system")
    web = build.network("blue", "web")
    build.subnet(web, "10.0.0.0/24", gateway=None)
    build.port(web, "a-tap", "h1", "tap", binding={"interface": "vnet7", "owner": "libvirt-qemu"})
    build.port(web, "a-veth", "h1", "veth", binding={"interface": "web0"})
    build.port(web, "an-internal", "h1", "internal")
    build.port(web, "plugged", "h1", "iface_id")
    build.port(web, "proxmox", "h1", "iface_id", binding={"iface_id": "11111111-2222-4333-8444-555555555555"})
    build.port(web, "nowhere", None)
    return build.topology


def dhcp() -> Topology:
    """Two networks, two servers each, IPv4 and IPv6, with options of every kind."""
    build = Builder().host("net1", "198.51.100.1/24").host("net2", "198.51.100.2/24").host("cmp1", "198.51.100.3/24")
    web = build.network("blue", "web", dns_domain="blue.example.", dhcp_servers=2)
    first = build.subnet(web, "10.0.0.0/24")
    build.subnet(web, "10.0.1.0/24", gateway=None, lease_time=-1)
    build.subnet(web, "2001:db8:100::/64", ipv6_mode="dhcpv6-stateful")
    first.ntp_servers = (first.cidr[123],)
    first.host_routes = ((web.subnets["web-v4-1"].cidr.supernet(), first.cidr[254]),)
    build.port(web, "web-1", "cmp1", options=[("bootfile-name", "pxe.0", 4), ("23", "2001:db8::53", 6)])
    build.port(web, "web-2", "cmp1", dns_name="www")
    build.dhcp(web, "net1", "net2")
    db = build.network("blue", "db", dhcp_servers=2)
    second = build.subnet(db, "10.1.0.0/24", gateway="10.1.0.254")
    second.dns_nameservers = (second.cidr[53],)
    build.subnet(db, "2001:db8:200::/64", ipv6_mode="dhcpv6-stateless")
    build.subnet(db, "2001:db8:300::/64", ipv6_mode="slaac")
    build.port(db, "db-1", "cmp1", options=[("mtu", "1300", 4)])
    build.dhcp(db, "net1", "net2")
    return build.topology


def _network_nodes() -> tuple[Builder, Network]:
    """Two network nodes on a physical network with a world outside, and one compute node."""
    build = Builder().physnet("physnet1")
    for number in (1, 2):
        build.host(f"net{number}", f"198.51.100.{number}/24", {"physnet1": "eth2"}, interface="eth1")
    build.host("cmp1", "198.51.100.3/24", interface="eth1")
    public = build.network("admin", "public", "flat", physical_network="physnet1", external=True, mtu=1500)
    build.subnet(public, "203.0.113.0/24")
    return build, public


def router() -> Topology:
    """Two tenants with the same addresses, each with a router: one that translates, one that only routes."""
    build, public = _network_nodes()
    for project, snat in (("blue", True), ("red", False)):
        web, db = build.network(project, "web", dns_domain=f"{project}.example"), build.network(project, "db", mtu=1400)
        build.subnet(web, "10.0.0.0/24")
        build.subnet(web, "2001:db8:100::/64", ipv6_mode="dhcpv6-stateless")
        build.subnet(db, "10.0.1.0/24")
        first = build.port(web, "web-1", "cmp1", number=11)
        build.dhcp(web, "net1")
        build.router(project, "r1", ["net1" if snat else "net2"], [web, db], public, snat)
        found = build.topology.projects[project].routers["r1"]
        build.floating_ip(found, public, f"203.0.113.{150 if snat else 160}", first)
    return build.place_routers()


def router_ports_and_routes() -> Topology:
    """Forwarded ports of each kind, further routes (ECMP), more external subnets, and a second router in a network."""
    build, public = _network_nodes()
    build.subnet(public, "192.0.2.0/24", gateway=None)
    build.subnet(public, "2001:db8:cafe::/64", ipv6_mode="slaac")
    web = build.network("blue", "web")
    build.subnet(web, "10.0.0.0/24")
    build.subnet(web, "2001:db8:100::/64", ipv6_mode="dhcpv6-stateful")
    inside = build.port(web, "web-1", "cmp1", number=11).addresses[0]
    beyond = [("10.9.0.0/16", "10.0.0.77"), ("10.9.0.0/16", "10.0.0.78"), ("2001:db8:900::/56", "2001:db8:100::77")]
    first = build.router("blue", "r1", ["net1"], [web], public, routes=beyond)
    second = {"web-v4-0": "10.0.0.2", "web-v6-1": "2001:db8:100::2"}
    build.router("blue", "r2", ["net1"], [web], addresses=second)
    build.floating_ip(
        first,
        public,
        "203.0.113.150",
        None,
        PortForwarding("tcp", (2222, 2222), "web-1", (22, 22), inside),
        PortForwarding("udp", (3000, 3010), "web-1", (3000, 3010), inside),
        PortForwarding("tcp", (8000, 8001), "web-1", (80, 81), inside),
    )
    return build.place_routers()


def router_ha() -> Topology:
    """A router on two nodes, with IPv6, a floating IP and a further route."""
    build, public = _network_nodes()
    build.subnet(public, "2001:db8:cafe::/64", ipv6_mode="slaac")
    web = build.network("blue", "web")
    build.subnet(web, "10.0.0.0/24")
    build.subnet(web, "2001:db8:100::/64", ipv6_mode="slaac")
    port = build.port(web, "web-1", "cmp1", number=11)
    found = build.router("blue", "r1", ["net2", "net1"], [web], public, routes=[("10.9.0.0/16", "10.0.0.77")])
    build.floating_ip(found, public, "203.0.113.150", port)
    return build.place_routers()


def distributed() -> Topology:
    """A distributed router: on a network in tunnels, one that learns, one on a VLAN; floating IPs here and there."""
    build, public = _network_nodes()
    build.subnet(public, "2001:db8:cafe::/64", ipv6_mode="slaac")
    for number in (2, 3):
        build.host(f"cmp{number}", f"198.51.100.{number + 2}/24", {"physnet1": "eth2"}, interface="eth1")
    build.topology.hosts["cmp1"].physical_networks = build.topology.hosts["cmp2"].physical_networks
    web, lab = build.network("blue", "web"), build.network("blue", "lab", mac_learning=True)
    rack = build.network("blue", "rack", "vlan", physical_network="physnet1")
    build.subnet(web, "10.0.0.0/24")
    build.subnet(web, "2001:db8:100::/64", ipv6_mode="slaac")
    build.subnet(lab, "10.0.1.0/24")
    build.subnet(rack, "10.0.2.0/24")
    build.dhcp(web, "net2")
    first = build.port(web, "web-1", "cmp1", number=11)
    # Its address may be held by two, so the network node has its floating IP.
    shared = build.port(web, "web-2", "cmp2", number=12)
    build.port(web, "web-3", "cmp2", number=13, pairs=[(str(shared.addresses[0]), None)])
    build.port(lab, "lab-1", "cmp2", number=11)
    away = build.port(rack, "rack-1", None, number=11)
    # What is outside is a matter of the network node, what is inside of all.
    routes = [("10.8.0.0/16", "203.0.113.9"), ("10.9.0.0/16", "10.0.0.77")]
    found = build.router("blue", "r1", ["net1"], [web, lab, rack], public, routes=routes, distributed=True)
    build.router("blue", "inside", [], [lab], addresses={"lab-v4-0": "10.0.1.2"}, distributed=True)
    for number, port in enumerate((first, shared, away)):
        build.floating_ip(found, public, f"203.0.113.{150 + number}", port)
    return build.place_routers()


def distributed_ha() -> Topology:
    """A distributed router that leads outside through two network nodes, one of which has a machine as well."""
    build, public = _network_nodes()
    build.subnet(public, "2001:db8:cafe::/64", ipv6_mode="slaac")
    web = build.network("blue", "web")
    build.subnet(web, "10.0.0.0/24")
    build.subnet(web, "2001:db8:100::/64", ipv6_mode="slaac")
    # This host does not reach the physical network: its floating IP is where the router leads outside.
    central = build.port(web, "web-1", "cmp1", number=11)
    there = build.port(web, "web-2", "net1", number=12)
    found = build.router("blue", "r1", ["net2", "net1"], [web], public, distributed=True)
    for number, port in enumerate((central, there)):
        build.floating_ip(found, public, f"203.0.113.{150 + number}", port)
    return build.place_routers()


GOLDEN = {
    topology.__name__: topology
    for topology in (
        vxlan,
        gre_and_geneve,
        provider,
        underlay_v6,
        address_pairs,
        learning,
        bindings,
        dhcp,
        router,
        router_ports_and_routes,
        router_ha,
        distributed,
        distributed_ha,
    )
}
