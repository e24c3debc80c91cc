# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's routers do now: role, since when, the addresses they hold, and whether that agrees."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import (
    command,
    netns,
    router_roles,
    vrrp_files,
    vrrp_info,
    vrrp_program,
)
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd

Item = t.Dict[str, t.Any]

_BLOCK = re.compile(r"virtual_ipaddress(?:_excluded)? \{(.*?)\}", re.DOTALL)
_ADDRESS = re.compile(r"^\s*([0-9a-fA-F.:]+/\d+)\s", re.MULTILINE)

# A transition takes some tenths of a second, in which state and addresses need not agree.
_SETTLES = 1.0
_POLL = 0.05


def describe(
    names: t.Optional[t.List[str]],
    paths: t.Optional[router_roles.Paths] = None,
    systemd: t.Optional[Systemd] = None,
    parts: t.Sequence[str] = (),
) -> t.Dict[str, t.Any]:
    """Return the routers of these names, or all HA routers: their handicaps, and what each does.

    parts: distributed routers of which this host has its own part.
    """
    paths, systemd = paths or router_roles.Paths(), systemd or Systemd()
    found = _look(names, paths, systemd)
    end = time.monotonic() + _SETTLES
    while _contradicts(found["status"]) and time.monotonic() < end:
        time.sleep(_POLL)
        found = _look(names, paths, systemd)
    return dict(found, parts={name: _part(vrrp_files.namespace_of(name)) for name in parts})


def _look(names: t.Optional[t.List[str]], paths: router_roles.Paths, systemd: Systemd) -> t.Dict[str, t.Any]:
    seen = vrrp_info.describe(names, vrrp_program.Paths(paths.directory, paths.run), systemd)
    drained = os.path.exists(paths.drained)
    own = router_roles.DRAINED_HANDICAP if drained else 0
    status = {}
    for item in seen["routers"]:
        name = item["name"]
        found = _ha(item["config"] or "", seen["status"][name], held_addresses(item["namespace"]))
        status[name] = dict(found, interface=item["interface"])
    routers = [{"name": name, "handicap": min(item["handicap"] - own, 0)} for name, item in status.items()]
    for name in names or ():
        if name not in status and vrrp_files.NAME.match(name):
            status[name] = _alone(name)
    return {
        "routers": routers,
        "drained": drained,
        "status": status,
        "health": seen["health_status"],
        "now": round(time.time(), 3),
    }


def _ha(config: str, status: t.Mapping[str, t.Any], addresses: t.List[str]) -> Item:
    """Return what an HA router does, with what it should hold as primary and does not, and the other way round."""
    wanted, held = expected(config), {ipaddress.ip_interface(address) for address in addresses}
    item = dict(status, ha=True, addresses=addresses, missing=[], surplus=[])
    if status["state"] == router_roles.PRIMARY:
        item["missing"] = sorted(str(address) for address in wanted - held)
    else:
        item["surplus"] = sorted(str(address) for address in wanted & held)
    item["seconds"] = None if status["since"] is None else max(round(time.time() - status["since"], 3), 0.0)
    return item


def expected(config: str) -> t.Set[t.Any]:
    """Return the addresses that keepalived gives to the primary."""
    return {ipaddress.ip_interface(text) for block in _BLOCK.findall(config) for text in _ADDRESS.findall(block)}


def held_addresses(namespace: str) -> t.List[str]:
    """Return all addresses in a router's namespace, those of link scope too: the one that tells the primary is."""
    if namespace not in netns.names()[0]:
        return []
    done = command.run(["ip", "-n", namespace, "-j", "address", "show"])
    if done.returncode != 0:
        return []  # it went away meanwhile
    return sorted(
        "%s/%d" % (address["local"], address["prefixlen"])
        for link in json.loads(done.stdout or "[]")
        if link.get("ifname") not in (None, "lo")
        for address in link["addr_info"]
    )


def _alone(name: str) -> Item:
    """Return what a router without a standby has: its namespace and addresses, or nothing."""
    # A distributed one may have its part of this host in the other namespace.
    centralised = vrrp_files.centralised_namespace_of(name)
    namespace = centralised if centralised in netns.names()[0] else vrrp_files.namespace_of(name)
    return dict(_part(namespace), ha=False)


def _part(namespace: str) -> Item:
    """Return whether a namespace is there, and the addresses by which machines know the router."""
    known = [address for address in held_addresses(namespace) if not ipaddress.ip_interface(address).is_link_local]
    return {"active": namespace in netns.names()[0], "addresses": known}


def _contradicts(status: t.Mapping[str, t.Mapping[str, t.Any]]) -> bool:
    return any(item["ha"] and (item["missing"] or item["surplus"]) for item in status.values())
