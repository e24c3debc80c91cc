# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the router advertisements that stand to those that shall stand. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import vrrp_files
from ansible_collections.weft.fabric.plugins.module_utils.ra_current import CONFIG, Current, Router, State
from ansible_collections.weft.fabric.plugins.module_utils.ra_unit import unit_name
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Operation

# What an operation asks for; apply() brings them into an order.
UNIT, WRITE, START, RESTART, RELOAD, SILENCE, REMOVE, REMOVE_UNIT = range(8)

_WORDS = {START: "start", RESTART: "restart", RELOAD: "reload", SILENCE: "silence"}


def plan(current: Current, desired: t.Mapping[str, Router], purge: bool, unit_text: str) -> t.List[Operation]:
    """Return the operations."""
    operations = []
    wanted = [router for router in desired.values() if router.present]
    if wanted and current.unit_text != unit_text:
        operations.append(Operation("write the unit file of router advertisements", (UNIT, ""), "", unit_name("")))
    for router in wanted:
        operations += _plan_router(router, current.routers[router.name])
    for name, state in current.routers.items():
        unwanted = not desired[name].present if name in desired else purge
        if unwanted and (state.exists or state.unit.active):
            text = "router advertisements of %s" % name
            operations.append(Operation("remove " + text, (REMOVE, name), text))
    if purge and not wanted and current.unit_text is not None:
        text = "remove the unit file of router advertisements"
        operations.append(Operation(text, (REMOVE_UNIT, ""), unit_name("")))
    return operations


def _plan_router(router: Router, state: State) -> t.List[Operation]:
    operations = []
    for file, text in sorted(router.files.items()):
        if state.files.get(file) != text:
            word = "change" if state.exists else "create"
            shown = vrrp_files.changed_lines(state.files.get(file), text, "%s/%s" % (router.name, file))
            what = "%s %s of router advertisements of %s" % (word, file, router.name)
            operations.append(Operation(what, (WRITE, router.name), *shown))
    verb = _daemon_verb(router, state)
    if verb is not None:
        after = "%s: active" % unit_name(router.name) if verb == START else ""
        text = "%s router advertisements of %s" % (_WORDS[verb], router.name)
        operations.append(Operation(text, (verb, router.name), "", after))
    return operations


def _daemon_verb(router: Router, state: State) -> t.Optional[int]:
    """Return what has to be done for radvd to advertise what it should, or None.

    Of a router that advertises as primary only, keepalived starts and stops radvd. A radvd that came after the role
    is started here, and one that runs without the role (it was wanted always before) is silenced.
    """
    if not (router.always or state.primary):
        return SILENCE if state.unit.active else None
    if not state.unit.active:
        return START
    if state.stranded:
        return RESTART
    told = state.stamp.get("config") == vrrp_files.digest(router.config)
    return None if told and state.files[CONFIG] == router.config else RELOAD
