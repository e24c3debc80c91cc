# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NETCONF (RFC 6241) as far as ports of switches need it: a narrow client that a test can replace."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import netconf_ssh
from ansible_collections.weft.fabric.plugins.module_utils.netconf_ssh import Way
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.switch_xml import (
    NETCONF,
    Maker,
    Node,
    child,
    children,
    text,
    word,
)

try:
    import paramiko
    from ncclient import NCClientError
    from ncclient.operations import TimeoutExpiredError
    from ncclient.xml_ import to_ele
except ImportError:
    # netconf_ssh tells it, once a session is wanted.
    pass

_PREFIX = "urn:ietf:params:netconf:capability:"
_NC = Maker(NETCONF)

# A goodbye is a courtesy: the switch ends the session with the connection.
CLOSE_SECONDS = 5


class RpcError(FabricError):
    """The switch refused a request. Its session goes on."""

    def __init__(self, request: str, tag: str, message: str, path: str = "", holder: str = ""):
        super().__init__("%s: %s%s" % (request, message or "no reason given", " (%s)" % tag if tag else ""))
        self.request = request
        self.tag = tag
        self.message = message
        self.path = path
        #: of a lock: the session that has it; 0 is somebody who is no NETCONF session
        self.holder = holder


class SessionLostError(FabricError):
    """The session ended, or an answer did not come: whether the switch did what was asked is not known."""

    def __init__(self, request: str, reason: str, timed_out: bool):
        super().__init__("%s: %s" % (request, reason))
        self.request = request
        self.timed_out = timed_out


class Session(object):
    """One session. What the server is asked is built here, and every answer is looked at."""

    def __init__(self, manager: t.Any, to: Way, harmless: t.Tuple[str, ...] = ()):
        self._manager = manager
        self._to = to
        self._harmless = harmless
        self.id = str(manager.session_id)
        self.capabilities = [str(uri) for uri in manager.server_capabilities]
        #: what the switch said along with an ok
        self.warnings: t.List[str] = []
        self._lost = False

    def version(self, feature: str) -> str:
        """Return the newest version in which the server has a capability, or nothing.

        The whole name counts: ":confirmed-commit-but-not-really" is not ":confirmed-commit".
        """
        found = [uri.partition("?")[0] for uri in self.capabilities if uri.startswith(_PREFIX + feature + ":")]
        return max((uri[len(_PREFIX) + len(feature) + 1 :] for uri in found), default="")

    def has(self, feature: str) -> bool:
        return bool(self.version(feature))

    # Requests

    def get_config(self, source: str, filters: t.Sequence[Node]) -> t.Any:
        request = _NC("get-config", _NC("source", _NC(source)), _Filter(filters))
        return child(self._ask(request), "data")

    def get(self, filters: t.Sequence[Node]) -> t.Any:
        return child(self._ask(_NC("get", _Filter(filters))), "data")

    def lock(self, datastore: str) -> None:
        self._ask(_NC("lock", _NC("target", _NC(datastore))))

    def unlock(self, datastore: str) -> None:
        self._ask(_NC("unlock", _NC("target", _NC(datastore))))

    def edit(self, target: str, config: t.Sequence[Node]) -> None:
        """Edit a datastore: all of it or nothing, and only after the whole was tested, where the switch can."""
        tests = self.has("validate")
        self._ask(
            _NC(
                "edit-config",
                _NC("target", _NC(target)),
                _NC("default-operation", "merge"),
                _NC("test-option", "test-then-set") if tests else None,
                _NC("error-option", "rollback-on-error") if self.has("rollback-on-error") else None,
                _NC("config", *config),
            )
        )

    def discard(self) -> None:
        self._ask(_NC("discard-changes"))

    def commit(self, persist_id: str = "") -> None:
        self._ask(_NC("commit", _NC("persist-id", persist_id) if persist_id else None))

    def commit_confirmed(self, seconds: int, persist: str = "") -> None:
        """Commit for a while: without a second commit the switch goes back to what it was."""
        name = _NC("persist", persist) if persist else None
        self._ask(_NC("commit", _NC("confirmed"), _NC("confirm-timeout", seconds), name))

    def cancel_commit(self, persist_id: str = "") -> None:
        self._ask(_NC("cancel-commit", _NC("persist-id", persist_id) if persist_id else None))

    def copy_running_to_startup(self) -> None:
        self._ask(_NC("copy-config", _NC("target", _NC("startup")), _NC("source", _NC("running"))))

    def call(self, request: Node) -> None:
        """Send a request of the vendor's own."""
        self._ask(request)

    def close(self) -> None:
        """End the session, whatever state it is in. The switch drops its locks with it."""
        try:
            self._manager.timeout = min(self._manager.timeout, CLOSE_SECONDS)
            self._ask(_NC("close-session"))
        except FabricError:
            # It has ended, which is all that was wanted.
            pass
        finally:
            self.abandon()

    def abandon(self) -> None:
        """End the connection without a word: what is at the other end no longer answers."""
        self._lost = True
        session = self._manager._session
        if session.transport is not None:
            session.close()

    # The wire

    def _ask(self, request: Node) -> t.Any:
        """Send a request and return its reply, or raise what the switch said about it."""
        name = request.name
        if self._lost or not self._manager._session.transport.is_active():
            self._lost = True
            raise SessionLostError(name, "the connection ended", timed_out=False)
        try:
            answer = self._manager.dispatch(to_ele(request.render()))
        except TimeoutExpiredError as error:
            self._lost = True
            reason = "no answer within %g s" % self._manager.timeout
            raise SessionLostError(name, reason, timed_out=True) from error
        except (NCClientError, paramiko.SSHException, OSError, EOFError) as error:
            self._lost = True
            raise SessionLostError(name, "the connection ended", timed_out=False) from error
        reply = to_ele(answer.xml)
        self._look_for_errors(name, reply)
        return reply

    def _look_for_errors(self, name: str, reply: t.Any) -> None:
        errors = []
        for found in _errors(reply):
            message = " ".join((text(found, "error-message") or "").split())
            harmless = any(known in message for known in self._harmless)
            if harmless or word(found, "error-severity") == "warning":
                self.warnings.append("%s: %s" % (name, message))
            else:
                errors.append(found)
        if errors:
            first = errors[0]
            told = [" ".join((text(found, "error-message") or "").split()) for found in errors]
            raise RpcError(
                name,
                text(first, "error-tag") or "",
                "; ".join(message for message in told if message),
                text(first, "error-path") or "",
                text(first, "error-info", "session-id") or "",
            )


class _Filter(Node):
    """A subtree filter: the one element here with an attribute of its own. Some servers know none without it."""

    __slots__ = ()

    def __init__(self, trees: t.Sequence[Node]):
        super().__init__(NETCONF, "filter", *trees)

    def render(self, around: str = "", indent: int = 0) -> str:
        return super().render(around, indent).replace("<filter", '<filter type="subtree"', 1)


def _errors(reply: t.Any) -> t.List[t.Any]:
    """Return the errors of a reply; some servers put them a level deeper."""
    return children(reply, "rpc-error") + [error for part in reply for error in children(part, "rpc-error")]


def open_session(to: Way, harmless: t.Tuple[str, ...] = ()) -> Session:
    return Session(netconf_ssh.connect(to), to, harmless)
