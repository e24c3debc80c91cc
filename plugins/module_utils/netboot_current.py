# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What boot servers stand: files, daemons, and what the daemons were told last."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import (
    dhcp_current,
    dhcp_files,
    netboot_units,
    netns,
    rtnetlink,
)
from ansible_collections.weft.fabric.plugins.module_utils.netboot_desired import (
    DHCP_CONFIG,
    FILES,
    HOSTS,
    HTTP_CONFIG,
    Server,
)
from ansible_collections.weft.fabric.plugins.module_utils.netboot_paths import Paths
from ansible_collections.weft.fabric.plugins.module_utils.netboot_units import HTTP, KINDS
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import read_file
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd, Unit

FACTS, STAMP, LEASES = "server.json", "applied", "leases"


class State(object):
    """A boot server as it is."""

    def __init__(self, name: str):
        self.name = name
        self.exists = False
        self.files: t.Dict[str, t.Optional[str]] = {}
        self.stamp: t.Dict[str, t.Any] = {}
        self.units = {kind: Unit(False, 0) for kind in KINDS}
        self.stranded = dict.fromkeys(KINDS, False)  # it runs in a namespace that has this name no more
        self.index: t.Optional[int] = None  # of the interface it serves

    @property
    def active(self) -> bool:
        return any(unit.active for unit in self.units.values())


class Current(object):
    """All there is of network boot."""

    def __init__(self) -> None:
        self.exists = False
        self.servers: t.Dict[str, State] = {}
        self.unit_texts: t.Dict[str, t.Optional[str]] = dict.fromkeys(KINDS)
        self.relay: t.Optional[str] = None
        self.directories: t.List[str] = []  # those that are as they should be
        self.loaders: t.List[str] = []  # those that are what the package has now
        self.sources: t.Dict[str, str] = {}
        self.nodes: t.List[str] = []  # those that boot_files has made something for


def read(desired: t.Mapping[str, Server], paths: Paths, systemd: Systemd) -> Current:
    """Look at all servers there are and those that are wanted."""
    current = Current()
    current.exists = os.path.isdir(paths.directory)
    current.unit_texts = {kind: read_file(netboot_units.unit_file(paths, kind)) for kind in KINDS}
    current.relay = read_file(paths.relay)
    if not (current.exists or desired or any(current.unit_texts.values())):
        return current  # a host that never was a boot server need not have systemd
    _read_shared(current, paths)
    units = {kind: _units(systemd, kind) for kind in KINDS}
    present = _listed(paths.join("servers"))
    running = {name for found in units.values() for name, unit in found.items() if unit.active}
    for name in sorted(set(present) | set(desired) | running):
        if dhcp_files.NAME.match(name):
            current.servers[name] = _state(name, desired.get(name), paths, units)
            current.servers[name].exists = name in present
    return current


def _units(systemd: Systemd, kind: str) -> t.Dict[str, Unit]:
    found = systemd.units(netboot_units.pattern(kind))
    return {netboot_units.server_name(kind, unit): state for unit, state in found.items()}


def _state(name: str, server: t.Optional[Server], paths: Paths, units: t.Dict[str, t.Dict[str, Unit]]) -> State:
    state = State(name)
    for file in FILES + (FACTS,):
        state.files[file] = read_file(paths.server(name, file))
    state.stamp = parse_json(read_file(paths.server(name, STAMP)))
    for kind in KINDS:
        unit = units[kind].get(name, Unit(False, 0))
        state.units[kind] = unit
        state.stranded[kind] = unit.active and dhcp_current.is_stranded("qboot-" + name, unit.pid)
    if server is not None and server.present:
        state.index = interface(server)[0]
    return state


def _read_shared(current: Current, paths: Paths) -> None:
    group = netboot_units.worker_group()
    for directory, (mode, workers) in paths.tree().items():
        try:
            found = os.stat(directory)
        except FileNotFoundError:
            continue
        if found.st_mode & 0o7777 == mode and found.st_gid == (group if workers else 0) and found.st_uid == 0:
            current.directories.append(directory)
    for name, places in paths.loaders.items():
        source = next((place for place in places if os.path.isfile(place)), None)
        if source is not None:
            current.sources[name] = source
            if read_bytes(source) == read_bytes(paths.join("tftp", name)):
                current.loaders.append(name)
        elif os.path.isfile(paths.join("tftp", name)):
            current.loaders.append(name)  # the package is gone, and what it brought still works
    current.nodes = [name for name in _listed(paths.join("keys")) if dhcp_files.NAME.match(name)]


def _listed(directory: str) -> t.List[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def read_bytes(path: str) -> t.Optional[bytes]:
    """Return what stands in a file, or None when it isn't there."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def parse_json(text: t.Optional[str]) -> t.Dict[str, t.Any]:
    """Return an object that was kept, or nothing of it when a power failure has cut it short."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def interface(server: Server) -> t.Tuple[t.Optional[int], t.List[str]]:
    """Return the number of the device a server listens on, and its addresses with prefix lengths."""
    try:
        with netns.entered(server.namespace), rtnetlink.Reader() as reader:
            index = next((link.ifindex for link in reader.links() if link.name == server.interface), None)
            return index, [entry.address for entry in reader.addresses() if entry.ifindex == index]
    except FileNotFoundError:
        return None, []


def stamp(server: Server, index: t.Optional[int], kind: str) -> t.Dict[str, t.Any]:
    """Return what a daemon was told: kept to see later what it does not know yet."""
    if kind == HTTP:
        return {"config": dhcp_current.digest(server.files, (HTTP_CONFIG,)), "listen": server.listen}
    return {
        "config": dhcp_current.digest(server.files, (DHCP_CONFIG,)),
        "hosts": dhcp_current.digest(server.files, (HOSTS,)),
        "interface": index,
        "owners": server.owners(),
    }


def told(state: State, kind: str) -> t.Dict[str, t.Any]:
    """Return what a daemon was told last."""
    found = state.stamp.get(kind)
    return found if isinstance(found, dict) else {}


def facts_text(server: Server) -> str:
    """Return what is kept of a server for the info module and for boot_files."""
    return json.dumps(server.facts, sort_keys=True, indent=1) + "\n"
