# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows of br-int: which network a frame belongs to, and where it goes.

Nothing is learned unless a network asks for it, NORMAL is never used, and what no flow speaks of is dropped: a
port whose flows don't stand yet can neither send nor receive.
"""

from __future__ import annotations

from ansible_collections.weft.fabric.plugins.module_utils import pipeline
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import (
    arp_nd,
    dvr,
    fip,
    names,
    on_wire,
    port_security,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.flows import (
    COOKIE_SHARED,
    LEARNED_SECONDS,
    MULTICAST,
    UNTAGGED,
    Flows,
    in_port,
    load_vlan,
    output,
    push_vlan,
    reg,
    set_reg,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import (
    HostView,
    LocalPort,
    NetworkView,
    learned_cookie_of,
    sole_owner,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Port

NETWORK = pipeline.REG_NETWORK
OUTPUT = pipeline.REG_OUTPUT
LEARNED_PRIORITY = 20


def compile_br_int(view: HostView) -> Flows:
    """Return the flows of a host's br-int."""
    flows = Flows(names.INTEGRATION_BRIDGE)
    _frame(flows)
    for table in dict.fromkeys(filter(None, map(dvr.arrival_table, view.networks))):
        flows.add(COOKIE_SHARED, table, 0, "", "drop")
    for network in view.networks:
        _classify_uplink(flows, network)
        for local in network.local:
            _classify_port(flows, network, local)
            port_security.add_port(flows, local, _learn_port(flows, network))
            if local.port.router is not None:
                on_wire.add_port(flows, view.topology.router(local.port.router), network, local, _to_uplink(network))
        dvr.add_arrival(flows, network, _learn_uplink(flows, network))
        arp_nd.add_network(flows, network)
        _forward(flows, network)
        _flood(flows, network)
    for agent in view.floating_ip_agents:
        fip.add_agent(flows, view, agent)
    return flows


def _frame(flows: Flows) -> None:
    """Add what stands on every host, networks or not."""
    for table in ("classify", "forward", "learned", "flood"):
        flows.add(COOKIE_SHARED, table, 0, "", "drop")
    port_security.add_frame(flows)
    arp_nd.add_frame(flows)
    flows.add(COOKIE_SHARED, "egress", 0, "", flows.goto("forward"))
    flows.add(COOKIE_SHARED, "forward", 100, f"dl_dst={MULTICAST}", flows.goto("flood"))
    flows.add(COOKIE_SHARED, "ingress", 0, "", flows.goto("output"))
    flows.add(COOKIE_SHARED, "output", 0, "", "output:NXM_NX_REG7[]")


def _classify_port(flows: Flows, network: NetworkView, local: LocalPort) -> None:
    match = f"in_port={local.reference},{UNTAGGED}"
    flows.add(local.cookie, "classify", 100, match, f"{set_reg(NETWORK, network.vlan)},{flows.goto('port_security')}")


def _classify_uplink(flows: Flows, network: NetworkView) -> None:
    """Let in what comes from the rest of the network: it carries a tag, except on a flat network's bridge."""
    if network.uplink is None:
        return
    tag = network.vlan if network.is_tunnel else network.network.segmentation_id
    if network.network.type == "flat":
        match, untag = f"{in_port(network.uplink)},{UNTAGGED}", ""
    else:
        match, untag = f"{in_port(network.uplink)},dl_vlan={tag}", "pop_vlan,"
    table = dvr.arrival_table(network)
    onward = flows.goto(table) if table else _learn_uplink(flows, network) + flows.goto("forward")
    actions = f"{untag}{set_reg(NETWORK, network.vlan)},{onward}"
    flows.add(network.cookie, "classify", 100, match, actions)


def _forward(flows: Flows, network: NetworkView) -> None:
    """Send unicast to who has the MAC; for the rest of the network, to the bridge that knows it."""
    network_match = reg(NETWORK, network.vlan)
    for mac, ports in network.ports_by_mac.items():
        here = network.here(ports)
        if here and here[0].port.distributed:
            dvr.add_forward(flows, network, here[0], _deliver(flows, here[0]), _to_uplink(network))
        elif here:
            cookie = here[0].cookie if sole_owner(ports) else network.cookie
            flows.add(cookie, "forward", 90, f"{network_match},dl_dst={mac}", _to_owners(flows, network, ports, here))
        elif network.network.mac_learning:
            # Who is known to be elsewhere stays there, whatever a frame on this host pretends.
            flows.add(network.cookie, "forward", 90, f"{network_match},dl_dst={mac}", ",".join(_to_uplink(network)))
    on_wire.add_forward(flows, network)
    if network.network.mac_learning:
        flows.add(network.cookie, "forward", 10, network_match, flows.goto("learned"))
        flows.add(network.cookie, "learned", 10, network_match, flows.goto("flood"))
    elif network.uplink is not None:
        flows.add(network.cookie, "forward", 10, network_match, ",".join(_to_uplink(network)))


def _to_owners(flows: Flows, network: NetworkView, ports: list[Port], here: list[LocalPort]) -> str:
    """Return the actions for a MAC that is here: its port, or all ports that share it.

    They share it by address pairs, or are one leg of a router on several hosts. Who of them answers to it at the moment
    is not known here, and must not be: each gets the frame, and nothing has to be learned anew when the role moves.
    """
    if len(ports) == 1:
        return f"set_field:{here[0].reference}->{OUTPUT},{flows.goto('ingress')}"
    actions = [action for local in here for action in _deliver(flows, local)]
    if len(here) < len(ports):
        actions += _to_uplink(network)
    return ",".join(actions)


def _flood(flows: Flows, network: NetworkView) -> None:
    actions = [action for local in network.local for action in _deliver(flows, local)]
    if network.uplink is not None:
        actions += _to_uplink(network)
    flows.add(network.cookie, "flood", 10, reg(NETWORK, network.vlan), ",".join(actions))


def _deliver(flows: Flows, local: LocalPort) -> list[str]:
    """Return the actions that give a copy to a port."""
    return [f"set_field:{local.reference}->{OUTPUT}", flows.resubmit("ingress")]


def _to_uplink(network: NetworkView) -> list[str]:
    # A frame that came in there isn't sent back: OpenFlow never outputs to in_port unless it is told to.
    return [push_vlan(network.vlan), output(network.uplink)] if network.uplink is not None else []


def _learn_port(flows: Flows, network: NetworkView) -> str:
    """Return the learn() action for a port behind which unknown MACs may live, or nothing."""
    return _learn(flows, network, "") if network.network.mac_learning else ""


def _learn_uplink(flows: Flows, network: NetworkView) -> str:
    return _learn(flows, network, load_vlan(network.vlan) + ",") if network.network.mac_learning else ""


def _learn(flows: Flows, network: NetworkView, prepare: str) -> str:
    # A learned MAC is behind an uplink or behind a port without port security, so it needs no ingress check.
    return (
        f"learn(table={flows.number('learned')},hard_timeout={LEARNED_SECONDS},priority={LEARNED_PRIORITY},"
        f"delete_learned,cookie=0x{learned_cookie_of(network.network.id):x},"
        f"NXM_NX_REG6[],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],{prepare}output:NXM_OF_IN_PORT[]),"
    )
