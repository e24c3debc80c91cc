# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What highly available routers are asked for, and what stands: files, daemons, and what the daemons were told last."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import iproute, vrrp_files, vrrp_program
from ansible_collections.weft.fabric.plugins.module_utils.dhcp_current import is_stranded
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, read_file
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Unit

CONFIG = "keepalived.conf"
SESSIONS = "conntrackd.conf"
SETTINGS = "settings"
# A symbolic link to it: a unit knows a router by its name only.
NAMESPACE = "namespace"
FILES = (CONFIG, SESSIONS, SETTINGS, NAMESPACE)

_KIND = "VRRP router"
_DEVICE = re.compile(r"\bdev (\S+)|^\s*interface (\S+)", re.MULTILINE)


class Router(t.NamedTuple):
    """A desired router. keep: when it goes, its addresses stay."""

    name: str
    present: bool
    interface: str
    files: t.Dict[str, t.Optional[str]]
    keep: bool = False
    namespace: str = ""

    @property
    def where(self) -> str:
        return "%s %s" % (_KIND, self.name)


class State(object):
    """A router as it is."""

    def __init__(self, name: str):
        self.name = name
        self.exists = False
        self.files: t.Dict[str, t.Optional[str]] = {}
        self.stamp: t.Dict[str, t.Any] = {}
        self.unit = Unit(False, 0)
        self.sessions = Unit(False, 0)
        self.stranded = False  # keepalived is not in the namespace that bears the name now
        self.sessions_stranded = False
        self.devices: t.Dict[str, int] = {}  # those that the desired configuration names

    @property
    def namespace(self) -> str:
        return os.path.basename(self.files.get(NAMESPACE) or vrrp_files.namespace_of(self.name))


class Current(object):
    """All routers that were looked at, and the files they share."""

    def __init__(self, shared: t.Dict[str, t.Optional[str]]):
        self.shared = shared
        self.routers: t.Dict[str, State] = {}
        self.refreshed = False  # the timer runs
        self.watches: t.Optional[int] = None  # how many programs may watch files, where that can be changed


def parse(params: t.Mapping[str, t.Any]) -> t.Dict[str, Router]:
    """Return the desired routers by name."""
    found: t.Dict[str, Router] = {}
    for item in params.get("routers") or []:
        name = vrrp_files.router_name(item, _KIND, found, centralised=True)
        found[name] = _router(name, item)
    return found


def _router(name: str, item: t.Mapping[str, t.Any]) -> Router:
    where = "%s %s" % (_KIND, name)
    if item.get("state") == "absent":
        return Router(name, False, "", {}, bool(item.get("keep_addresses")))
    interface = iproute.interface(item.get("interface"), where + ", interface")
    namespace = item.get("namespace") or vrrp_files.namespace_of(name)
    sessions = item.get("conntrackd")
    files = {
        CONFIG: vrrp_files.config_text(item.get("config"), where + ": config"),
        SESSIONS: None if sessions is None else vrrp_files.config_text(sessions, where + ": conntrackd"),
        SETTINGS: _settings(interface, item, where),
        NAMESPACE: vrrp_files.path_of(namespace),
    }
    return Router(name, True, interface, files, namespace=namespace)


def _settings(interface: str, item: t.Mapping[str, t.Any], where: str) -> str:
    """Return what the shell program reads. A shell runs it, so each word is checked."""
    peers = [str(iproute.address(peer, where + ", peers")) for peer in item.get("peers") or ()]
    forwarding = [_forwarding(device, where) for device in item.get("forwarding") or ()]
    return "interface='%s'\npeers='%s'\nforwarding='%s'\n" % (interface, " ".join(peers), " ".join(forwarding))


def _forwarding(device: t.Any, where: str) -> str:
    return "all" if device == "all" else iproute.interface(device, where + ", forwarding")


def settings(text: t.Optional[str]) -> t.Dict[str, str]:
    """Take apart what _settings() wrote."""
    return dict(re.findall(r"^(\w+)='(.*)'$", text or "", re.MULTILINE))


def named_devices(config: t.Optional[str]) -> t.Set[str]:
    """Return the devices that a configuration names."""
    return {first or second for first, second in _DEVICE.findall(config or "")}


def read(
    desired: t.Mapping[str, Router],
    paths: vrrp_program.Paths,
    units: t.Mapping[str, Unit],
) -> Current:
    """Look at all routers there are and those that are wanted. units: those of vrrp_program.PATTERNS."""
    current = Current({path: read_file(path) for path in vrrp_program.file_names(paths)})
    current.watches = _watches(paths.watches)
    running = vrrp_program.by_router(units, vrrp_program.unit_name)
    telling = vrrp_program.by_router(units, vrrp_program.sessions_name)
    active = {name for found in (running, telling) for name, unit in found.items() if unit.active}
    for name in sorted(set(directories(paths.directory)) | set(desired) | active):
        if not vrrp_files.NAME.match(name):
            continue
        state = on_disk(name, paths)
        state.stamp = vrrp_files.read_stamp(os.path.join(paths.directory, name))
        state.unit = running.get(name, state.unit)
        state.sessions = telling.get(name, state.sessions)
        state.stranded = _is_stranded(state.namespace, state.unit)
        state.sessions_stranded = _is_stranded(state.namespace, state.sessions)
        router = desired.get(name)
        if router is not None and router.present:
            state.devices = _devices(router)
        current.routers[name] = state
    return current


def on_disk(name: str, paths: vrrp_program.Paths) -> State:
    """Return what is written of a router."""
    state = State(name)
    directory = os.path.join(paths.directory, name)
    state.exists = os.path.isdir(directory)
    state.files = {file: read_file(os.path.join(directory, file)) for file in FILES if file != NAMESPACE}
    state.files[NAMESPACE] = vrrp_files.read_link(os.path.join(directory, NAMESPACE))
    return state


def _watches(path: str) -> t.Optional[int]:
    """Return the host's limit, or None where it is not this host's to change, as in a container."""
    try:
        with open(path, "r+", encoding="ascii") as stream:
            return int(stream.read())
    except OSError:
        return None


def directories(path: str) -> t.List[str]:
    """Return the names of the routers that have files."""
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []


def _is_stranded(namespace: str, unit: Unit) -> bool:
    return unit.active and is_stranded(namespace, unit.pid)


def _devices(router: Router) -> t.Dict[str, int]:
    named = named_devices(router.files[CONFIG])
    present = vrrp_files.devices(router.namespace) or {}
    return {name: index for name, index in present.items() if name in named}


def missing_devices(router: Router, state: State) -> t.List[str]:
    """Return the devices that the configuration names and that are not there."""
    return sorted(named_devices(router.files[CONFIG]) - set(state.devices))


def stamp(router: Router, state: State) -> t.Dict[str, t.Any]:
    """Return what the daemons were told."""
    return {
        "config": vrrp_files.digest(router.files[CONFIG]),
        "sessions": vrrp_files.digest(router.files[SESSIONS]),
        "interface": router.interface,
        "devices": state.devices,
    }


def refuse_missing(router: Router, state: State) -> None:
    """Refuse a router whose devices are not there: keepalived would leave their addresses out without an error."""
    missing = missing_devices(router, state)
    if missing:
        raise FabricError(
            "%s needs device %s in namespace %s, and that is not there:"
            " make it with weft.fabric.namespaces first" % (router.where, missing[0], router.namespace)
        )
