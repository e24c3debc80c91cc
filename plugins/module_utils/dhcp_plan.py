# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the DHCP servers that stand to those that shall stand. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.dhcp_current import (
    CONFIG_FILES,
    DATA_FILES,
    Current,
    Server,
    State,
    digest,
)
from ansible_collections.weft.fabric.plugins.module_utils.dhcp_unit import unit_name
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Operation

# What an operation asks for; apply() brings them into an order.
UNIT, WRITE, START, RESTART, RELOAD, REMOVE, REMOVE_UNIT = range(7)

_KINDS = {"tagged.conf": "host with options", "hosts": "host", "options": "option", "names": "name"}


def plan(current: Current, desired: t.Mapping[str, Server], purge: bool, unit_text: str) -> t.List[Operation]:
    """Return the operations."""
    operations = []
    wanted = [server for server in desired.values() if server.present]
    if wanted and current.unit_text != unit_text:
        operations.append(Operation("write the unit file of DHCP servers", (UNIT, ""), "", "unit weft-fabric-dhcp@"))
    for server in wanted:
        operations += _plan_server(server, current.servers[server.name])
    for name, state in current.servers.items():
        unwanted = not desired[name].present if name in desired else purge
        if unwanted and (state.exists or state.unit.active):
            operations.append(Operation("remove DHCP server %s" % name, (REMOVE, name), "DHCP server %s" % name))
    if purge and not wanted and current.unit_text is not None:
        operations.append(
            Operation("remove the unit file of DHCP servers", (REMOVE_UNIT, ""), "unit weft-fabric-dhcp@")
        )
    return operations


def _plan_server(server: Server, state: State) -> t.List[Operation]:
    operations = _changes(server, state) if state.exists else [_creation(server)]
    verb = _daemon(server, state)
    if verb is not None:
        word = {START: "start", RESTART: "restart", RELOAD: "reload"}[verb]
        after = "%s: active" % unit_name(server.name) if verb == START else ""
        operations.append(Operation("%s DHCP server %s" % (word, server.name), (verb, server.name), "", after))
    return operations


def _daemon(server: Server, state: State) -> t.Optional[int]:
    """Return what has to be done for the daemon to know what it should, or None.

    It goes by what the daemon was told, not only by what is written now: a run may have been killed between the two.
    And what somebody else wrote, the daemon may have been told by them.
    """
    if not state.unit.active:
        return START
    told = state.stamp
    moved = state.stranded or told.get("interface") != state.index
    if moved or told.get("config") != digest(server.files, CONFIG_FILES) or _differ(server, state, CONFIG_FILES):
        return RESTART
    if told.get("data") != digest(server.files, DATA_FILES) or _differ(server, state, DATA_FILES):
        return RELOAD
    return None


def _differ(server: Server, state: State, names: t.Iterable[str]) -> bool:
    return any(state.files.get(name) != server.files[name] for name in names)


def _creation(server: Server) -> Operation:
    text = "create DHCP server %s on %s with %d hosts" % (server.name, server.interface, len(server.hosts))
    after = ["DHCP server %s" % server.name]
    for file in CONFIG_FILES + DATA_FILES:
        after += ["%s/%s: %s" % (server.name, file, line) for line in server.files[file].splitlines()]
    return Operation(text, (WRITE, server.name), "", "\n".join(after))


def _changes(server: Server, state: State) -> t.List[Operation]:
    """Return one operation for each line that comes or goes; the frame of the configuration counts as one."""
    operations = []
    for file in CONFIG_FILES + DATA_FILES:
        old, new = state.files.get(file), server.files[file]
        if old == new:
            continue
        before, after = (old or "").splitlines(), new.splitlines()
        gone = [line for line in before if line not in set(after)]
        come = [line for line in after if line not in set(before)]
        if file == "dnsmasq.conf" or not (gone or come):
            text = "change %s of DHCP server %s" % (file, server.name)
            operations.append(Operation(text, (WRITE, server.name), _told(server, gone), _told(server, come)))
            continue
        for word, lines in (("add", come), ("remove", gone)):
            for line in lines:
                text = "%s %s in DHCP server %s: %s" % (word, _KINDS[file], server.name, line)
                told = "%s/%s: %s" % (server.name, file, line)
                before_after = ("", told) if word == "add" else (told, "")
                operations.append(Operation(text, (WRITE, server.name), *before_after))
    return operations


def _told(server: Server, lines: t.List[str]) -> str:
    return "\n".join("%s/dnsmasq.conf: %s" % (server.name, line) for line in lines)
