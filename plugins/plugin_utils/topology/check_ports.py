# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about ports that a schema can't say."""

from __future__ import annotations

import typing as t

from .check_fixed_ips import check_fixed_ips
from .context import Claims, Context
from .model import PROVIDER_TYPES, Host, Network, Port, Project


def check_ports(context: Context) -> None:
    """Check all ports."""
    checker = _Ports(context)
    for project in context.topology.projects.values():
        for port in project.ports.values():
            checker.check(project, port)


class _Ports:
    """Checks port by port, and keeps what each may have only once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._devices = Claims(context, "the interface", "give one of them another interface name")
        self._ids = Claims(context, "the interface id", "give each port an iface_id of its own")

    def check(self, project: Project, port: Port) -> None:
        context = self._context
        network = project.networks.get(port.network)
        if network is None:
            elsewhere = sum(1 for other in context.topology.projects.values() if port.network in other.networks)
            message = f"project {project.name} has no network {port.network!r}"
            otherwise = "add it, or move the port to the network's project" if elsewhere else "add the network"
            remedy = context.suggestion(port.network, project.networks, otherwise)
            context.note(context.at_port(port, "network"), message, remedy)
        if port.host is not None:
            host = context.topology.hosts.get(port.host)
            if host is None:
                remedy = context.suggestion(port.host, context.topology.hosts, "add the host")
                context.note(context.at_port(port, "host"), f"there is no host {port.host!r}", remedy)
            elif context.sound("hosts", host.name):
                self._check_host(port, host, network)
        if not context.sound("ports", port.project, port.name):
            return
        self._check_binding(port)
        if port.mac_pinned:
            self._claim(context.macs, port.mac_address, port.mac_address, port, "mac_address")
        if network is not None and context.sound("networks", network.project, network.name):
            if port.fixed_ips:
                holder = f"port {port.project}/{port.name}"
                check_fixed_ips(context, network, port.fixed_ips, holder, context.at_port, port)
            name = port.dns_name.lower()
            self._claim(context.dns_names, (network.key, name), f"{name} in network {network.name}", port, "dns_name")

    def _claim(self, claims: Claims, thing: t.Hashable, shown: str, port: Port, *parts: str | int) -> None:
        claims.claim(thing, shown, f"port {port.project}/{port.name}", self._context.at_port, port, *parts)

    def _check_host(self, port: Port, host: Host, network: Network | None) -> None:
        context = self._context
        where = "host"
        if not host.roles:
            message = f"host {host.name} has no role, so nothing sets it up for ports"
            context.note(context.at_port(port, where), message, f"give {host.name} the role compute_node")
        if network is None or not context.sound("networks", network.project, network.name):
            return
        if network.type in PROVIDER_TYPES:
            name = network.physical_network
            if name in context.topology.physical_networks and name not in host.physical_networks:
                message = f"host {host.name} does not reach physical network {name} of network {network.name}"
                remedy = f"add {name} to the physical_networks of {host.name}, or move the port"
                context.note(context.at_port(port, where), message, remedy)
        elif host.underlay is None:
            message = f"host {host.name} has no underlay, which the {network.type} network {network.name} needs"
            remedy = f"give {host.name} an underlay address, or move the port"
            context.note(context.at_port(port, where), message, remedy)

    def _check_binding(self, port: Port) -> None:
        binding, context = port.binding, self._context
        where = ("binding",)
        if binding.kind == "veth" and binding.namespace is None:
            remedy = "add namespace: NAME, or use kind tap or internal"
            context.note(context.at_port(port, *where), "a veth without a namespace for its far end", remedy)
        misplaced = {
            "namespace": binding.kind == "veth",
            "owner": binding.kind == "tap",
            "iface_id": binding.kind == "iface_id",
            "interface": binding.kind != "iface_id",
        }
        for name, fits in misplaced.items():
            if getattr(binding, name) is not None and not fits:
                message = f"{name} means nothing for a binding of kind {binding.kind}"
                context.note(context.at_port(port, "binding", name), message, "remove it, or use another kind")
        if port.host is None:
            return
        if binding.interface is not None or binding.kind == "veth":
            device = binding.interface or "eth0"
            at = f"in namespace {binding.namespace} on {port.host}" if binding.namespace else f"on {port.host}"
            key = (port.host, binding.namespace, device)
            self._claim(self._devices, key, f"{device} {at}", port, "binding", "interface")
        if binding.iface_id is not None:
            self._claim(self._ids, (port.host, binding.iface_id), binding.iface_id, port, "binding", "iface_id")
