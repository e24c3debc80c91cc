# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files say of switches → the model. Part of assemble.py."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.switch_names import normalise

from .checker import Entry, Read
from .model import Where
from .model_switches import Aggregate, Credentials, ExpectedCurrent, Switch, SwitchPort, VlanRange
from .problems import Problems

_SETTINGS = ("timeout", "connect_timeout", "lock_timeout", "confirmed_commit")


class SwitchReader:
    """Reads one switch. where(*parts) tells where a part of it stands, and takes its time for it."""

    def __init__(self, file: str, entry: Entry, where: t.Callable[..., Where], problems: Problems) -> None:
        self._file = file
        self._entry = entry
        self._where = where
        self._problems = problems
        self.flawed: set[str] = set()  # ports that have a problem of their own
        self.sound = True  # False: the switch itself has one

    def read(self) -> Switch | None:
        """Return the switch; None when too little of it can be read, which has been noted then."""
        entry, given = self._entry, self._entry.values
        if not entry.complete:
            self.sound = False
            for _port in given.get("ports", ()):
                pass  # what is wrong with them is told while they are read
            return None
        where = Where(self._file, entry.line, entry.path)
        switch = Switch(entry.name, where, given["driver"], given["address"], Credentials(**given["credentials"]))
        for name in ("port", "host_key", "known_hosts", "host_key_checking", "manage_vlans", "persist"):
            if name in given:
                setattr(switch, name, given[name])
        switch.allowed_vlans = tuple(given["allowed_vlans"])
        switch.owned_vlans = tuple(given.get("owned_vlans") or ())
        switch.physical_networks = tuple(dict.fromkeys(given.get("physical_networks") or ()))
        switch.settings = {name: given[name] for name in _SETTINGS if name in given}
        switch.vars = {key: value for key, value in given.items() if key.startswith("ansible_")}
        switch.vars.update(given.get("vars") or {})
        switch.uplinks = self._normalised(given.get("uplinks") or (), "uplinks")
        if given.get("allowed_ports") is not None:
            switch.allowed_ports = self._normalised(given["allowed_ports"], "allowed_ports")
        self.sound = self._problems.total == entry.problems_before
        for item in given.get("ports", ()):
            switch.ports[item.name] = self._port(switch, item)
            if self._problems.total > item.problems_before:
                self.flawed.add(item.name)
        return switch

    def _normalised(self, names: t.Iterable[str], *parts: str) -> tuple[str, ...]:
        return tuple(self._normal(name, *parts, index) for index, name in enumerate(names))

    def _normal(self, name: str, *parts: str | int) -> str:
        try:
            return normalise(self._entry.values["driver"], name)
        except ValueError as error:
            self._problems.add(self._where(*parts), str(error), "write the name as the switch shows it")
            return name

    def _port(self, switch: Switch, entry: Entry) -> SwitchPort:
        given = entry.values
        at = ("ports", entry.name)
        where = Where(self._file, entry.line, entry.path)
        port = SwitchPort(entry.name, self._normal(entry.name, *at), switch.name, where)
        for name in ("host", "physical_network", "native", "description", "enabled", "edge", "neighbour"):
            if name in given:
                setattr(port, name, given[name])
        if port.physical_network is None and port.host is not None and len(switch.physical_networks) == 1:
            port.physical_network = switch.physical_networks[0]
        port.vlan = given.get("network", given.get("vlan"))
        port.allowed = tuple(given.get("allowed") or ())
        port.mode = given.get("mode") or _mode(given)
        if given.get("members") is not None:
            members = self._normalised(given["members"], *at, "members")
            port.aggregate = Aggregate(members, given.get("lacp", "active"), given.get("min_links"))
        if given.get("expected_current"):
            port.expected_current = _expected(given["expected_current"])
        port.given = frozenset(given)
        return port


def _mode(given: Read) -> str | None:
    """Return the mode that a port must be of with what it says; None where it says nothing of VLANs."""
    if "network" in given or "vlan" in given:
        return "access"
    if given.get("host") is None and ("native" in given or "allowed" in given):
        return "trunk"
    return None


def _expected(given: Read) -> ExpectedCurrent:
    allowed: tuple[VlanRange, ...] = tuple(given.get("allowed") or ())
    return ExpectedCurrent(given["mode"], given.get("vlan"), given.get("native"), allowed)
