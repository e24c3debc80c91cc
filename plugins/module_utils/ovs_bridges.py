# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open vSwitch's bridges, ports and interfaces: read once, one transaction, then proof that it took effect."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.genetlink import has_family
from ansible_collections.weft.fabric.plugins.module_utils.ovs_desired import is_present, wanted_bridges, wanted_ports
from ansible_collections.weft.fabric.plugins.module_utils.ovs_diff import BridgesDiff
from ansible_collections.weft.fabric.plugins.module_utils.ovs_snapshot import is_ours, read_snapshot, works
from ansible_collections.weft.fabric.plugins.module_utils.ovs_sockets import deaf_interfaces
from ansible_collections.weft.fabric.plugins.module_utils.ovs_transaction import Transaction
from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import (
    APPLY_TIMEOUT,
    OvsdbClient,
    encode_optional,
    where_uuid,
)
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Engine, FabricError

MAX_FAILURES_TOLD = 10

# How long a device that was made a moment ago may take to be noticed by ovs-vswitchd.
SETTLE_SECONDS = 2


class OvsBridgesEngine(Engine):
    """Makes the bridges of a host what the list says."""

    name = "ovs_bridges"

    def __init__(self, params):
        super().__init__(params)
        self.socket = params.get("socket")
        self.timeout = params.get("timeout") or APPLY_TIMEOUT
        self._applied = None  # what was read after applying, and is still to be compared

    def read(self):
        """Return a Snapshot."""
        snapshot, self._applied = self._applied, None
        if snapshot is None or self._not_working(snapshot) is not None:
            with OvsdbClient(self.socket) as client:
                snapshot = self._settled(client)
        # Open vSwitch lists "system" whether or not the kernel has it; a dummy datapath can stand in for it.
        if "dummy" not in snapshot.datapath_types and self._wants_kernel():
            snapshot.kernel_datapath = has_family("ovs_datapath")
        snapshot.deaf = deaf_interfaces(snapshot)
        return snapshot

    def _settled(self, client):
        """Read, and give ovs-vswitchd a moment to open devices that have just come up."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            snapshot = read_snapshot(client)
            waiting = self._not_working(snapshot)
            left = deadline - time.monotonic()
            if waiting is None or left <= 0:
                return snapshot
            row = {"ofport": encode_optional(waiting["ofport"]), "error": encode_optional(waiting["error"])}
            client.wait_changed("Interface", where_uuid(waiting["_uuid"]), row, left)

    def _not_working(self, snapshot):
        """Return the first interface (row) that is wanted, is there, and has no OpenFlow port."""
        for bridge in wanted_bridges(self.params):
            for port in wanted_ports(bridge)[0] if is_present(bridge) else ():
                interface = (snapshot.ports.get(port["name"]) or {}).get("interface")
                if is_present(port) and interface is not None and not works(interface):
                    return interface
        return None

    def _wants_kernel(self):
        return any(
            bridge.get("datapath_type") in (None, "", "system")
            for bridge in wanted_bridges(self.params)
            if is_present(bridge) and bridge.get("managed") is not False
        )

    def diff(self, current):
        return BridgesDiff(current, self.params).run()

    def extra(self, current):
        diff = BridgesDiff(current, self.params)
        diff.run()
        return {"pending": diff.pending}

    def apply(self, operations):
        with OvsdbClient(self.socket) as client:
            before = read_snapshot(client)
            closing = Transaction(before).unplug(operations)
            if closing.operations:
                # In one go with the rest, ovs-vswitchd would see no difference and keep the device open.
                client.wait_applied(client.commit(closing.operations, closing.labels), self.timeout)
            transaction = Transaction(before).build(operations)
            number = client.commit(transaction.operations, transaction.labels)
            client.wait_applied(number, self.timeout)
            after = read_snapshot(client)
            failures = self._failures(after)
            if failures:
                taken_back = self._take_back(client, after, operations, failures)
                raise FabricError(_explain(failures, taken_back))
            self._applied = after

    def _failures(self, snapshot):
        """Return (kind, name, reason) of everything wanted that Open vSwitch could not make.

        It records what it can't do, and reports success: only datapath_id, ofport and error tell.
        """
        failures = []
        for bridge in wanted_bridges(self.params):
            if not is_present(bridge):
                continue
            row = snapshot.bridges.get(bridge["name"])
            if row is None or row["datapath_id"] is None:
                kind = bridge.get("datapath_type") or "system"
                failures.append(("bridge", bridge["name"], "no datapath of type %s could be made" % kind))
                continue
            for port in wanted_ports(bridge)[0]:
                interface = (snapshot.ports.get(port["name"]) or {}).get("interface")
                if is_present(port) and (interface is None or not works(interface)):
                    reason = (interface or {}).get("error") or "it got no OpenFlow port"
                    failures.append(("port", port["name"], reason))
        return failures

    def _take_back(self, client, snapshot, operations, failures):
        """Remove what failed and was made by this very run. Return their names."""
        made = {("bridge", o.payload["bridge"]["name"]) for o in operations if o.payload["do"] == "create_bridge"}
        made.update(("port", o.payload["port"]["name"]) for o in operations if o.payload["do"] == "create_port")
        failed = {(kind, name) for kind, name, _reason in failures} & made
        bridges = [row for name, row in sorted(snapshot.bridges.items()) if ("bridge", name) in failed and is_ours(row)]
        gone = {row["name"] for row in bridges}
        ports = [
            row
            for name, row in sorted(snapshot.ports.items())
            if ("port", name) in failed and is_ours(row) and row["bridge"] not in gone
        ]
        if bridges or ports:
            transaction = Transaction(snapshot).remove(bridges, ports)
            client.wait_applied(client.commit(transaction.operations, transaction.labels), self.timeout)
        return sorted(name for _kind, name in failed)


def _explain(failures, taken_back):
    told = "; ".join("%s %s: %s" % failure for failure in failures[:MAX_FAILURES_TOLD])
    rest = len(failures) - MAX_FAILURES_TOLD
    message = "Open vSwitch could not make what was asked for: %s" % told
    if rest > 0:
        message += "; and %d more" % rest
    if taken_back:
        message += ". What this run had made of it was removed again; the rest of the run's changes stands"
    return message + ". See ovs-vswitchd's log (/var/log/openvswitch/ovs-vswitchd.log)."


def bridge_items(snapshot, everything=False):
    """Return the bridges in the shape the module takes, and the ports on them that are not ours."""
    items = []
    foreign: t.List[t.Dict[str, t.Any]] = []
    for name, row in sorted(snapshot.bridges.items()):
        ours = [port_item(port) for port in row["ports"] if is_ours(port) and port["interface"]]
        foreign.extend(
            dict(port_item(port), bridge=name)
            for port in row["ports"]
            if not is_ours(port) and port["interface"] and port["name"] != name
        )
        if everything or is_ours(row) or ours:
            items.append(dict(_bridge_item(row), ports=sorted(ours, key=lambda port: port["name"])))
    return items, sorted(foreign, key=lambda port: port["name"]) if everything else []


def _bridge_item(row):
    return {
        "name": row["name"],
        "managed": is_ours(row),
        "datapath_type": row["datapath_type"] or "system",
        "fail_mode": row["fail_mode"],
        "protocols": row["protocols"],
        "other_config": row["other_config"],
        "external_ids": row["external_ids"],
        "state": "present",
    }


def port_item(port):
    """Return a port in the shape the module takes."""
    interface = port["interface"]
    return {
        "name": port["name"],
        "tag": port["tag"],
        "external_ids": port["external_ids"],
        "interface": {
            "type": interface["type"],
            "options": interface["options"],
            "mtu_request": interface["mtu_request"],
            "mac": interface["mac"],
            "external_ids": interface["external_ids"],
        },
        "state": "present",
    }
