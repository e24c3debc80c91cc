# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes boot, and who fetched it, in the shape the boot_files module takes."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import netboot_desired, netboot_log, netboot_store
from ansible_collections.weft.fabric.plugins.module_utils.netboot_paths import Paths
from ansible_collections.weft.fabric.plugins.module_utils.netboot_scripts import ABSENT, Node

Item = t.Dict[str, t.Any]

IDENTITY = "identity.cpio"


def describe(names: t.Optional[t.List[str]], secrets: bool, paths: Paths) -> t.Dict[str, t.Any]:
    """Return the nodes of these names, or all of them."""
    store = netboot_store.read(paths)
    states = [state for name, state in sorted(store.nodes.items()) if names is None or name in names]
    return {"nodes": [describe_node(state, store, secrets) for state in states if state.record]}


def describe_node(state: netboot_store.NodeState, store: netboot_store.Store, secrets: bool) -> Item:
    """Return one node."""
    record, keys = state.record, state.keys
    fetches = _fetches(state, store)
    iscsi = dict(record["iscsi"]) if record.get("iscsi") else None
    if iscsi and not secrets:
        iscsi.pop("password")
    item = {
        "name": state.name,
        "boot": state.boots or ABSENT,
        "server": record.get("server"),
        "address": record.get("address"),
        "mac_addresses": record.get("mac_addresses"),
        "kernel_arguments": record.get("kernel_arguments"),
        "iscsi": iscsi,
        "record": record.get("note"),
        "url": _url(store, record.get("server")),
        "deployment": state.deployment,
        "host_key": keys.host_public if keys else None,
        "fetches": fetches,
        "identity_fetches": len([fetch for fetch in fetches if fetch["file"] == IDENTITY]),
    }
    return dict(item, private_key=keys.deployer if keys else None) if secrets else item


def pending(node: Node, store: netboot_store.Store) -> Item:
    """Return a node of which a run would first have to make what is to be told; and one that there is not."""
    nothing: Item = dict.fromkeys(("iscsi", "deployment", "host_key", "private_key"))
    return dict(
        nothing,
        name=node.name,
        boot=node.boot,
        server=node.server or None,
        address=node.address or None,
        mac_addresses=list(node.mac_addresses),
        kernel_arguments=list(node.kernel_arguments),
        url=_url(store, node.server),
        record=node.note,
        fetches=[],
        identity_fetches=0,
    )


def _url(store: netboot_store.Store, server: t.Any) -> t.Optional[str]:
    facts = store.servers.get(server)
    return netboot_desired.url(facts["address"], facts["http_port"]) if facts else None


def _fetches(state: netboot_store.NodeState, store: netboot_store.Store) -> t.List[Item]:
    """Return what the node has fetched since it was told what to boot, and all that anybody has of its identity."""
    own = "deployments/%s/%s" % (state.deployment, IDENTITY)
    found = []
    server = state.record.get("server")
    for fetch in netboot_log.fetches(store.paths, server) if isinstance(server, str) else ():
        by_node = fetch.address == state.record.get("address") and _is_since(fetch.time, state.record.get("created"))
        if fetch.file == own:
            found.append({"time": fetch.time, "address": fetch.address, "file": IDENTITY})
        elif by_node and not fetch.file.endswith("/" + IDENTITY):
            found.append({"time": fetch.time, "address": fetch.address, "file": fetch.file})
    return found


def _is_since(text: str, moment: t.Any) -> bool:
    try:
        return datetime.datetime.fromisoformat(text).timestamp() >= int(moment)
    except (TypeError, ValueError):
        return False
