# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about nodes that a schema can't say."""

from __future__ import annotations

from functools import partial

from ansible_collections.weft.fabric.plugins.module_utils.switch_names import is_aggregate, key

from .check_hosts import GROUP_NAMES
from .context import Claims, Context, place
from .model import Where
from .model_bare_metal import NETWORK_PHASES, Nic, Node
from .model_switches import Switch

# What means something for one protocol only.
_PROTOCOL_WORDS = {
    "ipmi": ("kg", "privilege"),
    "redfish": ("system", "validate_certs", "certificate_fingerprint"),
}


def check_nodes(context: Context) -> None:
    """Check all nodes."""
    checker = _Nodes(context)
    for node in context.topology.nodes.values():
        checker.check(node)


class _Nodes:
    """Checks node by node, and keeps what each may have only once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ports = Claims(context, "the switch port", "plug each interface into a port of its own")
        self._bmcs = Claims(context, "the BMC", "give each node a BMC of its own, or say which system of it is meant")
        self._taken: dict[str, dict[str, str]] = {}  # of each switch, what its ports are

    def check(self, node: Node) -> None:
        self._check_name(node)
        if not self._context.sound("nodes", node.name):
            return
        self._check_bmc(node)
        self._check_pxe(node)
        self._check_bonds(node)
        for nic in node.nics.values():
            holder = f"node {node.name}, {nic.name}"
            at = partial(self._context.at_node, node, "nics", nic.name)
            self._context.macs.claim(nic.mac_address, nic.mac_address, holder, at, "mac_address")
            self._check_nic(node, nic, holder)

    def _note(self, node: Node, message: str, remedy: str, *parts: str | int) -> None:
        self._context.note(self._context.at_node(node, *parts), message, remedy)

    def _check_name(self, node: Node) -> None:
        topology = self._context.topology
        for what, known in (("host", topology.hosts), ("switch", topology.switches)):
            other = known.get(node.name)
            if other is not None:
                message = f"{node.name!r} is the name of a {what} as well ({place(other.where)})"
                self._context.note(node.where, message, "choose another name: both are hosts of the inventory")
        if node.name in GROUP_NAMES:
            message = f"{node.name!r} is the name of an inventory group"
            self._context.note(node.where, message, "choose another name")

    def _check_bmc(self, node: Node) -> None:
        bmc = node.bmc
        protocol = bmc["protocol"]
        for other, words in _PROTOCOL_WORDS.items():
            for word in words:
                if other != protocol and word in bmc:
                    self._note(node, f"{word} means nothing for {protocol}", "remove it", "bmc", word)
        reached = (bmc["address"], bmc.get("port"), bmc.get("system"))
        shown = str(bmc["address"]) + (f" port {bmc['port']}" if "port" in bmc else "")
        self._bmcs.claim(reached, shown, f"node {node.name}", self._context.at_node, node, "bmc", "address")

    def _check_pxe(self, node: Node) -> None:
        if not node.nics:
            remedy = "add one: {nic0: {mac_address: MAC, switch: SWITCH, port: PORT}}"
            self._note(node, "a node without network interfaces", remedy, "nics")
        elif not node.pxe_nics:
            message = "none of its interfaces is one that it boots from"
            self._note(node, message, "add pxe: true to one of them", "nics")

    def _check_bonds(self, node: Node) -> None:
        bonds: dict[str, list[Nic]] = {}
        for nic in node.nics.values():
            if nic.bond is not None:
                bonds.setdefault(nic.bond, []).append(nic)
        for name, members in bonds.items():
            here = ("nics", members[0].name, "bond")
            if name in node.nics:
                message = f"{name!r} is the name of one of its interfaces ({place(self._at_nic(node, name))})"
                self._note(node, message, "choose another name for the bond", *here)
            if len(members) == 1:
                remedy = f"add bond: {name} to another interface, or remove it"
                self._note(node, f"{members[0].name} is alone in bond {name}", remedy, *here)
            self._check_members(node, members)

    def _at_nic(self, node: Node, name: str) -> Where:
        return self._context.at_node(node, "nics", name)

    def _check_members(self, node: Node, members: list[Nic]) -> None:
        """Whichever member is the active one: the bond's network must be there."""
        first = self._switch(members[0])
        for nic in members[1:]:
            switch = self._switch(nic)
            if first is None or switch is None or set(first.physical_networks) == set(switch.physical_networks):
                continue
            told = " and ".join(f"{one.name} ({', '.join(one.physical_networks) or 'none'})" for one in (first, switch))
            message = f"bond {nic.bond} is plugged into {told}, which do not carry the same physical networks"
            remedy = "add what is missing to their physical_networks, or plug its members into others"
            self._note(node, message, remedy, "nics", nic.name, "switch")

    def _switch(self, nic: Nic) -> Switch | None:
        """Return the switch of an interface, unless something is wrong with it, which is told elsewhere."""
        return self._context.topology.switches.get(nic.switch) if self._context.sound("switches", nic.switch) else None

    def _check_nic(self, node: Node, nic: Nic, holder: str) -> None:
        context = self._context
        switch = context.topology.switches.get(nic.switch)
        here = ("nics", nic.name)
        if switch is None:
            # A switch that can't be read is there all the same.
            if context.sound("switches", nic.switch):
                remedy = context.suggestion(nic.switch, context.topology.switches, "add the switch")
                self._note(node, f"there is no switch {nic.switch!r}", remedy, *here, "switch")
            return
        if not context.sound("switches", switch.name):
            return
        at = partial(context.at_node, node, *here, "port")
        self._ports.claim(
            (switch.name, key(switch.driver, nic.interface)), f"{switch.name} {nic.interface}", holder, at
        )
        self._check_port(node, nic, switch)
        self._check_networks(node, nic, switch)

    def _check_port(self, node: Node, nic: Nic, switch: Switch) -> None:
        here = ("nics", nic.name, "port")
        name = key(switch.driver, nic.interface)
        role = self._roles(switch).get(name)
        if role is not None:
            message = f"{nic.interface} of {switch.name} is {role}"
            self._note(node, message, "name another port, or remove it there", *here)
        if is_aggregate(switch.driver, nic.interface):
            message = f"{nic.interface} is an aggregate, and a node boots from a single link"
            self._note(node, message, "name a physical port", *here)
        allowed = switch.allowed_ports
        if allowed is not None and name not in {key(switch.driver, port) for port in allowed}:
            message = f"{nic.interface} is not among allowed_ports of {switch.name}"
            self._note(node, message, "add it there", *here)

    def _roles(self, switch: Switch) -> dict[str, str]:
        """Return what the ports of a switch are already."""
        found = self._taken.get(switch.name)
        if found is None:
            found = self._taken[switch.name] = {}
            for port in switch.ports.values():
                told = f"({place(port.where)})"
                found[key(switch.driver, port.interface)] = f"set below its ports already {told}"
                for member in port.aggregate.members if port.aggregate is not None else ():
                    found[key(switch.driver, member)] = f"a member of {port.interface} {told}"
            for uplink in switch.uplinks:
                found[key(switch.driver, uplink)] = "an uplink, which is never touched"
        return found

    def _check_networks(self, node: Node, nic: Nic, switch: Switch) -> None:
        """An interface that a node boots from is in the networks of all phases."""
        bare_metal = self._context.topology.bare_metal
        if bare_metal is None or not nic.pxe:
            return
        told: set[str] = set()
        for phase in NETWORK_PHASES:
            owner, name = bare_metal.networks[phase]
            project = self._context.topology.projects.get(owner)
            network = project.networks.get(name) if project is not None else None
            physical = network.physical_network if network is not None else None
            if network is None or physical is None or physical in switch.physical_networks or physical in told:
                continue
            told.add(physical)
            message = f"switch {switch.name} does not carry {physical}, where the {phase} network {owner}/{name} is"
            remedy = f"add {physical} to the physical_networks of {switch.name}, or set pxe: false"
            self._note(node, message, remedy, "nics", nic.name, "switch")
