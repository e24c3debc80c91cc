# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nft: tables are read by its library, without a process, and changed by the program.

A namespace read by the program costs 10 ms, by the library 2 ms, and every run reads all of them. What is
written goes through the program all the same: its parser gives up with abort() on some input, which must
not end the run without a word.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import struct
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import command, netns, nfnetlink
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

Object = t.Dict[str, t.Any]

_LIBRARY = "libnftables.so.1"
_OUTPUT_JSON = 1 << 4

_GET_TABLE = 0xA01
_TABLE_NAME, _TABLE_FLAGS = 1, 2
_DORMANT = 1
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}

_MAX_TOLD = 10

# How often a list is begun anew because something changed while it was read.
_ATTEMPTS = 50

_INSTALL = "nftables is not installed on this host: install the package nftables"


class TableName(t.NamedTuple):
    """What the kernel calls a table."""

    family: str
    name: str
    dormant: bool


def tables() -> t.List[TableName]:
    """Return all tables of the namespace the caller is in.

    The kernel tells it: nft 1.0.6 prints garbage when a table is dormant.
    """
    for _attempt in range(_ATTEMPTS):
        with contextlib.suppress(nfnetlink.Interrupted), nfnetlink.Socket("list tables of nftables") as kernel:
            return [_table_name(message) for message in kernel.dump(_GET_TABLE, 0)]
    raise FabricError("the tables of nftables change too fast to be read: try again")


def _table_name(message: nfnetlink.Message) -> TableName:
    name = message.attributes[_TABLE_NAME].rstrip(b"\0").decode("utf-8", "replace")
    flags = struct.unpack(">I", message.attributes.get(_TABLE_FLAGS, bytes(4)))[0]
    return TableName(_FAMILIES.get(message.family, str(message.family)), name, bool(flags & _DORMANT))


def content(found: t.Iterable[TableName]) -> t.List[t.List[Object]]:
    """Return the objects in some tables of the namespace the caller is in."""
    library = _library()
    context = library.nft_ctx_new(0)
    try:
        library.nft_ctx_output_set_flags(context, _OUTPUT_JSON)
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        return [_content(library, context, table) for table in found]
    finally:
        library.nft_ctx_free(context)


def _content(library: ctypes.CDLL, context: int, table: TableName) -> t.List[Object]:
    question = {"list": {"table": {"family": table.family, "name": table.name}}}
    failed = library.nft_run_cmd_from_buffer(context, json.dumps({"nftables": [question]}).encode("ascii"))
    answer = library.nft_ctx_get_output_buffer(context).decode("utf-8", "replace")
    error = library.nft_ctx_get_error_buffer(context).decode("utf-8", "replace")
    try:
        objects = None if failed else json.loads(answer)["nftables"]
    except (ValueError, KeyError):
        objects = None
    if objects is None:
        reason = " ".join(error.split()) or "no reason given"
        raise FabricError("nft cannot list table %s %s: %s" % (table.family, table.name, reason))
    return [entry for entry in objects if "metainfo" not in entry]


@functools.lru_cache(maxsize=None)
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise FabricError("%s (%s)" % (_INSTALL, error)) from error
    library.nft_ctx_new.restype = ctypes.c_void_p
    library.nft_ctx_new.argtypes = [ctypes.c_uint32]
    for name in ("nft_ctx_free", "nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
        getattr(library, name).restype = ctypes.c_char_p
    library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
    library.nft_ctx_output_set_flags.restype = None
    library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.nft_run_cmd_from_buffer.restype = ctypes.c_int
    return library


def change_all(wanted: t.Mapping[t.Optional[str], t.List[Object]]) -> None:
    """Carry out the commands of each namespace, in one transaction each. One that fails keeps no other from its own.

    Several at a time, as each transaction waits until no packet goes by the old rules any more, a tenth of a second.
    """
    missing = [name for name in wanted if name is not None and not os.path.exists(_path(name))]
    failures = [
        "namespace %s does not exist: weft.fabric.namespaces makes it, and has to run before" % name for name in missing
    ]
    places = [name for name in wanted if name not in missing]
    try:
        done = command.run_all([_program(name, wanted[name]) for name in places])
    except FileNotFoundError:
        raise FabricError(_INSTALL) from None
    for name, result in zip(places, done):
        if result.returncode != 0:
            place = "the host" if name is None else name
            reason = " ".join(result.stderr.split()) or "nft ended with code %d" % result.returncode
            failures.append("nothing was changed in %s: nft refuses the tables: %s" % (place, reason))
    if failures:
        raise FabricError(_told(failures))


def _told(failures: t.Sequence[str]) -> str:
    rest = "; and %d more" % (len(failures) - _MAX_TOLD) if len(failures) > _MAX_TOLD else ""
    return "; ".join(failures[:_MAX_TOLD]) + rest


def _program(namespace: t.Optional[str], commands: t.List[Object]) -> t.Tuple[t.List[str], str]:
    inside = [] if namespace is None else ["nsenter", "--net=" + _path(namespace)]
    return [*inside, "nft", "-j", "-f", "-"], json.dumps({"nftables": commands})


def _path(namespace: str) -> str:
    return os.path.join(netns.NETNS_DIR, namespace)
