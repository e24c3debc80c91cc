# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What DHCP servers are asked for, and what stands: files, daemons, and what the daemons were told last."""

from __future__ import annotations

import hashlib
import json
import os
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import dhcp_files, iproute, netns, rtnetlink
from ansible_collections.weft.fabric.plugins.module_utils.dhcp_unit import server_name
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, read_file
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Unit

# A change of these is a restart, of the others a reload.
CONFIG_FILES = ("dnsmasq.conf", "tagged.conf")
DATA_FILES = ("hosts", "options", "names")
LEASES = "leases"
STAMP = "applied"


class Server(t.NamedTuple):
    """A desired DHCP server."""

    name: str
    namespace: str
    interface: str
    present: bool
    files: t.Dict[str, str]
    hosts: t.Tuple[dhcp_files.Host, ...]
    leases: bool


class State(object):
    """A DHCP server as it is."""

    def __init__(self, name: str):
        self.name = name
        self.files: t.Dict[str, t.Optional[str]] = {}
        self.stamp: t.Dict[str, t.Any] = {}
        self.exists = False
        self.unit = Unit(False, 0)
        self.stranded = False  # the daemon is not in the namespace that bears the name now
        self.index: t.Optional[int] = None  # of the interface it serves


class Current(object):
    """All servers that were looked at, and the unit file."""

    def __init__(self, unit_text: t.Optional[str]):
        self.unit_text = unit_text
        self.servers: t.Dict[str, State] = {}


def parse(params: t.Mapping[str, t.Any]) -> t.Dict[str, Server]:
    """Return the desired servers by name."""
    found: t.Dict[str, Server] = {}
    for item in params.get("servers") or []:
        name = item.get("name")
        if not isinstance(name, str) or not dhcp_files.NAME.match(name):
            raise FabricError("DHCP server %r: the name may hold A-Z a-z 0-9 _ . - only" % (name,))
        if name in found:
            raise FabricError("DHCP server %s is listed twice" % name)
        found[name] = _server(name, item)
    return found


def _server(name: str, item: t.Mapping[str, t.Any]) -> Server:
    where = "DHCP server %s" % name
    namespace = "qdhcp-" + name
    if item.get("state") == "absent":
        return Server(name, namespace, "", False, {}, (), False)
    if item.get("namespace") not in (None, namespace):
        # The unit is a template, and knows a server by its name only.
        raise FabricError("%s: its namespace must be %s, not %s" % (where, namespace, item.get("namespace")))
    config = item.get("config")
    if not isinstance(config, str) or "\0" in config or not config.strip():
        raise FabricError("%s: config is missing" % where)
    hosts = tuple(dhcp_files.parse_host(host, where) for host in item.get("hosts") or ())
    dhcp_files.check_unique(hosts, where)
    # dnsmasq (seen with 2.90) dies of a reload when a client with a tag from the hosts file was served before: it
    # frees memory that is not its own. Hosts with tags stand in the configuration, which is not freed.
    tagged = [host for host in hosts if host.tags]
    files = {
        "dnsmasq.conf": config if config.endswith("\n") else config + "\n",
        "tagged.conf": _lines("dhcp-host=" + host.line() for host in tagged),
        "hosts": _lines(host.line() for host in hosts if not host.tags),
        "options": _lines(dhcp_files.option_line(option, where) for option in item.get("options") or ()),
        "names": _lines(dhcp_files.name_line(entry, where) for entry in item.get("names") or ()),
    }
    interface = iproute.interface(item.get("interface"), where + ", interface")
    return Server(name, namespace, interface, True, files, hosts, item.get("leases") is not False)


def _lines(lines: t.Iterable[str]) -> str:
    return "".join(line + "\n" for line in lines)


def read(
    desired: t.Mapping[str, Server], directory: str, unit_text: t.Optional[str], units: t.Mapping[str, Unit]
) -> Current:
    """Look at all servers there are and those that are wanted."""
    current = Current(unit_text)
    try:
        present = os.listdir(directory)
    except FileNotFoundError:
        present = []
    by_server = {server_name(unit): state for unit, state in units.items()}
    for name in sorted(set(present) | set(desired) | {name for name, unit in by_server.items() if unit.active}):
        if not dhcp_files.NAME.match(name):
            continue
        state = State(name)
        state.exists = name in present
        state.unit = by_server.get(name, state.unit)
        if state.exists:
            for file in CONFIG_FILES + DATA_FILES:
                state.files[file] = read_file(os.path.join(directory, name, file))
            state.stamp = _stamp(read_file(os.path.join(directory, name, STAMP)))
        server = desired.get(name)
        if server is not None and server.present:
            state.index = interface_index(server)
        state.stranded = state.unit.active and is_stranded("qdhcp-" + name, state.unit.pid)
        current.servers[name] = state
    return current


def _stamp(text: t.Optional[str]) -> t.Dict[str, t.Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}  # cut short by a power failure; what it says is only whether work can be saved
    return found if isinstance(found, dict) else {}


def interface_index(server: Server) -> t.Optional[int]:
    """Return the number of the device a server listens on: a device made anew has the name, but not the number."""
    try:
        with netns.entered(server.namespace), rtnetlink.Reader() as reader:
            return next((link.ifindex for link in reader.links() if link.name == server.interface), None)
    except FileNotFoundError:
        return None


def is_stranded(namespace: str, pid: int) -> bool:
    """Whether a daemon runs in a namespace that was removed, and maybe made anew, under its feet."""
    try:
        own = os.stat("/proc/%d/ns/net" % pid)
        wanted = os.stat(os.path.join(netns.NETNS_DIR, namespace))
    except OSError:
        return True
    return (own.st_dev, own.st_ino) != (wanted.st_dev, wanted.st_ino)


def stamp_text(server: Server, index: t.Optional[int]) -> str:
    """Return what a daemon was told: kept to see later what it does not know yet."""
    content = {
        "config": digest(server.files, CONFIG_FILES),
        "data": digest(server.files, DATA_FILES),
        "device": server.interface,
        "interface": index,
        "addresses": dhcp_files.owners(server.hosts),
    }
    return json.dumps(content, sort_keys=True) + "\n"


def digest(files: t.Mapping[str, str], names: t.Iterable[str]) -> str:
    """Return a digest of some files."""
    found = hashlib.sha256()
    for name in names:
        found.update(("%s %d\n%s" % (name, len(files[name]), files[name])).encode("utf-8"))
    return found.hexdigest()
