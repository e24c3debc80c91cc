# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the highly available routers that stand to those that shall stand. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import vrrp_files
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Operation
from ansible_collections.weft.fabric.plugins.module_utils.vrrp_current import (
    CONFIG,
    FILES,
    SESSIONS,
    Current,
    Router,
    State,
)
from ansible_collections.weft.fabric.plugins.module_utils.vrrp_program import (
    CROWD_DELAY,
    REFRESH_TIMER,
    sessions_name,
    unit_name,
)

# What an operation asks for; apply() brings them into an order.
SHARED, WRITE, SYNC, SYNC_RESTART, SYNC_STOP, TIMER, TIMER_STOP = range(7)
START, RESTART, RELOAD, REMOVE, REMOVE_SHARED, WATCHES = range(7, 13)

# Each keepalived watches the files with handicaps, which takes one of the kernel's inotify instances: 128 for each user
# by default. Others on the host need some, too.
_WATCHES_SPARE = 256
_WATCHES_LEAST = 1024

# Of a host with one slow processor.
_STARTS_A_SECOND = 10

_WORDS = {START: "start", RESTART: "restart", RELOAD: "reload"}
_SYNC_WORDS = {SYNC: "start", SYNC_RESTART: "restart", SYNC_STOP: "stop"}


def plan(
    current: Current, desired: t.Mapping[str, Router], purge: bool, shared: t.Mapping[str, str]
) -> t.List[Operation]:
    """Return the operations."""
    wanted = [router for router in desired.values() if router.present]
    operations = _plan_watches(current, len(wanted)) + _plan_shared(current, shared) if wanted else []
    for router in wanted:
        operations += _plan_router(router, current.routers[router.name])
    telling = any(router.files[SESSIONS] is not None for router in wanted)
    if telling and not current.refreshed:
        operations.append(Operation("start %s" % REFRESH_TIMER, (TIMER, ""), "", "%s: active" % REFRESH_TIMER))
    for name, state in current.routers.items():
        unwanted = not desired[name].present if name in desired else purge
        if unwanted and (state.exists or state.unit.active or state.sessions.active):
            operations.append(removal(name))
    if purge and not wanted and any(text is not None for text in current.shared.values()):
        operations.append(
            Operation("remove the units of VRRP routers", (REMOVE_SHARED, ""), "\n".join(sorted(current.shared)))
        )
    elif not telling and current.refreshed and not _left_telling(current, desired, purge):
        operations.append(Operation("stop %s" % REFRESH_TIMER, (TIMER_STOP, ""), "%s: active" % REFRESH_TIMER))
    return operations


def _left_telling(current: Current, desired: t.Mapping[str, Router], purge: bool) -> bool:
    """Tell whether a router that is not listed, and stays, tells its peers its sessions."""
    unlisted = [state for name, state in current.routers.items() if name not in desired]
    return not purge and any(state.files.get(SESSIONS) is not None or state.sessions.active for state in unlisted)


def removal(name: str) -> Operation:
    return Operation("remove VRRP router %s" % name, (REMOVE, name), "VRRP router %s" % name)


def moves(router: Router, state: State) -> bool:
    """Tell whether a router goes on in another namespace: nothing that it has there is of use here."""
    return router.present and state.exists and state.namespace != router.namespace


def watches_for(routers: int) -> int:
    """Return a limit with which many more routers can come."""
    return max(2 * (routers + _WATCHES_SPARE), _WATCHES_LEAST)


def crowd_delay(routers: int) -> int:
    """Return for how many seconds each of so many routers leaves the first election to the start of the others."""
    return min(routers // _STARTS_A_SECOND, CROWD_DELAY)


def _plan_watches(current: Current, routers: int) -> t.List[Operation]:
    if current.watches is None or current.watches >= routers + _WATCHES_SPARE:
        return []
    name, limit = "fs.inotify.max_user_instances", watches_for(routers)
    shown = ("%s = %d" % (name, current.watches), "%s = %d" % (name, limit))
    return [Operation("raise %s to %d" % (name, limit), (WATCHES, ""), *shown)]


def _plan_shared(current: Current, shared: t.Mapping[str, str]) -> t.List[Operation]:
    return [
        Operation("write %s" % path, (SHARED, path), *vrrp_files.changed_lines(current.shared.get(path), text, path))
        for path, text in sorted(shared.items())
        if current.shared.get(path) != text
    ]


def _plan_router(router: Router, state: State) -> t.List[Operation]:
    if moves(router, state):
        return [removal(router.name), *_plan_router(router, State(router.name))]
    operations = _changes(router, state) if state.exists else [_creation(router)]
    verb = _sessions_verb(router, state)
    if verb is not None:
        after = "%s: active" % sessions_name(router.name) if verb == SYNC else ""
        text = "%s the session synchronisation of VRRP router %s" % (_SYNC_WORDS[verb], router.name)
        operations.append(Operation(text, (verb, router.name), "", after))
    verb = _daemon_verb(router, state)
    if verb is not None:
        after = "%s: active" % unit_name(router.name) if verb == START else ""
        operations.append(Operation("%s VRRP router %s" % (_WORDS[verb], router.name), (verb, router.name), "", after))
    return operations


def _daemon_verb(router: Router, state: State) -> t.Optional[int]:
    """Return what has to be done for keepalived to know what it should, or None.

    It goes by what the daemon was told, not only by what is written now: a run may have been killed between the two.
    A device that was made anew under its feet keepalived does not find again, and one that speaks on another link is
    another.
    """
    if not state.unit.active:
        return START
    told = state.stamp
    if state.stranded or told.get("interface") != router.interface or _made_anew(told, state):
        return RESTART
    if told.get("config") != vrrp_files.digest(router.files[CONFIG]) or state.files[CONFIG] != router.files[CONFIG]:
        return RELOAD
    return None


def _made_anew(told: t.Mapping[str, t.Any], state: State) -> bool:
    before = told.get("devices")
    if not isinstance(before, dict):
        return True
    return any(before.get(name, index) != index for name, index in state.devices.items())


def _sessions_verb(router: Router, state: State) -> t.Optional[int]:
    wanted = router.files[SESSIONS]
    if wanted is None:
        return SYNC_STOP if state.sessions.active else None
    if not state.sessions.active:
        return SYNC
    unknown = state.stamp.get("sessions") != vrrp_files.digest(wanted) or state.files[SESSIONS] != wanted
    return SYNC_RESTART if unknown or state.sessions_stranded else None


def _creation(router: Router) -> Operation:
    after = ["VRRP router %s" % router.name]
    for file in FILES:
        after += ["%s/%s: %s" % (router.name, file, line) for line in (router.files[file] or "").splitlines()]
    return Operation("create VRRP router %s" % router.name, (WRITE, router.name), "", "\n".join(after))


def _changes(router: Router, state: State) -> t.List[Operation]:
    operations = []
    for file in FILES:
        old, new = state.files.get(file), router.files[file]
        if old != new:
            word = "remove" if new is None else "change"
            text = "%s %s of VRRP router %s" % (word, file, router.name)
            shown = vrrp_files.changed_lines(old, new, "%s/%s" % (router.name, file))
            operations.append(Operation(text, (WRITE, router.name), *shown))
    return operations
