# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DHCP servers of a host, in the shape the dhcp_servers module takes."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import dhcp_current, dhcp_files, dhcp_release
from ansible_collections.weft.fabric.plugins.module_utils.dhcp_unit import PATTERN
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import read_file
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd

Item = t.Dict[str, t.Any]


def describe(names: t.Optional[t.List[str]], directory: str, systemd: Systemd) -> t.Dict[str, t.Any]:
    """Return the servers of these names, or all of them, with their leases and whether they run."""
    found: t.Dict[str, t.Any] = {"servers": [], "leases": {}, "active": {}}
    if not os.path.isdir(directory):
        return found
    current = dhcp_current.read({}, directory, None, systemd.units(PATTERN))
    for name, state in current.servers.items():
        if not state.exists or (names is not None and name not in names):
            continue
        found["servers"].append(_server(state))
        leases = dhcp_release.parse_leases(read_file(os.path.join(directory, name, dhcp_current.LEASES)) or "")[0]
        found["leases"][name] = [_lease(lease) for lease in leases]
        found["active"][name] = state.unit.active
    return found


def _server(state: dhcp_current.State) -> Item:
    tagged = [line.split("=", 1)[1] for line in _lines(state, "tagged.conf") if line.startswith("dhcp-host=")]
    config = state.files.get("dnsmasq.conf") or ""
    return {
        "name": state.name,
        "namespace": "qdhcp-" + state.name,
        "interface": state.stamp.get("device") or _interface(config),
        "config": config,
        "hosts": [_host(line) for line in _lines(state, "hosts") + tagged],
        "options": [_option(line) for line in _lines(state, "options")],
        "names": [{"address": line.split()[0], "names": line.split()[1:]} for line in _lines(state, "names")],
    }


def _lines(state: dhcp_current.State, file: str) -> t.List[str]:
    return (state.files.get(file) or "").splitlines()


def _interface(config: str) -> t.Optional[str]:
    """Before a server was started for the first time, only its configuration tells the device."""
    lines = [line.split("=", 1)[1].strip() for line in config.splitlines() if line.startswith("interface=")]
    return lines[0] if lines else None


def _host(line: str) -> Item:
    """Take apart what dhcp_files.Host.line() wrote."""
    item: Item = {"mac": None, "client_id": None, "hostname": None, "addresses": [], "tags": []}
    for number, word in enumerate(line.split(",")):
        if word.startswith("id:"):
            item["client_id"] = word[3:]
        elif number == 0 and word.count(":") == 5:
            item["mac"] = word
        elif word.startswith("set:"):
            item["tags"].append(word[4:])
        elif dhcp_files.is_address(word.strip("[]")):
            item["addresses"].append(word.strip("[]"))
        else:
            item["hostname"] = word
    return item


def _option(line: str) -> Item:
    words = line.split(",")
    tags = []
    while words[0].startswith("tag:"):
        tags.append(words.pop(0)[4:])
    return {"tags": tags, "option": words[0], "value": ",".join(words[1:]) or None}


def _lease(lease: dhcp_release.Lease) -> Item:
    client = lease.client_id if lease.version == 6 else lease.key
    hostname = None if lease.hostname == "*" else lease.hostname
    return {"address": lease.address, "client": client, "hostname": hostname, "expires": lease.expires}
