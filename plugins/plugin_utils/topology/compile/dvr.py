# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows for the legs of distributed routers: one MAC and the same addresses on many hosts.

A frame to a leg stays on its host. A frame from a leg leaves with the MAC of its host in place of the leg's, so that no
switch sees the leg's MAC move about; where it arrives it gets a leg's MAC again.

What leaves of broadcast and multicast are questions about addresses that nobody knows beforehand: those that several
machines may hold by address pairs. The answer names the leg's MAC, so it goes to all hosts that have the leg.
"""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import pipeline
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import on_wire
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.flows import (
    MULTICAST,
    Flows,
    in_port,
    output,
    reg,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import (
    HostView,
    LocalPort,
    NetworkView,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.eui64 import link_local
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    ROUTER_DISTRIBUTED_OWNER,
    ROUTER_INTERFACE_OWNER,
    Host,
    Port,
)

NETWORK = pipeline.REG_NETWORK

# Who answers speaks to one host, and does not know which: each gets it.
ANSWERS = (("arp", "arp_op=2"), ("icmp6", "icmp_type=136"))
QUESTIONS = (("arp", "arp_op=1"), ("icmp6", "icmp_type=135"))
_ROUTER_ADVERTISEMENT = "icmp_type=134"
_ROUTER_SOLICITATION = "icmp_type=133"
_MULTICAST = f"dl_dst={MULTICAST}"


# br-int


def arrival_table(network: NetworkView) -> str | None:
    """Return the table that frames from other hosts come to first, or None: no distributed router is in the network."""
    if not network.distributed_ports:
        return None
    return "dvr_from_tunnel" if network.is_tunnel else "dvr_from_provider"


def add_arrival(flows: Flows, network: NetworkView, learn: str) -> None:
    """Add what happens to frames from other hosts, before they are forwarded. learn is the action that learns MACs."""
    table = arrival_table(network)
    if table is None or network.uplink is None:
        return
    register = reg(NETWORK, network.vlan)
    onward = flows.goto("forward")
    for local in network.distributed:
        for question in _own_questions(local, register):
            # The leg on the asker's host has answered, or a flow for it; here it would be one answer too many.
            flows.add(local.cookie, table, 50, question, "drop")
        if not network.is_tunnel:
            # A machine on the wire speaks to all hosts at once, and each would route it.
            mac = f"dl_dst={local.port.mac_address}"
            flows.add(local.cookie, table, 40, f"{register},{mac}", "drop")
            for protocol, kind in ANSWERS:
                flows.add(local.cookie, table, 45, f"{protocol},{register},{mac},{kind}", onward)
            on_wire.add_arrival(flows, network, local, table)
    leg = _gateway_mac(network)
    for host in network.hosts_of(network.distributed_ports):
        source = f"dl_src={host.dvr_mac_address}"
        flows.add(network.cookie, table, 20, f"{register},{source}", f"set_field:{leg}->eth_src,{onward}")
    flows.add(network.cookie, table, 10, register, f"{learn}{onward}")


def _own_questions(local: LocalPort, register: str) -> t.Iterator[str]:
    """Yield what matches questions for the addresses of a leg."""
    addresses = local.port.addresses
    for address in addresses:
        if address.version == 4:
            yield f"arp,{register},arp_tpa={address},arp_op=1"
    sixes = [address for address in addresses if address.version == 6]
    for target in [*sixes, link_local(local.port.mac_address)] if sixes else ():
        yield f"icmp6,{register},icmp_type=135,nd_target={target}"


def _gateway_mac(network: NetworkView) -> str:
    """Return whose MAC a frame of a distributed router bears where it arrives.

    Which one of several has sent it is not known any more. Machines look at it only when they learn where their gateway
    is from what it sends, so the gateway's it is.
    """
    gateways = {subnet.gateway_ip for subnet in network.network.subnets.values() if subnet.gateway_ip is not None}
    legs = network.distributed_ports
    return next((leg for leg in legs if gateways.intersection(leg.addresses)), legs[0]).mac_address


def add_forward(flows: Flows, network: NetworkView, local: LocalPort, deliver: list[str], to_uplink: list[str]) -> None:
    """Add where frames to a leg go: to the one on this host, answers to the others too."""
    register = reg(NETWORK, network.vlan)
    mac = f"dl_dst={local.port.mac_address}"
    flows.add(local.cookie, "forward", 90, f"{register},{mac}", ",".join(deliver))
    if any(port.name == local.port.name and port.host != local.port.host for port in network.distributed_ports):
        for protocol, kind in ANSWERS:
            match = f"{protocol},{register},{mac},{kind}"
            flows.add(local.cookie, "forward", 95, match, ",".join([*deliver, *to_uplink]))


# br-tun


def add_tunnel_departures(flows: Flows, view: HostView, network: NetworkView) -> None:
    """Add what of a leg's frames leaves through tunnels."""
    vlan = f"dl_vlan={network.vlan}"
    onward = f"set_field:{view.host.dvr_mac_address}->eth_src,{flows.goto('from_int')}"
    for local in network.distributed:
        source = f"{vlan},dl_src={local.port.mac_address}"
        for protocol, kind in QUESTIONS:
            flows.add(local.cookie, "dvr_process", 30, f"{protocol},{source},{kind}", onward)
        flows.add(local.cookie, "dvr_process", 30, f"icmp6,{source},{_ROUTER_ADVERTISEMENT}", "drop")
        flows.add(local.cookie, "dvr_process", 20, f"{source},{_MULTICAST}", "drop")
        flows.add(local.cookie, "dvr_process", 10, source, onward)
    if network.distributed and network.has_ipv6 and not _other_routers(network):
        # Who looks for a router finds it here.
        match = f"icmp6,{vlan},{_ROUTER_SOLICITATION}"
        flows.add(network.cookie, "dvr_process", 40, match, "drop")


def _other_routers(network: NetworkView) -> bool:
    """Tell whether a router that hosts may look for in a network has no leg on this host that is always there."""
    here = {local.port.name for local in network.distributed}
    legs = (ROUTER_INTERFACE_OWNER, ROUTER_DISTRIBUTED_OWNER)
    return any(port.device_owner in legs and port.name not in here for port in network.ports)


def add_tunnel_arrivals(flows: Flows, network: NetworkView, to_integration: str) -> None:
    """Keep a network from learning where the hosts' MACs are: everybody knows."""
    for host in network.hosts_of(network.distributed_ports):
        match = f"dl_vlan={network.vlan},dl_src={host.dvr_mac_address}"
        flows.add(network.cookie, "dvr_not_learn", 10, match, to_integration)


def tunnel_targets(network: NetworkView, ports: list[Port]) -> list[Host]:
    """Return the hosts that a frame to a MAC goes to.

    To a leg of a distributed router only answers leave a host that has it too, and all others want them. A host without
    the leg has none to serve but its DHCP servers; each host that heard one of them would route it, so one does.
    """
    hosts = network.hosts_of(ports)
    distributed = any(port.distributed for port in ports)
    return hosts[:1] if distributed and not network.here(ports) else hosts


# provider bridges


def add_provider(
    flows: Flows, view: HostView, network: NetworkView, patch: str, retag: str, interface: str | None
) -> None:
    """Add what of a leg's frames leaves to the wire. Table 0 is all we have: the bridge may be somebody else's."""
    inside = f"{in_port(patch)},dl_vlan={network.vlan}"
    leave = f"set_field:{view.host.dvr_mac_address}->eth_src,{retag}"
    for local in network.distributed:
        source = f"{inside},dl_src={local.port.mac_address}"
        on_wire.add_departure(flows, network, local, source, leave)
        for protocol, kind in QUESTIONS:
            flows.add(local.cookie, 0, 9, f"{protocol},{source},{kind}", f"{leave},NORMAL")
        flows.add(local.cookie, 0, 9, f"icmp6,{source},{_ROUTER_ADVERTISEMENT}", "drop")
        flows.add(local.cookie, 0, 8, f"{source},{_MULTICAST}", "drop")
        if interface is not None:
            for replica in network.replicas:
                match = f"{source},dl_dst={replica.port.mac_address}"
                flows.add(local.cookie, 0, 7, match, f"{leave},{output(interface)}")
        flows.add(local.cookie, 0, 6, source, f"{leave},NORMAL")
