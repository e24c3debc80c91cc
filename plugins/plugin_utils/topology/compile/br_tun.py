# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows of br-tun: between local VLANs and the tunnels of the hosts that have the network."""

from __future__ import annotations

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import dvr, names
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.flows import (
    COOKIE_SHARED,
    LEARNED_SECONDS,
    MULTICAST,
    UNICAST,
    Flows,
    in_port,
    output,
    push_vlan,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import (
    HostView,
    NetworkView,
    learned_cookie_of,
    vtep,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Host

LEARNED_PRIORITY = 20


def compile_br_tun(view: HostView) -> Flows | None:
    """Return the flows of a host's br-tun, or None when no network of this host needs it."""
    if not view.tunnel_networks:
        return None
    flows = Flows(names.TUNNEL_BRIDGE)
    _frame(flows, view)
    for tunnel_type, host in view.peers:
        port = names.tunnel_name(tunnel_type, vtep(host))
        flows.add(COOKIE_SHARED, "classify", 10, in_port(port), flows.goto(f"from_{tunnel_type}"))
    for network in view.tunnel_networks:
        # A network that is whole on this host has nothing to say to others.
        if network.remote_hosts:
            _from_tunnel(flows, network)
            dvr.add_tunnel_departures(flows, view, network)
            _to_tunnels(flows, network)
    return flows


def _frame(flows: Flows, view: HostView) -> None:
    dropping = ("classify", "from_gre", "from_vxlan", "from_geneve", "unicast", "learned", "flood")
    for table in dropping:
        flows.add(COOKIE_SHARED, table, 0, "", "drop")
    departs = "dvr_process" if any(network.distributed for network in view.tunnel_networks) else "from_int"
    flows.add(COOKIE_SHARED, "classify", 10, in_port(names.PATCH_TO_INTEGRATION), flows.goto(departs))
    if departs == "dvr_process":
        flows.add(COOKIE_SHARED, "dvr_process", 0, "", flows.goto("from_int"))
    if any(_passes_by(network) for network in view.tunnel_networks):
        flows.add(COOKIE_SHARED, "dvr_not_learn", 0, "", flows.goto("to_int"))
    flows.add(COOKIE_SHARED, "from_int", 0, f"dl_dst={UNICAST}", flows.goto("unicast"))
    flows.add(COOKIE_SHARED, "from_int", 0, f"dl_dst={MULTICAST}", flows.goto("flood"))
    flows.add(COOKIE_SHARED, "to_int", 0, "", output(names.PATCH_TO_INTEGRATION))


def _passes_by(network: NetworkView) -> bool:
    """Tell whether frames come to a network that must not be learned from, though it learns."""
    return network.network.mac_learning and bool(network.hosts_of(network.distributed_ports))


def _from_tunnel(flows: Flows, network: NetworkView) -> None:
    key = f"tun_id=0x{network.network.segmentation_id:x}"
    actions = f"{push_vlan(network.vlan)},{flows.goto('dvr_not_learn' if _passes_by(network) else 'to_int')}"
    flows.add(network.cookie, f"from_{network.network.type}", 10, key, actions)
    if network.network.mac_learning:
        actions = f"{_learn(flows, network)},{output(names.PATCH_TO_INTEGRATION)}"
        flows.add(network.cookie, "to_int", 10, f"dl_vlan={network.vlan}", actions)
    if _passes_by(network):
        dvr.add_tunnel_arrivals(flows, network, output(names.PATCH_TO_INTEGRATION))


def _to_tunnels(flows: Flows, network: NetworkView) -> None:
    vlan = f"dl_vlan={network.vlan}"
    for mac, ports in network.ports_by_mac.items():
        hosts = dvr.tunnel_targets(network, ports)
        if hosts:
            flows.add(network.cookie, "unicast", 10, f"{vlan},dl_dst={mac}", _encapsulate(network, hosts))
    if network.network.mac_learning:
        flows.add(network.cookie, "unicast", 5, vlan, flows.goto("learned"))
        flows.add(network.cookie, "learned", 5, vlan, flows.goto("flood"))
    flows.add(network.cookie, "flood", 10, vlan, _encapsulate(network, network.remote_hosts))


def _encapsulate(network: NetworkView, hosts: list[Host]) -> str:
    tunnels = [output(names.tunnel_name(network.network.type, vtep(host))) for host in hosts]
    return ",".join(["pop_vlan", f"set_field:0x{network.network.segmentation_id:x}->tun_id", *tunnels])


def _learn(flows: Flows, network: NetworkView) -> str:
    return (
        f"learn(table={flows.number('learned')},hard_timeout={LEARNED_SECONDS},priority={LEARNED_PRIORITY},"
        f"delete_learned,cookie=0x{learned_cookie_of(network.network.id):x},"
        f"NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],"
        f"load:0->NXM_OF_VLAN_TCI[],load:NXM_NX_TUN_ID[]->NXM_NX_TUN_ID[],output:NXM_OF_IN_PORT[])"
    )
