# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node's BMC for the time of a run: its turn, its session, and what is tried again."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import bmc_ipmi, bmc_redfish, device_lock
from ansible_collections.weft.fabric.plugins.module_utils.bmc_model import BmcError, Client, NoAnswer, Transient, Way
from ansible_collections.weft.fabric.plugins.module_utils.bmc_watch import Overdue, Watch

Value = t.TypeVar("Value")
Item = t.Mapping[str, t.Any]

_CONNECT = {"ipmi": bmc_ipmi.connect, "redfish": bmc_redfish.connect}

_SLOW = (
    "Look whether the BMC is overloaded or out of reach, and restart it if it does not recover. Run again: it reads "
    "first what has become of it"
)

# How long logging out may take: nothing waits for what comes of it.
LOGOUT_SECONDS = 3.0
# A wait that ends by itself says so better than one that is ended; this much later it is ended.
MARGIN_SECONDS = 2.0


class Link(object):
    """Asks a BMC. A test may put another `connect` in."""

    connect: t.Callable[[Way], Client] = staticmethod(lambda to: _CONNECT[to.protocol](to))

    def __init__(self, to: Way, watch: Watch):
        self.to = to
        self.watch = watch
        self._client: t.Optional[Client] = None

    def open(self) -> None:
        self._client = self._retry(self._open_once)

    def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            with self.watch.step("log out", LOGOUT_SECONDS):
                client.close()

    def ask(self, what: str, question: t.Callable[[Client], Value]) -> Value:
        """Ask, and try again what is transient. what continues "it took too long to"."""
        return self._retry(lambda: self._ask_once(what, question))

    def try_to_ask(self, what: str, question: t.Callable[[Client], Value]) -> t.Optional[Value]:
        """Ask once, and return None where there is no answer now.

        For those who ask again and again anyhow. A BMC that shares its port with the machine loses its link when
        the machine's power changes, and its session with it; then there is a new one.
        """
        try:
            if self._client is None:
                self._client = self._open_once()
            return self._ask_once(what, question)
        except Transient:
            return None
        except NoAnswer:
            self.close()
            return None

    def _open_once(self) -> Client:
        return self._bounded("log in", self.to.connect_timeout, lambda: self.connect(self.to))

    def _ask_once(self, what: str, question: t.Callable[[Client], Value]) -> Value:
        if self._client is None:
            raise BmcError("its session is over", "Run again")
        client = self._client
        return self._bounded(what, self.to.timeout, lambda: question(client))

    def _bounded(self, what: str, seconds: float, call: t.Callable[[], Value]) -> Value:
        try:
            with self.watch.step(what, seconds):
                return call()
        except Overdue as error:
            if error.name != what:
                raise
            raise NoAnswer("%s, and was given up" % error, _SLOW) from error

    def _retry(self, call: t.Callable[[], Value]) -> Value:
        for pause in device_lock.pauses(self.to.retry_timeout, first=1.0, longest=8.0):
            with contextlib.suppress(Transient):
                return call()
            self.watch.sleep(pause)
        return call()


#: does one node's work in a session
Task = t.Callable[[Item, Link, Watch], None]


@contextlib.contextmanager
def session(title: str, to: Way, watch: Watch) -> t.Iterator[Link]:
    """Wait for our turn, log in, and log out whatever happens."""
    link = Link(to, watch)
    with contextlib.ExitStack() as stack:
        with watch.step("wait for another run at this BMC", to.lock_timeout + MARGIN_SECONDS):
            who = "a BMC module of Ansible"
            stack.enter_context(device_lock.machine_lock(title, to.address, to.port, to.lock_timeout, who))
        stack.callback(link.close)
        link.open()
        yield link
