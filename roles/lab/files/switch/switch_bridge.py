# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The other half of the lab's switch: what netconfd's running configuration says, Open vSwitch does.

Runs on the switch. A port without VLANs carries nothing, and a VLAN that is not in the VLAN database goes nowhere, as
on a switch of metal. Usage: switch_bridge.py BRIDGE PORT=INTERFACE...
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

from lldp import speak
from netconfd_link import END, SOCKET, Link

NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
OPENCONFIG = "http://openconfig.net/yang"
NAMES = {
    "nc": NETCONF,
    "oc": f"{OPENCONFIG}/interfaces",
    "eth": f"{OPENCONFIG}/interfaces/ethernet",
    "lag": f"{OPENCONFIG}/interfaces/aggregate",
    "vlan": f"{OPENCONFIG}/vlan",
    "ni": f"{OPENCONFIG}/network-instance",
    "lacp": f"{OPENCONFIG}/lacp",
    "lldp": f"{OPENCONFIG}/lldp",
}
# Reserved by IEEE 802.1Q: no frame bears it, so a trunk of it alone carries nothing.
NOWHERE = 4095
# Should a notification be lost, running is looked at again after so many seconds; and LLDP is spoken so often.
PATIENCE = 5.0


class Session:
    """A NETCONF session with the server on this machine."""

    def __init__(self) -> None:
        self._link, self._buffer = Link("root", "127.0.0.1"), b""
        self._send(
            f'<hello xmlns="{NETCONF}"><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability>'
            "</capabilities></hello>"
        )
        if self._receive(30) is None:
            raise EOFError("the NETCONF server says nothing")

    def _send(self, text: str) -> None:
        self._link.send(f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode() + END)

    def _receive(self, seconds: float) -> ElementTree.Element | None:
        """Return the next message, or None where none has come in time."""
        end = time.monotonic() + seconds
        while END not in self._buffer:
            ready, _write, _errors = select.select([self._link.socket], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return None
            data = self._link.socket.recv(65536)
            if not data:
                raise EOFError("the NETCONF server has ended the session")
            self._buffer += data
        message, _end, self._buffer = self._buffer.partition(END)
        parser = ElementTree.XMLPullParser()
        parser.feed(message.strip())
        parser.close()
        # Of all elements, the outermost ends last.
        return [element for _event, element in parser.read_events()][-1]

    def ask(self, inside: str) -> ElementTree.Element:
        self._send(f'<rpc xmlns="{NETCONF}" message-id="1">{inside}</rpc>')
        while True:
            reply = self._receive(10)
            if reply is None:
                raise EOFError(f"no answer to {inside}")
            if reply.tag == f"{{{NETCONF}}}rpc-reply":
                return reply

    def subscribe(self) -> None:
        self.ask(f'<create-subscription xmlns="{NOTIFICATION}"/>')

    def await_change(self, seconds: float) -> None:
        """Wait for a notification, or for the time to pass; more of them that have come already count as one."""
        if self._receive(seconds) is not None:
            while self._receive(0) is not None:
                pass

    def running(self) -> ElementTree.Element:
        return self.ask("<get-config><source><running/></source></get-config>")


def text_of(element: ElementTree.Element | None, path: str, default: str = "") -> str:
    found = None if element is None else element.find(path, NAMES)
    return default if found is None else (found.text or "").strip()


def numbers(text: str) -> set[int]:
    first, _dots, last = text.partition("..")
    return set(range(int(first), int(last or first) + 1))


def columns_of(switched: ElementTree.Element | None, database: set[int]) -> dict[str, object]:
    """Return the VLAN columns of an OVS port."""
    mode = text_of(switched, "vlan:interface-mode")
    if mode == "ACCESS":
        vlan = int(text_of(switched, "vlan:access-vlan", "1"))
        if vlan in database:
            return {"vlan_mode": "access", "tag": vlan, "trunks": []}
    elif mode == "TRUNK":
        listed = [numbers(item.text.strip()) for item in switched.findall("vlan:trunk-vlans", NAMES)]
        allowed = set().union(*listed) & database if listed else set(database)
        native = int(text_of(switched, "vlan:native-vlan", "0"))
        if native in database:
            return {"vlan_mode": "native-untagged", "tag": native, "trunks": sorted(allowed | {native})}
        return {"vlan_mode": "trunk", "tag": [], "trunks": sorted(allowed) or [NOWHERE]}
    return {"vlan_mode": "trunk", "tag": [], "trunks": [NOWHERE]}


def wanted(running: ElementTree.Element, cables: dict[str, str]) -> tuple[dict[str, dict], dict[str, bool]]:
    """Return the OVS ports, by name, and which interfaces are up."""
    database = {int(item.text) for item in running.iterfind(".//ni:vlan/ni:config/ni:vlan-id", NAMES)}
    entries = {text_of(item, "oc:name"): item for item in running.iterfind(".//oc:interfaces/oc:interface", NAMES)}
    members: dict[str, list[str]] = {}
    for name in cables:
        bundle = text_of(entries.get(name), "eth:ethernet/eth:config/lag:aggregate-id")
        members.setdefault(bundle or name, []).append(name)
    ports, up = {}, {}
    for port, names in members.items():
        entry = entries.get(port)
        inside = "lag:aggregation" if port not in cables else "eth:ethernet"
        switched = None if entry is None else entry.find(f"{inside}/vlan:switched-vlan/vlan:config", NAMES)
        ports[port] = {
            "interfaces": sorted(cables[name] for name in names),
            **columns_of(switched, database),
            **bundle_columns(running, port, entry, len(names)),
        }
        enabled = text_of(entry, "oc:config/oc:enabled", "true") == "true"
        for name in names:
            own = text_of(entries.get(name), "oc:config/oc:enabled", "true") == "true"
            up[cables[name]] = own and enabled
    return ports, up


def speaking(running: ElementTree.Element, cables: dict[str, str], up: dict[str, bool]) -> dict[str, str]:
    """Return the cables on which the switch says who it is: where that is not configured otherwise."""
    quiet = {
        text_of(item, "lldp:name")
        for item in running.iterfind(".//lldp:interfaces/lldp:interface", NAMES)
        if text_of(item, "lldp:config/lldp:enabled", "true") == "false"
    }
    return {port: interface for port, interface in cables.items() if port not in quiet and up[interface]}


def bundle_columns(
    running: ElementTree.Element, port: str, entry: ElementTree.Element | None, size: int
) -> dict[str, object]:
    kind = text_of(entry, "lag:aggregation/lag:config/lag:lag-type")
    if not kind:
        return {"lacp": "off", "bond_mode": [], "lacp-time": "slow"}
    # Without LACP nothing tells which member the other end means; this mode needs no such thing.
    columns: dict[str, object] = {"lacp": "off", "bond_mode": "balance-slb" if size > 1 else [], "lacp-time": "slow"}
    if kind == "LACP":
        path = f".//lacp:interfaces/lacp:interface[lacp:name='{port}']/lacp:config"
        config = running.find(path, NAMES)
        columns["lacp"] = text_of(config, "lacp:lacp-mode", "ACTIVE").lower()
        columns["lacp-time"] = text_of(config, "lacp:interval", "SLOW").lower()
        columns["bond_mode"] = "balance-tcp" if size > 1 else []
    return columns


def listed(value: object) -> str:
    if isinstance(value, list):
        return "[" + ",".join(map(str, value)) + "]"
    return str(value)


class Bridge:
    """The OVS bridge, and what was last put into it."""

    def __init__(self, name: str) -> None:
        self._name, self._ports, self._up = name, {}, {}
        self._ovs("--may-exist", "add-br", name, "--", "set", "Bridge", name, "datapath_type=netdev")
        for port in self._ovs("list-ports", name).split():
            self._ovs("del-port", name, port)

    def _ovs(self, *words: str) -> str:
        return subprocess.run(["ovs-vsctl", *words], check=True, stdout=subprocess.PIPE, text=True).stdout

    def follow(self, ports: dict[str, dict], up: dict[str, bool]) -> None:
        """Bring the bridge to what is wanted: all of it in one transaction, and nothing where nothing differs."""
        words: list[str] = []
        for name, old in self._ports.items():
            if name not in ports or ports[name]["interfaces"] != old["interfaces"]:
                words += ["--", "del-port", self._name, name]
        for name, new in ports.items():
            old = self._ports.get(name)
            if old is None or old["interfaces"] != new["interfaces"]:
                words += self._adding(name, new["interfaces"])
            if old != new:
                words += self._setting(name, new)
        if words:
            self._ovs(*words[1:])
            print(json.dumps(ports), flush=True)
        for interface, state in up.items():
            if self._up.get(interface) != state:
                subprocess.run(["ip", "link", "set", interface, "up" if state else "down"], check=True)
        self._ports, self._up = ports, up

    def _adding(self, name: str, interfaces: list[str]) -> list[str]:
        if interfaces == [name]:
            return ["--", "add-port", self._name, name]
        words, ids = [], []
        for interface in interfaces:
            ids.append(f"@{interface}")
            words += ["--", f"--id=@{interface}", "create", "Interface", f"name={interface}"]
        words += ["--", "--id=@port", "create", "Port", f"name={name}", f"interfaces={','.join(ids)}"]
        return [*words, "--", "add", "Bridge", self._name, "ports", "@port"]

    def _setting(self, name: str, new: dict) -> list[str]:
        words = [f"{column}={listed(new[column])}" for column in ("vlan_mode", "tag", "trunks", "lacp", "bond_mode")]
        return ["--", "set", "Port", name, *words, f"other_config:lacp-time={new['lacp-time']}"]


def await_server() -> None:
    end = time.monotonic() + 30
    while not Path(SOCKET).exists():
        if time.monotonic() > end:
            sys.exit(f"waited 30 s in vain for {SOCKET}")
        time.sleep(0.02)


def tell_ready() -> None:
    """Tell systemd that the bridge does what the configuration says; more than once does no harm."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", address.replace("@", "\0", 1) if address.startswith("@") else address)


def main() -> None:
    bridge = Bridge(sys.argv[1])
    cables = dict(word.split("=", 1) for word in sys.argv[2:])
    await_server()
    session = Session()
    session.subscribe()
    spoken = 0.0
    while True:
        running = session.running()
        ports, up = wanted(running, cables)
        bridge.follow(ports, up)
        tell_ready()
        if time.monotonic() - spoken >= PATIENCE:
            spoken = time.monotonic()
            speak(socket.gethostname(), speaking(running, cables, up))
        session.await_change(PATIENCE)


if __name__ == "__main__":
    main()
