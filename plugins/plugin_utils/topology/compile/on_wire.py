# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Distributed routers as machines on the wire of a provider network see them: physical ones, plugged into a switch.

A leg is on every host that needs it, so no switch can lead to it. What leads out of the fabric is in one place, and has
a port of its own in each network: on the wire, that port has the legs' addresses as well. Machines there find it by ARP
and ND as they find any router, and it routes for them, inside and outside. The way back is the shortest, as ever: from
the leg on the sender's host.

Those who have a leg on their own host must not hear of it. So what the port says of these addresses goes out to the
wire and nowhere else, and where it comes in beside a leg it is dropped.
"""

from __future__ import annotations

from ansible_collections.weft.fabric.plugins.module_utils import pipeline
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.flows import Flows, reg
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import LocalPort, NetworkView
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    ROUTER_SNAT_OWNER,
    IPAddress,
    Port,
    Router,
)

NETWORK = pipeline.REG_NETWORK


def centre(network: NetworkView, leg: Port) -> Port | None:
    """Return the port that the router of a leg has in a network where it leads out of the fabric, if it does."""
    ports = network.ports_by_router.get(leg.router, []) if leg.router is not None else []
    return next((port for port in ports if port.device_owner == ROUTER_SNAT_OWNER), None)


def gateways(router: Router, network: NetworkView, port: Port) -> list[IPAddress]:
    """Return the addresses of a router's legs that a port of it has for those on the wire."""
    if network.is_tunnel or port.device_owner != ROUTER_SNAT_OWNER:
        return []
    here = [interface for interface in router.interfaces if interface.network == network.network.key]
    return [interface.address for interface in here if interface.address is not None]


def add_port(flows: Flows, router: Router, network: NetworkView, local: LocalPort, to_wire: list[str]) -> None:
    """Let what a port says of the legs' addresses out to the wire only."""
    sender = f"in_port={local.reference}"
    for address in gateways(router, network, local.port):
        said = f"arp,{sender},arp_spa={address}" if address.version == 4 else _advertisement(sender, address)
        # Below what keeps back advertisements that come from no router.
        flows.add(local.cookie, "port_security", 205, said, ",".join(to_wire))


def add_arrival(flows: Flows, network: NetworkView, leg: LocalPort, table: str) -> None:
    """Add what comes from the wire to a host with a leg, and is about the legs' addresses."""
    port = centre(network, leg.port)
    if port is None:
        return
    register = reg(NETWORK, network.vlan)
    here = network.local_by_name.get(port.name)
    for address in leg.port.addresses:
        teller = f"{register},dl_src={port.mac_address}"
        said = f"arp,{teller},arp_spa={address}" if address.version == 4 else _advertisement(teller, address)
        flows.add(leg.cookie, table, 60, said, "drop")
        if here is not None:
            # This host has both, and the wire asks the other one.
            deliver = f"set_field:{here.reference}->{pipeline.REG_OUTPUT},{flows.goto('ingress')}"
            flows.add(leg.cookie, table, 55, _question(register, address), deliver)


def add_forward(flows: Flows, network: NetworkView) -> None:
    """Lead to the one place what a host sends to a leg that it has not: its DHCP servers, who want to ask outside.

    In tunnels it goes to a host that has the leg; on the wire nobody would take it.
    """
    if network.is_tunnel or network.distributed:
        return
    for mac, leg in {port.mac_address: port for port in network.distributed_ports}.items():
        port = centre(network, leg)
        if port is not None:
            match = f"{reg(NETWORK, network.vlan)},dl_dst={mac}"
            actions = f"set_field:{port.mac_address}->eth_dst,{flows.resubmit('forward')}"
            flows.add(network.cookie, "forward", 95, match, actions)


def add_departure(flows: Flows, network: NetworkView, leg: LocalPort, source: str, leave: str) -> None:
    """Let questions to the wire bear the address of the port that is in one place.

    Whoever is asked remembers the asker, and would send to the leg's MAC what it has for its gateway: to nobody.
    """
    port = centre(network, leg.port)
    if port is None:
        return
    own = {fixed.subnet: fixed.address for fixed in port.fixed_ips}
    for fixed in leg.port.fixed_ips:
        sender = own.get(fixed.subnet)
        if fixed.address is not None and fixed.address.version == 4 and sender is not None:
            match = f"arp,{source},arp_spa={fixed.address},arp_op=1"
            flows.add(leg.cookie, 0, 10, match, f"set_field:{sender}->arp_spa,{leave},NORMAL")


def _advertisement(sender: str, address: IPAddress) -> str:
    return f"icmp6,{sender},icmp_type=136,nd_target={address}"


def _question(register: str, address: IPAddress) -> str:
    if address.version == 4:
        return f"arp,{register},arp_tpa={address},arp_op=1"
    return f"icmp6,{register},icmp_type=135,nd_target={address}"
