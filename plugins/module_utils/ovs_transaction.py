# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From operations on Open vSwitch's configuration to one OVSDB transaction."""

from __future__ import annotations

from ansible_collections.weft.fabric.plugins.module_utils.ovs_desired import interface_of, text_map
from ansible_collections.weft.fabric.plugins.module_utils.ovs_snapshot import MARK
from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import (
    DATABASE,
    encode_map,
    encode_optional,
    encode_set,
    where_uuid,
)

# Of interfaces of this type ovs-vswitchd opens nothing.
_NO_TYPE = "null"


class Transaction(object):
    """Collects OVSDB operations; labels say for each which resource it is about."""

    def __init__(self, snapshot):
        self.operations = []
        self.labels = []
        self._bridge_uuids = {name: row["_uuid"] for name, row in snapshot.bridges.items()}
        self._new_bridges = {}
        self._joining = {}  # bridge name -> references of ports it gets
        self._leaving = {}  # bridge UUID -> references of ports it loses
        self._serial = 0

    def build(self, operations):
        """Turn all operations of the diff into the transaction."""
        local_ports = {o.payload["bridge"]: o.payload["port"] for o in operations if o.payload["do"] == "local_port"}
        for operation in operations:
            payload = operation.payload
            if payload["do"] == "create_bridge":
                self._create_bridge(payload["bridge"], local_ports.get(payload["bridge"]["name"]) or {})
            elif payload["do"] == "create_port":
                self._join(payload["bridge"], self._insert_port(payload["port"], mark=True))
            elif payload["do"] == "move_port":
                self._leave(payload["from"], payload["row"])
                self._join(payload["bridge"], ["uuid", payload["row"]["_uuid"]])
            elif payload["do"] == "delete_port":
                self._leave(payload["from"], payload["row"])
            elif payload["do"] == "delete_bridge":
                self._delete_bridge(payload["row"])
            elif payload["do"] == "plug_again":
                self._set_type(payload["row"], payload["row"]["type"])
            elif payload["do"] == "set_column":
                self._set_column(payload, operation.text)
            elif payload["do"] == "set_key":
                self._set_key(payload, operation.text)
        self._finish()
        return self

    def remove(self, bridges, ports):
        """Take back bridges and ports (rows) that this run has made."""
        for row in bridges:
            self._delete_bridge(row)
        for row in ports:
            self._leave(self._bridge_uuids[row["bridge"]], row)
        self._finish()
        return self

    def unplug(self, operations):
        """Let ovs-vswitchd close what is to be plugged in again; a run that is killed then leaves a type to correct."""
        for operation in operations:
            if operation.payload["do"] == "plug_again":
                self._set_type(operation.payload["row"], _NO_TYPE)
        return self

    def _set_type(self, row, kind):
        update = {"op": "update", "table": "Interface", "where": where_uuid(row["_uuid"]), "row": {"type": kind}}
        self._add(update, "interface %s" % row["name"])

    def _add(self, operation, label):
        self.operations.append(operation)
        self.labels.append(label)

    def _insert(self, table, row, label):
        self._serial += 1
        name = "row%d" % self._serial
        self._add({"op": "insert", "table": table, "row": row, "uuid-name": name}, label)
        return ["named-uuid", name]

    def _mutate(self, table, where, mutations, label):
        self._add({"op": "mutate", "table": table, "where": where, "mutations": mutations}, label)

    def _insert_port(self, port, mark):
        label = "port %s" % port["name"]
        wanted = interface_of(port)
        interface = {
            "name": port["name"],
            "type": wanted.get("type") or "",
            "options": encode_map(text_map(wanted.get("options"))),
            "mtu_request": encode_optional(wanted.get("mtu_request")),
            "mac": encode_optional(wanted["mac"].lower() if wanted.get("mac") else None),
            "external_ids": encode_map(text_map(wanted.get("external_ids"))),
        }
        row = {
            "name": port["name"],
            "interfaces": self._insert("Interface", interface, label),
            "tag": encode_optional(port.get("tag")),
            "external_ids": encode_map(marked(port) if mark else text_map(port.get("external_ids"))),
        }
        return self._insert("Port", row, label)

    def _create_bridge(self, bridge, local_port):
        name = bridge["name"]
        local = dict(local_port, name=name, interface=dict(interface_of(local_port), type="internal"))
        # The mark is for what may be removed by itself; a bridge's own port goes with its bridge.
        self._joining.setdefault(name, []).append(self._insert_port(local, mark=False))
        row = {"name": name, "external_ids": encode_map(marked(bridge))}
        if bridge.get("datapath_type") is not None:
            row["datapath_type"] = bridge["datapath_type"]
        if bridge.get("fail_mode") is not None:
            row["fail_mode"] = encode_optional(bridge["fail_mode"])
        if bridge.get("protocols") is not None:
            row["protocols"] = encode_set(sorted(set(bridge["protocols"])))
        row["other_config"] = encode_map(text_map(bridge.get("other_config")))
        self._new_bridges[name] = row

    def _delete_bridge(self, row):
        self._mutate(DATABASE, [], [["bridges", "delete", ["uuid", row["_uuid"]]]], "bridge %s" % row["name"])

    def _set_column(self, payload, label):
        self._add(
            {
                "op": "update",
                "table": payload["table"],
                "where": where_uuid(payload["uuid"]),
                "row": {payload["column"]: payload["value"]},
            },
            label,
        )

    def _set_key(self, payload, label):
        # Inserting a key that is there leaves the old value, so it goes first.
        self._mutate(
            payload["table"],
            where_uuid(payload["uuid"]),
            [
                [payload["column"], "delete", encode_set([payload["key"]])],
                [payload["column"], "insert", encode_map({payload["key"]: payload["value"]})],
            ],
            label,
        )

    def _join(self, bridge, reference):
        self._joining.setdefault(bridge, []).append(reference)

    def _leave(self, bridge_uuid, port):
        self._leaving.setdefault(bridge_uuid, []).append(["uuid", port["_uuid"]])

    def _finish(self):
        references = []
        for name, row in self._new_bridges.items():
            row["ports"] = encode_set(self._joining.pop(name))
            references.append(self._insert("Bridge", row, "bridge %s" % name))
        if references:
            self._mutate(DATABASE, [], [["bridges", "insert", encode_set(references)]], "the list of bridges")
        for uuid, ports in self._leaving.items():
            self._mutate("Bridge", where_uuid(uuid), [["ports", "delete", encode_set(ports)]], "the ports of a bridge")
        for name, ports in self._joining.items():
            self._mutate(
                "Bridge",
                where_uuid(self._bridge_uuids[name]),
                [["ports", "insert", encode_set(ports)]],
                "the ports of bridge %s" % name,
            )


def marked(item):
    """Return an item's external_ids with the mark; the item may say which resource it is."""
    return dict({MARK: "1"}, **text_map(item.get("external_ids")))
