# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A switch's NETCONF server that can be told to go wrong, on loopback.

running = ports({"name": "Ethernet1", "mode": "access", "vlan": 120}, vlans=[{"vlan_id": 120, "name": "a"}])
with NetconfServer(running, faults=Faults(silent_commit=True)) as server:
    manager.connect(host="127.0.0.1", port=server.port, username=server.username, password=server.password, ...)
    assert server.names() == [...]
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import typing as t

import paramiko
from lxml import etree

from .netconf_datastore import NETCONF, RpcError, local, parse
from .netconf_device import Device, Faults, Session
from .netconf_transport import ConnectionEndedError, Door, Messages, new_key

__all__ = ["Call", "Faults", "NetconfServer", "RpcError"]


class Call(t.NamedTuple):
    """One RPC that came in, and how it was answered: ok, data, an error's tag, or cut where no answer was sent."""

    session: int
    name: str
    target: str | None
    xml: str
    answer: str
    began: float
    ended: float


class NetconfServer:
    """One switch. Everything it was asked stands in `calls`."""

    def __init__(
        self,
        running: str = "",
        *,
        state: str = "",
        faults: Faults | None = None,
        username: str = "weft",
        password: str = "secret",
        authorized: paramiko.PKey | None = None,
        capabilities: t.Sequence[str] | None = None,
        features: t.Collection[str] | None = None,
        port: int = 0,
    ) -> None:
        self.username, self.password, self._authorized = username, password, authorized
        self.device = Device(running, state=state, faults=faults or Faults(), features=features)
        self.capabilities = list(self.device.capabilities() if capabilities is None else capabilities)
        self.calls: list[Call] = []
        # Who tried to log in, and how: (user, method).
        self.attempts: list[tuple[str, str]] = []
        self.connections = 0
        self._key = new_key()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._transports: list[paramiko.Transport] = []
        self._mute: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    @property
    def faults(self) -> Faults:
        return self.device.faults

    @property
    def host_key(self) -> str:
        return f"{self._key.get_name()} {self._key.get_base64()}"

    @property
    def running(self) -> t.Any:
        return self.device.stores["running"]

    @property
    def startup(self) -> t.Any:
        return self.device.stores["startup"]

    @property
    def locks(self) -> dict[str, int]:
        """Which datastores are locked now, and by which session."""
        return dict(self.device.locks)

    @property
    def sessions(self) -> list[int]:
        """Return the sessions that are open now."""
        return sorted(self.device.sessions)

    def names(self) -> list[str]:
        """Return the names of the RPCs that came in, in their order."""
        with self._lock:
            return [call.name for call in self.calls]

    def edits(self) -> list[Call]:
        with self._lock:
            return [call for call in self.calls if call.name == "edit-config"]

    def forget(self) -> None:
        """Begin the log anew."""
        with self._lock:
            self.calls.clear()

    def switch(self, name: str = "leaf1", **changes: t.Any) -> dict[str, t.Any]:
        """Return the argument `switch` of the modules for this server."""
        return {
            "name": name,
            "driver": "openconfig",
            "address": "127.0.0.1",
            "port": self.port,
            "username": self.username,
            "password": self.password,
            "host_key": self.host_key,
            **changes,
        }

    def __enter__(self) -> t.Self:
        self._thread(self._accept)
        return self

    def __exit__(self, *error: object) -> None:
        # Wakes the accept up; closing alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in [*self._transports, *self._mute]:
            connection.close()
        # First what follows from the end of a session, as going back from a commit that nobody has confirmed.
        for thread in self._threads:
            thread.join(10)
        self.device.close()

    def _thread(self, target: t.Callable[..., None], *arguments: t.Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.faults.mute:
                self._mute.append(connection)
            else:
                self._greet(connection)

    def _greet(self, connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        self._transports.append(transport)
        transport.add_server_key(self._key)
        serve = None if self.faults.no_subsystem else lambda channel: self._thread(self._serve, transport, channel)
        door = Door((self.username, self.password), self._authorized, self.attempts, serve)
        # With an event it does not wait: the next connection may come meanwhile.
        transport.start_server(event=threading.Event(), server=door)

    def _serve(self, transport: paramiko.Transport, channel: paramiko.Channel) -> None:
        session = self.device.begin()
        messages = Messages(channel)
        try:
            self._hello(session, messages)
            while not session.closing:
                self._answer(session, messages, messages.receive())
        except ConnectionEndedError:
            pass
        finally:
            self.device.end(session)
            # The other end may have gone already.
            with contextlib.suppress(EOFError, OSError):
                channel.close()
            transport.close()

    def _hello(self, session: Session, messages: Messages) -> None:
        time.sleep(self.faults.delay.get("hello", 0))
        capabilities = "".join(f"<capability>{uri.replace('&', '&amp;')}</capability>" for uri in self.capabilities)
        messages.send(
            f'<?xml version="1.0" encoding="UTF-8"?><hello xmlns="{NETCONF}">'
            f"<capabilities>{capabilities}</capabilities><session-id>{session.number}</session-id></hello>".encode()
        )
        theirs = {(item.text or "").strip() for item in parse(messages.receive().strip()).iter() if item.text}
        newer = "urn:ietf:params:netconf:base:1.1"
        messages.chunked = newer in theirs and newer in self.capabilities

    def _answer(self, session: Session, messages: Messages, text: bytes) -> None:
        began = time.time()
        rpc = parse(text.strip())
        reply = etree.Element(f"{{{NETCONF}}}rpc-reply", rpc.attrib, nsmap={None: NETCONF})
        name = local(rpc[0]) if len(rpc) else ""
        number = 1 + sum(call.name == name for call in self.calls)
        breaks = self.faults.breaks(name, number)
        time.sleep(self.faults.delay.get(name, self.faults.delay.get("*", 0)))
        if breaks == "before":
            self._log(session, rpc, "cut", began)
            raise ConnectionEndedError
        try:
            children = self.device.answer(session, rpc[0]) if len(rpc) else []
        except RpcError as error:
            children = [error.element()]
        reply.extend(children)
        answered = "cut" if breaks == "after" else self._summary(children)
        self._log(session, rpc, answered, began)
        if breaks == "after":
            raise ConnectionEndedError
        messages.send(etree.tostring(reply, xml_declaration=True, encoding="UTF-8"))
        if breaks == "reply":
            raise ConnectionEndedError

    def _summary(self, children: list[t.Any]) -> str:
        for child in children:
            if local(child) == "rpc-error" and child.findtext(f"{{{NETCONF}}}error-severity") == "error":
                return child.findtext(f"{{{NETCONF}}}error-tag")
        return local(children[-1]) if children else "nothing"

    def _log(self, session: Session, rpc: t.Any, answer: str, began: float) -> None:
        name = local(rpc[0]) if len(rpc) else ""
        target = next(
            (local(item[0]) for item in rpc.iterfind(f"{{{NETCONF}}}*/{{{NETCONF}}}target") if len(item)), None
        )
        xml = etree.tostring(rpc, pretty_print=True, encoding="unicode")
        with self._lock:
            self.calls.append(Call(session.number, name, target, xml, answer, began, time.time()))
