# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about switches that a schema can't say."""

from __future__ import annotations

import typing as t
from functools import partial

from ansible_collections.weft.fabric.plugins.module_utils.switch_names import is_aggregate, key

from .check_hosts import GROUP_NAMES
from .context import Claims, Context, place
from .distributed_gateways import DistributedGateway, distributed_gateways
from .model import Where
from .model_switches import NetworkKey, Switch, SwitchPort

# Tells where something stands; asked only when there is something to tell, as the search takes long.
Place = t.Callable[[], Where]


def check_switches(context: Context) -> None:
    """Check all switches."""
    addresses = Claims(context, "the address", "give each switch an address or port of its own")
    gateways = distributed_gateways(context.topology) if context.topology.switches else {}
    for switch in context.topology.switches.values():
        _check_name(context, switch)
        if not context.sound("switches", switch.name):
            continue
        shown = f"{switch.address} port {switch.port}"
        addresses.claim(shown, shown, f"switch {switch.name}", context.at_switch, switch, "address")
        _check_login(context, switch)
        _check_physical_networks(context, switch)
        _Names(context, switch).check()
        for port in switch.ports.values():
            if context.sound("switches", switch.name, port.name):
                _Port(context, switch, port, gateways).check()


def _check_name(context: Context, switch: Switch) -> None:
    host = context.topology.hosts.get(switch.name)
    if host is not None:
        message = f"{switch.name!r} is the name of a host as well ({place(host.where)})"
        context.note(switch.where, message, "choose another name: both are hosts of the inventory")
    elif switch.name in GROUP_NAMES:
        context.note(switch.where, f"{switch.name!r} is the name of an inventory group", "choose another name")


def _check_login(context: Context, switch: Switch) -> None:
    if switch.credentials.password is None and switch.credentials.ssh_key_file is None:
        message = "neither password nor ssh_key_file, so nobody can log in"
        remedy = 'add password: "{{ VARIABLE }}", or ssh_key_file: PATH'
        context.note(context.at_switch(switch, "credentials"), message, remedy)
    if switch.host_key is not None and switch.known_hosts is not None:
        message = "host_key and known_hosts both say which key is right"
        context.note(context.at_switch(switch, "known_hosts"), message, "remove one of them")
    if not switch.allowed_vlans:
        where = context.at_switch(switch, "allowed_vlans")
        context.note(where, "no VLAN is allowed, so nothing can be set", "name VLANs, like [100-199, 300]")


def _check_physical_networks(context: Context, switch: Switch) -> None:
    known = context.topology.physical_networks
    for index, name in enumerate(switch.physical_networks):
        if name not in known:
            where = context.at_switch(switch, "physical_networks", index)
            remedy = context.suggestion(name, known, "add it to physical_networks at the top")
            context.note(where, f"there is no physical network {name!r}", remedy)
    if len(switch.physical_networks) < 2:
        return
    # A switch has one VLAN of each number, whichever physical network it is of.
    holders: dict[int, str] = {}
    for network in context.topology.networks():
        if network.type == "vlan" and network.physical_network in switch.physical_networks and network.segmentation_id:
            other = holders.setdefault(network.segmentation_id, network.physical_network)
            if other != network.physical_network:
                context.note(
                    context.at_switch(switch, "physical_networks"),
                    f"VLAN {network.segmentation_id} is of a network on {other} and of another on "
                    f"{network.physical_network}, and would be one VLAN here",
                    "give one of the networks another segmentation_id, or let the switch carry one of the two",
                )


class _Names:
    """Each port of a switch is one thing only: an uplink, a member of an aggregate, or a port with VLANs."""

    def __init__(self, context: Context, switch: Switch) -> None:
        self._context = context
        self._switch = switch
        self._taken: dict[str, tuple[str, Place]] = {}
        self._allowed = None if switch.allowed_ports is None else {self._key(name) for name in switch.allowed_ports}

    def check(self) -> None:
        switch, context = self._switch, self._context
        for index, name in enumerate(switch.uplinks):
            self._take(name, "an uplink", partial(context.at_switch, switch, "uplinks", index))
        for port in switch.ports.values():
            self._take(port.interface, "a port with VLANs", partial(context.at_switch_port, port))
        for port in switch.ports.values():
            if port.aggregate is not None:
                for index, name in enumerate(port.aggregate.members):
                    at = partial(context.at_switch_port, port, "members", index)
                    self._take(name, f"a member of {port.interface}", at)
                    self._check_allowed(name, at)
            self._check_allowed(port.interface, partial(context.at_switch_port, port))
        for index, name in enumerate(switch.allowed_ports or ()):
            taken = self._taken.get(self._key(name))
            if taken is not None and taken[0] == "an uplink":
                message = f"{name} is an uplink ({place(taken[1]())}), which is never touched"
                where = context.at_switch(switch, "allowed_ports", index)
                context.note(where, message, "remove it from allowed_ports or from uplinks")

    def _key(self, name: str) -> str:
        return key(self._switch.driver, name)

    def _take(self, name: str, role: str, at: Place) -> None:
        first, first_at = self._taken.setdefault(self._key(name), (role, at))
        if first_at is not at:
            remedy = "remove it here, or from uplinks" if first == "an uplink" else "remove one of them"
            self._context.note(at(), f"{name} is {first} already ({place(first_at())})", remedy)

    def _check_allowed(self, name: str, at: Place) -> None:
        if self._allowed is not None and self._key(name) not in self._allowed:
            self._context.note(at(), f"{name} is not among allowed_ports of {self._switch.name}", "add it there")


class _Port:
    """Checks what one port says."""

    def __init__(
        self, context: Context, switch: Switch, port: SwitchPort, gateways: dict[NetworkKey, DistributedGateway]
    ) -> None:
        self._context = context
        self._switch = switch
        self._port = port
        self._gateways = gateways

    def check(self) -> None:
        self._check_aggregate()
        if self._port.host is not None:
            self._check_host(self._port.host)
        else:
            self._check_mode()
        self._check_vlans()
        self._check_expected()

    def _note(self, message: str, remedy: str, *parts: str | int) -> None:
        self._context.note(self._context.at_switch_port(self._port, *parts), message, remedy)

    def _refuse(self, names: t.Iterable[str], why: str) -> None:
        for name in names:
            if name in self._port.given:
                self._note(f"{name} means nothing {why}", "remove it", name)

    def _check_aggregate(self) -> None:
        port, driver = self._port, self._switch.driver
        named_so = is_aggregate(driver, port.interface)
        if port.aggregate is None:
            self._refuse(("lacp", "min_links"), "without members")
            if named_so and (port.host is not None or port.mode is not None):
                self._note("an aggregate without members", "add members: [PORT, PORT]")
            return
        if not port.aggregate.members:
            self._note("an aggregate without members", "name its ports, or remove members", "members")
            return
        if not named_so and driver != "openconfig":
            message = f"{port.interface} is not the name of an aggregate, and has members"
            self._note(message, "name it as the switch names its aggregates, or remove members", "members")
        for index, member in enumerate(port.aggregate.members):
            if is_aggregate(driver, member):
                self._note(f"{member} is an aggregate itself", "name physical ports", "members", index)
        wanted, there = port.aggregate.min_links, len(port.aggregate.members)
        if wanted is not None and wanted > there:
            self._note(f"min_links is {wanted}, and members: {there}", f"use at most {there}", "min_links")

    def _check_host(self, name: str) -> None:
        port, switch, context = self._port, self._switch, self._context
        self._refuse(("mode", "network", "vlan"), "with host: the port is a trunk with what the host needs")
        host = context.topology.hosts.get(name)
        if host is None:
            remedy = context.suggestion(name, context.topology.hosts, "add the host")
            self._note(f"there is no host {name!r}", remedy, "host")
        if port.physical_network is None:
            remedy = "add physical_network: " + (switch.physical_networks[0] if switch.physical_networks else "NAME")
            self._note(f"which physical network leads to host {name} is not said", remedy)
            return
        if port.physical_network not in context.topology.physical_networks:
            known = context.topology.physical_networks
            remedy = context.suggestion(port.physical_network, known, "add it to physical_networks at the top")
            self._note(f"there is no physical network {port.physical_network!r}", remedy, "physical_network")
            return
        if port.physical_network not in switch.physical_networks:
            message = f"switch {switch.name} does not carry physical network {port.physical_network}"
            self._note(message, f"add it to the physical_networks of {switch.name}", "physical_network")
        elif host is not None and port.physical_network not in host.physical_networks:
            message = f"host {name} does not reach physical network {port.physical_network}"
            self._note(message, f"add it to the physical_networks of {name}, or correct the port", "host")

    def _check_mode(self) -> None:
        port = self._port
        self._refuse(("physical_network",), "without host")
        if {"network", "vlan"} <= port.given:
            self._note("network and vlan both say which VLAN", "remove one of them", "vlan")
        if port.mode == "access":
            self._refuse(("native", "allowed"), "for an access port")
            if port.vlan is None:
                self._note("an access port without a VLAN", "add network: PROJECT/NAME, or vlan: NUMBER")
        elif port.mode == "trunk":
            self._refuse(("network", "vlan"), "for a trunk")
            if port.native is None and not port.allowed:
                self._note("a trunk without VLANs", "add native, allowed or both")
        elif port.enabled:
            remedy = "add host, network, vlan, native or allowed; or enabled: false, which shuts it"
            self._note("nothing says what the port is for", remedy)
        else:
            self._refuse(("edge", "members", "description"), "for a port that is shut and empty")

    def _check_vlans(self) -> None:
        port = self._port
        if isinstance(port.vlan, tuple):
            self._check_network(port.vlan, "network")
            self._check_gateway(port.vlan, "network")
        elif port.vlan is not None:
            self._check_allowed(port.vlan, port.vlan, "vlan")
        if isinstance(port.native, tuple):
            self._check_network(port.native, "native")
        elif port.native is not None:
            self._check_allowed(port.native, port.native, "native")
        for index, item in enumerate(port.allowed):
            if item == port.native or item == (port.native, port.native):
                self._note("the native VLAN stands among those with a tag", "remove it there", "allowed", index)
            elif isinstance(item[0], str):
                self._check_network((item[0], str(item[1])), "allowed", index)
            else:
                self._check_allowed(item[0], int(item[1]), "allowed", index)

    def _check_network(self, found: NetworkKey, *parts: str | int) -> None:
        context = self._context
        network = context.network(found, "", context.at_switch_port, self._port, *parts)
        if network is None or not context.sound("networks", *found):
            return
        shown = "/".join(found)
        if network.type != "vlan":
            self._note(f"{shown} is a {network.type} network, which has no VLAN", "name a vlan network", *parts)
        elif network.physical_network not in self._switch.physical_networks:
            message = f"{shown} is on {network.physical_network}, which switch {self._switch.name} does not carry"
            remedy = f"add {network.physical_network} to the physical_networks of {self._switch.name}"
            self._note(message, remedy, *parts)

    def _check_gateway(self, found: NetworkKey, *parts: str | int) -> None:
        """Who is plugged in at an access port has the network's gateway for its own."""
        gateway = self._gateways.get(found)
        if gateway is not None and gateway.missing is not None:
            why, remedy = gateway.missing
            self._note(f"{gateway} is the gateway of {'/'.join(found)}, and {why}", remedy, *parts)

    def _check_allowed(self, first: int, last: int, *parts: str | int) -> None:
        missing = next((vlan for vlan in range(first, last + 1) if not self._switch.allows(vlan)), None)
        if missing is not None:
            message = f"VLAN {missing} is not among allowed_vlans of {self._switch.name}"
            self._note(message, "use one that is, or add it there", *parts)

    def _check_expected(self) -> None:
        expected = self._port.expected_current
        if expected is None:
            return
        trunk = expected.native is not None or bool(expected.allowed)
        fits = not trunk and expected.vlan is not None if expected.mode == "access" else expected.vlan is None
        if not fits:
            what = "access has a vlan and nothing else" if expected.mode == "access" else "trunk has native and allowed"
            self._note(f"it does not fit its mode: {what}", "write what the switch shows", "expected_current")
