# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A BMC that stores its boot flags, and fails in ways that OpenIPMI's simulator cannot: pyghmi's own, as a program.

It runs in a process of its own, as pyghmi keeps all sessions of a process together: those of a server too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
import time
import typing as t
from collections.abc import Iterator, Sequence
from pathlib import Path

from pyghmi.ipmi.bmc import Bmc
from pyghmi.ipmi.private import serversession

from ansible_collections.weft.fabric.tests.wire.ipmi_sim import PASSWORD, USER, free_port

_NO_RESOURCES, _NO_SUCH_ALGORITHM = 0x01, 0x04
_HMAC_SHA1 = 1
_FLAGS = 5
_BUSY, _UNSUPPORTED = 0xC0, 0xC1
_POWER = {0: "off", 1: "on", 5: "off"}


@dataclasses.dataclass
class Faults:
    """What it does not do well. A number is how often."""

    no_session: int = 0
    busy: int = 0
    #: completion codes by command of the chassis
    refuses: dict[str, int] = dataclasses.field(default_factory=dict)
    #: whether it takes boot flags, and forgets what they say on these bits of their first byte
    forgets: int = 0
    #: maker's number, little endian
    maker: int = 0


class Server(Bmc):
    """The BMC, and its machine."""

    def __init__(self, port: int, log: Path, power: str, faults: Faults) -> None:
        super().__init__({USER: PASSWORD}, port=port, address="127.0.0.1")
        self.power = power
        self.flags = bytes(5)
        self.faults = faults
        self.mfgid = faults.maker
        self._log = log

    def log(self, *words: t.Any) -> None:
        with self._log.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(words) + "\n")

    def handle_raw_request(self, request: dict[str, t.Any], session: t.Any) -> None:
        function, command, data = request["netfn"], request["command"], bytes(request["data"])
        if self.faults.busy:
            self.faults.busy -= 1
            session.send_ipmi_response(code=_BUSY)
        elif function == 0 and str(command) in self.faults.refuses:
            session.send_ipmi_response(code=self.faults.refuses[str(command)])
        elif function == 0 and command == 1:
            session.send_ipmi_response(data=[self.power == "on", 0, 0])
        elif function == 0 and command == 2:
            self.log("control", data[0])
            self.power = _POWER[data[0]]
            session.send_ipmi_response()
        elif function == 0 and command == 8:
            self._take_option(data, session)
        elif function == 0 and command == 9:
            session.send_ipmi_response(data=[1, _FLAGS, *self.flags])
        elif function == 6 and command == 1:
            maker = self.mfgid.to_bytes(3, "little")
            session.send_ipmi_response(data=[0x20, 1, 2, 0x45, 2, 0, *maker, 0x12, 0x34])
        else:
            session.send_ipmi_response(code=_UNSUPPORTED)

    def _take_option(self, data: bytes, session: t.Any) -> None:
        if data[0] == _FLAGS:
            self.log("flags", data[1], data[2])
            self.flags = bytes([data[1] & ~self.faults.forgets & 0xFF, *data[2:6]])
        session.send_ipmi_response()


class Session(serversession.ServerSession):
    """A session that is counted, and is of cipher suite 3, which is all that pyghmi's server knows."""

    def create_open_session_response(self, request: bytes) -> bytearray:
        tag, client, algorithm = request[0], request[4:8], request[12]
        if algorithm != _HMAC_SHA1:
            return bytearray([tag, _NO_SUCH_ALGORITHM, 0, 0]) + client
        if self.bmc.faults.no_session:
            self.bmc.faults.no_session -= 1
            self.bmc.log("no session")
            return bytearray([tag, _NO_RESOURCES, 0, 0]) + client
        self.bmc.log("open")
        return super().create_open_session_response(request)

    def close_server_session(self) -> None:
        self.bmc.log("close")


class IpmiServer:
    """The server as a test sees it."""

    def __init__(self, directory: Path, power: str = "off", **faults: t.Any) -> None:
        self.port = free_port()
        self.power = power
        self.faults = Faults(**faults)
        directory.mkdir(parents=True, exist_ok=True)
        self._log = directory / "bmc.log"
        self._log.touch()

    @contextlib.contextmanager
    def running(self) -> Iterator[IpmiServer]:
        given = [str(self.port), str(self._log), self.power, json.dumps(dataclasses.asdict(self.faults))]
        words = [sys.executable, "-m", __name__, *given]
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield self
        finally:
            process.kill()
            process.communicate()

    @property
    def log(self) -> list[list[t.Any]]:
        return [json.loads(line) for line in self._log.read_text(encoding="utf-8").splitlines()]

    def wait_for(self, words: list[t.Any], times: int = 1, seconds: float = 10) -> None:
        """Wait until it has noted that so many times; it does so a little later than its client."""
        end = time.monotonic() + seconds
        while self.log.count(words) < times:
            assert time.monotonic() < end, f"waited {seconds} s for {words}: {self.log}"
            time.sleep(0.01)

    def bmc(self, **more: t.Any) -> dict[str, t.Any]:
        """Return the module's argument `bmc`."""
        return {
            "protocol": "ipmi",
            "address": "127.0.0.1",
            "port": self.port,
            "username": USER,
            "password": PASSWORD,
            **more,
        }


def main(words: Sequence[str]) -> None:
    port, log, power, faults = words
    serversession.ServerSession = Session
    Server(int(port), Path(log), power, Faults(**json.loads(faults)))
    print("ready", flush=True)
    Bmc.listen()


if __name__ == "__main__":
    main(sys.argv[1:])
