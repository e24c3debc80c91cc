# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenFlow flows of bridges: one comparison and at most one bundle per bridge."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.ofctl import VERSION, FlowRefused, OfctlClient
from ansible_collections.weft.fabric.plugins.module_utils.openflow import (
    PortNames,
    content,
    is_learned,
    is_ours,
    parse_diff,
    parse_dump,
    show_flow,
)
from ansible_collections.weft.fabric.plugins.module_utils.ovs_desired import is_present, wanted_bridges
from ansible_collections.weft.fabric.plugins.module_utils.ovs_snapshot import is_ours as is_our_bridge
from ansible_collections.weft.fabric.plugins.module_utils.ovs_snapshot import read_snapshot
from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import OvsdbClient
from ansible_collections.weft.fabric.plugins.module_utils.pipeline import COOKIE_MARK, COOKIE_MARK_LEARNED
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import (
    Engine,
    FabricError,
    Operation,
    read_file,
    write_file,
)

#: The names of the ports our flows were made for. Flows vanish at a reboot, and so may this.
MEMORY_DIR = "/run/weft-fabric/ofports"

MAX_MISSING_TOLD = 10

_AT_A_TIME = 4  # bridges


class BridgeFlows(object):
    """What is wanted of one bridge and how the switch differs from it."""

    def __init__(self, name, numbers, exists):
        self.name = name
        self.numbers = numbers
        self.exists = exists
        self.remove_learned = False
        self.wanted = []  # WantedFlow
        self.pending = []  # iface-ids
        self.absent = []  # names of ports, when that is tolerated
        self.only_current = []  # FlowLine: in the switch, not in the list
        self.additions = []  # (index in wanted, FlowLine): in the list, not in the switch
        self.names = {}  # port number -> name, for what people read


class OpenflowFlowsEngine(Engine):
    """Makes the flows under the collection's cookie mark what the list says."""

    name = "openflow_flows"

    #: True (the replay at boot): a port of ours that is missing costs only its own flows; absent tells of it
    tolerant = False

    def __init__(self, params):
        super().__init__(params)
        self.socket = params.get("socket")
        self.purge = bool(params.get("purge"))
        self.ofctl = OfctlClient(params.get("rundir"))
        self.database = None  # as somebody else has read it a moment ago, for the first look
        self._snapshot = None  # the database as it was read last
        self._applied = None  # and what it was when flows were sent that are still to be compared
        self._filled = set()  # names of bridges that had no flow at all
        self._resolved = {}  # bridge name -> port numbers, and the flows that were made with them
        rundir = params.get("rundir")
        self.memory_dir = os.path.join(rundir, "weft-fabric", "ofports") if rundir else MEMORY_DIR

    def read(self):
        """Return a list of BridgeFlows: those listed, and with purge every other one that has flows of ours."""
        # What has just been sent was made with the port numbers read before, and is compared with them.
        snapshot, self._applied, self.database = self._applied or self.database, None, None
        if snapshot is None:
            with OvsdbClient(self.socket) as client:
                snapshot = read_snapshot(client)
        self._snapshot = snapshot
        items = list(wanted_bridges(self.params))
        if self.purge:
            others = sorted(set(snapshot.bridges) - {item["name"] for item in items})
            items += [{"name": name} for name in others if _may_hold_flows(snapshot.bridges[name])]
        # Each asks Open vSwitch, and waits for it.
        with concurrent.futures.ThreadPoolExecutor(_AT_A_TIME) as pool:
            return list(pool.map(lambda item: self._read_bridge(snapshot, item), items))

    def diff(self, current):
        operations = []
        for bridge in current:
            operations.extend(self._diff_bridge(bridge))
        return operations

    def extra(self, current):
        result = {"pending": sorted({iface_id for bridge in current for iface_id in bridge.pending})}
        if self.tolerant:
            result["absent"] = ["%s on %s" % (name, bridge.name) for bridge in current for name in bridge.absent]
        return result

    def apply(self, operations):
        bundles: t.Dict[str, t.Any] = {}
        for operation in operations:
            payload = operation.payload
            bundles.setdefault(payload["bridge"].name, (payload["bridge"], []))[1].append(payload)
        for bridge, payloads in bundles.values():
            _refuse_missing(bridge, payloads)
        for _bridge, payloads in bundles.values():
            # New before old: what replaces a flow stands before the flow goes.
            payloads.sort(key=lambda payload: payload["line"].startswith("delete"))
        self._send_all(list(bundles.values()))
        self._applied = self._snapshot

    # Reading

    def _read_bridge(self, snapshot, item):
        name = item["name"]
        row = snapshot.bridges.get(name)
        numbers = snapshot.ofports(name)
        bridge = BridgeFlows(name, numbers, row is not None)
        flows = (item.get("flows") or []) if is_present(item) else []
        bridge.remove_learned = not flows and (self.purge or not is_present(item))
        bridge.wanted, bridge.pending, bridge.absent = self._resolve(name, flows, numbers)
        bridge.names = self._port_names(bridge)
        if bridge.exists:
            _check_version(row)
        if bridge.wanted and not bridge.exists:
            bridge.additions = [(index, None) for index in sorted(self._canonical(bridge).values())]
        elif bridge.wanted and self._is_bare(bridge):
            _refuse_repeated(bridge)
            self._filled.add(name)
            bridge.additions = [(index, None) for index in range(len(bridge.wanted))]
        elif bridge.exists:
            self._compare(bridge)
        return bridge

    def _is_bare(self, bridge):
        """Tell whether a bridge has no flow at all: then there is nothing to compare ten thousand others with."""
        return not os.path.exists(self._memory(bridge)) and not parse_dump(self.ofctl.dump(bridge.name))

    def _resolve(self, name, flows, numbers):
        """Return the flows with port numbers, and what they wait for.

        Ten thousand flows are not read twice for nothing.
        """
        known = self._resolved.get(name)
        if known is None or known[0] != numbers:
            names = PortNames(numbers, self.tolerant)
            resolved = (names.resolve(flow, name) for flow in flows)
            wanted = [flow for flow in resolved if flow is not None]
            known = self._resolved[name] = (numbers, wanted, sorted(names.pending), sorted(names.absent))
        return known[1:]

    def _compare(self, bridge):
        lines = [flow.line for flow in bridge.wanted]
        try:
            output = self.ofctl.diff(bridge.name, lines) if lines else None
        except FlowRefused as error:
            raise _quote(bridge, error) from error
        if output is None:
            # Nothing wanted: only our own flows matter, and a foreign bridge can have a lot of others.
            output = self._own_flows(bridge)
        only_current, only_wanted = parse_diff(output)
        bridge.only_current = only_current
        if only_wanted:
            indexes = self._canonical(bridge)
            additions = [(indexes[content(flow)], flow) for flow in only_wanted]
            bridge.additions = sorted(additions, key=lambda addition: addition[0])
        elif bridge.name in self._filled and self.ofctl.count(bridge.name, _mark(COOKIE_MARK)) < len(lines):
            self._canonical(bridge)  # tells which two were one

    def _own_flows(self, bridge):
        lines = []
        for mark in (COOKIE_MARK,) + ((COOKIE_MARK_LEARNED,) if bridge.remove_learned else ()):
            dump = self.ofctl.dump(bridge.name, _mark(mark))
            for flow in parse_dump(dump):
                words = [flow.key, "cookie=0x%x" % flow.cookie, flow.options]
                lines.append("-%s actions=%s" % (" ".join(word for word in words if word), flow.actions))
        return "\n".join(lines)

    def _canonical(self, bridge):
        """Return {what a flow says, as Open vSwitch writes it: index in wanted}. Refuse two flows of one match."""
        # The index travels through ovs-ofctl as the cookie: it comes back beside the flow it belongs to.
        lines = [
            "cookie=0x%x,%s" % (index + 1, flow.line.partition(",")[2]) for index, flow in enumerate(bridge.wanted)
        ]
        try:
            output = self.ofctl.canonical(lines, "bridge %s" % bridge.name)
        except FlowRefused as error:
            raise _quote(bridge, error) from error
        flows = parse_diff(output)[1]
        if len(flows) != len(lines):
            raise self._duplicate(bridge, lines, {flow.cookie - 1 for flow in flows})
        return {content(flow): flow.cookie - 1 for flow in flows}

    def _duplicate(self, bridge, lines, survivors):
        """Find the partner of a flow that lost its place to a later one with the same table, priority and match."""
        lost = min(set(range(len(lines))) - survivors)
        key = parse_diff(self.ofctl.canonical([lines[lost]], ""))[1][0].key
        partner = next(flow.cookie - 1 for flow in parse_diff(self.ofctl.canonical(lines, ""))[1] if flow.key == key)
        return _repeated(bridge, bridge.wanted[lost], bridge.wanted[partner])

    # Differences

    def _diff_bridge(self, bridge):
        current = {flow.key: flow for flow in bridge.only_current}
        operations = []
        replaced = set()
        for index, flow in bridge.additions:
            wanted = bridge.wanted[index]
            old = current.get(flow.key) if flow is not None else None
            if old is not None and not is_ours(old.cookie):
                raise _foreign(bridge, wanted, old)
            if old is not None:
                replaced.add(old.key)
            operations.append(self._set(bridge, wanted, old))
        gone = [flow for flow in bridge.only_current if flow.key not in replaced and self._goes(bridge, flow)]
        return operations + [self._delete(bridge, flow) for flow in gone]

    def _goes(self, bridge, flow):
        if is_learned(flow.cookie):
            return bridge.remove_learned
        return is_ours(flow.cookie) and (self.purge or bridge.remove_learned)

    def _set(self, bridge, wanted, old):
        verb = "add" if old is None else "change"
        return Operation(
            "%s: %s %s" % (bridge.name, verb, wanted.text),
            {"bridge": bridge, "line": "add " + wanted.line, "flow": wanted},
            before="" if old is None else "%s %s" % (bridge.name, _show(bridge, old)),
            after="%s %s" % (bridge.name, _with_cookie(wanted.text, wanted.cookie)),
        )

    def _delete(self, bridge, flow):
        text = show_flow(flow, bridge.names)
        return Operation(
            "%s: delete %s" % (bridge.name, text),
            {"bridge": bridge, "line": "delete_strict cookie=0x%x/-1,%s" % (flow.cookie, flow.key), "flow": None},
            before="%s %s" % (bridge.name, _show(bridge, flow)),
        )

    # Writing

    def _send_all(self, bundles):
        """Send the bundle of each bridge. While Open vSwitch takes one, the next is read."""
        with concurrent.futures.ThreadPoolExecutor(_AT_A_TIME) as pool:
            sent = [(bridge, pool.submit(self._send, bridge, payloads)) for bridge, payloads in bundles]
        for bridge, task in sent:
            if task.exception() is None:
                self._remember(bridge)
        for _bridge, task in sent:
            task.result()

    def _send(self, bridge, payloads):
        try:
            self.ofctl.bundle(bridge.name, [payload["line"] for payload in payloads])
        except FlowRefused as error:
            if error.index is None:
                raise
            flow = payloads[error.index]["flow"]
            raise FabricError(
                "%s Nothing was applied to this bridge. The flow: %s"
                % (_sentence(error), flow.text if flow else payloads[error.index]["line"])
            ) from error

    # Names of ports that are gone

    def _port_names(self, bridge):
        """Return port number -> name, as it was when our flows were made: a flow outlives its port."""
        names = {number: name for name, number in bridge.numbers.items() if not name.startswith("iface-id:")}
        remembered = read_file(self._memory(bridge))
        if remembered:
            # Names in a text are a courtesy: a damaged file is no error, and the next change replaces it.
            with contextlib.suppress(ValueError, AttributeError):
                names.update({int(number): name for number, name in json.loads(remembered).items()})
        return names

    def _remember(self, bridge):
        if not bridge.wanted:
            with contextlib.suppress(OSError):
                os.unlink(self._memory(bridge))
                os.rmdir(self.memory_dir)
                os.rmdir(os.path.dirname(self.memory_dir))
            return
        names = {str(number): name for name, number in bridge.numbers.items() if not name.startswith("iface-id:")}
        write_file(self._memory(bridge), json.dumps(names, sort_keys=True) + "\n")

    def _memory(self, bridge):
        return os.path.join(self.memory_dir, bridge.name + ".json")


def flow_items(snapshot, ofctl, names=None, everything=False):
    """Return the bridges and their flows in the shape the module takes."""
    items = []
    for name in sorted(snapshot.bridges):
        row = snapshot.bridges[name]
        if (names and name not in names) or row["datapath_id"] is None or not _can_have_flows(row):
            continue
        mark = None if everything else _mark(COOKIE_MARK)
        numbers = snapshot.ofports(name)
        ports = {number: port for port, number in numbers.items() if not port.startswith("iface-id:")}
        dump = parse_dump(ofctl.dump(name, mark))
        flows = [_with_cookie(show_flow(flow, ports), flow.cookie) for flow in dump]
        if flows or (names and name in names):
            items.append({"name": name, "flows": flows, "state": "present"})
    return items


def _mark(mark):
    """Return what selects the flows under a mark."""
    return "0x%x00000000/0xffffffff00000000" % mark


def _show(bridge, flow):
    return _with_cookie(show_flow(flow, bridge.names), flow.cookie)


def _with_cookie(text, cookie):
    return "cookie=0x%x,%s" % (cookie, text)


def _can_have_flows(row):
    return not row["protocols"] or VERSION in row["protocols"]


def _may_hold_flows(row):
    """Tell whether to look for flows of ours on a bridge that isn't listed.

    Not on a bridge of ours: nobody lists it, so the module ovs_bridges removes it, flows and all. Were they
    reported here, check mode would foretell what a real run, which comes after that removal, does not do.
    """
    return not is_our_bridge(row) and row["datapath_id"] is not None and _can_have_flows(row)


def _check_version(row):
    if not _can_have_flows(row):
        raise FabricError(
            "bridge %s does not speak %s, which bundles of flows need; it speaks %s. Add it to the bridge's protocols."
            % (row["name"], VERSION, ", ".join(row["protocols"]))
        )


def _refuse_repeated(bridge):
    """Refuse two flows that name the same match in the same words.

    Ten thousand flows are not put through Open vSwitch's parser once more for those who write one match in two ways:
    the bridge has too few flows then, and that is noticed.
    """
    first: t.Dict[str, t.Any] = {}
    for flow in bridge.wanted:
        match = flow.text.partition("actions=")[0].rstrip(" ,")
        if first.setdefault(match, flow) is not flow:
            raise _repeated(bridge, first[match], flow)


def _repeated(bridge, flow, other):
    return FabricError(
        "bridge %s: two flows have the same table, priority and match, and only one of them can be: %s | %s"
        % (bridge.name, flow.text, other.text)
    )


def _refuse_missing(bridge, payloads):
    if not bridge.exists:
        raise FabricError(
            "bridge %s does not exist, and %d flows are wanted on it. Make it first, with the module ovs_bridges."
            % (bridge.name, len(payloads))
        )
    missing = sorted({name for payload in payloads if payload["flow"] for name in payload["flow"].missing})
    if missing:
        raise FabricError(
            "bridge %s has no working port %s, which flows name. Plug it in first, with the module ovs_bridges."
            % (bridge.name, ", ".join(missing[:MAX_MISSING_TOLD]))
        )


def _foreign(bridge, wanted, old):
    return FabricError(
        "bridge %s: a flow of somebody else (cookie 0x%x) has the same table, priority and match as one that is "
        "wanted, and would be overwritten: %s | wanted: %s. Remove it (ovs-ofctl --strict del-flows), or give one "
        "of them another priority." % (bridge.name, old.cookie, show_flow(old, bridge.names), wanted.text)
    )


def _quote(bridge, error):
    """Name the flow that an error of ovs-ofctl is about."""
    if error.index is None or error.index >= len(bridge.wanted):
        return error
    return FabricError("%s Nothing was applied. The flow: %s" % (_sentence(error), bridge.wanted[error.index].text))


def _sentence(error):
    return str(error).rstrip(".") + "."
