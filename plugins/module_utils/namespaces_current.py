# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands on the host: links, addresses, routes, neighbours, rules and sysctls, by namespace."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import iproute, netns, rtnetlink
from ansible_collections.weft.fabric.plugins.module_utils.namespaces_desired import MARK, Namespace
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import read_file, write_file

# What an interrupted run was about to make. A device bears its mark only some microseconds after it was made;
# this says that an unmarked one of that name is ours. It dies with the devices, at the next boot.
INTENT_FILE = "/run/weft-fabric/namespaces.intent"


class State(object):
    """One namespace as it is."""

    def __init__(self, name: t.Optional[str]):
        self.name = name
        self.exists = True
        self.broken = False  # a file without a namespace, left by a killed ip
        self.ours = False  # made by the collection; the host's own never is
        self.links: t.Dict[str, rtnetlink.Link] = {}
        self.by_index: t.Dict[int, rtnetlink.Link] = {}
        self.addresses: t.Dict[str, t.List[rtnetlink.Address]] = {}
        self.routes: t.List[rtnetlink.Route] = []
        self.neighbours: t.List[rtnetlink.Neighbour] = []
        self.rules: t.List[rtnetlink.Rule] = []
        self.sysctls: t.Dict[str, t.Optional[str]] = {}
        self.tx_checksum: t.Dict[str, t.Optional[bool]] = {}
        self.stack: t.Dict[str, bool] = {}  # device: whether the host's stack is on it as wanted
        self.intended: t.FrozenSet[str] = frozenset()

    def marked(self, link: rtnetlink.Link) -> bool:
        """Whether the collection made a link."""
        return is_mark(link.alias) or link.name in self.intended

    def device(self, index: t.Optional[int]) -> t.Optional[str]:
        found = self.by_index.get(index) if index else None
        return found.name if found else None


class Current(object):
    """All namespaces that were looked at. The host's own is always among them, under None."""

    def __init__(self) -> None:
        self.states: t.Dict[t.Optional[str], State] = {}

    def state(self, name: t.Optional[str]) -> State:
        if name not in self.states:
            missing = State(name)
            missing.exists = False
            self.states[name] = missing
        return self.states[name]

    def host_peer(self, state: State, link: rtnetlink.Link) -> t.Optional[rtnetlink.Link]:
        """Return the host's end of a veth pair, or None."""
        return self.other_end(state, link, None)

    def other_end(self, state: State, link: rtnetlink.Link, namespace: t.Optional[str]) -> t.Optional[rtnetlink.Link]:
        """Return what may be the other end of a veth pair in a namespace, or None.

        Both ends must agree. That is proof where one of them is in the host; between two other namespaces indexes
        repeat, and what else is known of the two must agree as well.
        """
        there = self.states.get(namespace)
        found = there.by_index.get(link.link) if there is not None and link.kind == "veth" else None
        if found is None or found.kind != "veth" or found.link != link.ifindex:
            return None
        same = state.name == namespace
        return found if link.foreign_peer == found.foreign_peer == (not same) else None


def is_mark(alias: str) -> bool:
    """Whether an alias is the collection's mark: the word itself, or the word and a resource."""
    return alias == MARK or alias.startswith(MARK + " ")


def read(wanted: t.Mapping[t.Optional[str], t.Optional[Namespace]], everything: bool) -> Current:
    """Look at the host's own namespace, the wanted ones and, if asked for everything, all that are ours.

    A namespace of somebody else that nobody named is left out, marked links and all: a container may be a host of
    another fabric. Of the pairs we put into it the host's end tells.
    """
    current = Current()
    intent = read_intent()
    alive, broken = netns.names()
    for name in broken:
        if name in wanted:
            current.state(name).broken = True
    listed = [name for name in alive if everything or name in wanted]
    for name in [None] + t.cast(t.List[t.Optional[str]], listed):
        state = State(name)
        state.intended = frozenset(intent.get("links", {}).get(name or "", ()))
        try:
            with netns.entered(name):
                _read_state(state, wanted.get(name), everything)
        except FileNotFoundError:
            continue  # removed at this moment by somebody else
        if name is not None:
            state.ours = is_mark(state.links["lo"].alias) or name in intent.get("namespaces", ())
        if name in wanted or name is None or state.ours:
            current.states[name] = state
    return current


def _read_state(state: State, wanted: t.Optional[Namespace], everything: bool) -> None:
    with rtnetlink.Reader() as reader:
        for link in reader.links():
            state.links[link.name] = link
            state.by_index[link.ifindex] = link
        for address in reader.addresses():
            device = state.device(address.ifindex)
            if device is not None:  # else it was removed between the two questions
                state.addresses.setdefault(device, []).append(address)
        _read_routing(state, reader, wanted, everything)
    if wanted is None:
        return
    for path in wanted.sysctls:
        state.sysctls[path] = netns.read_sysctl(path)
    for device, sysctls in wanted.stack.items():
        state.stack[device] = all(netns.has_sysctl(path, value) for path, value in sysctls.items())
    for link in wanted.links.values():
        if link.tx_checksum is not None and link.name in state.links:
            state.tx_checksum[link.name] = netns.read_tx_checksum(link.name)


def _read_routing(state: State, reader: rtnetlink.Reader, wanted: t.Optional[Namespace], everything: bool) -> None:
    """Read no more than what is compared: the host's own tables may hold all routes of the internet."""
    asked = wanted is not None and bool(wanted.absent)
    if everything or asked or (wanted is not None and wanted.routes is not None):
        state.routes = reader.routes(iproute.PROTOCOL)
        if wanted is not None and wanted.routes is not None and wanted.name is not None:
            # In a namespace of ours they are ours as well, from when keepalived had it.
            state.routes += reader.routes(iproute.KEEPALIVED_PROTOCOL)
        ours = {(r.family, r.table, r.to, r.metric) for r in state.routes}
        if wanted is not None and not ours.issuperset(wanted.routes or {}):
            state.routes = reader.routes()  # a route of somebody else may stand where one of ours is to go
    if wanted is not None and any(link.takes_addresses_from for link in wanted.links.values()):
        state.routes = reader.routes()
    if everything or asked or (wanted is not None and wanted.neighbours is not None):
        state.neighbours = reader.neighbours()
    if everything or asked or (wanted is not None and wanted.rules is not None):
        state.rules = reader.rules()


def read_intent() -> t.Dict[str, t.Any]:
    """Return what an interrupted run was about to make."""
    text = read_file(INTENT_FILE)
    return json.loads(text) if text else {}


def write_intent(namespaces: t.Iterable[str], links: t.Mapping[t.Optional[str], t.Iterable[str]]) -> None:
    """Note what is about to be made, besides what an interrupted run noted."""
    before = read_intent()
    merged = {name: set(names) for name, names in before.get("links", {}).items()}
    for name, names in links.items():
        merged.setdefault(name or "", set()).update(names)
    content = {
        "namespaces": sorted(set(before.get("namespaces", ())).union(namespaces)),
        "links": {name: sorted(names) for name, names in merged.items()},
    }
    write_file(INTENT_FILE, json.dumps(content, sort_keys=True) + "\n")


def forget_intent(namespaces: t.Iterable[str], links: t.Mapping[t.Optional[str], t.Iterable[str]]) -> None:
    """What was to be made stands and bears its mark. What an interrupted run noted besides stays noted."""
    before = read_intent()
    left = {name: set(names).difference(links.get(name or None, ())) for name, names in before.get("links", {}).items()}
    content = {
        "namespaces": sorted(set(before.get("namespaces", ())).difference(namespaces)),
        "links": {name: sorted(names) for name, names in left.items() if names},
    }
    if content["namespaces"] or content["links"]:
        write_file(INTENT_FILE, json.dumps(content, sort_keys=True) + "\n")
    else:
        drop_intent()


def drop_intent() -> None:
    """All that was noted stands and bears its mark, or was removed."""
    try:
        os.unlink(INTENT_FILE)
    except FileNotFoundError:
        pass
