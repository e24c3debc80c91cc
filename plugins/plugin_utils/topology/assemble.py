# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files say → the model. References between resources are not looked at here: see check.py."""

from __future__ import annotations

import typing as t
from functools import partial

from .assemble_bare_metal import BareMetalReader
from .assemble_common import dns_label, fixed_ips
from .assemble_switches import SwitchReader
from .checker import Checker, Entry, Read
from .model import (
    TUNNEL_TYPES,
    AddressPair,
    Binding,
    DhcpOption,
    ExternalGateway,
    FloatingIp,
    Host,
    HostPhysicalNetwork,
    Network,
    PhysicalNetwork,
    Port,
    PortForwarding,
    Project,
    Router,
    RouterInterface,
    Subnet,
    Topology,
    Underlay,
    Where,
)
from .problems import Problems
from .schema import CONSTRUCTED, DEFAULTS, ROOT
from .sources import Sources

Key = tuple[str, ...]


class Assembler:
    """Fills a Topology from files. What has a problem of its own is listed in flawed."""

    def __init__(self, sources: Sources, problems: Problems) -> None:
        self._sources = sources
        self._problems = problems
        self.topology = Topology()
        self.flawed: set[Key] = set()
        self._defaults: Read = {a.name: a.default for a in DEFAULTS.attributes}
        self._bare_metal = BareMetalReader(self.topology, sources, problems, self.flawed)

    def assemble(self) -> None:
        """Read all documents, the root file first."""
        read: list[tuple[str, Read]] = []
        for number, (file, document) in enumerate(self._sources.documents.items()):
            checker = Checker(file, self._problems)
            given, _complete = checker.resource(ROOT, document, document.line, "")
            if number == 0:
                self._root(file, given)
            else:
                self._refuse_root_keys(file, given)
            for entry in given.get("physical_networks", ()):
                self._physical_network(file, entry)
            for entry in given.get("hosts", ()):
                self._host(file, entry)
            for entry in given.get("switches", ()):
                self._switch(file, entry)
            for entry in given.get("projects", ()):
                self._project(file, entry)
            read.append((file, given))
        # Interfaces of nodes are named as their switches name them, whichever file these are in.
        for file, given in read:
            self._bare_metal.read(file, given)
        self.topology.files = tuple(self._sources.files)

    def _root(self, file: str, given: Read) -> None:
        self._defaults.update(given.get("defaults") or {})
        self.topology.underlay_mtu = self._defaults["underlay_mtu"]
        if self._defaults["network_type"] in TUNNEL_TYPES:
            self.topology.tunnel_type = self._defaults["network_type"]
        self.topology.inventory_options = {a.name: given[a.name] for a in CONSTRUCTED if a.name in given}
        if "plugin" not in given and "plugin" not in self._sources.documents[file]:
            where = Where(file, 1, "(file)")
            self._problems.add(where, "'plugin' is missing", "begin the file with 'plugin: weft.fabric.topology'")

    def _refuse_root_keys(self, file: str, given: Read) -> None:
        for name in ("include", "defaults", *(a.name for a in CONSTRUCTED)):
            if name in given:
                root = self._sources.files[0]
                where = self._sources.where(file, name)
                self._problems.add(where, "stands in an included file", f"move it to the root file {root}")

    def _given(self, given: Read, name: str, default: str) -> t.Any:
        return given[name] if name in given else self._defaults[default]

    def _finish(self, entry: Entry, *key: str) -> None:
        if self._problems.total > entry.problems_before:
            self.flawed.add(key)

    def _twice(self, file: str, entry: Entry, first: Where | None) -> bool:
        if first is None:
            return False
        where = Where(file, entry.line, entry.path)
        self._problems.add(where, f"is there twice, first in {first.file}:{first.line}", "remove or rename one of them")
        return True

    def _physical_network(self, file: str, entry: Entry) -> None:
        known = self.topology.physical_networks
        if not self._twice(file, entry, known[entry.name].where if entry.name in known else None):
            mtu = entry.values.get("mtu", 1500)
            known[entry.name] = PhysicalNetwork(entry.name, Where(file, entry.line, entry.path), mtu)

    def _host(self, file: str, entry: Entry) -> None:
        known = self.topology.hosts
        if self._twice(file, entry, known[entry.name].where if entry.name in known else None):
            return
        given = entry.values
        host = Host(entry.name, Where(file, entry.line, entry.path), tuple(dict.fromkeys(given.get("roles") or ())))
        host.datapath_type = self._given(given, "datapath_type", "datapath_type")
        if given.get("underlay"):
            host.underlay = self._underlay(given["underlay"])
        for item in given.get("physical_networks", ()):
            bridge = item.values.get("bridge", f"br-{item.name}")
            host.physical_networks[item.name] = HostPhysicalNetwork(item.name, bridge, item.values.get("interface"))
        host.vars = {key: value for key, value in given.items() if key.startswith("ansible_")}
        host.vars.update(given.get("vars") or {})
        known[entry.name] = host
        self._finish(entry, "hosts", entry.name)

    def _underlay(self, given: Read) -> Underlay:
        address, prefix_length = given["address"]
        return Underlay(
            address,
            prefix_length,
            given.get("interface"),
            given.get("bridge"),
            self._given(given, "mtu", "underlay_mtu"),
            tuple((route["to"], route["via"]) for route in given.get("routes") or ()),
            tuple(given.get("other_addresses") or ()),
        )

    def _switch(self, file: str, entry: Entry) -> None:
        known = self.topology.switches
        if self._twice(file, entry, known[entry.name].where if entry.name in known else None):
            return
        where = partial(self._sources.where, file, "switches", entry.name)
        reader = SwitchReader(file, entry, where, self._problems)
        switch = reader.read()
        if switch is not None:
            known[entry.name] = switch
        if not reader.sound:
            self.flawed.add(("switches", entry.name))
        self.flawed.update(("switches", entry.name, port) for port in reader.flawed)

    def _project(self, file: str, entry: Entry) -> None:
        project = self.topology.projects.get(entry.name)
        if project is None:
            project = Project(entry.name, Where(file, entry.line, entry.path))
            self.topology.projects[entry.name] = project
        for item in entry.values.get("networks", ()):
            self._network(file, project, item)
        for item in entry.values.get("ports", ()):
            self._port(file, project, item)
        for item in entry.values.get("routers", ()):
            self._router(file, project, item)
        for item in entry.values.get("floating_ips", ()):
            self._floating_ip(file, project, item)
        for item in entry.values.get("servers", ()):
            self._bare_metal.server(file, project, item)

    def _network(self, file: str, project: Project, entry: Entry) -> None:
        known = project.networks
        if self._twice(file, entry, known[entry.name].where if entry.name in known else None):
            return
        given = entry.values
        network = Network(entry.name, project.name, Where(file, entry.line, entry.path))
        network.type = self._given(given, "type", "network_type")
        network.physical_network = given.get("physical_network")
        network.segmentation_id = given.get("segmentation_id")
        network.mtu = given.get("mtu", 0)
        network.external = given.get("external", False)
        network.shared = given.get("shared", False)
        network.mac_learning = given.get("mac_learning", False)
        network.dhcp_servers = self._given(given, "dhcp_servers", "dhcp_servers")
        network.dns_domain = given.get("dns_domain", "")
        for item in given.get("subnets", ()):
            if item.complete:
                network.subnets[item.name] = self._subnet(file, item)
        known[entry.name] = network
        self._finish(entry, "networks", project.name, entry.name)

    def _subnet(self, file: str, entry: Entry) -> Subnet:
        given = entry.values
        cidr = given["cidr"]
        gateway = given.get("gateway_ip")
        if gateway is None:
            gateway = cidr[1] if cidr.num_addresses > 2 else None
        return Subnet(
            entry.name,
            Where(file, entry.line, entry.path),
            cidr,
            gateway or None,
            given.get("enable_dhcp", True),
            tuple((pool["start"], pool["end"]) for pool in given.get("allocation_pools") or ()),
            tuple(given.get("dns_nameservers") or ()),
            tuple(given.get("ntp_servers") or ()),
            tuple((route["destination"], route["nexthop"]) for route in given.get("host_routes") or ()),
            given.get("ipv6_mode", None if cidr.version == 4 else "dhcpv6-stateful"),
            self._given(given, "lease_time", "lease_time"),
            _options(given),
        )

    def _port(self, file: str, project: Project, entry: Entry) -> None:
        known = project.ports
        if self._twice(file, entry, known[entry.name].where if entry.name in known else None):
            return
        if not entry.complete:
            self._finish(entry, "ports", project.name, entry.name)
            return
        given = entry.values
        port = Port(entry.name, project.name, given["network"], Where(file, entry.line, entry.path), given.get("host"))
        if "mac_address" in given:
            port.mac_address, port.mac_pinned = given["mac_address"], True
        if given.get("fixed_ips") is not None:
            port.fixed_ips = fixed_ips(given)
            port.fixed_ips_given = True
        if given.get("binding"):
            port.binding = Binding(**given["binding"])
        port.port_security_enabled = given.get("port_security_enabled", True)
        port.allowed_address_pairs = tuple(
            AddressPair(pair["ip_address"], pair.get("mac_address"))
            for pair in given.get("allowed_address_pairs") or ()
        )
        port.dns_name = given.get("dns_name") or dns_label(entry.name)
        port.extra_dhcp_opts = _options(given)
        known[entry.name] = port
        self._finish(entry, "ports", project.name, entry.name)

    def _router(self, file: str, project: Project, entry: Entry) -> None:
        known = project.routers
        if self._twice(file, entry, known[entry.name].where if entry.name in known else None):
            return
        given = entry.values
        router = Router(entry.name, project.name, Where(file, entry.line, entry.path))
        router.ha = given.get("ha", False)
        router.distributed = given.get("distributed", False)
        router.hosts = tuple(given.get("hosts") or ())
        router.network_nodes = given.get("network_nodes", len(router.hosts) or router.network_nodes)
        router.interfaces = [
            RouterInterface(_network(project, item), item.get("subnet", ""), item.get("address"))
            for item in given.get("interfaces") or ()
        ]
        if given.get("external_gateway"):
            router.external_gateway = _external_gateway(project, given["external_gateway"])
        router.routes = tuple((route["destination"], route["nexthop"]) for route in given.get("routes") or ())
        known[entry.name] = router
        self._finish(entry, "routers", project.name, entry.name)

    def _floating_ip(self, file: str, project: Project, entry: Entry) -> None:
        known = project.floating_ips
        if self._twice(file, entry, known[entry.name].where if entry.name in known else None):
            return
        if not entry.complete:
            self._finish(entry, "floating_ips", project.name, entry.name)
            return
        given = entry.values
        floating_ip = FloatingIp(
            entry.name, project.name, Where(file, entry.line, entry.path), _network(project, given)
        )
        floating_ip.address = given.get("address")
        floating_ip.pinned = "address" in given
        floating_ip.port = given.get("port")
        floating_ip.fixed_address = given.get("fixed_ip")
        floating_ip.port_forwardings = tuple(
            PortForwarding(
                item["protocol"], item["external_port"], item["port"], item["internal_port"], item.get("fixed_ip")
            )
            for item in given.get("port_forwardings") or ()
        )
        known[entry.name] = floating_ip
        self._finish(entry, "floating_ips", project.name, entry.name)


def _network(project: Project, given: Read) -> tuple[str, str]:
    """Return the key of the network that a resource of a project names."""
    owner, name = given["network"]
    return owner or project.name, name


def _external_gateway(project: Project, given: Read) -> ExternalGateway:
    gateway = ExternalGateway(_network(project, given), given.get("enable_snat", True))
    if given.get("fixed_ips"):
        gateway.fixed_ips = fixed_ips(given)
        gateway.fixed_ips_given = True
    return gateway


def _options(given: Read) -> tuple[DhcpOption, ...]:
    return tuple(
        DhcpOption(option["name"], option["value"], option.get("ip_version", 4))
        for option in given.get("extra_dhcp_opts") or ()
    )
