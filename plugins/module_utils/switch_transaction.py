# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing to a switch so that it ends as asked, or as it was: nothing in between, and nothing left behind.

lock - read again - one edit - commit for a while - read running back - commit for good, or go back
"""

from __future__ import annotations

import contextlib
import time
import typing as t
import uuid

from ansible_collections.weft.fabric.plugins.module_utils import switch_lock
from ansible_collections.weft.fabric.plugins.module_utils.device_lock import pauses
from ansible_collections.weft.fabric.plugins.module_utils.netconf_session import (
    RpcError,
    Session,
    SessionLostError,
)
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.switch_access import Access
from ansible_collections.weft.fabric.plugins.module_utils.switch_compare import (
    blame,
    drifted,
    towards,
    wrong,
)
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import Plan, State

# How long a switch that dropped the connection may still be at work on what it was sent.
SETTLE_SECONDS = 3


class Options(t.NamedTuple):
    """How careful a write is."""

    confirmed_commit: int = 30
    lock_timeout: float = 60
    discard_foreign: bool = False


class Transaction(object):
    """One write to one switch. One object, one use."""

    def __init__(self, access: Access, session: Session, options: Options):
        self.access = access
        self.session = session
        self.options = options
        self.target = access.target(session)
        self._locked: t.List[str] = []
        self._edited = False
        self._persist_id = ""

    # The lock

    @contextlib.contextmanager
    def locked(self) -> t.Iterator[None]:
        try:
            for datastore in self._datastores():
                switch_lock.lock(self.session, datastore, self.options.lock_timeout, self.options.discard_foreign)
                self._locked.append(datastore)
            yield
        finally:
            self._release()

    def _datastores(self) -> t.List[str]:
        # What others may write to directly would be lost with our commit.
        both = self.target == "candidate" and self.session.has("writable-running")
        return ["candidate", "running"] if both else [self.target]

    def _release(self) -> None:
        """Leave nothing of ours in candidate, and no lock. Ending the session does the same, but not everywhere."""
        try:
            if self._edited:
                self.session.discard()
            for datastore in reversed(self._locked):
                self.session.unlock(datastore)
        except FabricError:
            self.session.abandon()
        self._locked, self._edited = [], False

    def read_again(self, first: State) -> State:
        """Return the switch's state inside the lock; refuse a candidate with changes that are not ours."""
        found = self.access.read(self.session, self.target)
        if self.target == "running" or (found == first and "running" not in self._locked):
            return found
        running = self.access.read(self.session)
        if found != running:
            if not self.options.discard_foreign:
                raise switch_lock.foreign_changes("it differs from running in %s" % ", ".join(drifted(found, running)))
            self.session.discard()
        return running

    # The write

    def write(self, plan: Plan, before: State) -> None:
        """Make the changes of a plan. When this returns, running has them for good."""
        config = self.access.driver.edit(plan)
        if self.target == "running":
            self._write_running(plan, before, config)
        else:
            self._write_candidate(plan, before, config)

    def _write_running(self, plan: Plan, before: State, config: t.Any) -> None:
        try:
            self.session.edit("running", config)
            state = self.access.read(self.session)
        except RpcError as error:
            raise self._failed(blame(plan, error), plan, before) from error
        except SessionLostError as error:
            self._find_out(plan, before, error)
        else:
            self._judge(plan, before, state)

    def _write_candidate(self, plan: Plan, before: State, config: t.Any) -> None:
        try:
            self._edited = True
            self.session.edit("candidate", config)
        except RpcError as error:
            raise self._failed(blame(plan, error), plan, before) from error
        except SessionLostError as error:
            self.session.abandon()
            raise FabricError("%s. Nothing was committed, so that running is as it was" % error) from error
        try:
            self._commit()
            self._edited = False
            self._judge(plan, before, self.access.read(self.session))
            self._confirm()
        except RpcError as error:
            raise self._failed(blame(plan, error), plan, before) from error
        except SessionLostError as error:
            self._edited = False
            self._find_out(plan, before, error)

    def _commit(self) -> None:
        version = self.session.version("confirmed-commit") if self.options.confirmed_commit else ""
        if not version:
            self.session.commit()
        elif version == "1.0":
            self.session.commit_confirmed(self.options.confirmed_commit)
        else:
            self._persist_id = "weft-%s" % uuid.uuid4().hex
            self.session.commit_confirmed(self.options.confirmed_commit, self._persist_id)

    @property
    def _waits(self) -> bool:
        """Whether the switch goes back by itself unless it is told not to."""
        return self.target == "candidate" and bool(
            self.options.confirmed_commit and self.session.has("confirmed-commit")
        )

    def _confirm(self) -> None:
        if self._waits:
            self.session.commit(self._persist_id)

    def _judge(self, plan: Plan, before: State, state: State) -> None:
        """Compare what running is with what it was to be; an ok proves nothing."""
        problems = wrong(plan, state, self.access.driver.key)
        if problems:
            raise self._failed(
                "it said ok, and did something else: %s" % "; ".join(problems), plan, before, committed=True
            )

    # Going back

    def _failed(self, reason: str, plan: Plan, before: State, committed: bool = False) -> FabricError:
        """Take back what there may be, look at running, and return the error that tells both."""
        try:
            self._go_back(plan, before, committed)
            end = self._ending(plan, before)
        except FabricError as error:
            end = "It could not be brought back to what it was: %s. LOOK AT IT" % error
            if self._waits:
                end += "; without a confirmation it goes back by itself within %d s" % self.options.confirmed_commit
        return FabricError("%s. %s" % (reason.rstrip("."), end))

    def _go_back(self, plan: Plan, before: State, committed: bool) -> None:
        if self._edited:
            with contextlib.suppress(RpcError):
                self.session.discard()
            self._edited = False
        if self._persist_id:
            # There is none where the commit itself was refused.
            with contextlib.suppress(RpcError):
                self.session.cancel_commit(self._persist_id)
        elif committed and self._waits:
            self._end_session(plan, before)
        else:
            self._undo(plan, before)

    def _end_session(self, plan: Plan, before: State) -> None:
        """Go back the way confirmed commits of the first version do: with the session that made them."""
        self.session.close()
        self._locked = []
        self.session = self.access.open()
        for pause in pauses(self.options.confirmed_commit + SETTLE_SECONDS, first=0.2):
            if not towards(plan, before, self.access.read(self.session), self.access.driver.key):
                break
            time.sleep(pause)

    def _undo(self, plan: Plan, before: State) -> None:
        """Write the reverse of what running has of the plan."""
        back = towards(plan, before, self.access.read(self.session), self.access.driver.key)
        if back:
            self.session.edit(self.target, self.access.driver.edit(back))
            if self.target == "candidate":
                self.session.commit()

    def _ending(self, plan: Plan, before: State) -> str:
        left = towards(plan, before, self.access.read(self.session), self.access.driver.key)
        if not left:
            return "Running is as it was before"
        return "Running is NOT as it was before: %s. LOOK AT IT" % ", ".join(change.name for change in left.ports)

    # Finding out

    def _find_out(self, plan: Plan, before: State, lost: SessionLostError) -> None:
        """After a connection that ended: look what the switch did, and finish it. Nothing is sent again."""
        self.session.abandon()
        self._locked, self._edited = [], False
        told = "%s, after the switch was told to change" % lost
        try:
            state = self._settled(plan, before, lost)
            if not wrong(plan, state, self.access.driver.key):
                self._confirm_again(plan)
                return
            if self._persist_id:
                with contextlib.suppress(RpcError):
                    self.session.cancel_commit(self._persist_id)
            end = self._ending(plan, before)
        except (RpcError, SessionLostError, FabricError) as error:
            end = "What it did is NOT KNOWN: %s. LOOK AT IT" % error
            if self._waits:
                end += "; without a confirmation it goes back by itself within %d s" % self.options.confirmed_commit
        raise FabricError("%s. %s" % (told, end)) from lost

    def _settled(self, plan: Plan, before: State, lost: SessionLostError) -> State:
        """Reconnect, and read until the switch is where it is going to stay."""
        alone = self._waits and not self._persist_id
        seconds: float = SETTLE_SECONDS
        if alone:
            seconds += self.options.confirmed_commit
        elif lost.timed_out:
            seconds += self.access.way.timeout
        self.session = self._reopen()
        state = self.access.read(self.session)
        for pause in pauses(seconds, first=0.2):
            done = not wrong(plan, state, self.access.driver.key)
            back = not towards(plan, before, state, self.access.driver.key)
            # A commit that waits for its own session goes back with it; any other stays once it is there.
            if back if alone else done:
                break
            time.sleep(pause)
            state = self.access.read(self.session)
        return state

    def _reopen(self) -> Session:
        failure: t.Optional[FabricError] = None
        for pause in pauses(self.access.way.timeout, first=0.2):
            try:
                return self.access.open()
            except FabricError as error:
                failure = error
            time.sleep(pause)
        raise failure or FabricError("the switch cannot be reached any more")

    def _confirm_again(self, plan: Plan) -> None:
        if not self._persist_id:
            return
        try:
            self.session.commit(self._persist_id)
        except RpcError:
            # Nothing waits: it was the confirmation whose answer got lost, or the time was over.
            problems = wrong(plan, self.access.read(self.session), self.access.driver.key)
            if problems:
                raise
