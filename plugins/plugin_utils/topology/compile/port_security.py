# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows of br-int that let a port speak only for itself (Neutron: port security, ARP spoofing protection)."""

from __future__ import annotations

import typing as t
from ipaddress import ip_network

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.flows import (
    COOKIE_SHARED,
    Flows,
    with_address,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import LocalPort
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.eui64 import link_local
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import IPNetwork

# Whoever sends to a DHCP client's port, or from a server's, plays the server, and whoever sends a router
# advertisement plays the router. Clients often don't look at the port that an answer came from.
_FORBIDDEN = ("udp,tp_dst=68", "udp,tp_src=67", "udp6,tp_dst=546", "udp6,tp_src=547", "icmp6,icmp_type=134")

# An advertisement that says it comes from no router (RFC 4861). Hosts then forget their default route through it; and
# keepalived sends such ones, when forwarding was off until a moment ago. Open vSwitch matches the flags as a whole:
# asked or not, with the right to override.
_FROM_NO_ROUTER = (0x20000000, 0x60000000)

# What a host says before it has an address: it asks for a lease, and reports its multicast groups (RFC 3590).
_WITHOUT_ADDRESS = (
    "udp,nw_src=0.0.0.0,nw_dst=255.255.255.255,tp_src=68,tp_dst=67",
    "icmp6,ipv6_src=::,icmp_type=131",
    "icmp6,ipv6_src=::,icmp_type=132",
    "icmp6,ipv6_src=::,icmp_type=143",
)


class Source(t.NamedTuple):
    """An address (range) that a port may send from, with the MAC that belongs to it."""

    mac: str
    cidr: IPNetwork


def add_frame(flows: Flows) -> None:
    """Add what holds for all ports that aren't trusted."""
    for match in _FORBIDDEN:
        flows.add(COOKIE_SHARED, "port_security", 100, match, "drop")
    for match in ("arp", "icmp6,icmp_type=136"):
        flows.add(COOKIE_SHARED, "port_security", 80, match, "drop")
    flows.add(COOKIE_SHARED, "port_security", 0, "", "drop")
    for match in _WITHOUT_ADDRESS:
        flows.add(COOKIE_SHARED, "source_address", 10, match, flows.goto("arp_nd"))
    flows.add(COOKIE_SHARED, "source_address", 0, "", "drop")


def add_port(flows: Flows, local: LocalPort, learn: str) -> None:
    """Add what a port may send. learn is the action for ports behind which unknown MACs may live."""
    if local.trusted:
        # The MAC of our own server or router is known; learning it would only cost.
        actions = "" if local.own else learn
        match = f"in_port={local.reference}"
        flows.add(local.cookie, "port_security", 200, match, actions + flows.goto("arp_nd"))
        if local.port.router is not None:
            for flags in _FROM_NO_ROUTER:
                denial = f"icmp6,{match},icmp_type=136,nd_reserved={flags}"
                flows.add(local.cookie, "port_security", 210, denial, "drop")
        return
    sources = _sources(local)
    for mac in dict.fromkeys(source.mac for source in sources):
        match = f"in_port={local.reference},dl_src={mac}"
        flows.add(local.cookie, "port_security", 10, match, flows.goto("source_address"))
    for source in sources:
        if source.cidr.version == 4:
            _add_v4(flows, local, *source)
        else:
            _add_v6(flows, local, *source)


def _sources(local: LocalPort) -> list[Source]:
    """Return what a port may send from, each once: its addresses, its address pairs, and the link-local ones."""
    port = local.port
    pairs = [(pair.mac_address or port.mac_address, pair.cidr) for pair in port.allowed_address_pairs]
    own = [Source(port.mac_address, ip_network(address)) for address in port.addresses]
    macs = dict.fromkeys([port.mac_address, *(mac for mac, _cidr in pairs)])
    link_locals = [Source(mac, ip_network(link_local(mac))) for mac in macs]
    return list(dict.fromkeys([*own, *(Source(*pair) for pair in pairs), *link_locals]))


def _add_v4(flows: Flows, local: LocalPort, mac: str, cidr: IPNetwork) -> None:
    """Let a port send from an address, ask and answer for it, and probe it before it takes it (RFC 5227).

    A probe for another port's address would make that one believe in a duplicate.
    """
    who = f"in_port={local.reference},dl_src={mac}"
    onward = flows.goto("arp_nd")
    arp = f"arp,{who}{with_address('arp_spa', cidr)},arp_sha={mac}"
    probe = f"arp,{who},arp_spa=0.0.0.0{with_address('arp_tpa', cidr)},arp_op=1,arp_sha={mac}"
    flows.add(local.cookie, "port_security", 95, probe, onward)
    flows.add(local.cookie, "port_security", 90, arp, onward)
    flows.add(local.cookie, "source_address", 10, f"ip,{who}{with_address('nw_src', cidr)}", onward)


def _add_v6(flows: Flows, local: LocalPort, mac: str, cidr: IPNetwork) -> None:
    """Let a port send from an address, advertise it, and look for duplicates of it (RFC 4862).

    To look for duplicates of another port's address would deny it to that port.
    """
    who = f"in_port={local.reference},dl_src={mac}"
    target = with_address("nd_target", cidr)
    onward = flows.goto("arp_nd")
    advertisement = f"icmp6,{who},icmp_type=136{target}"
    detection = f"icmp6,{who},ipv6_src=::,icmp_type=135{target}"
    flows.add(local.cookie, "port_security", 90, advertisement, flows.goto("source_address"))
    flows.add(local.cookie, "source_address", 10, f"ipv6,{who}{with_address('ipv6_src', cidr)}", onward)
    flows.add(local.cookie, "source_address", 10, detection, onward)
