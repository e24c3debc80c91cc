# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network namespaces and the links in them: the engine.

A cold host costs one process of ip for itself and one for each namespace, whatever the number of links;
an unchanged one costs none.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import (
    announce,
    iproute,
    namespaces_current,
    namespaces_desired,
    netns,
    rtnetlink,
)
from ansible_collections.weft.fabric.plugins.module_utils.namespaces_plan import Plan
from ansible_collections.weft.fabric.plugins.module_utils.namespaces_step import (
    CREATE,
    FINISH,
    KERNEL,
    MOVE,
    REMOVE,
    REPLACE,
    SETTINGS,
    WAIT,
    Step,
    place,
)
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Engine, FabricError, Operation

# How long a device that Open vSwitch is about to make may take to appear, in seconds.
WAIT_LIMIT = 10.0

_CREATION, _DELETION = "netns add ", "netns del "

# From this many links on, putting them into a group and removing the group is quicker: the kernel then waits
# once for its readers, not once for each link (18 ms each).
_GROUP_MINIMUM = 4
_FIRST_GROUP = 0x7765  # any number nobody uses; checked before


class NamespacesEngine(Engine):
    """Makes namespaces and links what the arguments say."""

    name = "namespaces"

    def __init__(self, params: t.Dict[str, t.Any]):
        Engine.__init__(self, params)
        self.desired = namespaces_desired.parse(params)
        self.purge = bool(params.get("purge"))
        self._groups: t.Set[int] = set()
        self._before = namespaces_current.Current()
        #: addresses that have come in this run, of links that shall tell; once more when new links are wired
        self.announcements: t.List[announce.Announcement] = []

    def read(self) -> namespaces_current.Current:
        wanted: t.Dict[t.Optional[str], t.Optional[namespaces_desired.Namespace]] = dict(self.desired)
        current = namespaces_current.read(wanted, self.purge)
        self._groups = {link.group for link in current.state(None).links.values()}
        self._before = current
        return current

    def diff(self, current: namespaces_current.Current) -> t.List[Operation]:
        return Plan(current, self.desired, self.purge).make()

    def removed_namespaces(self, operations: t.List[Operation]) -> t.Set[str]:
        steps = (step for operation in operations for step in operation.payload if step.phase == REMOVE)
        return {step.text[len(_DELETION) :] for step in steps if step.text.startswith(_DELETION)}

    def apply(self, operations: t.List[Operation]) -> None:
        self.announcements = [*self._new_addresses(), *self._new_routes()]
        steps = [step for operation in operations for step in operation.payload]
        self._wait([step for step in steps if step.phase == WAIT])
        namespaces, links = _made(steps)
        if namespaces or links:
            namespaces_current.write_intent(namespaces, links)
        self._remove([step for step in steps if step.phase == REPLACE])
        self._make(steps)
        self._remove([step for step in steps if step.phase == REMOVE])
        self._forget_intent()
        announce.send(self.announcements)

    def _new_addresses(self) -> t.Iterator[announce.Announcement]:
        for name, namespace in self.desired.items():
            present = self._before.state(name).addresses
            for link in namespace.links.values() if namespace.present else ():
                known = {entry.address for entry in present.get(link.name, [])}
                for address in (link.addresses or ()) if link.announce and link.present else ():
                    if address not in known:
                        yield announce.Announcement(name, link.name, address.partition("/")[0])

    def _new_routes(self) -> t.Iterator[announce.Announcement]:
        """Yield what routes lead to that are told to neighbours and were not there before."""
        for name, namespace in self.desired.items():
            known = {(route.family, route.table, route.to, route.metric) for route in self._before.state(name).routes}
            for route in (namespace.routes or {}).values() if namespace.present else ():
                if route.announce_on is not None and route.key not in known:
                    yield announce.Announcement(name, route.announce_on, route.to.partition("/")[0])

    def _make(self, steps: t.List[Step]) -> None:
        """Create and set up: the host first, since creating namespaces and pairs is its part."""
        by_namespace: t.Dict[t.Optional[str], t.List[Step]] = {None: []}
        for step in steps:
            if step.phase in (CREATE, MOVE, KERNEL, SETTINGS, FINISH):
                by_namespace.setdefault(step.namespace, []).append(step)
        own = by_namespace.pop(None)
        # A pair may have its ends in two namespaces that are both to be made.
        first = sorted(_lines(own, CREATE), key=lambda line: not line.startswith(_CREATION))
        if first and any(step.phase == KERNEL for step in own):
            # As inside: no frame is to come in before the host's stack is kept off a device.
            iproute.change(first)
            first = []
        _set_in_kernel(None, own)
        iproute.change(first + _lines(own, SETTINGS))
        iproute.change(_lines(own, SETTINGS, "ip6"), family=6)
        _set_in_kernel(None, own, FINISH)
        # Inside, sysctls and offloads come before the links are up: no frame is to be sent without them.
        for phase in (MOVE, CREATE):
            iproute.change_all({name: _lines(part, phase) for name, part in by_namespace.items()})
        for name, part in by_namespace.items():
            _set_in_kernel(name, part)
        iproute.change_all({name: _lines(part, SETTINGS) for name, part in by_namespace.items()})
        iproute.change_all({name: _lines(part, SETTINGS, "ip6") for name, part in by_namespace.items()}, family=6)

    def _remove(self, steps: t.List[Step]) -> None:
        """Remove inside the namespaces first: after their removal there is no inside."""
        by_namespace: t.Dict[t.Optional[str], t.List[Step]] = {}
        for step in steps:
            by_namespace.setdefault(step.namespace, []).append(step)
        own = by_namespace.pop(None, [])
        for name, part in by_namespace.items():
            deletions = ["link del dev " + step.text for step in part if step.action == "del_link"]
            iproute.remove(_lines(part, None) + deletions, name)
            iproute.remove(_lines(part, None, "ip6"), name, family=6)
        iproute.remove(self._link_removal([step.text for step in own if step.action == "del_link"]) + _lines(own, None))
        iproute.remove(_lines(own, None, "ip6"), family=6)

    def _link_removal(self, names: t.List[str]) -> t.List[str]:
        if len(names) < _GROUP_MINIMUM:
            return ["link del dev " + name for name in names]
        group = _FIRST_GROUP
        while group in self._groups:  # an interrupted run may have left links in it that are wanted again
            group += 1
        self._groups.add(group)
        return ["link set dev %s group %d" % (name, group) for name in names] + ["link del group %d" % group]

    def _wait(self, steps: t.List[Step]) -> None:
        """Wait until the devices somebody else makes are there."""
        missing = {(step.namespace, step.text) for step in steps}
        deadline = time.monotonic() + WAIT_LIMIT
        while missing:
            for name in {namespace for namespace, _device in missing}:
                present = _devices(name)
                missing = {entry for entry in missing if entry[0] != name or entry[1] not in present}
            if missing and time.monotonic() > deadline:
                namespace, device = sorted(missing, key=str)[0]
                raise FabricError(
                    "nothing was changed: link %s (kind: existing) did not appear in %s within %d seconds."
                    " It is made by somebody else, mostly by Open vSwitch: see 'ovs-vsctl show' for its error"
                    % (device, place(namespace), WAIT_LIMIT)
                )
            if missing:
                time.sleep(0.05)

    def _forget_intent(self) -> None:
        if self.purge:
            namespaces_current.drop_intent()
            return
        links: t.Dict[t.Optional[str], t.Set[str]] = {}
        for name, namespace in self.desired.items():
            for link in namespace.links.values():
                links.setdefault(name, set()).add(link.name)
                if link.peer is not None:
                    links.setdefault(link.peer_namespace, set()).add(link.peer)
        namespaces_current.forget_intent([name for name in self.desired if name is not None], links)


def _devices(name: t.Optional[str]) -> t.Set[str]:
    try:
        with netns.entered(name), rtnetlink.Reader() as reader:
            return {link.name for link in reader.links()}
    except FileNotFoundError:
        return set()


def _lines(steps: t.List[Step], phase: t.Optional[int], action: str = "ip") -> t.List[str]:
    return [step.text for step in steps if phase in (None, step.phase) and step.action == action]


def _set_in_kernel(name: t.Optional[str], steps: t.List[Step], phase: int = KERNEL) -> None:
    chosen = [step for step in steps if step.phase == phase]
    if not chosen:
        return
    with netns.entered(name):
        for step in chosen:
            if step.action == "sysctl":
                netns.write_sysctl(step.text, step.value)
            elif step.action == "owner":
                netns.write_tap_owner(step.text, int(step.value))
            else:
                netns.write_tx_checksum(step.text, bool(step.value))


def _made(steps: t.List[Step]) -> t.Tuple[t.List[str], t.Dict[t.Optional[str], t.Set[str]]]:
    """Return the names of the namespaces and links that the steps make."""
    namespaces: t.List[str] = []
    links: t.Dict[t.Optional[str], t.Set[str]] = {}
    for step in steps:
        words = step.text.split()
        if step.phase != CREATE:
            continue
        if words[:2] == ["netns", "add"]:
            namespaces.append(words[2])
        elif words[:2] == ["tuntap", "add"]:
            links.setdefault(step.namespace, set()).add(words[3])
        elif words[:2] == ["link", "add"]:
            peer = words.index("peer")
            for end in (words[3:peer], words[peer + 2 :]):
                links.setdefault(end[end.index("netns") + 1] if "netns" in end else None, set()).add(end[0])
    return namespaces, links
