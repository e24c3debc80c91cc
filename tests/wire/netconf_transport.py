# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH for the scripted NETCONF server, and how messages are framed on it (RFC 6242)."""

from __future__ import annotations

import hmac
import io
import typing as t

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

END = b"]]>]]>"


class ConnectionEndedError(Exception):
    """The other end has gone."""


def new_key() -> paramiko.PKey:
    secret = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return paramiko.Ed25519Key(file_obj=io.StringIO(secret.decode()))


class Messages:
    """Messages on a channel: first each with a mark at its end, later in chunks where both ends can."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel, self._buffer, self.chunked = channel, b"", False

    def _more(self) -> None:
        try:
            data = self._channel.recv(65536)
        except OSError as error:
            raise ConnectionEndedError from error
        if not data:
            raise ConnectionEndedError
        self._buffer += data

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more()
        data, _mark, self._buffer = self._buffer.partition(mark)
        return data

    def receive(self) -> bytes:
        if not self.chunked:
            return self._until(END)
        message = b""
        while True:
            if self._take(2) != b"\n#":
                raise ConnectionEndedError("a chunk does not begin as it must")
            size = self._until(b"\n")
            if size == b"#":
                return message
            message += self._take(int(size))

    def send(self, message: bytes) -> None:
        framed = b"\n#%d\n%s\n##\n" % (len(message), message) if self.chunked else message + END
        try:
            self._channel.sendall(framed)
        except OSError as error:
            raise ConnectionEndedError from error


class Door(paramiko.ServerInterface):
    """Who may come in, and how often somebody has tried."""

    def __init__(
        self,
        credentials: tuple[str, str],
        authorized: paramiko.PKey | None,
        attempts: list[tuple[str, str]],
        serve: t.Callable[[paramiko.Channel], None] | None,
    ) -> None:
        self._credentials, self._authorized, self._attempts, self._serve = credentials, authorized, attempts, serve

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password"

    def check_auth_password(self, username: str, password: str) -> int:
        self._attempts.append((username, "password"))
        good = hmac.compare_digest(password.encode(), self._credentials[1].encode())
        return paramiko.AUTH_SUCCESSFUL if good and username == self._credentials[0] else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._attempts.append((username, "publickey"))
        good = username == self._credentials[0] and key == self._authorized
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_subsystem_request(self, channel: paramiko.Channel, name: str) -> bool:
        if name != "netconf" or self._serve is None:
            return False
        self._serve(channel)
        return True
