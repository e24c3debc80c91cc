# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lab consists of: read from YAML, checked, and turned into plain values."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from weft_lab.checking import duplicates, interface, listing, mapping, matching, one_of, whole
from weft_lab.node_definition import Node, parse_node
from weft_lab.system import LabError

RELEASES = ("bookworm", "trixie")
# Interface names end at 15 characters, and "<host>-<nic>" names the far end of a host's cable.
HOST_NAME = re.compile(r"[a-z][a-z0-9]{0,9}")
NIC_NAME = re.compile(r"[a-z]{1,3}[0-9]")
NETWORK_NAME = re.compile(r"[a-z][a-z0-9]{0,14}")
LAB_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")
PORT_NAME = re.compile(r"Ethernet[1-9][0-9]?")
PACKAGE_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
MAX_HOSTS = 60
KEYS = {"name", "management", "networks", "hosts", "switches", "packages", "nodes", "images"}
# What roles/lab can build, to be written to the disks of nodes.
IMAGES = ("tiny", "cloud")
# Of the cables between a switch and a host.
WIRE_MTU = 1500


@dataclass(frozen=True)
class Network:
    name: str
    nic: str
    mtu: int
    index: int
    subnets: tuple[str, ...] = ()
    controller: tuple[str, ...] = ()


@dataclass(frozen=True)
class Nic:
    name: str
    network: str
    mtu: int
    mac: str
    far_end: str
    far_mac: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Plug:
    """One port of a switch, and what it is wired to: a NIC of a host or of a node, or a network."""

    port: str
    host: str = ""
    nic: str = ""
    network: str = ""
    node: str = ""


@dataclass(frozen=True)
class Switch:
    """What a machine of the lab is beyond a host: a switch that is configured by NETCONF."""

    netconf_port: int
    plugs: tuple[Plug, ...]


@dataclass(frozen=True)
class Host:
    name: str
    release: str
    number: int
    nics: tuple[Nic, ...]
    switch: Switch | None = None

    def nic(self, name: str) -> Nic:
        for nic in self.nics:
            if nic.name == name:
                return nic
        raise LabError(f"host {self.name} has no NIC {name}; it has {', '.join(nic.name for nic in self.nics)}")


@dataclass(frozen=True)
class Lab:
    name: str
    management: str
    networks: tuple[Network, ...]
    hosts: tuple[Host, ...]
    packages: tuple[str, ...] = field(default=())
    nodes: tuple[Node, ...] = field(default=())
    images: tuple[str, ...] = field(default=())

    @property
    def switches(self) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.switch)

    @property
    def wires(self) -> tuple[str, ...]:
        """Bridges of two ports, each in place of a cable from a switch to a host or a node."""
        return tuple(self.wire(one, plug) for one in self.switches for plug in plugs_of(one) if not plug.network)

    def wire(self, switch: Host, plug: Plug) -> str:
        return f"{switch.name}-w{port_number(plug.port)}"

    def bridge_of(self, host: Host, nic: Nic) -> str:
        """The bridge that the far end of a NIC belongs in: a switch that is wired to it comes before its network."""
        for switch in self.switches:
            for plug in plugs_of(switch):
                if (plug.host, plug.nic) == (host.name, nic.name):
                    return self.wire(switch, plug)
                if switch is host and plug.port == nic.name:
                    return plug.network or self.wire(switch, plug)
        return nic.network

    @property
    def fabric(self) -> str:
        return f"{self.name}-fabric"

    @property
    def state(self) -> Path:
        return Path(f"/run/{self.name}-lab")

    @property
    def disks(self) -> Path:
        return Path(f"/var/lib/{self.name}-lab")

    def machine(self, host: Host) -> str:
        """The one name of a host's namespace, machine and cgroups on the machine that runs the lab."""
        return f"{self.name}-{host.name}"

    def host(self, name: str) -> Host:
        for host in self.hosts:
            if host.name == name:
                return host
        raise LabError(f"the lab has no host {name}; it has {', '.join(host.name for host in self.hosts)}")

    def node(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise LabError(f"the lab has no node {name}; it has {', '.join(node.name for node in self.nodes) or 'none'}")

    def tap_bridge(self, node: Node, tap: str) -> str:
        """The bridge in which a node's NIC ends: the cable to its switch, or a network."""
        nic = next(nic for nic in node.nics if nic.tap == tap)
        if nic.network:
            return nic.network
        switch = self.host(nic.switch)
        return self.wire(switch, next(plug for plug in plugs_of(switch) if plug.port == nic.port))

    def management_address(self, host: Host) -> str:
        for nic in host.nics:
            if nic.network == self.management:
                return nic.addresses[0].partition("/")[0]
        raise LabError(f"host {host.name} has no NIC in the management network {self.management}")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def load(path: Path) -> Lab:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LabError(f"cannot read the lab definition {path}: {error.strerror}") from error
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise LabError(f"{path} is not YAML: {error}") from error
    try:
        return parse(document)
    except LabError as error:
        raise LabError(f"{path}: {error}") from error


def parse(document: Any) -> Lab:
    top = mapping(document, "the definition", KEYS)
    name = matching(top.get("name", "weft"), LAB_NAME, "name")
    networks = tuple(
        parse_network(matching(key, NETWORK_NAME, "networks"), value, index)
        for index, (key, value) in enumerate(mapping(top.get("networks"), "networks").items())
    )
    management = top.get("management", networks[0].name if networks else "")
    chosen = [network for network in networks if network.name == management]
    if not chosen or not chosen[0].subnets or not chosen[0].controller:
        raise LabError("management must name a network that has subnets and a controller address")
    duplicates("NIC", [network.nic for network in networks])
    hosts = tuple(
        parse_host(matching(key, HOST_NAME, "hosts"), value, position, networks)
        for position, (key, value) in enumerate(mapping(top.get("hosts"), "hosts").items())
    )
    if not 1 <= len(hosts) <= MAX_HOSTS:
        raise LabError(f"hosts: {len(hosts)} hosts; a lab has 1 to {MAX_HOSTS}")
    nodes = parse_nodes(top.get("nodes"), networks, set(mapping(top.get("switches"), "switches")))
    switches = tuple(
        parse_switch(matching(key, HOST_NAME, "switches"), value, networks, chosen[0], nodes)
        for key, value in mapping(top.get("switches"), "switches").items()
    )
    hosts = (*(wired(host, switches, networks) for host in hosts), *switches)
    names = [host.name for host in hosts] + [node.name for node in nodes]
    duplicates("host name", names)
    duplicates("cable", [cable(plug) for one in switches for plug in plugs_of(one) if plug.host])
    if "fabric" in names:
        raise LabError("hosts.fabric: the name is taken by the lab's own network")
    duplicates("host number", [host.number for host in hosts])
    duplicates("port of 127.0.0.1", [one.switch.netconf_port for one in switches if one.switch] + bmc_ports(nodes))
    given = [address for network in networks for address in network.controller]
    given += [address for host in hosts for nic in host.nics for address in nic.addresses]
    duplicates("address", [str(ipaddress.ip_interface(address).ip) for address in given])
    packages = tuple(
        matching(package, PACKAGE_NAME, "packages") for package in listing(top.get("packages"), "packages")
    )
    images = tuple(one_of(image, IMAGES, "images") for image in listing(top.get("images"), "images"))
    return Lab(name, management, networks, hosts, packages, nodes, images)


def parse_nodes(document: Any, networks: tuple[Network, ...], switches: set[str]) -> tuple[Node, ...]:
    nodes = tuple(
        parse_node(matching(key, HOST_NAME, "nodes"), value, position + 1)
        for position, (key, value) in enumerate(mapping(document, "nodes").items())
    )
    known = {network.name for network in networks}
    for node in nodes:
        for nic in node.nics:
            where = f"nodes.{node.name}.nics.{nic.name}"
            if nic.switch and nic.switch not in switches:
                raise LabError(f"{where}.switch: there is no switch {nic.switch!r}")
            if nic.network and nic.network not in known:
                raise LabError(f"{where}.network: there is no network {nic.network!r}")
    duplicates("node number", [node.number for node in nodes])
    duplicates("MAC address of nodes", [nic.mac for node in nodes for nic in node.nics])
    return nodes


def bmc_ports(nodes: tuple[Node, ...]) -> list[int]:
    # One speaks UDP and the other TCP, but nobody should have to remember which.
    return [node.bmc.port for node in nodes]


def parse_network(name: str, document: Any, index: int) -> Network:
    where = f"networks.{name}"
    body = mapping(document, where, {"nic", "mtu", "subnets", "controller"})
    mtu = whole(body.get("mtu", 1500), 1280, 65535, f"{where}.mtu")
    subnets = listing(body.get("subnets"), f"{where}.subnets")
    for subnet in subnets:
        try:
            ipaddress.ip_network(subnet)
        except ValueError as error:
            raise LabError(f"{where}.subnets: {error}") from error
    controller = tuple(
        interface(address, f"{where}.controller") for address in listing(body.get("controller"), f"{where}.controller")
    )
    nic = matching(body.get("nic", f"eth{index}"), NIC_NAME, f"{where}.nic")
    return Network(name, nic, mtu, index, tuple(subnets), controller)


def parse_host(name: str, document: Any, position: int, networks: tuple[Network, ...]) -> Host:
    where = f"hosts.{name}"
    body = mapping(document, where, {"release", "number", "addresses"})
    release = one_of(body.get("release", RELEASES[0]), RELEASES, f"{where}.release")
    number = whole(body.get("number", 11 + position), 1, 9999, f"{where}.number")
    extra = mapping(body.get("addresses"), f"{where}.addresses", {network.name for network in networks})
    nics = []
    for network in networks:
        own = [numbered(subnet, number, where) for subnet in network.subnets]
        own += [
            interface(address, f"{where}.addresses")
            for address in listing(extra.get(network.name), f"{where}.addresses")
        ]
        nics.append(
            Nic(
                name=network.nic,
                network=network.name,
                mtu=network.mtu,
                mac=mac(0, network.index, number),
                far_end=f"{name}-{network.nic}",
                far_mac=mac(0xF0, network.index, number),
                addresses=tuple(own),
            )
        )
    return Host(name, release, number, tuple(nics))


def parse_switch(
    name: str, document: Any, networks: tuple[Network, ...], management: Network, nodes: tuple[Node, ...]
) -> Host:
    where = f"switches.{name}"
    body = mapping(document, where, {"number", "netconf_port", "ports"})
    number = whole(body.get("number"), 1, 255, f"{where}.number")
    netconf_port = whole(body.get("netconf_port"), 1024, 65535, f"{where}.netconf_port")
    plugs = tuple(
        parse_plug(matching(port, PORT_NAME, f"{where}.ports"), value, f"{where}.ports.{port}", networks)
        for port, value in mapping(body.get("ports"), f"{where}.ports").items()
    )
    plugs += tuple(
        Plug(matching(nic.port, PORT_NAME, f"nodes.{node.name}.nics.{nic.name}"), node=node.name, nic=nic.name)
        for node in nodes
        for nic in node.nics
        if nic.switch == name
    )
    duplicates("port number", [port_number(plug.port) for plug in plugs])
    machine = parse_host(name, {"number": number}, 0, (management,))
    ports = tuple(
        Nic(
            name=plug.port,
            network=plug.network,
            mtu=next((network.mtu for network in networks if network.name == plug.network), WIRE_MTU),
            mac=mac(0x40, port_number(plug.port), number),
            far_end=f"{name}-p{port_number(plug.port)}",
            far_mac=mac(0x80, port_number(plug.port), number),
            addresses=(),
        )
        for plug in plugs
    )
    return replace(machine, nics=(*machine.nics, *ports), switch=Switch(netconf_port, plugs))


def parse_plug(port: str, document: Any, where: str, networks: tuple[Network, ...]) -> Plug:
    body = mapping(document, where, {"host", "nic", "network"})
    if set(body) not in ({"host", "nic"}, {"network"}):
        raise LabError(f"{where}: a port is wired to a host and its nic, or to a network")
    if "network" in body:
        if body["network"] not in [network.name for network in networks]:
            raise LabError(f"{where}.network: there is no network {body['network']!r}")
        return Plug(port, network=body["network"])
    return Plug(port, host=matching(body["host"], HOST_NAME, where), nic=matching(body["nic"], NIC_NAME, where))


def wired(host: Host, switches: tuple[Host, ...], networks: tuple[Network, ...]) -> Host:
    """The host with the NICs that it has only because a switch is wired to them."""
    known = {nic.name for nic in host.nics}
    names = [plug.nic for one in switches for plug in plugs_of(one) if plug.host == host.name and plug.nic not in known]
    more = tuple(
        Nic(
            name=name,
            network="",
            mtu=WIRE_MTU,
            mac=mac(0x20, len(networks) + index, host.number),
            far_end=f"{host.name}-{name}",
            far_mac=mac(0x30, len(networks) + index, host.number),
            addresses=(),
        )
        for index, name in enumerate(names)
    )
    return replace(host, nics=(*host.nics, *more))


def plugs_of(host: Host) -> tuple[Plug, ...]:
    return host.switch.plugs if host.switch else ()


def port_number(port: str) -> int:
    return int(port.removeprefix("Ethernet"))


def cable(plug: Plug) -> str:
    return f"{plug.host} {plug.nic}"


def mac(side: int, network: int, number: int) -> str:
    """A fixed, locally administered address: a host that returns from a power cut is known at once."""
    return f"02:57:46:{side + network:02x}:{number >> 8:02x}:{number & 255:02x}"


def numbered(subnet: str, number: int, where: str) -> str:
    """The host's address in a subnet: its number, in IPv6 too written as people read it (11 is ::11)."""
    network = ipaddress.ip_network(subnet)
    offset = number if network.version == 4 else int(str(number), 16)
    address = network.network_address + offset
    if address not in network or (network.version == 4 and address == network.broadcast_address):
        raise LabError(f"{where}.number: {number} does not fit into {subnet}")
    return f"{address}/{network.prefixlen}"
