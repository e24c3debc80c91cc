# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the boot servers that stand to those that shall stand. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.netboot_current import (
    FACTS,
    Current,
    State,
    facts_text,
    stamp,
    told,
)
from ansible_collections.weft.fabric.plugins.module_utils.netboot_desired import (
    DHCP_CONFIG,
    FILES,
    HOSTS,
    HTTP_CONFIG,
    Server,
)
from ansible_collections.weft.fabric.plugins.module_utils.netboot_paths import Paths
from ansible_collections.weft.fabric.plugins.module_utils.netboot_units import DHCP, HTTP, KINDS
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, Operation

# What an operation asks for; apply() brings them into an order.
TREE, LOADER, RELAY, UNIT, WRITE, START, RESTART, RELOAD, REMOVE, REMOVE_NODE, REMOVE_ALL = range(11)

_DAEMONS = {DHCP: "dnsmasq", HTTP: "nginx"}
_VERBS = {START: "start", RESTART: "restart", RELOAD: "reload"}


def plan(
    current: Current,
    desired: t.Mapping[str, Server],
    purge: bool,
    paths: Paths,
    unit_texts: t.Mapping[str, str],
    relay: str,
) -> t.List[Operation]:
    """Return the operations."""
    operations: t.List[Operation] = []
    wanted = [server for server in desired.values() if server.present]
    if wanted:
        operations += _shared(current, paths, unit_texts, relay)
    for server in wanted:
        operations += _plan_server(server, current.servers[server.name])
    for name, state in current.servers.items():
        unwanted = not desired[name].present if name in desired else purge
        if unwanted and (state.exists or state.active):
            operations.append(Operation("remove boot server %s" % name, (REMOVE, name), "boot server %s" % name))
    if purge:
        operations += _leftovers(current, wanted, paths)
    return operations


def _shared(current: Current, paths: Paths, unit_texts: t.Mapping[str, str], relay: str) -> t.Iterator[Operation]:
    """Yield what all servers have in common."""
    for directory in paths.tree():
        if directory not in current.directories:
            yield Operation("make directory %s" % directory, (TREE, directory), "", directory)
    for name in paths.loaders:
        if name in current.loaders:
            continue
        if name not in current.sources:
            raise FabricError(
                "boot servers: there is no %s on this host to give to nodes: install ipxe (Debian) or "
                "ipxe-bootimgs-x86 (Fedora)" % name
            )
        text = "install the loader %s" % name
        yield Operation(text, (LOADER, name), "", "%s from %s" % (paths.join("tftp", name), current.sources[name]))
    if current.relay != relay:
        yield Operation("write %s" % paths.relay, (RELAY, ""), "", paths.relay)
    for kind in KINDS:
        if current.unit_texts[kind] != unit_texts[kind]:
            name = "weft-fabric-boot-%s@" % kind
            yield Operation("write unit %s" % name, (UNIT, kind), current.unit_texts[kind] or "", unit_texts[kind])


def _leftovers(current: Current, wanted: t.Sequence[Server], paths: Paths) -> t.List[Operation]:
    """Return what remains of servers and nodes that are none any more."""
    if wanted:
        known = {node.name for server in wanted for node in server.nodes}
        text = "remove the boot files of node %s, which no boot server knows"
        return [Operation(text % name, (REMOVE_NODE, name), name) for name in current.nodes if name not in known]
    if current.exists or current.relay is not None or any(current.unit_texts.values()):
        return [Operation("remove all of network boot, with images and keys", (REMOVE_ALL, ""), paths.directory)]
    return []


def _plan_server(server: Server, state: State) -> t.List[Operation]:
    operations = list(_changes(server, state)) if state.exists else [_creation(server)]
    for kind in KINDS:
        verb = _dhcp(server, state) if kind == DHCP else _http(server, state)
        if verb is not None:
            text = "%s the %s of boot server %s" % (_VERBS[verb], _DAEMONS[kind], server.name)
            after = "%s of %s: active" % (_DAEMONS[kind], server.name) if verb == START else ""
            operations.append(Operation(text, (verb, (kind, server.name)), "", after))
    return operations


def _dhcp(server: Server, state: State) -> t.Optional[int]:
    """Return what has to be done for dnsmasq to know what it should, or None.

    As it goes by what the daemon was told, a run that was killed is finished. An address that goes to another machine
    takes a restart: dnsmasq would not give it away as long as it knows a lease for it.
    """
    if not state.units[DHCP].active:
        return START
    before, now = told(state, DHCP), stamp(server, state.index, DHCP)
    moved = state.stranded[DHCP] or before.get("interface") != now["interface"]
    if moved or before.get("config") != now["config"] or state.files.get(DHCP_CONFIG) != server.files[DHCP_CONFIG]:
        return RESTART
    if before.get("hosts") == now["hosts"] and state.files.get(HOSTS) == server.files[HOSTS]:
        return None
    owners = before.get("owners") or {}
    kept = all(now["owners"].get(address) == owner for address, owner in owners.items())
    return RELOAD if kept else RESTART


def _http(server: Server, state: State) -> t.Optional[int]:
    """Return the same for nginx, which finishes what it is sending when it reads its configuration again."""
    if not state.units[HTTP].active:
        return START
    before, now = told(state, HTTP), stamp(server, state.index, HTTP)
    if state.stranded[HTTP] or before.get("listen") != now["listen"]:
        return RESTART
    same = before.get("config") == now["config"] and state.files.get(HTTP_CONFIG) == server.files[HTTP_CONFIG]
    return None if same else RELOAD


def _creation(server: Server) -> Operation:
    text = "create boot server %s on %s for %d nodes" % (server.name, server.interface, len(server.nodes))
    after = ["boot server %s" % server.name]
    for file in FILES:
        after += ["%s/%s: %s" % (server.name, file, line) for line in server.files[file].splitlines()]
    return Operation(text, (WRITE, server.name), "", "\n".join(after))


def _changes(server: Server, state: State) -> t.Iterator[Operation]:
    """Yield one operation for each node that comes or goes, and for each file that changes otherwise."""
    for file in FILES:
        old, new = state.files.get(file), server.files[file]
        if old == new:
            continue
        before, after = (old or "").splitlines(), new.splitlines()
        gone = [line for line in before if line not in set(after)]
        come = [line for line in after if line not in set(before)]
        if file != HOSTS or not (gone or come):
            text = "change %s of boot server %s" % (file, server.name)
            yield Operation(text, (WRITE, server.name), _told(server, file, gone), _told(server, file, come))
            continue
        for line in come:
            text = "let %s boot from boot server %s" % (line, server.name)
            yield Operation(text, (WRITE, server.name), "", _told(server, file, [line]))
        for line in gone:
            text = "let %s boot no more from boot server %s" % (line, server.name)
            yield Operation(text, (WRITE, server.name), _told(server, file, [line]), "")
    if state.files.get(FACTS) != facts_text(server):
        yield Operation("change what is kept of boot server %s" % server.name, (WRITE, server.name))


def _told(server: Server, file: str, lines: t.Sequence[str]) -> str:
    return "\n".join("%s/%s: %s" % (server.name, file, line) for line in lines)
