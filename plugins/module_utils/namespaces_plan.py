# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what stands to what shall stand: the operations on namespaces and links. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import namespaces_routing, netns
from ansible_collections.weft.fabric.plugins.module_utils.namespaces_current import Current, State
from ansible_collections.weft.fabric.plugins.module_utils.namespaces_desired import MARK, NOTHING, Link, Namespace
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
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, Operation
from ansible_collections.weft.fabric.plugins.module_utils.rtnetlink import Link as Device

# So many clashes are told in one message.
_MAX_TOLD = 10


class Plan(object):
    """Collects operations. Create it, call make() once."""

    def __init__(self, current: Current, desired: t.Mapping[t.Optional[str], Namespace], purge: bool):
        self.current = current
        self.desired = desired
        self.purge = purge
        self.operations: t.List[Operation] = []
        self.clashes: t.List[str] = []
        self.disturbed: t.Set[t.Optional[str]] = set()  # namespaces whose routes the kernel may drop on the way
        self._removed: t.Set[t.Tuple[t.Optional[str], str]] = set()
        self._paired: t.Set[t.Tuple[t.Optional[str], str]] = set()  # made together with their other ends

    def make(self) -> t.List[Operation]:
        """Return the operations, new before old."""
        for namespace in self.desired.values():
            if namespace.present:
                self._namespace(namespace)
        if self.purge and None not in self.desired:
            namespaces_routing.plan(self, NOTHING, self.current.state(None))
        self._remove_unwanted()
        if self.clashes:
            more = len(self.clashes) - _MAX_TOLD
            told = self.clashes[:_MAX_TOLD] + (["and %d more" % more] if more > 0 else [])
            raise FabricError("nothing was changed: " + "; ".join(told))
        return self.operations

    def add(self, text: str, steps: t.List[Step], before: str = "", after: str = "") -> None:
        self.operations.append(Operation(text, steps, before, after))

    def change(self, what: str, name: t.Optional[str], old: t.Any, new: t.Any, steps: t.List[Step]) -> None:
        """Note that one value becomes another."""
        text = "set %s in %s from %s to %s" % (what, place(name), _word(old), _word(new))
        line = "%s %s: " % (place(name), what)
        self.add(text, steps, line + _word(old), line + _word(new))

    # namespaces

    def _namespace(self, namespace: Namespace) -> None:
        state = self.current.state(namespace.name)
        if namespace.name is not None:
            self._own_namespace(namespace.name, state)
        for link in namespace.links.values():
            if link.present:
                self._link(link, state)
        for path, value in namespace.sysctls.items():
            # A device that is made anew has none of what its predecessor was told.
            anew = any((namespace.name, word) in self._removed for word in path.split("/"))
            old = None if anew else state.sysctls.get(path)
            if old != value:
                name = path[len("/proc/sys/") :].replace("/", ".")
                step = Step(KERNEL, namespace.name, "sysctl", path, value)
                self.change("sysctl " + name, namespace.name, old, value, [step])
        for device, sysctls in namespace.stack.items():
            # What is still to be made is made this way.
            if device in state.links and not state.stack[device]:
                # IPv6 that is switched off takes its addresses along, and none can be added any more: those that are to
                # move have to move before, and those that come have to wait.
                phase = KERNEL if netns.DEFAULT in sysctls.values() else FINISH
                steps = [Step(phase, None, "sysctl", path, value) for path, value in sysctls.items()]
                line = "the host's stack on %s: " % device
                self.add("set %sas wanted" % line, steps, line + "not as wanted", line + "as wanted")
        namespaces_routing.plan(self, namespace, state)

    def _own_namespace(self, name: str, state: State) -> None:
        if not state.exists:
            steps = [Step(REPLACE, None, "ip", "netns del " + name)] if state.broken else []
            steps += [
                Step(CREATE, None, "ip", "netns add " + name),
                Step(SETTINGS, name, "ip", "link set dev lo alias %s up" % MARK),
            ]
            self.add("create namespace %s" % name, steps, after="namespace %s" % name)
        elif state.ours and not (state.links["lo"].up and state.links["lo"].alias == MARK):
            step = Step(SETTINGS, name, "ip", "link set dev lo alias %s up" % MARK)
            self.add("set lo up in namespace %s" % name, [step], after="namespace %s lo: up" % name)

    # links

    def _link(self, link: Link, state: State) -> None:
        device = state.links.get(link.name)
        if (link.namespace, link.name) in self._paired:
            return
        if not link.ours:
            self._settings(link, state, device, [] if device else [Step(WAIT, link.namespace, "wait", link.name)])
            return
        there = self.current.state(link.peer_namespace)
        peer = there.links.get(link.peer) if link.peer else None
        foreign = [
            "%s in %s" % (end.name, place(where.name))
            for end, where in ((device, state), (peer, there))
            if end is not None and not where.marked(end)
        ]
        if foreign:
            self.clashes.append(
                "link %s exists and does not bear the mark of the collection, so it belongs to somebody else:"
                " remove or rename it, or list it as kind: existing" % " and ".join(foreign)
            )
            return
        if device is not None and self._is_right(link, state, device, peer):
            self._settings(link, state, device, [])
            if peer is not None and link.peer_namespace is None:
                self._peer_settings(link, peer)
            return
        origin = self._elsewhere(link, device, peer)
        if origin is not None and peer is not None:
            self._move(link, origin, peer)
            return
        steps = self._displace(link, state, device, peer)
        other = self.desired[link.peer_namespace].links[str(link.peer)] if link.peer_namespace is not None else None
        self.add(_creation_text(link), steps + _creation(link, other), after=_describe(link))
        if other is not None:
            self._paired.add((other.namespace, other.name))

    def _is_right(self, link: Link, state: State, device: Device, peer: t.Optional[Device]) -> bool:
        """Whether the device is of the right kind, with the right other end."""
        if device.kind != link.kind:
            return False
        if link.kind != "veth":
            return True
        found = self.current.other_end(state, device, link.peer_namespace)
        return found is not None and found == peer

    def _elsewhere(self, link: Link, device: t.Optional[Device], peer: t.Optional[Device]) -> t.Optional[State]:
        """Return where the inner end of a pair is, if nothing but its namespace is wrong."""
        if device is not None or peer is None or link.peer_namespace is not None:
            return None
        for name, state in self.current.states.items():
            found = state.links.get(link.name)
            if name in (None, link.namespace) or found is None or not state.marked(found):
                continue
            wanted = self.desired.get(name)
            stays = wanted is not None and wanted.present and link.name in wanted.links
            if not stays and self.current.host_peer(state, found) == peer:
                return state
        return None

    def _move(self, link: Link, origin: State, peer: Device) -> None:
        """Take the inner end along: a switch that has the other end open would not see one that is made anew."""
        line = "link set dev %s netns %s" % (link.name, link.namespace)
        alias = "link set dev %s alias %s" % (link.name, _alias(link.mark))
        settings = " address %s" % link.mac if link.mac is not None else ""
        settings += " mtu %d" % link.mtu if link.mtu is not None else ""
        steps = [Step(MOVE, origin.name, "ip", line), Step(SETTINGS, link.namespace, "ip", alias + settings)]
        text = "move veth %s from %s to %s" % (link.name, place(origin.name), place(link.namespace))
        before = "%s veth %s" % (place(origin.name), link.name)
        self.add(text, steps + _inner_settings(link), before=before, after=_describe(link))
        self._peer_settings(link, peer)
        self._removed.update(((origin.name, link.name), (None, peer.name)))
        self.disturbed.update((origin.name, link.namespace))

    def _displace(self, link: Link, state: State, device: t.Optional[Device], peer: t.Optional[Device]) -> t.List[Step]:
        """Return the steps that remove what stands in the way and is ours: a pair torn in half, another kind."""
        steps = []
        if peer is not None:
            steps.append(Step(REPLACE, link.peer_namespace, "del_link", peer.name))
            self._removed.add((link.peer_namespace, peer.name))
        if device is not None:
            steps.append(Step(REPLACE, state.name, "del_link", device.name))
            self._removed.add((state.name, device.name))
        # Routes may have gone through what is removed, or through its other end under another name.
        self.disturbed.update((state.name, link.peer_namespace) if link.peer_namespace else (state.name,))
        return steps

    def _settings(self, link: Link, state: State, device: t.Optional[Device], steps: t.List[Step]) -> None:
        """Plan what differs of a link that stands, or that somebody else is about to make."""
        name, where = link.name, link.namespace
        if link.mac is not None and (device is None or device.mac != link.mac):
            line = Step(SETTINGS, where, "ip", "link set dev %s address %s" % (name, link.mac))
            self.change("MAC of " + name, where, device and device.mac, link.mac, steps + [line])
        if link.mtu is not None and (device is None or device.mtu != link.mtu):
            line = Step(SETTINGS, where, "ip", "link set dev %s mtu %d" % (name, link.mtu))
            self.change("MTU of " + name, where, device and device.mtu, link.mtu, steps + [line])
        if link.owner is not None and device is not None and device.owner != link.owner:
            owner = Step(KERNEL, where, "owner", name, str(link.owner))
            self.change("owner of " + name, where, device.owner, link.owner, [owner])
        if link.tx_checksum is not None and state.tx_checksum.get(name) != link.tx_checksum:
            switch = Step(KERNEL, where, "tx_checksum", name, "1" if link.tx_checksum else "")
            old = state.tx_checksum.get(name)
            self.change("checksum offload of " + name, where, old, link.tx_checksum, steps + [switch])
        if link.ours and device is not None and device.alias != link.mark:
            line = Step(SETTINGS, where, "ip", "link set dev %s alias %s" % (name, _alias(link.mark)))
            self.change("mark of " + name, where, device.alias, link.mark, [line])
        namespaces_routing.plan_addresses(self, link, state, steps)
        self._up(name, where, device, link.up, steps)

    def _up(self, name: str, where: t.Optional[str], device: t.Optional[Device], up: bool, steps: t.List[Step]) -> None:
        if device is None or device.up != up:
            words = {True: "up", False: "down"}
            line = Step(SETTINGS, where, "ip", "link set dev %s %s" % (name, words[up]))
            # A device that is still to come starts down.
            self.change("state of " + name, where, words[device is not None and device.up], words[up], steps + [line])
            self.disturbed.add(where)

    def _peer_settings(self, link: Link, peer: Device) -> None:
        """The host's end has the MTU, the mark and the state of the inner one."""
        if link.mtu is not None and peer.mtu != link.mtu:
            line = Step(SETTINGS, None, "ip", "link set dev %s mtu %d" % (peer.name, link.mtu))
            self.change("MTU of " + peer.name, None, peer.mtu, link.mtu, [line])
        if peer.alias != link.mark:
            line = Step(SETTINGS, None, "ip", "link set dev %s alias %s" % (peer.name, _alias(link.mark)))
            self.change("mark of " + peer.name, None, peer.alias, link.mark, [line])
        self._up(peer.name, None, peer, link.up, [])

    # removal

    def _remove_unwanted(self) -> None:
        kept = {
            link.peer
            for namespace in self.desired.values()
            if namespace.present
            for link in namespace.links.values()
            if link.peer is not None and link.peer_namespace is None and link.present
        }
        own = self.desired.get(None)
        listed: t.Dict[t.Optional[str], t.Set[str]] = {
            None: {name for name, link in (own.links if own else {}).items() if link.present} | kept
        }
        for name, namespace in self.desired.items():
            if name is not None and namespace.present:
                listed[name] = {link.name for link in namespace.links.values() if link.present}
            self._remove_absent(namespace)
        if not self.purge:
            return
        for name, state in self.current.states.items():
            if name is not None and name not in self.desired and state.exists and state.ours:
                self._remove_namespace(name, state)
        # The inner ends first: their operations take the host's ends with them.
        for name in sorted(self.current.states, key=lambda name: (name is None, name or "")):
            state = self.current.states[name]
            if not state.exists or (name is not None and name not in self.desired and state.ours):
                continue
            for device in state.links.values():
                if state.marked(device) and device.name not in listed.get(name, ()) and device.name != "lo":
                    self._remove_link(state, device)

    def _remove_absent(self, namespace: Namespace) -> None:
        state = self.current.state(namespace.name)
        if not namespace.present:
            if state.exists and not state.ours:
                self.clashes.append(
                    "namespace %s does not bear the mark of the collection, so it is not removed" % namespace.name
                )
            elif state.exists and namespace.name is not None:
                self._remove_namespace(namespace.name, state)
            return
        for link in namespace.links.values():
            device = state.links.get(link.name)
            if link.present or device is None:
                continue
            if not state.marked(device):
                self.clashes.append(
                    "link %s in %s does not bear the mark of the collection, so it is not removed"
                    % (link.name, place(namespace.name))
                )
                continue
            self._remove_link(state, device)

    def _remove_namespace(self, name: str, state: State) -> None:
        steps = []
        for device in state.links.values():
            # The kernel takes a namespace down in the background: what we made in it must be gone when we return.
            if state.marked(device) and device.name != "lo":
                steps += self._removal(state, device)
        steps.append(Step(REMOVE, None, "ip", "netns del " + name))
        self.add("remove namespace %s" % name, steps, before="namespace %s" % name)

    def _remove_link(self, state: State, device: Device) -> None:
        if (state.name, device.name) in self._removed:
            return
        peer = self.current.host_peer(state, device)
        text = "%s %s in %s" % (device.kind or "link", device.name, place(state.name))
        if peer is not None and state.name is not None:
            text += " with its peer %s" % peer.name
        self.add("remove " + text, self._removal(state, device), before=text)

    def _removal(self, state: State, device: Device) -> t.List[Step]:
        if (state.name, device.name) in self._removed:
            return []
        self._removed.add((state.name, device.name))
        peer = self.current.host_peer(state, device)
        if peer is None:
            return [Step(REMOVE, state.name, "del_link", device.name)]
        if (None, peer.name) in self._removed:
            return []
        self._removed.add((None, peer.name))
        return [Step(REMOVE, None, "del_link", peer.name)]


def _creation(link: Link, other: t.Optional[Link]) -> t.List[Step]:
    """Return the steps that make a link with all its settings. other is its other end, if it has settings too."""
    if other is not None:
        ends = " type veth peer name ".join(_end(end) for end in (link, other))
        steps = [Step(CREATE, None, "ip", "link add dev " + ends)]
        for end in (link, other):
            alias = "link set dev %s alias %s" % (end.name, _alias(end.mark))
            steps += [Step(SETTINGS, end.namespace, "ip", alias), *_inner_settings(end)]
        return steps
    name, where = link.name, link.namespace
    mtu = " mtu %d" % link.mtu if link.mtu is not None else ""
    mac = " address %s" % link.mac if link.mac is not None else ""
    up = " up" if link.up else ""
    alias = _alias(link.mark)
    if link.kind == "veth":
        inner = name + mac + mtu + (" netns " + where if where else "")
        steps = [
            Step(CREATE, None, "ip", "link add dev %s type veth peer name %s%s" % (inner, link.peer, mtu)),
            # No link-local address: every route that comes or goes makes Open vSwitch look up all its tunnels anew.
            Step(CREATE, None, "ip", "link set dev %s addrgenmode none alias %s" % (link.peer, alias)),
            Step(SETTINGS, None, "ip", "link set dev %s%s" % (link.peer, up or " down")),
            Step(SETTINGS, where, "ip", "link set dev %s alias %s" % (name, alias)),
        ]
    else:
        user = " user %d" % link.owner if link.owner is not None else ""
        steps = [
            Step(CREATE, where, "ip", "tuntap add dev %s mode tap%s" % (name, user)),
            Step(CREATE, where, "ip", "link set dev %s addrgenmode none alias %s%s%s" % (name, alias, mac, mtu)),
        ]
    steps += [Step(KERNEL, None, "sysctl", path, value) for path, value in link.stack_sysctls().items()]
    return steps + _inner_settings(link)


def _end(link: Link) -> str:
    """Return one end of a pair between two namespaces, as ip is told of it."""
    words = [link.name, "netns %s" % link.namespace]
    words += ["address %s" % link.mac] if link.mac is not None else []
    words += ["mtu %d" % link.mtu] if link.mtu is not None else []
    return " ".join(words)


def _inner_settings(link: Link) -> t.List[Step]:
    """Return the steps that set what only the end in its namespace has."""
    name, where = link.name, link.namespace
    steps = []
    if link.tx_checksum is not None:
        steps.append(Step(KERNEL, where, "tx_checksum", name, "1" if link.tx_checksum else ""))
    steps += [namespaces_routing.address_step("add", link, text) for text in link.addresses or ()]
    if link.up:
        steps.append(Step(SETTINGS, where, "ip", "link set dev %s up" % name))
    return steps


def _alias(mark: str) -> str:
    """ip splits lines at blanks; quotes keep a mark with a resource together."""
    return '"%s"' % mark if " " in mark else mark


def _creation_text(link: Link) -> str:
    text = "create %s %s in %s" % (link.kind, link.name, place(link.namespace))
    text += " with peer %s" % link.peer if link.peer else ""
    return text + " in %s" % link.peer_namespace if link.peer_namespace else text


def _describe(link: Link) -> str:
    """Return a link as a line of a diff."""
    words = ["%s %s %s" % (place(link.namespace), link.kind, link.name)]
    peer = "%s in %s" % (link.peer, link.peer_namespace) if link.peer_namespace else link.peer
    for word, value in (("peer", peer), ("mac", link.mac), ("mtu", link.mtu), ("owner", link.owner)):
        if value is not None:
            words.append("%s %s" % (word, value))
    words.extend(link.addresses or ())
    return " ".join(words)


def _word(value: t.Any) -> str:
    if value is None:
        return "nothing"
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
