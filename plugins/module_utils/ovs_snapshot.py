# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Open vSwitch's database says, read once, with the few columns that matter."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import as_list, optional

#: the key under external_ids that marks a Bridge or Port row as the collection's; its value names the resource
MARK = "weft-fabric"

COLUMNS = {
    "Open_vSwitch": ["bridges", "datapath_types", "iface_types", "next_cfg", "cur_cfg"],
    "Bridge": [
        "_uuid", "name", "ports", "datapath_type", "datapath_id", "fail_mode", "protocols", "other_config",
        "external_ids",
    ],
    "Port": ["_uuid", "name", "interfaces", "tag", "external_ids"],
    "Interface": [
        "_uuid", "name", "type", "options", "mtu_request", "mac", "external_ids", "ofport", "error", "ifindex",
    ],
}  # fmt: skip


class Snapshot(object):
    """One consistent view of the database.

    bridges: name -> Bridge row. ports: name -> Port row with "bridge" (name or None) and "interface"
    (the Interface row of the same name, or None). All values are plain Python.
    """

    def __init__(self, rows):
        root = rows["Open_vSwitch"][0]
        self.datapath_types = as_list(root["datapath_types"])
        self.interface_types = as_list(root["iface_types"])
        #: False: the kernel has no Open vSwitch. None: nobody asked.
        self.kernel_datapath = None
        #: interfaces that listen on a device that went, see ovs_sockets
        self.deaf: t.Set[str] = set()
        self.interfaces = {row["_uuid"]: _interface(row) for row in rows["Interface"]}
        by_uuid = {row["_uuid"]: self._port(row) for row in rows["Port"]}
        self.bridges = {}
        for row in rows["Bridge"]:
            self.bridges[row["name"]] = bridge = _bridge(row)
            for uuid in as_list(row["ports"]):
                by_uuid[uuid]["bridge"] = row["name"]
                bridge["ports"].append(by_uuid[uuid])
        self.ports = {row["name"]: row for row in by_uuid.values()}
        self._iface_ids: t.Optional[t.Dict[t.Any, t.Any]] = None

    def _port(self, row):
        interfaces = [self.interfaces[uuid] for uuid in as_list(row["interfaces"])]
        same_name = [interface for interface in interfaces if interface["name"] == row["name"]]
        return {
            "_uuid": row["_uuid"],
            "name": row["name"],
            "tag": optional(row["tag"]),
            "external_ids": row["external_ids"],
            "interfaces": interfaces,
            "interface": same_name[0] if same_name else None,
            "bridge": None,
        }

    def port_by_iface_id(self, iface_id, bridge):
        """Return (port, interface) that somebody plugged into a bridge under an iface-id, or None."""
        return self._by_iface_id().get((bridge, iface_id))

    def _by_iface_id(self):
        if self._iface_ids is None:
            found: t.Dict[t.Any, t.Any] = {}
            for port in sorted(self.ports.values(), key=lambda row: row["name"]):
                for interface in port["interfaces"]:
                    key = (port["bridge"], interface["external_ids"].get("iface-id"))
                    known = found.get(key)
                    # A machine that was just replaced can leave a dead interface of the same id behind.
                    if known is None or (interface["ofport"] or 0) > (known[1]["ofport"] or 0):
                        found[key] = (port, interface)
            self._iface_ids = found
        return self._iface_ids

    def ofports(self, bridge):
        """Return the OpenFlow port numbers of a bridge by interface name and by "iface-id:ID"."""
        numbers = {}
        for port in self.bridges[bridge]["ports"] if bridge in self.bridges else ():
            for interface in port["interfaces"]:
                if (interface["ofport"] or 0) > 0:
                    numbers[interface["name"]] = interface["ofport"]
        for (name, iface_id), (_port, interface) in self._by_iface_id().items():
            if name == bridge and iface_id and (interface["ofport"] or 0) > 0:
                numbers["iface-id:" + iface_id] = interface["ofport"]
        return numbers


def _interface(row):
    return dict(
        row,
        mtu_request=optional(row["mtu_request"]),
        mac=optional(row["mac"]),
        ofport=optional(row["ofport"]),
        error=optional(row["error"]),
        ifindex=optional(row["ifindex"]),
    )


def _bridge(row):
    return dict(
        row,
        ports=[],
        datapath_id=optional(row["datapath_id"]),
        fail_mode=optional(row["fail_mode"]),
        protocols=sorted(as_list(row["protocols"])),
    )


def works(interface):
    """Tell whether ovs-vswitchd has the interface in its datapath."""
    # Of a patch port, error can also say that its peer isn't there yet, and comes some time after the port itself.
    return (interface["ofport"] or 0) > 0 and (interface["type"] == "patch" or not interface["error"])


def is_ours(row):
    """Tell whether a Bridge or Port row bears the collection's mark."""
    return MARK in row["external_ids"]


def read_snapshot(client):
    """Read the database."""
    return Snapshot(client.select(COLUMNS))
