# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot files: what each node boots next time, and the keys of its deployment. The engine.

What a node is told comes before what is forgotten: a run that is killed leaves either the old or the new, and the next
run goes on from there.
"""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import (
    netboot_files_info,
    netboot_files_plan,
    netboot_identity,
    netboot_log,
    netboot_scripts,
    netboot_store,
)
from ansible_collections.weft.fabric.plugins.module_utils.netboot_paths import Paths
from ansible_collections.weft.fabric.plugins.module_utils.netboot_units import HTTP, unit_name
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Engine, FabricError, Operation
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd


class BootFilesEngine(Engine):
    """Lets nodes boot what the arguments say."""

    name = "boot_files"

    def __init__(
        self, params: t.Dict[str, t.Any], systemd: t.Optional[Systemd] = None, paths: t.Optional[Paths] = None
    ):
        Engine.__init__(self, params)
        self.desired = netboot_scripts.parse(params)
        self.systemd = systemd or Systemd()
        self.paths = paths or Paths()
        self._renewed: t.Set[str] = set()

    def read(self) -> netboot_store.Store:
        return netboot_store.read(self.paths)

    def diff(self, current: netboot_store.Store) -> t.List[Operation]:
        return netboot_files_plan.plan(current, self._left())

    def apply(self, operations: t.List[Operation]) -> None:
        store = self.read()
        for name in sorted({operation.payload for operation in operations}):
            node = self.desired[name]
            if node.boot == netboot_scripts.ABSENT:
                netboot_store.forget(self.paths, name)
            else:
                self._make(self._left()[name], store)
            self._renewed.add(name)
        self._bound_logs()

    def extra(self, current: netboot_store.Store) -> t.Dict[str, t.Any]:
        """Return what a deployer wants to know of the nodes. Before a run was made there may be nothing to tell."""
        pending = {operation.payload for operation in self.diff(current)}
        items = [
            netboot_files_info.pending(node, current)
            if node.name in pending or node.boot == netboot_scripts.ABSENT
            else netboot_files_info.describe_node(current.node(node.name), current, True)
            for node in self.desired.values()
        ]
        return {"nodes": items}

    def _left(self) -> t.Dict[str, netboot_scripts.Node]:
        """Return the nodes as they are still to be made: what was renewed in this run, is new."""
        return {
            name: node._replace(renew=node.renew and name not in self._renewed) for name, node in self.desired.items()
        }

    def _make(self, node: netboot_scripts.Node, store: netboot_store.Store) -> None:
        state = store.node(node.name)
        deployment = None
        if node.boot == netboot_scripts.RAMDISK:
            deployment = netboot_files_plan.kept_deployment(node, state) or self._new_keys(node)
            self._serve_identity(node, deployment)
            for address in set(state.identities) - {node.address} if deployment == state.deployment else ():
                netboot_store.remove_identity(self.paths, deployment, address)
        os.makedirs(self.paths.join("keys", node.name), mode=0o700, exist_ok=True)
        wanted = netboot_files_plan.scripts(node, store, deployment)
        for place, text in wanted.items():
            if state.scripts.get(place) != text:
                netboot_store.write_served(
                    netboot_store.script_path(self.paths, place), text.encode("utf-8"), self.paths
                )
        if not netboot_files_plan.is_recorded(node, state, deployment):
            kept = {"note": state.record.get("note")}
            record = dict(kept, **netboot_files_plan.record(node, deployment), created=time.time())
            netboot_store.write_record(self.paths, node.name, record)
        for place in set(state.scripts) - set(wanted):
            netboot_store.remove_script(self.paths, place)
        for former in set(state.deployments) - {deployment}:
            netboot_store.remove_deployment(self.paths, node.name, former)

    def _new_keys(self, node: netboot_scripts.Node) -> str:
        deployment = os.urandom(16).hex()
        netboot_identity.make_keys(netboot_store.keys_path(self.paths, node.name, deployment))
        return deployment

    def _serve_identity(self, node: netboot_scripts.Node, deployment: str) -> None:
        keys = netboot_identity.read_keys(netboot_store.keys_path(self.paths, node.name, deployment))
        if keys is None:
            raise FabricError("the keys of node %s have just gone: run again" % node.name)
        content = netboot_files_plan.identity(node, deployment, keys)
        path = netboot_store.identity_path(self.paths, deployment, node.address)
        netboot_store.write_served(path, content, self.paths)

    def _bound_logs(self) -> None:
        """Set logs aside that have become too large."""
        servers = sorted({node.server for node in self.desired.values() if node.server})
        rotated = [name for name in servers if netboot_log.rotate(self.paths, name)]
        self.systemd.reload([unit_name(HTTP, name) for name in rotated])
