# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the boot files that stand to those that shall stand. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import netboot_identity, netboot_scripts
from ansible_collections.weft.fabric.plugins.module_utils.netboot_scripts import ABSENT, RAMDISK, WHAT, Node
from ansible_collections.weft.fabric.plugins.module_utils.netboot_store import NodeState, Place, Store
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, Operation

# In place of what is not made yet, and of what a diff does not tell.
_SOME = "some deployment"


def plan(store: Store, desired: t.Mapping[str, Node]) -> t.List[Operation]:
    """Return the operations; the payload of each is the node it is for."""
    operations: t.List[Operation] = []
    for node in desired.values():
        state = store.nodes.get(node.name) or NodeState(node.name)
        if node.boot != ABSENT:
            check(node, store)
            operations += _plan_node(node, state, store)
        elif node.name in store.nodes:
            operations.append(Operation("remove the boot files of node %s" % node.name, node.name, _boots(state)))
    return operations


def check(node: Node, store: Store) -> None:
    """Refuse a node that its boot server would not serve."""
    facts = store.servers.get(node.server)
    if facts is None or node.boot not in store.templates[node.server]:
        raise FabricError(
            "node %s: there is no boot server %s on this host: make it with weft.fabric.boot_servers first"
            % (node.name, node.server)
        )
    known = {item["name"]: item for item in facts.get("nodes") or []}.get(node.name)
    if known is None or known["address"] != node.address or not set(node.mac_addresses) <= set(known["mac_addresses"]):
        raise FabricError(
            "node %s: boot server %s does not know it with address %s and %s: make it so with weft.fabric.boot_servers "
            "first" % (node.name, node.server, node.address, ", ".join(node.mac_addresses))
        )


def _plan_node(node: Node, state: NodeState, store: Store) -> t.Iterator[Operation]:
    deployment = kept_deployment(node, state)
    if node.boot == RAMDISK:
        if deployment is None:
            text = "make keys and an identity for node %s" % node.name
            yield Operation(text, node.name, "", "keys and identity of node %s" % node.name)
        elif state.keys and state.identities != {node.address: identity(node, deployment, state.keys)}:
            yield Operation("make the identity of node %s again" % node.name, node.name)
    wanted = scripts(node, store, deployment)
    if any(state.scripts.get(place) != text for place, text in wanted.items()):
        text = "let node %s boot %s" % (node.name, WHAT[node.boot])
        yield Operation(text, node.name, _boots(state), "node %s boots %s" % (node.name, WHAT[node.boot]))
    elif not is_recorded(node, state, deployment):
        yield Operation("note that node %s boots %s" % (node.name, WHAT[node.boot]), node.name)
    for mac, address in sorted(set(state.scripts) - set(wanted)):
        text = "remove the boot file of %s at %s, which is not node %s's any more" % (mac, address, node.name)
        yield Operation(text, node.name, "%s at %s: node %s" % (mac, address, node.name))
    if set(state.deployments) - {deployment}:
        text = "remove former keys of node %s" % node.name
        yield Operation(text, node.name, "former keys of node %s" % node.name)


def _boots(state: NodeState) -> str:
    boots = state.boots
    return "node %s boots %s" % (state.name, WHAT.get(boots, boots)) if boots else ""


def kept_deployment(node: Node, state: NodeState) -> t.Optional[str]:
    """Return the deployment that a node goes on with, or None when it needs a new one, or none."""
    goes_on = node.boot == RAMDISK and state.record.get("boot") == RAMDISK and not node.renew
    return state.deployment if goes_on else None


def scripts(node: Node, store: Store, deployment: t.Optional[str]) -> t.Dict[Place, str]:
    """Return the scripts of a node."""
    template = store.templates[node.server][node.boot]
    return {
        (mac, node.address): netboot_scripts.fill(template, node, mac, deployment or _SOME)
        for mac in node.mac_addresses
    }


def identity(node: Node, deployment: str, keys: netboot_identity.Keys) -> bytes:
    """Return what a ramdisk is to find."""
    told = {
        "node": node.name,
        "deployment": deployment,
        "address": node.address,
        "boot_mac": node.mac_addresses[0],
    }
    return netboot_identity.archive(keys, told)


def record(node: Node, deployment: t.Optional[str]) -> t.Dict[str, t.Any]:
    """Return what is kept of a node beside the files themselves."""
    note = {} if node.note is None else {"note": node.note}
    return {
        **note,
        "boot": node.boot,
        "server": node.server,
        "address": node.address,
        "mac_addresses": list(node.mac_addresses),
        "kernel_arguments": list(node.kernel_arguments),
        "iscsi": node.iscsi or None,
        "deployment": deployment,
    }


def is_recorded(node: Node, state: NodeState, deployment: t.Optional[str]) -> bool:
    """Whether all that is kept of a node is what it should be."""
    wanted = record(node, deployment)
    return {key: state.record.get(key) for key in wanted} == wanted and "created" in state.record
