# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a snapshot of Open vSwitch's database and what is wanted to the operations between them. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.ovs_desired import (
    describe_bridge,
    describe_port,
    interface_of,
    is_present,
    show,
    show_map,
    text_map,
    wanted_bridges,
    wanted_ports,
)
from ansible_collections.weft.fabric.plugins.module_utils.ovs_snapshot import MARK, is_ours, works
from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import encode_map, encode_optional, encode_set
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, Operation


class BridgesDiff(object):
    """Collects the operations. One object, one use."""

    def __init__(self, snapshot, params):
        self.snapshot = snapshot
        self.purge = bool(params.get("purge"))
        self.bridges = wanted_bridges(params)
        self.operations = []
        self.pending = []
        self._port_places = self._places()

    def run(self):
        """Return the operations in a stable order: what is wanted as listed, then what goes, by name."""
        for bridge in self.bridges:
            if is_present(bridge):
                self._check_support(bridge)
                self._bridge(bridge)
        for bridge in self.bridges:
            if is_present(bridge):
                self._ports(bridge)
        self._removals()
        return self.operations

    def _places(self):
        """Return port name -> bridge name of all ports wanted; refuse one port in two places."""
        places: t.Dict[str, str] = {}
        for bridge in self.bridges:
            if not is_present(bridge):
                continue
            for port in wanted_ports(bridge)[0]:
                if not is_present(port):
                    continue
                if port["name"] in places:
                    raise FabricError(
                        "port %s is listed twice, on bridge %s and on bridge %s: a port's name is unique on a host"
                        % (port["name"], places[port["name"]], bridge["name"])
                    )
                places[port["name"]] = bridge["name"]
        return places

    def _add(self, what, payload, before="", after=""):
        self.operations.append(Operation(what, payload, before, after))

    # What Open vSwitch on this host can do at all

    def _check_support(self, bridge):
        if bridge.get("managed") is False:
            return
        kind = bridge.get("datapath_type") or "system"
        known = self.snapshot.datapath_types
        if (known and kind not in known) or (kind == "system" and self.snapshot.kernel_datapath is False):
            raise FabricError(
                "bridge %s: Open vSwitch on this host has no datapath of type %s. Set datapath_type: netdev, or load "
                "the openvswitch kernel module (modprobe openvswitch)." % (bridge["name"], kind)
            )

    def _check_type(self, port):
        kind = interface_of(port).get("type") or "system"
        known = self.snapshot.interface_types
        if known and kind not in known:
            raise FabricError(
                "port %s: Open vSwitch on this host has no interfaces of type %s; it knows %s."
                % (port["name"], kind, ", ".join(sorted(known)))
            )

    def _check_patch(self, bridge, port):
        peer = text_map(interface_of(port).get("options")).get("peer")
        row = self.snapshot.ports.get(peer)
        far = self._port_places.get(peer) or (row["bridge"] if row else None)
        if interface_of(port).get("type") != "patch" or far is None:
            return
        here, there = self._datapath_type(bridge["name"]), self._datapath_type(far)
        if here != there:
            raise FabricError(
                "port %s: no frame can pass from bridge %s (datapath_type %s) to its peer %s on bridge %s (%s). Give "
                "both bridges the same datapath_type." % (port["name"], bridge["name"], here, peer, far, there)
            )

    def _datapath_type(self, name):
        row = self.snapshot.bridges.get(name)
        for bridge in self.bridges:
            if bridge["name"] == name and bridge.get("managed") is not False and bridge.get("datapath_type"):
                return bridge["datapath_type"]
        return (row["datapath_type"] if row else None) or "system"

    # Bridges

    def _bridge(self, bridge):
        name = bridge["name"]
        row = self.snapshot.bridges.get(name)
        if bridge.get("managed") is False:
            if row is None:
                raise FabricError(
                    "bridge %s does not exist, and managed: false says that somebody else makes it. Make it first, "
                    "or leave managed at true." % name
                )
        elif row is None:
            self._create_bridge(bridge)
        elif not is_ours(row):
            raise FabricError(
                "bridge %s exists and was not made by weft.fabric (it has no external_ids:%s). Use another name, "
                "remove the bridge, or say managed: false to plug ports into it and leave it alone otherwise."
                % (name, MARK)
            )
        else:
            self._update_bridge(bridge, row)

    def _create_bridge(self, bridge):
        name = bridge["name"]
        if name in self.snapshot.ports:
            raise FabricError(
                "bridge %s cannot be made: bridge %s has a port of that name."
                % (name, self.snapshot.ports[name]["bridge"])
            )
        self._add(
            "bridge %s: create" % name,
            {"do": "create_bridge", "bridge": bridge},
            after="bridge " + describe_bridge(bridge),
        )

    def _update_bridge(self, bridge, row):
        subject = "bridge %s" % bridge["name"]
        target = ("Bridge", row["_uuid"], subject)
        if bridge.get("datapath_type") is not None:
            self._column(target, "datapath_type", row["datapath_type"] or "system", bridge["datapath_type"] or "system",
                         bridge["datapath_type"])  # fmt: skip
        if bridge.get("fail_mode") is not None:
            fail_mode = bridge["fail_mode"]
            self._column(target, "fail_mode", row["fail_mode"], fail_mode, encode_optional(fail_mode))
        if bridge.get("protocols") is not None:
            protocols = sorted(set(bridge["protocols"]))
            self._column(target, "protocols", row["protocols"], protocols, encode_set(protocols))
        self._keys(target, "other_config", row["other_config"], text_map(bridge.get("other_config")))
        self._keys(target, "external_ids", row["external_ids"], text_map(bridge.get("external_ids")))
        if row["datapath_id"] is None:
            self._reopen(subject, "Open vSwitch did not make its datapath")

    # Ports

    def _ports(self, bridge):
        own, foreign = wanted_ports(bridge)
        for port in own:
            if is_present(port):
                self._port(bridge, port)
        for port in foreign:
            if is_present(port):
                self._foreign_port(bridge, port)

    def _port(self, bridge, port):
        self._check_type(port)
        self._check_patch(bridge, port)
        name = port["name"]
        row = self.snapshot.ports.get(name)
        local = name == bridge["name"]
        if row is None and not local:
            self._create_port(bridge, port)
        elif row is None or (local and bridge.get("managed") is False):
            self._local_port_of(bridge, port, row)
        elif not local and not is_ours(row):
            raise FabricError(
                "port %s exists on bridge %s and was not made by weft.fabric (it has no external_ids:%s). Use another "
                "name, or remove the port." % (name, row["bridge"], MARK)
            )
        elif row["interface"] is None or len(row["interfaces"]) != 1:
            raise FabricError(
                "port %s on bridge %s has been made a bond of other interfaces. Remove it; it is then made anew."
                % (name, row["bridge"])
            )
        else:
            self._update_port(bridge, port, row, local)

    def _create_port(self, bridge, port):
        self._add(
            "port %s on %s: create" % (port["name"], bridge["name"]),
            {"do": "create_port", "bridge": bridge["name"], "port": port},
            after="port %s on %s%s" % (port["name"], bridge["name"], describe_port(port)),
        )

    def _local_port_of(self, bridge, port, row):
        if row is not None:
            raise FabricError(
                "port %s is the own port of a bridge that somebody else manages: it can't be changed." % port["name"]
            )
        # The bridge is being made; its own port comes with it, with these settings.
        self._add(
            "port %s on %s: set up" % (port["name"], bridge["name"]),
            {"do": "local_port", "bridge": bridge["name"], "port": port},
            after="port %s on %s%s" % (port["name"], bridge["name"], describe_port(port)),
        )

    def _update_port(self, bridge, port, row, local):
        subject = "port %s on %s" % (port["name"], bridge["name"])
        if row["bridge"] != bridge["name"]:
            self._add(
                "port %s: move from %s to %s" % (port["name"], row["bridge"], bridge["name"]),
                {"do": "move_port", "row": row, "bridge": bridge["name"], "from": self._bridge_uuid(row)},
                before="port %s on %s" % (port["name"], row["bridge"]),
                after="port %s on %s" % (port["name"], bridge["name"]),
            )
        target = ("Port", row["_uuid"], subject)
        self._column(target, "tag", row["tag"], port.get("tag"), encode_optional(port.get("tag")))
        self._keys(target, "external_ids", row["external_ids"], text_map(port.get("external_ids")))
        self._interface(bridge, port, row["interface"], local)

    def _interface(self, bridge, port, row, local):
        wanted = interface_of(port)
        subject = "interface %s on %s" % (port["name"], bridge["name"])
        target = ("Interface", row["_uuid"], subject)
        before = len(self.operations)
        if not local:
            kind = wanted.get("type") or ""
            self._column(target, "type", row["type"], kind, kind)
            self._whole_map(target, "options", row["options"], text_map(wanted.get("options")))
        if "mtu_request" in wanted:
            mtu = wanted["mtu_request"]
            self._column(target, "mtu_request", row["mtu_request"], mtu, encode_optional(mtu))
        if wanted.get("mac"):
            self._column(target, "mac", row["mac"], wanted["mac"].lower(), wanted["mac"].lower())
        self._keys(target, "external_ids", row["external_ids"], text_map(wanted.get("external_ids")))
        # A change of its type has the same effect.
        if port["name"] in self.snapshot.deaf and row["type"] == (wanted.get("type") or ""):
            self._plug_again(subject, row)
        if not works(row) and len(self.operations) == before:
            self._reopen(subject, row["error"] or "it has no OpenFlow port")

    def _plug_again(self, subject, row):
        reason = "its device was made anew"
        self._add(
            "%s: plug in again (%s)" % (subject, reason), {"do": "plug_again", "row": row},
            before="%s (%s)" % (subject, reason), after="%s" % subject,
        )  # fmt: skip

    def _foreign_port(self, bridge, port):
        found = self.snapshot.port_by_iface_id(port["iface_id"], bridge["name"])
        if found is None:
            self.pending.append(port["iface_id"])
            return
        row, _interface = found
        if port.get("tag") is not None:
            subject = "port %s on %s (iface-id %s)" % (row["name"], bridge["name"], port["iface_id"])
            self._column(("Port", row["_uuid"], subject), "tag", row["tag"], port["tag"], encode_optional(port["tag"]))

    # What goes

    def _removals(self):
        doomed = sorted(set(self._doomed_bridges()))
        for name in doomed:
            self._refuse_foreign_ports(name)
        for port in sorted(self.snapshot.ports.values(), key=lambda row: row["name"]):
            if port["bridge"] not in doomed and self._is_doomed(port):
                self._add(
                    "port %s on %s: remove" % (port["name"], port["bridge"]),
                    {"do": "delete_port", "row": port, "from": self._bridge_uuid(port)},
                    before="port %s on %s%s" % (port["name"], port["bridge"], describe_port(port)),
                )
        for name in doomed:
            row = self.snapshot.bridges[name]
            self._add(
                "bridge %s: remove" % name, {"do": "delete_bridge", "row": row}, before="bridge " + describe_bridge(row)
            )

    def _doomed_bridges(self):
        for bridge in self.bridges:
            row = self.snapshot.bridges.get(bridge["name"])
            if not is_present(bridge) and bridge.get("managed") is not False and row is not None:
                if not is_ours(row):
                    raise FabricError(
                        "bridge %s was not made by weft.fabric (it has no external_ids:%s): it is not removed. "
                        "Use ovs-vsctl del-br." % (bridge["name"], MARK)
                    )
                yield bridge["name"]
        if self.purge:
            listed = {bridge["name"] for bridge in self.bridges}
            for name, row in self.snapshot.bridges.items():
                if is_ours(row) and name not in listed:
                    yield name

    def _refuse_foreign_ports(self, name):
        foreign = [
            port["name"]
            for port in self.snapshot.bridges[name]["ports"]
            if port["name"] != name and not is_ours(port) and port["name"] not in self._port_places
        ]
        if foreign:
            raise FabricError(
                "bridge %s is not removed: somebody else has plugged %s into it. Unplug first (stop the machines, or "
                "ovs-vsctl del-port)." % (name, ", ".join(sorted(foreign)))
            )

    def _is_doomed(self, row):
        if row["name"] in self._port_places:
            return False
        for bridge in self.bridges:
            if bridge["name"] != row["bridge"]:
                continue
            if not is_present(bridge):
                return is_ours(row)
            for port in wanted_ports(bridge)[0]:
                if port["name"] == row["name"] and not is_present(port):
                    return self._may_remove(row)
        return self.purge and is_ours(row) and row["name"] != row["bridge"]

    def _may_remove(self, row):
        if not is_ours(row):
            raise FabricError(
                "port %s on bridge %s was not made by weft.fabric (it has no external_ids:%s): it is not removed. "
                "Use ovs-vsctl del-port." % (row["name"], row["bridge"], MARK)
            )
        return True

    def _bridge_uuid(self, port):
        return self.snapshot.bridges[port["bridge"]]["_uuid"]

    # Columns

    def _column(self, target, column, current, wanted, encoded):
        if current == wanted:
            return
        table, uuid, subject = target
        self._add(
            "%s: %s: %s -> %s" % (subject, column, show(current), show(wanted)),
            {"do": "set_column", "table": table, "uuid": uuid, "column": column, "value": encoded},
            before="%s %s=%s" % (subject, column, show(current)),
            after="%s %s=%s" % (subject, column, show(wanted)),
        )

    def _keys(self, target, column, current, wanted):
        """Change the listed keys of a map, and leave the others, which may be somebody else's."""
        table, uuid, subject = target
        for key in sorted(wanted):
            if current.get(key) != wanted[key]:
                self._add(
                    "%s: %s:%s: %s -> %s" % (subject, column, key, show(current.get(key)), show(wanted[key])),
                    {"do": "set_key", "table": table, "uuid": uuid, "column": column, "key": key, "value": wanted[key]},
                    before="%s %s:%s=%s" % (subject, column, key, show(current.get(key))),
                    after="%s %s:%s=%s" % (subject, column, key, show(wanted[key])),
                )

    def _whole_map(self, target, column, current, wanted):
        if current != wanted:
            self._column(target, column, show_map(current), show_map(wanted), encode_map(wanted))

    def _reopen(self, subject, reason):
        # ovs-vswitchd tries again when the configuration's number goes up, which every transaction of ours does.
        self._add(
            "%s: open again (%s)" % (subject, reason), {"do": "reopen"}, before="%s error=%s" % (subject, reason),
            after="%s" % subject,
        )  # fmt: skip
