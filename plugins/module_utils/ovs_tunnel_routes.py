# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes that Open vSwitch's userspace tunnels take, and the neighbours at their other ends.

Open vSwitch copies the kernel's routes, and drops and copies them all anew whenever any device of the host changes: a
frame that looks for its tunnel in between is lost. Routes that were added by hand stay.

It asks for the MAC of a neighbour when a frame is to go there, and drops that frame and those that follow. When no
answer comes it does not ask again for as long as they do follow: a host that was away, or whose address was not there
yet, would stay out of reach. So it is told the MACs that are known beforehand, and the neighbours are told of this one.
"""

from __future__ import annotations

import ipaddress
import os
import re
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import announce
from ansible_collections.weft.fabric.plugins.module_utils.ovs_snapshot import is_ours
from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import DEFAULT_SOCKET, OvsdbClient
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Engine, FabricError, Operation, read_file

PID_FILE = "ovs-vswitchd.pid"
NOTICE_SECONDS = 2.0
_USER_ROUTE = re.compile(r"^User: (\S+)(?: MARK \S+)? dev (\S+)(?: GW (\S+))?(?: SRC (\S+))?", re.MULTILINE)


class Route(t.NamedTuple):
    """A route: where to, through which bridge, by which gateway, from which address."""

    to: str
    bridge: str
    via: t.Optional[str]
    source: t.Optional[str]

    def __str__(self) -> str:
        words = [self.to] + (["via " + self.via] if self.via else []) + ["dev " + self.bridge]
        return " ".join(words + (["from " + self.source] if self.source else []))


class VswitchdClient(OvsdbClient):
    """A connection to ovs-vswitchd's control socket, which speaks JSON-RPC as the database does."""

    server = "ovs-vswitchd"


def control_socket(database_socket: t.Optional[str]) -> str:
    """Return the path of the control socket; its name holds the number of the process."""
    directory = os.path.dirname(database_socket or DEFAULT_SOCKET)
    number = (read_file(os.path.join(directory, PID_FILE)) or "").strip()
    if not number.isdigit():
        raise FabricError(
            "ovs-vswitchd does not run (there is no %s). Start it: systemctl start openvswitch-switch, or openvswitch."
            % os.path.join(directory, PID_FILE)
        )
    return os.path.join(directory, "ovs-vswitchd.%s.ctl" % number)


def parse_routes(text: str) -> t.Dict[str, Route]:
    """Return the routes that were added by hand, by destination, from what ovs/route/show says."""
    found = (Route(to, bridge, via or None, source or None) for to, bridge, via, source in _USER_ROUTE.findall(text))
    return {route.to: route for route in found}


class Current(t.NamedTuple):
    """What was read: the routes by destination, and the bridges that bear the collection's mark."""

    routes: t.Dict[str, Route]
    ours: t.FrozenSet[str]


def read_current(database_socket: t.Optional[str]) -> Current:
    """Read routes and marks."""
    with OvsdbClient(database_socket) as client:
        bridges = client.select({"Bridge": ["name", "external_ids"]})["Bridge"]
    with VswitchdClient(control_socket(database_socket)) as client:
        routes = parse_routes(client.call("ovs/route/show", []))
    return Current(routes, frozenset(row["name"] for row in bridges if is_ours(row)))


def route_items(database_socket: t.Optional[str], everything: bool = False) -> t.List[t.Dict[str, t.Any]]:
    """Return the routes in the shape the module takes."""
    current = read_current(database_socket)
    found = (route for _to, route in sorted(current.routes.items()) if everything or route.bridge in current.ours)
    return [dict(route._asdict(), state="present") for route in found]


class OvsTunnelRoutesEngine(Engine):
    """Makes the routes of userspace tunnels what the list says."""

    name = "ovs_tunnel_routes"

    def __init__(self, params):
        super().__init__(params)
        self.socket = params.get("socket")
        #: what was told the neighbours in this run; once more when flows let tunnels through
        self.announcements: t.List[announce.Announcement] = []

    def read(self):
        return read_current(self.socket)

    def diff(self, current):
        wanted = {}
        operations = []
        for item in self.params.get("routes") or []:
            route = _wanted(item)
            if item.get("state") in (None, "present"):
                if route.to in wanted:
                    raise FabricError("the tunnel route to %s is listed twice" % route.to)
                wanted[route.to] = route
            elif route.to in current.routes:
                operations.append(_removal(current.routes[route.to]))
        for to, route in wanted.items():
            old = current.routes.get(to)
            if not _same(route, old):
                text = "%s: %s" % (_line(route), "add" if old is None else "replace " + str(old))
                before = _line(old) if old is not None else ""
                operations.append(Operation(text, (old, route), before, _line(route)))
        if self.params.get("purge"):
            listed = {_wanted(item).to for item in self.params.get("routes") or []}
            surplus = (old for to, old in sorted(current.routes.items()) if to not in listed)
            operations += [_removal(old) for old in surplus if old.bridge in current.ours]
        return operations

    def apply(self, operations):
        present = [item for item in self.params.get("routes") or [] if item.get("state") in (None, "present")]
        neighbours = self.params.get("neighbours") or []
        with VswitchdClient(control_socket(self.socket)) as client:
            for operation in operations:
                old, _new = operation.payload
                # The source address is looked for when a route is added, and at no other time.
                if old is not None:
                    client.call("ovs/route/del", [old.to])
            # All of them: with a route that goes, Open vSwitch stops listening for tunnels on its bridge, also when
            # another route leads there. It begins again with the next that is added.
            for item in present:
                _add(client, _wanted(item))
            for neighbour in neighbours if present else ():
                if neighbour.get("mac"):
                    client.call("tnl/neigh/set", [neighbour["bridge"], neighbour["address"], neighbour["mac"]])
        self.announcements = list(announcements_of(present, neighbours))
        announce.send(self.announcements)


def announcements_of(
    routes: t.List[t.Dict[str, t.Any]], neighbours: t.List[t.Dict[str, t.Any]]
) -> t.Iterator[announce.Announcement]:
    """Yield what tells the neighbours of the addresses that tunnels come from."""
    for bridge, source in sorted({(route.bridge, route.source) for route in map(_wanted, routes) if route.source}):
        if ":" not in source:
            yield announce.Announcement(None, bridge, source)
            continue
        # Open vSwitch takes an advertisement only when it is for the very address that its own tunnels come from.
        for neighbour in neighbours:
            if neighbour["bridge"] == bridge and ":" in neighbour["address"]:
                yield announce.Announcement(None, bridge, source, neighbour["address"])


def _add(client: VswitchdClient, route: Route) -> None:
    """Add a route. ovs-vswitchd may take a moment to notice the address that the bridge has just got."""
    words = [route.to, route.bridge] + ([route.via] if route.via else [])
    deadline = time.monotonic() + NOTICE_SECONDS
    while not _taken(client, words, last=time.monotonic() > deadline):
        time.sleep(0.05)


def _taken(client: VswitchdClient, words: t.List[str], last: bool) -> bool:
    try:
        client.call("ovs/route/add", words)
    except FabricError:
        if last:
            raise
        return False
    return True


def _wanted(item: t.Dict[str, t.Any]) -> Route:
    try:
        to = str(ipaddress.ip_network(item["to"]))
    except ValueError as error:
        raise FabricError("tunnel route %s: %s" % (item["to"], error)) from error
    return Route(to, item.get("bridge") or "", item.get("via"), item.get("source"))


def _same(route: Route, old: t.Optional[Route]) -> bool:
    return old is not None and old == route._replace(source=route.source or old.source)


def _removal(old: Route) -> Operation:
    return Operation(_line(old) + ": remove", (old, None), before=_line(old))


def _line(route: Route) -> str:
    return "tunnel route " + str(route)
