# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about where and how nodes are deployed that a schema can't say."""

from __future__ import annotations

from .context import Context, place
from .model import PROVIDER_TYPES, Host, Network, Subnet
from .model_bare_metal import NETWORK_PHASES, BareMetal
from .server_ports import boot_subnet


def check_bare_metal(context: Context) -> None:
    """Check the networks of the phases, and the host that nodes boot from."""
    topology = context.topology
    bare_metal = topology.bare_metal
    if bare_metal is None:
        node = next(iter(topology.nodes.values()), None)
        # Where it is there and can't be read, that has been told.
        if node is not None and not context.written("bare_metal"):
            message = "there are nodes, and nothing says how they are deployed"
            remedy = "add bare_metal at the top, with boot_server and networks: {deployment: PROJECT/NAME}"
            context.note(node.where, message, remedy)
        return
    host = topology.hosts.get(bare_metal.boot_server)
    if host is None:
        remedy = context.suggestion(bare_metal.boot_server, topology.hosts, "add the host")
        where = context.at_bare_metal("boot_server")
        context.note(where, f"there is no host {bare_metal.boot_server!r}", remedy)
    elif context.sound("hosts", host.name) and not host.roles:
        message = f"host {host.name} has no role, so nothing sets it up"
        context.note(context.at_bare_metal("boot_server"), message, f"give {host.name} the role network_node")
    for phase in NETWORK_PHASES:
        if phase in bare_metal.given:
            _check_network(context, bare_metal, phase, host)
    _check_idle_vlan(context, bare_metal)


def _check_network(context: Context, bare_metal: BareMetal, phase: str, host: Host | None) -> None:
    where = ("networks", phase)
    key = bare_metal.networks[phase]
    network = context.network(key, "", context.at_bare_metal, *where)
    if network is None or not context.sound("networks", *key):
        return
    shown = "/".join(key)
    if network.type not in PROVIDER_TYPES:
        message = f"{shown} is a {network.type} network, and nodes are plugged into switches"
        context.note(context.at_bare_metal(*where), message, "name a vlan network")
        return
    if host is not None and context.sound("hosts", host.name) and not host.reaches(network):
        name = network.physical_network
        message = f"boot_server {host.name} does not reach physical network {name} of {shown}"
        remedy = f"add {name} to the physical_networks of {host.name}, or name another host as boot_server"
        context.note(context.at_bare_metal(*where), message, remedy)
    if list(bare_metal.networks.values()).index(key) == NETWORK_PHASES.index(phase):
        _check_subnets(context, network, phase)


def _check_subnets(context: Context, network: Network, phase: str) -> None:
    """Each node needs an address, from a subnet that nobody else gives addresses of."""
    shown = f"{network.project}/{network.name}"
    for subnet in network.subnets.values():
        if subnet.enable_dhcp:
            message = f"DHCP for all, in the {phase} network: nodes get their addresses from the boot server"
            context.note(context.at_subnet(network, subnet, "enable_dhcp"), message, "set enable_dhcp: false")
    wanted = boot_subnet(network)
    if wanted is None:
        remedy = "add one, like v4: {cidr: 10.66.100.0/24, enable_dhcp: false}"
        context.note(context.at_network(network, "subnets"), f"{shown} has no IPv4 subnet for nodes", remedy)
        return
    room, needed = _room(wanted), len(context.topology.nodes) + 1
    if room < needed:
        context.note(
            context.at_subnet(network, wanted, "cidr"),
            f"room for {room} addresses, and nodes and boot server need {needed}",
            "use a larger subnet, or larger allocation_pools",
        )


def _room(subnet: Subnet) -> int:
    """Return how many addresses a subnet can give."""
    first, last = int(subnet.cidr.network_address), int(subnet.cidr.broadcast_address)
    ranges = [(first + 1, last - 1) if subnet.cidr.prefixlen < 31 else (first, last)]
    if subnet.allocation_pools:
        ranges = [(int(start), int(end)) for start, end in subnet.allocation_pools]
    gateway = int(subnet.gateway_ip) if subnet.gateway_ip is not None else -1
    return sum(end - start + 1 - (start <= gateway <= end) for start, end in ranges)


def _check_idle_vlan(context: Context, bare_metal: BareMetal) -> None:
    if bare_metal.idle_vlan is None:
        return
    topology = context.topology
    switches = {nic.switch for node in topology.nodes.values() for nic in node.nics.values()}
    carried = {
        name for key in switches if key in topology.switches for name in topology.switches[key].physical_networks
    }
    for network in topology.networks():
        if (
            network.type == "vlan"
            and network.segmentation_id == bare_metal.idle_vlan
            and network.physical_network in carried
        ):
            message = (
                f"{bare_metal.idle_vlan} is the VLAN of network {network.project}/{network.name} "
                f"({place(network.where)}), and nobody's nodes would be in it"
            )
            context.note(context.at_bare_metal("idle_vlan"), message, "use a VLAN of its own")
    for name in sorted(switches):
        switch = topology.switches.get(name)
        if switch is not None and context.sound("switches", name) and not switch.allows(bare_metal.idle_vlan):
            message = f"VLAN {bare_metal.idle_vlan} is not among allowed_vlans of {name}"
            context.note(context.at_bare_metal("idle_vlan"), message, "use one that is, or add it there")
