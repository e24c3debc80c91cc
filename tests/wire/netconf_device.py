# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a NETCONF server does with its datastores, and the ways in which the scripted one can be told to go wrong."""

from __future__ import annotations

import contextlib
import copy
import itertools
import threading
import typing as t
from dataclasses import dataclass, field

from lxml import etree

from . import netconf_openconfig as openconfig
from .netconf_datastore import NETCONF, RpcError, child_of, edit, leaf, local, path_of, select, tree

CAPABILITY = "urn:ietf:params:netconf:capability"
FEATURES = {
    "base:1.1": "urn:ietf:params:netconf:base:1.1",
    "candidate": f"{CAPABILITY}:candidate:1.0",
    "writable-running": f"{CAPABILITY}:writable-running:1.0",
    "confirmed-commit:1.0": f"{CAPABILITY}:confirmed-commit:1.0",
    "confirmed-commit:1.1": f"{CAPABILITY}:confirmed-commit:1.1",
    "validate:1.0": f"{CAPABILITY}:validate:1.0",
    "validate:1.1": f"{CAPABILITY}:validate:1.1",
    "rollback-on-error": f"{CAPABILITY}:rollback-on-error:1.0",
    "startup": f"{CAPABILITY}:startup:1.0",
}
USUAL = frozenset(FEATURES) - {"writable-running"}


@dataclass
class Faults:
    """What goes wrong. Everything can be set while the server runs."""

    # The lock of a datastore is refused in this session's name, so many times (None: for ever), with this tag.
    lock_held_by: int | None = None
    lock_refusals: int | None = None
    lock_error: str = "lock-denied"
    # Which datastores that concerns.
    lock_targets: t.Collection[str] = ("candidate", "running")
    # What somebody else has put into candidate and not committed: the inside of <config>.
    foreign_candidate: str | None = None
    # How the lock of such a candidate is refused: lock-denied names session 0; netconfd says resource-denied.
    dirty_error: str = "resource-denied"
    # Commits say ok, change nothing, and empty candidate.
    silent_commit: bool = False
    # The same, but only where <validate> came before: what netconfd does.
    forgets_after_validate: bool = False
    # RPC: "before" (nothing is done), "after" (done, no reply) or "reply" (done and said): then the connection ends.
    break_off: dict[str, str] = field(default_factory=dict)
    # At which of these RPCs, counted from 1 and over all sessions.
    break_off_at: int = 1
    # RPC: a warning that comes with the ok, or, from devices that answer so, in its place.
    warnings: dict[str, str] = field(default_factory=dict)
    warnings_without_ok: bool = False
    # RPC: the error it is refused with.
    errors: dict[str, RpcError | str] = field(default_factory=dict)
    # RPC, "hello" or "*": seconds until it is answered.
    delay: dict[str, float] = field(default_factory=dict)
    # Ports and VLANs that are refused, with the message; at "edit" or only at "commit".
    refuse_ports: dict[str, str] = field(default_factory=dict)
    refuse_vlans: dict[int, str] = field(default_factory=dict)
    refuse_at: str = "edit"
    # The interfaces that can be there: None for any. Others are refused.
    known_ports: t.Collection[str] | None = None
    # Elements of these names are dropped from edits without a word.
    drop: t.Collection[str] = ()
    # What the device makes of running after a commit.
    alter: t.Callable[[t.Any], None] | None = None
    # Accepts connections and never says anything; or has no NETCONF behind its SSH.
    mute: bool = False
    no_subsystem: bool = False

    def breaks(self, name: str, number: int) -> str | None:
        return self.break_off.get(name) if number == self.break_off_at else None


@dataclass(eq=False)
class Session:
    number: int
    validated: bool = False
    closing: bool = False


@dataclass
class _Pending:
    """A commit that waits to be confirmed."""

    before: t.Any
    session: int
    persist: str | None
    timer: threading.Timer


class Device:
    """Datastores, locks and a pending commit."""

    def __init__(self, running: str, *, state: str, faults: Faults, features: t.Collection[str] | None) -> None:
        self.faults = faults
        self.features = set(USUAL if features is None else features)
        first = tree(running)
        self.stores: dict[str, t.Any] = {name: copy.deepcopy(first) for name in ("running", "candidate", "startup")}
        self.state = tree(state)
        self.locks: dict[str, int] = {}
        self.sessions: dict[int, Session] = {}
        # The session that has changed candidate since it was last equal to running; 0 is somebody outside.
        self.dirty: int | None = None
        self._pending: _Pending | None = None
        self._numbers = itertools.count(1)
        self._guard = threading.RLock()
        if faults.foreign_candidate is not None:
            self.stores["candidate"] = tree(faults.foreign_candidate)
            self.dirty = 0

    def capabilities(self) -> list[str]:
        modules = [f"{uri}?module={name}&revision=2023-02-07" for name, uri in openconfig.MODULES.items()]
        return ["urn:ietf:params:netconf:base:1.0", *(FEATURES[name] for name in sorted(self.features)), *modules]

    @property
    def pending(self) -> bool:
        """Whether a commit waits to be confirmed."""
        return self._pending is not None

    def begin(self) -> Session:
        with self._guard:
            session = Session(next(self._numbers))
            self.sessions[session.number] = session
            return session

    def end(self, session: Session) -> None:
        with self._guard:
            self.sessions.pop(session.number, None)
            if self._pending and self._pending.persist is None and self._pending.session == session.number:
                self._roll_back()
            if self.locks.get("candidate") == session.number:
                self._reset_candidate()
            self.locks = {name: holder for name, holder in self.locks.items() if holder != session.number}

    def close(self) -> None:
        with self._guard:
            if self._pending:
                self._pending.timer.cancel()
                self._pending = None

    def answer(self, session: Session, request: t.Any) -> list[t.Any]:
        """Do what an RPC asks and return what its reply holds."""
        name = local(request)
        method = getattr(self, f"_{name.replace('-', '_')}", None) if request.tag == f"{{{NETCONF}}}{name}" else None
        if method is None or name not in REQUESTS:
            raise RpcError("operation-not-supported", f"there is no {name} here", kind="protocol")
        refused = self.faults.errors.get(name)
        if refused is not None:
            raise refused if isinstance(refused, RpcError) else RpcError("operation-failed", refused)
        with self._guard:
            data = method(session, request)
        reply = [etree.Element(f"{{{NETCONF}}}ok") if data is None else data]
        if name in self.faults.warnings:
            reply.insert(0, RpcError("operation-failed", self.faults.warnings[name], severity="warning").element())
            if self.faults.warnings_without_ok:
                del reply[1:]
        return reply

    def _needs(self, *names: str) -> None:
        if not self.features.intersection(names):
            raise RpcError("operation-not-supported", f"this device has no {names[0]}", kind="protocol")

    def _named(self, request: t.Any, role: str) -> str:
        holder = child_of(request, role)
        name = local(holder[0]) if holder is not None and len(holder) else ""
        if name not in self.stores:
            raise RpcError("bad-element", f"{role}: there is no datastore {name!r}", info={"bad-element": role})
        if name in {"candidate", "startup"}:
            self._needs(name)
        return name

    def _must_be_free(self, session: Session, name: str) -> None:
        holder = self.locks.get(name, session.number)
        if holder != session.number:
            raise RpcError("in-use", f"{name} is locked by session {holder}", info={"session-id": str(holder)})

    def _reset_candidate(self) -> None:
        self.stores["candidate"] = copy.deepcopy(self.stores["running"])
        self.dirty = None

    # Reading.

    def _get_config(self, _session: Session, request: t.Any) -> t.Any:
        return self._filtered(self.stores[self._named(request, "source")], request)

    def _get(self, _session: Session, request: t.Any) -> t.Any:
        both = copy.deepcopy(self.stores["running"])
        edit(both, self.state)
        return self._filtered(both, request)

    def _filtered(self, source: t.Any, request: t.Any) -> t.Any:
        pattern = child_of(request, "filter")
        if pattern is not None and pattern.get("type", "subtree") != "subtree":
            raise RpcError("operation-not-supported", "only subtree filters are understood", kind="protocol")
        found = copy.deepcopy(source) if pattern is None else select(source, pattern)
        data = etree.Element(f"{{{NETCONF}}}data", nsmap={None: NETCONF})
        data.extend(list(found))
        return data

    # Locks and sessions.

    def _lock(self, session: Session, request: t.Any) -> None:
        name, faults = self._named(request, "target"), self.faults
        if faults.lock_held_by is not None and name in faults.lock_targets and faults.lock_refusals != 0:
            if faults.lock_refusals is not None:
                faults.lock_refusals -= 1
            raise self._denied(name, faults.lock_held_by, faults.lock_error)
        if name in self.locks:
            raise self._denied(name, self.locks[name], "lock-denied")
        if name == "candidate" and self.dirty is not None:
            raise self._denied(name, 0, self.faults.dirty_error)
        if name == "running" and self._pending and self._pending.session != session.number:
            raise self._denied(name, self._pending.session, "lock-denied")
        self.locks[name] = session.number

    def _denied(self, name: str, holder: int, tag: str) -> RpcError:
        if tag == "resource-denied":
            return RpcError(tag, f"{name} cannot be locked, discard-changes needed", kind="protocol")
        info = {"session-id": str(holder)} if tag == "lock-denied" else {}
        return RpcError(tag, f"{name} is locked by session {holder}", kind="protocol", info=info)

    def _unlock(self, session: Session, request: t.Any) -> None:
        name = self._named(request, "target")
        if self.locks.get(name) != session.number:
            raise RpcError("operation-failed", f"session {session.number} has no lock on {name}", kind="protocol")
        del self.locks[name]

    def _close_session(self, session: Session, _request: t.Any) -> None:
        session.closing = True

    # Writing.

    def _edit_config(self, session: Session, request: t.Any) -> None:
        name = self._named(request, "target")
        if name == "running":
            self._needs("writable-running")
        elif name == "startup":
            raise RpcError("operation-not-supported", "startup is only copied to", kind="protocol")
        self._must_be_free(session, name)
        default = leaf(request, "default-operation") or "merge"
        on_error = leaf(request, "error-option") or "stop-on-error"
        test = leaf(request, "test-option") or "test-then-set"
        if on_error == "rollback-on-error":
            self._needs("rollback-on-error")
        if child_of(request, "test-option") is not None:
            self._needs("validate:1.1" if test == "test-only" else "validate:1.0", "validate:1.1")
        config = child_of(request, "config")
        if config is None:
            raise RpcError("missing-element", "edit-config without a config", info={"bad-element": "config"})
        changed = copy.deepcopy(self.stores[name])
        try:
            self._edit(changed, config, default)
            if name == "running" or (test != "set" and child_of(request, "test-option") is not None):
                self._check(changed)
        except RpcError:
            if on_error != "rollback-on-error" and test != "test-only":
                self._store(session, name, changed)
            raise
        if test != "test-only":
            self._store(session, name, changed)

    def _edit(self, target: t.Any, config: t.Any, default: str) -> None:
        config = copy.deepcopy(config)
        for item in [item for item in config.iter() if local(item) in self.faults.drop]:
            item.getparent().remove(item)
        openconfig.check_edit(config)
        if self.faults.refuse_at == "edit":
            self._stepwise(target, config, default)
        else:
            edit(target, config, default)

    def _stepwise(self, target: t.Any, config: t.Any, default: str) -> None:
        """Edit port by port until one is refused, so that an edit that isn't rolled back stays half done."""
        for name, entry in openconfig.interfaces(config).items():
            refused = self._refused(name, entry)
            if refused is None:
                continue
            for other in [*entry.itersiblings(), entry]:
                other.getparent().remove(other)
            edit(target, config, default)
            raise refused
        edit(target, config, default)

    def _refused(self, name: str, entry: t.Any) -> RpcError | None:
        faults = self.faults
        if faults.known_ports is not None and name not in faults.known_ports:
            return RpcError("invalid-value", f"interface {name} does not exist", path=path_of(entry))
        if name in faults.refuse_ports:
            return RpcError("operation-failed", faults.refuse_ports[name], path=path_of(entry))
        for item in entry.iter():
            if local(item) in {"access-vlan", "native-vlan", "trunk-vlans"} and item.text:
                for number in openconfig.numbers(item.text):
                    if number in faults.refuse_vlans:
                        return RpcError("invalid-value", faults.refuse_vlans[number], path=path_of(item))
        return None

    def _check(self, datastore: t.Any) -> None:
        openconfig.check(datastore)
        if self.faults.refuse_at == "commit":
            for name, entry in openconfig.interfaces(datastore).items():
                refused = self._refused(name, entry)
                if refused is not None:
                    raise refused

    def _store(self, session: Session, name: str, changed: t.Any) -> None:
        self.stores[name] = changed
        if name == "candidate":
            self.dirty = session.number
            session.validated = False
        elif self.faults.alter:
            self.faults.alter(changed)

    def _copy_config(self, session: Session, request: t.Any) -> None:
        target, source = self._named(request, "target"), self._named(request, "source")
        if target == "running":
            self._needs("writable-running")
        self._must_be_free(session, target)
        self._store(session, target, copy.deepcopy(self.stores[source]))

    def _validate(self, session: Session, request: t.Any) -> None:
        self._needs("validate:1.0", "validate:1.1")
        session.validated = True
        self._check(copy.deepcopy(self.stores[self._named(request, "source")]))

    def _discard_changes(self, session: Session, _request: t.Any) -> None:
        self._needs("candidate")
        self._must_be_free(session, "candidate")
        self._reset_candidate()

    def _commit(self, session: Session, request: t.Any) -> None:
        self._needs("candidate")
        confirmed = child_of(request, "confirmed") is not None
        persist, persist_id = leaf(request, "persist"), leaf(request, "persist-id")
        if confirmed:
            self._needs("confirmed-commit:1.0", "confirmed-commit:1.1")
        if persist or persist_id:
            self._needs("confirmed-commit:1.1")
        for name in ("running", "candidate"):
            self._must_be_free(session, name)
        self._must_be_mine(session, persist_id)
        changed = copy.deepcopy(self.stores["candidate"])
        self._check(changed)
        before = self._pending.before if self._pending else copy.deepcopy(self.stores["running"])
        if not (self.faults.silent_commit or (self.faults.forgets_after_validate and session.validated)):
            if self.faults.alter and self.dirty is not None:
                self.faults.alter(changed)
            self.stores["running"] = changed
        session.validated = False
        self._reset_candidate()
        self.close()
        if confirmed:
            seconds = float(leaf(request, "confirm-timeout") or 600)
            timer = threading.Timer(seconds, self._time_is_up)
            timer.daemon = True
            self._pending = _Pending(before, session.number, persist or persist_id, timer)
            timer.start()

    def _must_be_mine(self, session: Session, persist_id: str | None) -> None:
        pending = self._pending
        if persist_id is not None and (pending is None or pending.persist != persist_id):
            raise RpcError("invalid-value", f"no commit waits under the persist-id {persist_id}", kind="protocol")
        if pending is None or persist_id is not None:
            return
        if pending.persist is not None or pending.session != session.number:
            raise RpcError("in-use", f"a confirmed commit of session {pending.session} is going on", kind="protocol")

    def _cancel_commit(self, session: Session, request: t.Any) -> None:
        self._needs("confirmed-commit:1.1")
        if self._pending is None:
            raise RpcError("operation-failed", "no commit waits to be confirmed", kind="protocol")
        self._must_be_mine(session, leaf(request, "persist-id"))
        self._roll_back()

    def _roll_back(self) -> None:
        if self._pending:
            self.stores["running"] = self._pending.before
            self.close()
            if self.dirty is None:
                self._reset_candidate()

    def _time_is_up(self) -> None:
        with self._guard, contextlib.suppress(RpcError):
            self._roll_back()


REQUESTS = {
    "cancel-commit",
    "close-session",
    "commit",
    "copy-config",
    "discard-changes",
    "edit-config",
    "get",
    "get-config",
    "lock",
    "unlock",
    "validate",
}
