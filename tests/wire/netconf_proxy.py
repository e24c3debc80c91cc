# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A NETCONF server on loopback that passes all on to a real one, and can put in or change requests on the way."""

from __future__ import annotations

import socket
import threading
import typing as t
from pathlib import Path

import paramiko

from .netconf_datastore import local, parse
from .netconf_transport import ConnectionEndedError, Door, Messages, new_key

NEWER = b"urn:ietf:params:netconf:base:1.1"

# Takes a request and returns those that are sent in its place; the answer to the first is the one that is passed back.
Meddler = t.Callable[[str, bytes], list[bytes]]


def as_it_is(_name: str, request: bytes) -> list[bytes]:
    return [request]


class NetconfProxy:
    """Stands before a NETCONF server."""

    def __init__(self, port: int, username: str, key: Path, meddle: Meddler = as_it_is) -> None:
        self._far = ("127.0.0.1", port)
        self._username, self._secret = username, paramiko.Ed25519Key.from_private_key_file(str(key))
        self._meddle = meddle
        self._key = new_key()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.names: list[str] = []
        self._transports: list[paramiko.Transport] = []

    @property
    def host_key(self) -> str:
        return f"{self._key.get_name()} {self._key.get_base64()}"

    def __enter__(self) -> t.Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for transport in self._transports:
            transport.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self._key)
            self._transports.append(transport)
            door = Door((self._username, ""), self._secret, [], self._serve)
            transport.start_server(event=threading.Event(), server=door)

    def _serve(self, channel: paramiko.Channel) -> None:
        threading.Thread(target=self._pass_on, args=(channel,), daemon=True).start()

    def _pass_on(self, channel: paramiko.Channel) -> None:
        far = paramiko.Transport(self._far)
        self._transports.append(far)
        try:
            far.connect(username=self._username, pkey=self._secret)
            session = far.open_session()
            session.invoke_subsystem("netconf")
            self._converse(Messages(channel), Messages(session))
        except (ConnectionEndedError, paramiko.SSHException):
            pass
        finally:
            far.close()
            channel.close()

    def _converse(self, client: Messages, server: Messages) -> None:
        client.send(server.receive())
        hello = client.receive()
        server.send(hello)
        client.chunked = server.chunked = NEWER in hello
        while True:
            request = client.receive()
            name = local(parse(request.strip())[0])
            self.names.append(name)
            answers = []
            for one in self._meddle(name, request):
                server.send(one)
                answers.append(server.receive())
            client.send(answers[0])
