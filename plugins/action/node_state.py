# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Derives where a node stands and what a verb has to do with it, on the controller."""

from __future__ import annotations

import typing as t
import uuid

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal import ports
from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.plan import VERBS, Refused, plan
from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.scope import server_name
from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.standing import Facts, Wanted, is_volume, short

ARGUMENTS = {
    "verb": {"type": "str", "required": True, "choices": list(VERBS)},
    "node": {"type": "dict", "required": True},
    "bmc": {"type": "dict", "required": True},
    "switches": {"type": "list", "elements": "dict", "required": True},
    "boot": {"type": "dict", "required": True},
    "force": {"type": "bool", "default": False},
    "power": {"type": "str", "default": "on", "choices": ["on", "off", "restarted"]},
}


class ActionModule(ActionBase):
    """Returns the standing of a node, and the steps from there."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(ARGUMENTS)

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        node = given["node"]
        found = {one["item"]["switch"]: one["ports"] for one in given["switches"]}
        facts = facts_of(node, given["bmc"], found, given["boot"])
        try:
            planned = plan(given["verb"], facts, wanted_of(node), given["force"], given["power"], name=uuid.uuid4().hex)
        except Refused as refused:
            # Ansible would say a cause once more behind it.
            raise AnsibleActionFail(f"{node['name']}: {refused}. Nothing was changed.") from None
        return {
            "changed": False,
            "standing": planned.standing,
            "phase": planned.phase,
            "steps": list(planned.steps),
            "resumed": list(planned.resumed),
            "softly": planned.softly,
            "again": planned.again,
            "contradictions": planned.contradictions,
            "record": dict(facts.record),
            "line": line_of(node, facts, planned.standing, ports.describe(node["phases"], found)),
        }


def facts_of(node, bmc, found, boot):
    """Return what was read of a node as the functions that judge it take it."""
    persistent = bmc.get("device") if bmc.get("persistent") else None
    fetched = [one["address"] for one in boot.get("fetches") or () if one["file"].endswith("identity.cpio")]
    return Facts(
        power=bmc.get("state"),
        ports=ports.phases_of(node["phases"], found),
        # A run that was killed while it told the node's NICs left some of them with the one and some with the other.
        boot={"mixed": "ramdisk"}.get(boot.get("boot"), boot.get("boot") or "absent"),
        record=boot.get("record") or {},
        device=persistent if node.get("boot_device_readable", True) else None,
        fetched_by=tuple(fetched),
    )


def wanted_of(node):
    """Return what the topology says of a node as the functions that judge it take it."""
    server: dict[str, t.Any] = node.get("server") or {}
    image = server.get("image") or {}
    return Wanted(
        name=node["name"],
        address=node["address"],
        server=server.get("id"),
        server_name=server_name(node),
        image=(server.get("volume") or {}).get("uri") or image.get("checksum"),
        image_problem=image.get("problem"),
    )


def line_of(node, facts, standing, vlans):
    """Return a node in one line of a table."""
    record = facts.record
    image = short(record["image"]) if record.get("image") else "adopted" if record.get("adopted") else "-"
    what = "volume" if is_volume(record.get("image")) else "image"
    columns = (node["name"], server_name(node) or "-", f"power {facts.power}", standing, vlans, f"boot {facts.boot}")
    return "  ".join((*columns, f"{what} {image}"))
