# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small OVSDB client (RFC 7047): one Unix socket, one request at a time, nothing resident.

Values are encoded and decoded at the border: a set is a list, a map is a dict, a UUID is a str.
"""

from __future__ import annotations

import json
import socket
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

DEFAULT_SOCKET = "/var/run/openvswitch/db.sock"
DATABASE = "Open_vSwitch"
REQUEST_TIMEOUT = 30  # seconds for ovsdb-server to answer one request
APPLY_TIMEOUT = 60  # seconds for ovs-vswitchd to carry out a configuration

_WHITESPACE = b" \t\r\n"


def decode(value):
    """Turn a value as OVSDB writes it into plain Python."""
    if not isinstance(value, list):
        return value
    kind, content = value
    if kind == "set":
        return [decode(item) for item in content]
    if kind == "map":
        return {decode(key): decode(item) for key, item in content}
    return content


def as_list(value):
    """Return a decoded set as a list; OVSDB writes a set of one as the bare element."""
    return value if isinstance(value, list) else [value]


def optional(value):
    """Return a decoded set of at most one as the element or None."""
    items = as_list(value)
    return items[0] if items else None


def encode_set(items):
    """Encode an iterable of scalars or references as a set."""
    return ["set", list(items)]


def encode_optional(value):
    """Encode a scalar that may be None."""
    return encode_set([] if value is None else [value])


def encode_map(mapping):
    """Encode a dict of strings, in a stable order."""
    return ["map", [[key, mapping[key]] for key in sorted(mapping)]]


def text(value):
    """Return a value of a user's dict as OVSDB's maps of strings want it: YAML's true is "true"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def where_uuid(uuid):
    """Return the condition that selects one row."""
    return [["_uuid", "==", ["uuid", uuid]]]


class OvsdbClient(object):
    """A connection to ovsdb-server. Use it as a context manager."""

    #: who listens, for errors
    server = "ovsdb-server"

    def __init__(self, path=None, timeout=REQUEST_TIMEOUT):
        path = path or DEFAULT_SOCKET
        self.path = path[len("unix:") :] if path.startswith("unix:") else path
        self.timeout = timeout
        self._socket: t.Optional[socket.socket] = None
        self._buffer = b""
        self._serial = 0

    def __enter__(self):
        self.connect()
        return self

    def __exit__(self, *exception):
        self.close()

    def connect(self):
        """Open the socket, or say what to do when nobody listens there."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self.timeout)
        try:
            connection.connect(self.path)
        except OSError as error:
            connection.close()
            raise FabricError(
                "Open vSwitch's database does not answer at %s (%s). Install Open vSwitch and start it "
                "(systemctl start openvswitch-switch, or openvswitch), or set the option socket."
                % (self.path, error.strerror or error)
            ) from error
        self._socket = connection

    def close(self):
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def call(self, method, params, timeout=None):
        """Send one request and return its result."""
        self._serial += 1
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        self._send({"method": method, "params": params, "id": self._serial}, deadline)
        while True:
            message = self._receive(deadline)
            if message.get("method") == "echo":
                self._send({"result": message["params"], "error": None, "id": message["id"]}, deadline)
            elif message.get("id") == self._serial and "method" not in message:
                if message.get("error") is not None:
                    raise FabricError(
                        "%s at %s refused %s: %s" % (self.server, self.path, method, str(message["error"]).strip())
                    )
                return message["result"]

    def select(self, tables):
        """Read columns of several tables in one consistent view: {table: [column]} -> {table: [row]}."""
        names = sorted(tables)
        operations = [{"op": "select", "table": name, "where": [], "columns": list(tables[name])} for name in names]
        results = self.transact(operations)
        return {
            name: [{column: decode(value) for column, value in row.items()} for row in result["rows"]]
            for name, result in zip(names, results)
        }

    def transact(self, operations, labels=None, timeout=None):
        """Carry out all operations or none. labels name the resource each one is about, for errors."""
        results = self.call("transact", [DATABASE, *operations], timeout=timeout)
        for index, result in enumerate(results):
            if result is not None and result.get("error"):
                subject = labels[index] if labels and index < len(labels) else "the transaction"
                reason = ": ".join(result[key] for key in ("error", "details") if result.get(key))
                raise FabricError(
                    "%s: Open vSwitch's database refused it (%s). Nothing was changed." % (subject, reason)
                )
        return results

    def commit(self, operations, labels):
        """Carry out the operations, and return the number ovs-vswitchd will acknowledge them under."""
        numbered = [
            *operations,
            {"op": "mutate", "table": DATABASE, "where": [], "mutations": [["next_cfg", "+=", 1]]},
            {"op": "select", "table": DATABASE, "where": [], "columns": ["next_cfg"]},
        ]
        results = self.transact(numbered, labels)
        return results[len(operations) + 1]["rows"][0]["next_cfg"]

    def wait_applied(self, number, timeout=APPLY_TIMEOUT):
        """Wait until ovs-vswitchd has carried out the configuration of that number."""
        # The server holds the request until the condition is true: no polling here.
        operation = {
            "op": "wait",
            "timeout": int(timeout * 1000),
            "table": DATABASE,
            "where": [["cur_cfg", ">=", number]],
            "columns": ["cur_cfg"],
            "until": "!=",
            "rows": [],
        }
        result = self.call("transact", [DATABASE, operation], timeout=timeout + self.timeout)[0]
        if result.get("error"):
            raise FabricError(
                "ovs-vswitchd did not carry out the new configuration within %g s (%s). The database has it and the "
                "next run will go on from there. Is ovs-vswitchd running (systemctl status ovs-vswitchd)?"
                % (timeout, result["error"])
            )

    def wait_changed(self, table, where, row, timeout):
        """Wait until a row no longer says what row (encoded) says. Return False when that didn't happen in time."""
        operation = {
            "op": "wait",
            "timeout": int(timeout * 1000),
            "table": table,
            "where": where,
            "columns": sorted(row),
            "until": "!=",
            "rows": [row],
        }
        result = self.call("transact", [DATABASE, operation], timeout=timeout + self.timeout)[0]
        return not result.get("error")

    def _send(self, message, deadline):
        try:
            self._connection(deadline).sendall(json.dumps(message, separators=(",", ":")).encode("utf-8"))
        except OSError as error:
            raise self._lost(error) from error

    def _receive(self, deadline):
        """Return the next message. Messages follow each other without a separator, in pieces of any size."""
        while True:
            message = self._take()
            if message is not None:
                return message
            try:
                piece = self._connection(deadline).recv(1 << 20)
            except OSError as error:
                raise self._lost(error) from error
            if not piece:
                raise self._lost("it closed the connection")
            self._buffer += piece

    def _take(self):
        """Return a whole message from the buffer, or None."""
        # A message ends with a brace; trying only then keeps a reply of megabytes from being parsed again and again.
        if not self._buffer.endswith(b"}"):
            return None
        content = self._buffer.decode("utf-8")
        try:
            message, end = json.JSONDecoder().raw_decode(content)
        except ValueError:
            return None
        self._buffer = content[end:].encode("utf-8").lstrip(_WHITESPACE)
        return message

    def _connection(self, deadline):
        """Return the socket, ready for one call that ends by the deadline."""
        if self._socket is None:
            raise FabricError("the connection to Open vSwitch's database at %s is closed" % self.path)
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
        return self._socket

    def _lost(self, reason):
        return FabricError(
            "Open vSwitch's database at %s stopped answering (%s). Look at ovsdb-server's log." % (self.path, reason)
        )
