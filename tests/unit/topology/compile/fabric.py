# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of a topology, each a private Open vSwitch that was given what the compiler says, wired to each other.

The wires are real: a frame put into a tap of one host leaves as VXLAN, GRE or Geneve through its underlay
interface, comes in at another host, and stands in the capture of the tap it is delivered to.
"""

from __future__ import annotations

import struct
import time
import typing as t
from ipaddress import IPv4Address
from pathlib import Path

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import host as compiler
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import (
    LocalPort,
    NetworkView,
    view_host,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Port, Topology
from ansible_collections.weft.fabric.tests.unit.ovs_sandbox import OvsSandbox
from ansible_collections.weft.fabric.tests.unit.topology.compile import frames

SECONDS = 10  # to wait for a frame
# The interface that leads to a physical network, and a machine there that the topology does not know.
WIRE, WIRE_MAC = "eth2", "00:50:56:00:00:01"
_PCAP_HEADER = 24


class FabricHost:
    """One host."""

    def __init__(self, topology: Topology, name: str) -> None:
        self.name = name
        self.host = topology.hosts[name]
        self.view = view_host(topology, name)
        self.state = compiler.compile_host(topology, name)
        self.sandbox = OvsSandbox(override=False)
        self.ports: dict[str, LocalPort] = {
            self._key(network, local): local for network, local in self.view.local_ports
        }

    def start(self) -> None:
        self.sandbox.start()
        for bridge in self.state["ovs_bridges"]["bridges"]:
            self._add_bridge(bridge)
        for table in self.state["openflow_flows"]["bridges"]:
            self.sandbox.add_flows(table["name"], table["flows"])
        self._set_up_underlay()

    def stop(self) -> None:
        self.sandbox.stop()

    def _key(self, network: NetworkView, local: LocalPort) -> str:
        """Return how tests name a port; a leg that is on several hosts by its host too."""
        replica = any(local is other for other in (*network.replicas, *network.distributed))
        return f"{local.port.name}@{self.name}" if replica else local.port.name

    def device(self, port: str) -> str:
        """Return the name of a port's device."""
        return self.ports[port].device or "plugged-" + port[:7]

    def trace(self, port: str, flow: str) -> str:
        """Return the datapath actions for a frame that comes in through a tenant's port, or through any other."""
        device = self.device(port) if port in self.ports else port
        bridge = self.sandbox.vsctl("iface-to-br", device).strip()
        output = self.sandbox.trace(bridge, f"in_port={device},{flow}")
        return output.split("Datapath actions: ")[1].strip()

    def inject(self, port: str, frame: bytes) -> None:
        """Put a frame into a port, as whoever is behind it does."""
        self.sandbox.appctl("netdev-dummy/receive", self.device(port), frame.hex())

    def captured(self, port: str) -> list[bytes]:
        """Return the frames that were delivered to a port so far."""
        return self.captured_on(self.device(port))

    def captured_on(self, device: str) -> list[bytes]:
        """Return the frames that left through a device so far."""
        content = self._capture(device).read_bytes()[_PCAP_HEADER:]
        frames = []
        while len(content) >= 16:
            (length,) = struct.unpack("<I", content[8:12])
            frames.append(content[16 : 16 + length])
            content = content[16 + length :]
        return frames

    def wait_for(self, port: str, wanted: t.Callable[[bytes], bool]) -> bytes:
        """Wait until a frame was delivered to a port, and return it."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for frame in self.captured(port):
                if wanted(frame):
                    return frame
            time.sleep(0.01)
        raise AssertionError(f"no such frame came to {port} on {self.name} in {SECONDS} s: {self.captured(port)}")

    def _add_bridge(self, bridge: dict[str, t.Any]) -> None:
        commands = ["add-br", bridge["name"], "--", "set", "Bridge", bridge["name"]]
        commands += ["datapath_type=dummy", f"fail_mode={bridge.get('fail_mode', 'standalone')}"]
        commands += ["protocols=OpenFlow10,OpenFlow13,OpenFlow14"]
        for port in bridge["ports"]:
            commands += self._port_commands(bridge["name"], port)
        self.sandbox.vsctl(*commands)

    def _port_commands(self, bridge: str, port: dict[str, t.Any]) -> list[str]:
        interface = port.get("interface", {})
        kind = interface.get("type") or "dummy"
        if "iface_id" in port:
            owner = next(name for name, local in self.ports.items() if local.iface_id == port["iface_id"])
            name, external_ids = self.device(owner), {"iface-id": port["iface_id"]}
        else:
            name, external_ids = port["name"], interface.get("external_ids", {})
        # Open vSwitch sends from local_ip only when the kernel says that it is local, and here is no kernel.
        options = {key: value for key, value in interface.get("options", {}).items() if key != "local_ip"}
        settings = [f"options:{key}={_quoted(value)}" for key, value in options.items()]
        settings += [f"external_ids:{key}={_quoted(value)}" for key, value in external_ids.items()]
        if kind in ("dummy", "internal"):
            settings.append(f"options:tx_pcap={_quoted(str(self._capture(name)))}")
        return ["--", "add-port", bridge, name, "--", "set", "Interface", name, f"type={kind}", *settings]

    def interfaces(self) -> set[str]:
        """Return the interfaces that lead out of the host."""
        physnets = {attachment.interface for attachment, _networks in self.view.providers.values()}
        underlay = {self.host.underlay.interface} if self.host.underlay is not None else set()
        return {interface for interface in physnets | underlay if interface is not None}

    def _capture(self, device: str) -> Path:
        return self.sandbox.directory / f"{device}.pcap"

    def _set_up_underlay(self) -> None:
        """Give the underlay bridge its address, as the module for addresses does on a host."""
        underlay = self.host.underlay
        if underlay is None or underlay.interface is None:
            return
        command = "netdev-dummy/ip4addr" if isinstance(underlay.address, IPv4Address) else "netdev-dummy/ip6addr"
        address = f"{underlay.address}/{underlay.prefix_length}"
        self.sandbox.appctl(command, "br-underlay", address)
        self.sandbox.appctl("ovs/route/add", address, "br-underlay")


class Fabric:
    """All hosts of a topology, wired."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.hosts = {name: FabricHost(topology, name) for name in topology.hosts}
        self.by_port = {port: host for host in self.hosts.values() for port in host.ports}
        self._sentinels = 0

    def __enter__(self) -> Fabric:
        try:
            for host in self.hosts.values():
                host.start()
            self._wire(*self.hosts.values())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        for host in self.hosts.values():
            host.stop()

    def port(self, name: str) -> Port:
        return self.by_port[name].ports[name].port

    def mac(self, name: str) -> str:
        return self.port(name).mac_address

    def address(self, name: str, version: int = 4) -> str:
        return next(str(address) for address in self.port(name).addresses if address.version == version)

    def send(self, port: str, frame: bytes) -> dict[str, list[bytes]]:
        """Put a frame into a port, and return what came to every port of every network because of it.

        What did not come is known by what was sent after it: in each network a broadcast from the same host, which
        must have come to every other port. Open vSwitch keeps the order.
        """
        before = {name: len(host.captured(name)) for name, host in self.by_port.items()}
        sender = self.by_port[port]
        sender.inject(port, frame)
        self._sentinels += 1
        marker = b"sentinel %08d" % self._sentinels
        for name in self._speakers(sender):
            sentinel = frames.udp(
                self.mac(name), frames.BROADCAST, self._source(name), "255.255.255.255", payload=marker
            )
            sender.inject(name, sentinel)
            for other in self._network_of(name):
                if other != name:
                    self.by_port[other].wait_for(other, lambda got, marker=marker: marker in got)
        return {
            name: new
            for name, host in self.by_port.items()
            if (new := [got for got in host.captured(name)[before[name] :] if b"sentinel" not in got])
        }

    def from_wire(self, host: str, network: tuple[str, str], frame: bytes) -> dict[str, list[bytes]]:
        """Put a frame onto a host's wire as a physical machine does, and return what comes to a VLAN's ports there."""
        there = self.hosts[host]
        ports = [name for name in there.ports if self._key(name) == network]
        before = {name: len(there.captured(name)) for name in ports}
        self._sentinels += 1
        marker = b"sentinel %08d" % self._sentinels
        sentinel = frames.udp(WIRE_MAC, frames.BROADCAST, "192.0.2.7", "255.255.255.255", payload=marker)
        vlan = (self.topology.network(network).segmentation_id or 0).to_bytes(2, "big")
        for got in (frame, sentinel):
            tagged = got[:12] + b"\x81\x00" + vlan + got[12:]
            there.sandbox.appctl("netdev-dummy/receive", WIRE, tagged.hex())
        for name in ports:
            there.wait_for(name, lambda got: marker in got)
        came = {name: there.captured(name)[before[name] :] for name in ports}
        return {name: new for name, got in came.items() if (new := [one for one in got if b"sentinel" not in one])}

    def _source(self, name: str) -> str:
        """Return an address that a port may send from. One of ours may have none, and send from any."""
        return self.address(name) if self.port(name).addresses else "192.0.2.7"

    def _speakers(self, host: FabricHost) -> list[str]:
        """Return one port of each network on a host. What a leg of a distributed router broadcasts stays there."""
        return list({self._key(name): name for name in host.ports if not self.port(name).distributed}.values())

    def _network_of(self, name: str) -> list[str]:
        return [other for other in self.by_port if self._key(other) == self._key(name)]

    def _key(self, name: str) -> tuple[str, str]:
        return (self.port(name).project, self.port(name).network)

    def _wire(self, first: FabricHost, second: FabricHost) -> None:
        """Connect the interfaces of the same name of two hosts, and let each know the other's tunnel end point."""
        for interface in sorted(first.interfaces() & second.interfaces()):
            socket = first.sandbox.directory / f"{interface}.sock"
            first.sandbox.vsctl("set", "Interface", interface, f"options:pstream={_quoted(f'punix:{socket}')}")
            second.sandbox.vsctl("set", "Interface", interface, f"options:stream={_quoted(f'unix:{socket}')}")
        for host, other in ((first, second), (second, first)):
            if other.host.underlay is not None and other.host.underlay.interface is not None:
                mac = other.sandbox.vsctl("get", "Interface", "br-underlay", "mac_in_use").strip().strip('"')
                host.sandbox.appctl("tnl/neigh/set", "br-underlay", str(other.host.underlay.address), mac)


def _quoted(value: str) -> str:
    return f'"{value}"'
