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
    """One port of a switch, and what it is wired to: a NIC of a host, or a network."""

    port: str
    host: str = ""
    nic: str = ""
    network: str = ""


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

    @property
    def switches(self) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.switch)

    @property
    def wires(self) -> tuple[str, ...]:
        """Bridges of two ports, each in place of a cable from a switch to a host."""
        return tuple(self.wire(one, plug) for one in self.switches for plug in plugs_of(one) if plug.host)

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
    top = mapping(document, "the definition", {"name", "management", "networks", "hosts", "switches", "packages"})
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
    switches = tuple(
        parse_switch(matching(key, HOST_NAME, "switches"), value, networks, chosen[0])
        for key, value in mapping(top.get("switches"), "switches").items()
    )
    hosts = (*(wired(host, switches, networks) for host in hosts), *switches)
    duplicates("host name", [host.name for host in hosts])
    duplicates("cable", [cable(plug) for one in switches for plug in plugs_of(one) if plug.host])
    if "fabric" in [host.name for host in hosts]:
        raise LabError("hosts.fabric: the name is taken by the lab's own network")
    duplicates("host number", [host.number for host in hosts])
    given = [address for network in networks for address in network.controller]
    given += [address for host in hosts for nic in host.nics for address in nic.addresses]
    duplicates("address", [str(ipaddress.ip_interface(address).ip) for address in given])
    packages = tuple(
        matching(package, PACKAGE_NAME, "packages") for package in listing(top.get("packages"), "packages")
    )
    return Lab(name, management, networks, hosts, packages)


def parse_network(name: str, document: Any, index: int) -> Network:
    where = f"networks.{name}"
    body = mapping(document, where, {"nic", "mtu", "subnets", "controller"})
    mtu = body.get("mtu", 1500)
    if not isinstance(mtu, int) or not 1280 <= mtu <= 65535:
        raise LabError(f"{where}.mtu: {mtu!r} is not a number from 1280 to 65535")
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
    release = body.get("release", RELEASES[0])
    if release not in RELEASES:
        raise LabError(f"{where}.release: {release!r} is none of {', '.join(RELEASES)}")
    number = body.get("number", 11 + position)
    if not isinstance(number, int) or not 1 <= number <= 9999:
        raise LabError(f"{where}.number: {number!r} is not a number from 1 to 9999")
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


def parse_switch(name: str, document: Any, networks: tuple[Network, ...], management: Network) -> Host:
    where = f"switches.{name}"
    body = mapping(document, where, {"number", "netconf_port", "ports"})
    number, netconf_port = body.get("number"), body.get("netconf_port")
    if not isinstance(number, int) or not 1 <= number <= 255:
        raise LabError(f"{where}.number: {number!r} is not a number from 1 to 255")
    if not isinstance(netconf_port, int) or not 1024 <= netconf_port <= 65535:
        raise LabError(f"{where}.netconf_port: {netconf_port!r} is not a number from 1024 to 65535")
    plugs = tuple(
        parse_plug(matching(port, PORT_NAME, f"{where}.ports"), value, f"{where}.ports.{port}", networks)
        for port, value in mapping(body.get("ports"), f"{where}.ports").items()
    )
    duplicates("port number", [port_number(plug.port) for plug in plugs])
    whole = parse_host(name, {"number": number}, 0, (management,))
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
    return replace(whole, nics=(*whole.nics, *ports), switch=Switch(netconf_port, plugs))


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


def mapping(value: Any, where: str, allowed: set[str] | None = None) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise LabError(f"{where} must be a mapping with names as keys")
    unknown = sorted(set(value) - allowed) if allowed is not None else []
    if unknown:
        raise LabError(f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(allowed or ()))}")
    return value


def listing(value: Any, where: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise LabError(f"{where} must be a list of strings")
    return value


def matching(value: Any, pattern: re.Pattern[str], where: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise LabError(f"{where}: {value!r} must look like {pattern.pattern}")
    return value


def interface(value: str, where: str) -> str:
    try:
        return str(ipaddress.ip_interface(value))
    except ValueError as error:
        raise LabError(f"{where}: {error}") from error


def duplicates(what: str, values: list[Any]) -> None:
    twice = sorted({value for value in values if values.count(value) > 1}, key=str)
    if twice:
        raise LabError(f"{what} used twice: {', '.join(map(str, twice))}")
