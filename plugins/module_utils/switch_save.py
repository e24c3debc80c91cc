# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping what was written over a restart of the switch: once for a switch and run."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.netconf_session import RpcError, Session, SessionLostError
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.switch_access import Access
from ansible_collections.weft.fabric.plugins.module_utils.switch_compare import drifted
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import State
from ansible_collections.weft.fabric.plugins.module_utils.switch_transaction import Transaction


class Saver(object):
    """Saves running to startup in the way of the switch."""

    def __init__(self, access: Access, persist: str):
        self.access = access
        self.persist = persist
        self.done = False

    def _way(self, session: Session) -> str:
        """Return how it is done: by the family's own request or edit, by the standard's copy-config, or not at all."""
        driver = self.access.driver
        if self.persist == "none" or driver.keeps_commits:
            return ""
        if driver.save_request() is not None:
            return "request"
        if driver.save_edit() is not None:
            return "edit"
        return "copy" if session.has("startup") else ""

    def check(self, session: Session) -> None:
        """Refuse, before anything is written, what could not be saved though it was asked for."""
        if self.persist == "startup" and not (self.access.driver.keeps_commits or self._way(session)):
            raise FabricError(
                "persist is startup, and it has no startup datastore that NETCONF could write (:startup). Nothing was "
                "changed. Say persist: none where it keeps its configuration by itself"
            )

    def save(self, transaction: Transaction) -> None:
        """Save after a write. A connection that is lost meanwhile is opened again: saving twice does no harm."""
        try:
            self.save_now(transaction.session)
        except SessionLostError:
            transaction.session.abandon()
            transaction.session = self._again()

    def _again(self) -> Session:
        try:
            session = self.access.open()
            self.save_now(session)
        except FabricError as error:
            raise _unsaved(error) from error
        return session

    def save_now(self, session: Session) -> None:
        request, edit, way = self.access.driver.save_request(), self.access.driver.save_edit(), self._way(session)
        try:
            if way == "request" and request is not None:
                session.call(request)
            elif way == "edit" and edit is not None:
                session.edit("running", [edit])
            elif way == "copy":
                session.copy_running_to_startup()
        except RpcError as error:
            raise _unsaved(error) from error
        self.done = bool(way)

    def unsaved(self, session: Session, running: State) -> t.List[str]:
        """Return in which of the ports and VLANs startup differs, where that can be read."""
        if self._way(session) != "copy":
            return []
        try:
            return drifted(running, self.access.read(session, "startup"))
        except RpcError:
            return []


def _unsaved(error: FabricError) -> FabricError:
    return FabricError(
        "it was changed as asked, and could not save that for its next start: %s. The next run tries again" % error
    )
