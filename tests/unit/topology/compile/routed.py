# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with a router and everything around it, on a real kernel, with what the compiler says.

Namespaces, links, routes and tables are made by the engines that make them on a host. A plain bridge stands for each
network, the tenants' machines are the namespaces of their ports, and one more stands for the world outside.
"""

from __future__ import annotations

import secrets
import socket
import typing as t
from ipaddress import ip_address

from ansible_collections.weft.fabric.plugins.module_utils import command, netns
from ansible_collections.weft.fabric.plugins.module_utils.namespaces import NamespacesEngine
from ansible_collections.weft.fabric.plugins.module_utils.nftables import NftablesEngine
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Engine, reconcile
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import view_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Network, Topology
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip

WORLD = "world"
PORT = 4000
SECONDS = 5  # for a packet that shall come

ENGINES: dict[str, type[Engine]] = {"namespaces": NamespacesEngine, "nftables": NftablesEngine}


def apply(topology: Topology, host: str) -> dict[str, list[str]]:
    """Make a host so, and return what was changed."""
    return {
        concern: reconcile(engine({**compile_host(topology, host, concern)[concern], "purge": True}))["changes"]
        for concern, engine in ENGINES.items()
    }


def wire(topology: Topology, host: str) -> None:
    """Join the ports of each network by a bridge, and give the tenants their addresses."""
    for network in view_host(topology, host).networks:
        bridge = f"net{network.vlan}"
        ip(f"link add {bridge} type bridge", f"link set {bridge} up")
        ip(*(f"link set {local.device} master {bridge}" for local in network.local))
        for local in network.local:
            namespace = local.port.binding.namespace
            if namespace is not None and not local.own:
                addresses = [str(address) for address in local.port.addresses]
                set_up(namespace, local.interface, network.network, addresses)


def set_up(namespace: str, device: str, network: Network, addresses: t.Iterable[str]) -> None:
    """Do what DHCP and router advertisements do for a machine."""
    for address in addresses:
        subnet = next(subnet for subnet in network.subnets.values() if ip_address(address) in subnet.cidr)
        nodad = " nodad" if subnet.ip_version == 6 else ""
        ip(f"addr add {address}/{subnet.cidr.prefixlen} dev {device}{nodad}", namespace=namespace)
        if subnet.gateway_ip is not None and str(subnet.gateway_ip) != address:
            default = "default" if subnet.ip_version == 4 else "::/0"
            ip(f"route add {default} via {subnet.gateway_ip} dev {device}", namespace=namespace)


def add_world(network: Network, vlan: int) -> None:
    """Add the world outside: it has the gateway's addresses of an external network."""
    ip(
        f"netns add {WORLD}",
        f"link add dev eth0 mtu {network.mtu} netns {WORLD} type veth peer name world mtu {network.mtu}",
        f"link set world master net{vlan} up",
    )
    ip("link set lo up", "link set eth0 up", namespace=WORLD)
    set_up(WORLD, "eth0", network, [str(subnet.gateway_ip) for subnet in network.subnets.values()])


def udp(namespace: str, port: int = 0, family: int = socket.AF_INET) -> socket.socket:
    """Return a socket of a machine."""
    with netns.entered(namespace):
        found = socket.socket(family, socket.SOCK_DGRAM)
        found.bind(("", port))
    found.settimeout(SECONDS)
    return found


def source_seen(sender: str, to: str, receiver: str, port: int = PORT, at: int | None = None) -> str:
    """Send a datagram, answer it, and return from where the receiver saw it come.

    The answer must come back from where the sender has sent to.
    """
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with udp(receiver, at or port, family) as there, udp(sender, 0, family) as here:
        source, answered = asked(here, (to, port), there)
        assert answered[:2] == (to, port)
    return str(source[0])


def asked(here: socket.socket, to: tuple[str, int], there: socket.socket) -> tuple[t.Any, t.Any]:
    """Send a datagram, answer it, and return from where each of both was seen to come.

    Nothing else counts: what was asked before, from the same port or another, may still be on its way.
    """
    question = secrets.token_bytes(16)
    here.sendto(question, to)
    source = _received(there, question)
    there.sendto(question, source)
    return source, _received(here, question)


def _received(here: socket.socket, expected: bytes) -> t.Any:
    """Wait for a datagram, and return its sender."""
    while True:
        found, sender = here.recvfrom(100)
        if found == expected:
            return sender


def arrives(sender: str, to: str, receiver: str, witness: tuple[str, str]) -> bool:
    """Tell whether a datagram comes to a machine. witness is who reaches it for sure, and at which address."""
    with udp(receiver, PORT) as there, udp(sender) as here, udp(witness[0]) as other:
        here.sendto(b"question", (to, PORT))
        other.sendto(b"witness", (witness[1], PORT))
        return there.recv(100) == b"question"


def tcp(
    client: str, to: str, server: str, port: int = PORT, at: int | None = None
) -> tuple[socket.socket, socket.socket]:
    """Return both ends of a connection."""
    with netns.entered(server):
        listener = socket.create_server(("", at or port))
    with listener:
        with netns.entered(client):
            near = socket.create_connection((to, port), SECONDS)
        far, _source = listener.accept()
    for end in (near, far):
        end.settimeout(SECONDS)
    return near, far


def forget_connections(namespace: str) -> None:
    """Lose what a router knows of connections, as one does that takes over unprepared."""
    done = command.run(["ip", "netns", "exec", namespace, "conntrack", "-F"])
    assert done.returncode == 0, done.stderr
