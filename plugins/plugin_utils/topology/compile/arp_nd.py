# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows of br-int that answer questions about known addresses on the spot (Neutron: ARP responder, for ND too).

Answered is what is broadcast or multicast. A host that checks whether a neighbour is still there (NUD) asks by
unicast, and that question goes to the neighbour.

Not answered is: an address that several ports may hold, a host's question about its own address (RFC 5227, RFC 4862:
an answer would tell it that somebody else has it), and duplicate address detection in general.
"""

from __future__ import annotations

from ansible_collections.weft.fabric.plugins.module_utils import pipeline
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.flows import (
    BROADCAST,
    COOKIE_SHARED,
    MULTICAST_V6,
    Flows,
    reg,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import NetworkView, cookie_of
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import IPAddress, Port

NETWORK = pipeline.REG_NETWORK
_SOLICITED_AND_OVERRIDE = 0x60000000
# Of a router's address (RFC 4861): a host forgets its default route through a neighbour that says it is none.
_FROM_ROUTER = 0x80000000


def add_frame(flows: Flows) -> None:
    """Add what stands on every host: no answer to who has no address, or no MAC to be answered at."""
    onward = flows.goto("egress")
    flows.add(COOKIE_SHARED, "arp_nd", 0, "", onward)
    flows.add(COOKIE_SHARED, "arp_nd", 110, "icmp6,ipv6_src=::,icmp_type=135", onward)
    flows.add(COOKIE_SHARED, "arp_nd", 110, "icmp6,icmp_type=135,nd_sll=00:00:00:00:00:00", onward)
    # OpenFlow lets only a flow that matches an advertisement touch the target's MAC, so this takes a second flow.
    flows.add(COOKIE_SHARED, "nd_answer", 10, "icmp6,icmp_type=136", "move:NXM_OF_ETH_SRC[]->NXM_NX_ND_TLL[],IN_PORT")
    flows.add(COOKIE_SHARED, "nd_answer", 0, "", "drop")


def add_network(flows: Flows, network: NetworkView) -> None:
    """Add the answers for every address of a network that has exactly one owner."""
    register = reg(NETWORK, network.vlan)
    for address, port in network.owned:
        local = network.local_by_name.get(port.name)
        cookie = local.cookie if local else cookie_of(port.id)
        question, answer = _arp(address, port) if address.version == 4 else _nd(flows, address, port)
        flows.add(cookie, "arp_nd", 100, question.format(register), answer)
        if local is not None:
            own = question.format(f"{register},in_port={local.reference}")
            flows.add(cookie, "arp_nd", 110, own, flows.goto("egress"))


def _arp(address: IPAddress, port: Port) -> tuple[str, str]:
    """Return the question, with a place for who asks, and the actions that turn it into the answer."""
    question = f"arp,{{}},dl_dst={BROADCAST},arp_tpa={address},arp_op=1"
    answer = (
        f"move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:{port.mac_address}->eth_src,set_field:2->arp_op,"
        f"move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],"
        f"set_field:{port.mac_address}->arp_sha,set_field:{address}->arp_spa,IN_PORT"
    )
    return question, answer


def _nd(flows: Flows, address: IPAddress, port: Port) -> tuple[str, str]:
    """Do the same with a solicitation: its source option becomes the target option of an advertisement."""
    question = f"icmp6,{{}},dl_dst={MULTICAST_V6},icmp_type=135,nd_target={address}"
    flags = _SOLICITED_AND_OVERRIDE | (_FROM_ROUTER if port.router is not None else 0)
    answer = (
        f"move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:{port.mac_address}->eth_src,"
        f"move:NXM_NX_IPV6_SRC[]->NXM_NX_IPV6_DST[],set_field:{address}->ipv6_src,"
        f"set_field:{flags}->nd_reserved,set_field:2->nd_options_type,set_field:136->icmpv6_type,"
        f"{flows.goto('nd_answer')}"
    )
    return question, answer
