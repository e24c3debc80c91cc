# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What boot servers are asked for: from arguments to files, every word checked. Pure."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import dhcp_files, iproute
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

#: script of iPXE -> its file in the directory of the server
SCRIPTS = {name: name + ".ipxe" for name in ("boot", "ramdisk", "local", "iscsi")}

DHCP_CONFIG, HTTP_CONFIG, HOSTS = "dnsmasq.conf", "nginx.conf", "hosts"
#: all files that a server is made of
FILES = (DHCP_CONFIG, HOSTS, HTTP_CONFIG, *SCRIPTS.values())

#: arguments that are neither text nor nodes
PLAIN = ("namespace", "interface", "address", "cidr", "http_port", "ra_prefix", "lease_time")


class Node(t.NamedTuple):
    """A node that may boot here."""

    name: str
    address: str
    mac_addresses: t.Tuple[str, ...]

    def line(self) -> str:
        """Return the line for dnsmasq. The NICs of a node boot one at a time, so they share an address."""
        return ",".join(self.mac_addresses + (self.address,))


class Server(t.NamedTuple):
    """A desired boot server."""

    name: str
    present: bool
    namespace: str
    interface: str
    address: str
    port: int
    ra_prefix: t.Optional[str]
    nodes: t.Tuple[Node, ...]
    files: t.Dict[str, str]
    facts: t.Dict[str, t.Any]  # what the info module and boot_files must know

    @property
    def listen(self) -> str:
        return "%s:%d" % (self.address, self.port)

    def owners(self) -> t.Dict[str, str]:
        """Return whose each address is: what a lease must agree with."""
        return {node.address: " ".join(node.mac_addresses) for node in self.nodes}


def url(address: str, port: int) -> str:
    """Return where a boot server serves."""
    return "http://" + address if port == 80 else "http://%s:%d" % (address, port)


def parse(params: t.Mapping[str, t.Any]) -> t.Dict[str, Server]:
    """Return the desired servers by name."""
    found: t.Dict[str, Server] = {}
    for item in params.get("servers") or []:
        name = server_name(item.get("name"))
        if name in found:
            raise FabricError("boot server %s is listed twice" % name)
        found[name] = _server(name, item)
    return found


def server_name(value: t.Any) -> str:
    """Return the name of a boot server, or refuse it."""
    if not isinstance(value, str) or not dhcp_files.NAME.match(value):
        raise FabricError("boot server %r: the name may hold A-Z a-z 0-9 _ . - only" % (value,))
    return value


def node_name(value: t.Any, where: str) -> str:
    """Return the name of a node, or refuse it: it becomes a file's name, and a word of a script."""
    if not isinstance(value, str) or not dhcp_files.NAME.match(value):
        raise FabricError("%s: the name of node %r may hold A-Z a-z 0-9 _ . - only" % (where, value))
    return value


def _server(name: str, item: t.Mapping[str, t.Any]) -> Server:
    where = "boot server %s" % name
    namespace = "qboot-" + name
    if item.get("state") == "absent":
        return Server(name, False, namespace, "", "", 0, None, (), {}, {})
    if item.get("namespace") not in (None, namespace):
        # The units are templates, and know a server by its name only.
        raise FabricError("%s: its namespace must be %s, not %s" % (where, namespace, item.get("namespace")))
    address = ipv4(item.get("address"), where)
    cidr = iproute.network(item.get("cidr"), where)
    prefix = item.get("ra_prefix") or None
    nodes = tuple(_node(node, where) for node in item.get("nodes") or ())
    _check(address, cidr, nodes, where)
    port = iproute.number(item.get("http_port") or 80, where + ", http_port", 1, 65535)
    files = {
        DHCP_CONFIG: _text(item, "dhcp_config", where),
        HTTP_CONFIG: _text(item, "http_config", where),
        HOSTS: "".join(node.line() + "\n" for node in nodes),
    }
    scripts = item.get("scripts") or {}
    for script, file in SCRIPTS.items():
        files[file] = _text(scripts, script, where + ", scripts")
    interface = iproute.interface(item.get("interface"), where + ", interface")
    facts = {
        "interface": interface,
        "address": address,
        "cidr": str(cidr),
        "http_port": port,
        "ra_prefix": str(iproute.network(prefix, where)) if prefix else None,
        "lease_time": iproute.number(item.get("lease_time") or 3600, where + ", lease_time", 120, 0xFFFFFFFF),
        "nodes": [dict(node._asdict(), mac_addresses=list(node.mac_addresses)) for node in nodes],
    }
    return Server(name, True, namespace, interface, address, port, facts["ra_prefix"], nodes, files, facts)


def _node(item: t.Mapping[str, t.Any], where: str) -> Node:
    name = node_name(item.get("name"), where)
    where += ", node %s" % name
    macs = mac_addresses(item.get("mac_addresses"), where)
    return Node(name, ipv4(item.get("address"), where), macs)


def mac_addresses(values: t.Any, where: str) -> t.Tuple[str, ...]:
    """Return the MAC addresses of a node."""
    found = tuple(iproute.mac(value, where) for value in values or ())
    if not found or len(set(found)) < len(found):
        raise FabricError("%s: it needs MAC addresses, each listed once: %s" % (where, ", ".join(found) or "none"))
    return found


def ipv4(value: t.Any, where: str) -> str:
    """Return an IPv4 address: firmware boots by nothing else here."""
    found = str(iproute.address(value, where))
    if ":" in found:
        raise FabricError("%s: %s is not an IPv4 address, and nodes boot by IPv4 only" % (where, found))
    return found


def _check(address: str, cidr: t.Any, nodes: t.Sequence[Node], where: str) -> None:
    """Refuse what two nodes would share, and an address that dnsmasq would never give."""
    owners: t.Dict[str, str] = {address: "the server itself"}
    for node in nodes:
        if ipaddress.ip_address(node.address) not in cidr:
            raise FabricError("%s: address %s of node %s is not in %s" % (where, node.address, node.name, cidr))
        for key in (node.name, node.address, *node.mac_addresses):
            if key in owners:
                raise FabricError("%s: %s is both %s and %s" % (where, key, owners[key], node.name))
            owners[key] = node.name


def _text(item: t.Mapping[str, t.Any], key: str, where: str) -> str:
    value = item.get(key)
    if not isinstance(value, str) or "\0" in value or not value.strip():
        raise FabricError("%s: %s is missing" % (where, key))
    return value if value.endswith("\n") else value + "\n"
