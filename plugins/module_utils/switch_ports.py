# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run for one switch: read, plan, refuse what must not be, and write it in one transaction.

It runs on the controller. Where nothing differs it reads once, and neither locks nor writes.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import device_lock, switch_desired, switch_together
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


class Done(t.NamedTuple):
    """What was done, or would be in check mode."""

    plan: Plan
    saved: bool
    saving: t.Tuple[Operation, ...] = ()

    def told(self) -> t.Dict[str, t.Any]:
        """Return it as the module does."""
        return dict(summarise([*operations(self.plan), *self.saving]), saved=self.saved)

    def share(self, names: t.Container[str]) -> Done:
        """Return what of it was done for one run among several, which asked for these ports."""
        ports = tuple(change for change in self.plan.ports if change.name in names)
        return Done(Plan(ports=ports), self.saved and bool(ports))

    def rest(self, names: t.Container[str]) -> Done:
        """Return what was done for the run that did it: all but those ports of others. VLANs are told once."""
        ports = tuple(change for change in self.plan.ports if change.name not in names)
        return self._replace(plan=self.plan._replace(ports=ports))


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
            result = self._with_session(True).told() if check_mode else self._in_turn()
        result["warnings"] = list(self.access.warnings)
        return result

    def _in_turn(self) -> t.Dict[str, t.Any]:
        """Do it when it is this run's turn, along with what others of this machine want; or find it done by another."""
        way = self.access.way
        place = device_lock.place_of(way.address, way.port) + ".notes"
        with switch_together.note(place, switch_together.wish(self.params)) as note, self._turn(note):
            answer = note.answer()
            if answer is not None:
                return answer
            # What could not be done along with another's is not tried that way twice.
            others = [] if note.was_taken() else note.take_others()
            if others:
                # Each of them finds out by itself what is wrong with its own.
                with contextlib.suppress(FabricError):
                    return self._along_with(others)
            return self._with_session(False).told()

    @contextlib.contextmanager
    def _turn(self, note: switch_together.Note) -> t.Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._queue())
            except FabricError:
                if note.withdraw():
                    raise
                # Somebody is at it just now, and what comes of it must be known.
                stack.enter_context(self._queue())
            yield

    def _along_with(self, others: t.Sequence[switch_together.Note]) -> t.Dict[str, t.Any]:
        """Do it, and what others want, in one session. Answer them."""
        wishes = [other.wish for other in others if other.wish is not None]
        run = SwitchRun(switch_together.joined(self.params, wishes))
        _refuse(run.policy.of_arguments())
        done = run._with_session(False)
        self.access.warnings += run.access.warnings
        theirs: t.Set[str] = set()
        for other, wish in zip(others, wishes):
            names = run._as_told(done.plan, wish.ports)
            other.tell(done.share(names).told())
            theirs |= names
        return done.rest(theirs).told()

    def _as_told(self, plan: Plan, ports: t.Sequence[t.Mapping[str, t.Any]]) -> t.Set[str]:
        """Return what ports are called in a plan."""
        key, driver = self.desired.key, self.desired.driver
        wanted = {key(switch_desired.port_name(driver, item["name"])) for item in ports}
        return {change.name for change in plan.ports if key(change.name) in wanted}

    def _queue(self) -> t.ContextManager[None]:
        way = self.access.way
        return device_lock.machine_lock("switch %s" % way.name, way.address, way.port, self._lock_timeout(), self.who)

    def _with_session(self, check_mode: bool) -> Done:
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
        return Done(plan, bool(self.saver.done))

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

    def _save_only(self, session: Session, running: State, check_mode: bool) -> Done:
        """Save what an earlier run changed and could not save."""
        differing = self.saver.unsaved(session, running)
        if not differing:
            return Done(Plan(), False)
        if not check_mode:
            self.saver.save_now(session)
        text = "save running to startup, which differs in %s" % ", ".join(differing)
        return Done(Plan(), bool(self.saver.done), (Operation(text),))


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
