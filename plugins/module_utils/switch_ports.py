# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run for one switch: read, plan, refuse what must not be, and write it in one transaction.

It runs on the controller. Where nothing differs it reads once, and neither locks nor writes.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import device_lock, switch_desired
from ansible_collections.weft.fabric.plugins.module_utils.netconf_session import Session, SessionLostError
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, Operation, summarise
from ansible_collections.weft.fabric.plugins.module_utils.switch_access import Access, names_to_read, ports_of
from ansible_collections.weft.fabric.plugins.module_utils.switch_audit import Audit, default_file, default_who
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import Plan, State
from ansible_collections.weft.fabric.plugins.module_utils.switch_plan import Planner
from ansible_collections.weft.fabric.plugins.module_utils.switch_policy import Policy
from ansible_collections.weft.fabric.plugins.module_utils.switch_save import Saver
from ansible_collections.weft.fabric.plugins.module_utils.switch_text import operations
from ansible_collections.weft.fabric.plugins.module_utils.switch_transaction import Options, Transaction

Params = t.Mapping[str, t.Any]

MAX_PROBLEMS = 10


class SwitchRun(object):
    """Built from the module's arguments, which are checked here as far as that goes without the switch."""

    def __init__(self, params: Params):
        self.params = params
        self.desired = switch_desired.parse(params)
        self.policy = Policy(params, self.desired)
        self.access = Access(params["switch"], names_to_read(self.desired))
        self.saver = Saver(self.access, params.get("persist") or "driver")
        self.who = params.get("who") or default_who()

    def run(self, check_mode: bool = False) -> t.Dict[str, t.Any]:
        """Make it so, and return what the module returns."""
        with _named(self.access.way.name):
            _refuse(self.policy.of_arguments())
            with contextlib.ExitStack() as stack:
                if not check_mode:
                    stack.enter_context(self._queue())
                result = self._with_session(check_mode)
        result["warnings"] = list(self.access.warnings)
        return result

    def _queue(self) -> t.ContextManager[None]:
        way = self.access.way
        return device_lock.machine_lock("switch %s" % way.name, way.address, way.port, self._lock_timeout(), self.who)

    def _with_session(self, check_mode: bool) -> t.Dict[str, t.Any]:
        session = self.access.open()
        try:
            state = self.access.read(session)
            plan = self._plan(session, state)
            if not plan:
                return self._save_only(session, state, check_mode)
            if not check_mode:
                plan, session = self._write(session, state, plan)
        finally:
            _collect(session, self.access)
            session.close()
        return dict(summarise(operations(plan)), saved=bool(self.saver.done))

    def _plan(self, session: Session, state: State) -> Plan:
        """Return what is to change; refuse it where it must not."""
        planner = Planner(
            self.desired, state, self.policy.allowed_vlans, self.policy.uplinks, self.access.driver.lists_ports
        )
        plan = planner.plan()
        for reason in planner.kept_vlans():
            self.access.warn(reason)
        names = ports_of(plan)
        neighbours = self.access.neighbours(session, names) if names else []
        _refuse(self.policy.of_plan(planner, plan, neighbours))
        return plan

    def _write(self, session: Session, first: State, plan: Plan) -> t.Tuple[Plan, Session]:
        self.saver.check(session)
        transaction = Transaction(self.access, session, self._options())
        try:
            with transaction.locked():
                before = transaction.read_again(first)
                if before != first:
                    plan = self._plan(session, before)
                if plan:
                    self._recorded(transaction, plan, before)
                    self.saver.save(transaction)
        except BaseException:
            # The one it has now is not the one that the caller closes.
            if transaction.session is not session:
                transaction.session.close()
            raise
        return plan, transaction.session

    def _recorded(self, transaction: Transaction, plan: Plan, before: State) -> None:
        audit = Audit(self.params.get("audit_file") or default_file(), self.who, self.access.way.name)
        result = "interrupted"
        try:
            transaction.write(plan, before)
            result = "ok"
        except FabricError as error:
            result = "failed: %s" % error
            raise
        finally:
            audit.write(plan, transaction.session.id, result)
            audit.close()

    def _options(self) -> Options:
        seconds = self.params.get("confirmed_commit")
        if seconds is None:
            seconds = Options().confirmed_commit if self.access.driver.confirmed_commit else 0
        return Options(seconds, self._lock_timeout(), bool(self.params.get("discard_foreign")))

    def _lock_timeout(self) -> float:
        given = self.params.get("lock_timeout")
        return Options().lock_timeout if given is None else given

    def _save_only(self, session: Session, running: State, check_mode: bool) -> t.Dict[str, t.Any]:
        """Save what an earlier run changed and could not save."""
        differing = self.saver.unsaved(session, running)
        done: t.List[Operation] = []
        if differing:
            done.append(Operation("save running to startup, which differs in %s" % ", ".join(differing)))
            if not check_mode:
                self.saver.save_now(session)
        return dict(summarise(done), saved=bool(self.saver.done))


def _collect(session: Session, access: Access) -> None:
    for warning in session.warnings:
        access.warn("it warns: %s" % warning)


def _refuse(problems: t.Sequence[str]) -> None:
    if problems:
        more = len(problems) - MAX_PROBLEMS
        told = "; ".join(problems[:MAX_PROBLEMS]) + ("; and %d more" % more if more > 0 else "")
        raise FabricError("refused, and nothing was changed: %s" % told)


@contextlib.contextmanager
def _named(name: str) -> t.Iterator[None]:
    """Say of which switch an error is, in one place."""
    try:
        yield
    except SessionLostError as error:
        raise FabricError("switch %s: %s. Nothing was changed" % (name, error)) from error
    except FabricError as error:
        raise error if str(error).startswith("switch ") else FabricError("switch %s: %s" % (name, error)) from error
