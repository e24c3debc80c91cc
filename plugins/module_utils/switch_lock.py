# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time for a switch, among all NETCONF sessions: its own lock, for as long as somebody else may have it.

The runs of this machine have queued before (device_lock).
"""

from __future__ import annotations

import re
import time
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.device_lock import pauses
from ansible_collections.weft.fabric.plugins.module_utils.netconf_session import RpcError, Session
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

# How some say that somebody is at work, who do not say lock-denied.
_BUSY = re.compile(r"locked|busy|in use|another session|in progress|try again", re.IGNORECASE)
_DIRTY = re.compile(r"discard-changes needed|database modified|uncommitted", re.IGNORECASE)


def lock(session: Session, datastore: str, seconds: float, discard_foreign: bool) -> None:
    """Lock a datastore, waiting for whoever has it, but not for ever."""
    refused = _refusal(session, datastore)
    for pause in pauses(seconds, first=0.2):
        if refused is None:
            return
        if _is_dirty(refused) and datastore == "candidate":
            _discard_for(session, refused, discard_foreign)
        elif not _is_busy(refused):
            raise FabricError("%s cannot be locked: %s" % (datastore, refused)) from refused
        time.sleep(pause)
        refused = _refusal(session, datastore)
    if refused is not None:
        raise FabricError(
            "%s is locked, and was for all of %g s, by %s. Nothing was changed."
            % (datastore, seconds, _other(refused.holder))
        ) from refused


def _refusal(session: Session, datastore: str) -> t.Optional[RpcError]:
    try:
        session.lock(datastore)
    except RpcError as error:
        return error
    return None


def _is_dirty(error: RpcError) -> bool:
    return error.tag == "resource-denied" or _DIRTY.search(error.message) is not None


def _is_busy(error: RpcError) -> bool:
    vague = error.tag in ("", "operation-failed", "resource-denied")
    return error.tag in ("lock-denied", "in-use") or (vague and _BUSY.search(error.message) is not None)


def _discard_for(session: Session, error: RpcError, discard_foreign: bool) -> None:
    if not discard_foreign:
        raise foreign_changes(str(error)) from error
    session.discard()


def foreign_changes(reason: str) -> FabricError:
    return FabricError(
        "the candidate configuration holds changes that somebody made and did not commit (%s). They are not ours to "
        "throw away: have them committed or discarded, or set discard_foreign. Nothing was changed." % reason
    )


def _other(holder: str) -> str:
    if holder in ("", "0"):
        return (
            "somebody who is not a NETCONF session: an operator at the command line, or changes in candidate that "
            "were not committed"
        )
    return "NETCONF session %s" % holder
