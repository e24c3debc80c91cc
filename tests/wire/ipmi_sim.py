# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenIPMI's BMC simulator on loopback: a BMC that is not of the same make as the client.

Behind it is a script that keeps power and boot device in files, and does not do what it is told when a file says so.
It never marks its boot flags as valid, so that it is a BMC which accepts a boot device and does not store it.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

USER, PASSWORD = "weft", "s3cret-of-the-bmc"
SECONDS = 15.0

_LAN = """\
name "{name}"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{script} {name}"
  user 1 true "" "" user 10 none md2 md5 straight
  user 2 true "{user}" "{password}" admin 10 none md2 md5 straight
"""

_COMMANDS = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
mc_enable 0x20
"""

# Called as: NODE get|set WHAT [VALUE]
_SCRIPT = """\
#!/bin/sh
cd '{directory}' || exit 1
[ "$2" = get ] || echo "$3 $4" >> log
while [ -e hangs ]; do sleep 0.05; done
case "$2 $3" in
  "get power") echo "power:$(cat power)" ;;
  "get boot") echo "boot:$(cat boot)" ;;
  "set power") [ -e stuck ] || echo "$4" > power ;;
  "set boot") echo "$4" > boot ;;
  "set shutdown") [ -e deaf ] || echo 0 > power ;;
esac
exit 0
"""

# RMCP's question whether somebody is there, which needs no session.
_PING = bytes.fromhex("0600ff06000011be80000000")


def free_port() -> int:
    """Return a UDP port of loopback that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class IpmiSim:
    """A simulator that runs, and the machine that it pretends to have."""

    def __init__(self, directory: Path, name: str = "n1", power: str = "off") -> None:
        self.directory = directory
        self.name = name
        self.port = 0
        (directory / "state").mkdir(parents=True)
        self.power = power
        self._write("boot", "none")
        self._write("log", "")
        script = directory / "chassis"
        script.write_text(_SCRIPT.format(directory=directory), encoding="utf-8")
        script.chmod(0o755)
        self._write("commands", _COMMANDS)

    def _write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text, encoding="utf-8")

    def _read(self, name: str) -> str:
        return (self.directory / name).read_text(encoding="utf-8").strip()

    @property
    def power(self) -> str:
        return "on" if self._read("power") == "1" else "off"

    @power.setter
    def power(self, state: str) -> None:
        self._write("power", "1" if state == "on" else "0")

    @property
    def boot(self) -> str:
        return self._read("boot")

    @property
    def log(self) -> list[str]:
        """Return the commands that the machine got."""
        return self._read("log").splitlines()

    def forget(self) -> None:
        self._write("log", "")

    @contextlib.contextmanager
    def fault(self, name: str) -> Iterator[None]:
        """stuck: power stays as it is; deaf: a soft off is ignored; hangs: the simulator says nothing."""
        (self.directory / name).touch()
        try:
            yield
        finally:
            (self.directory / name).unlink()

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

    @contextlib.contextmanager
    def running(self) -> Iterator[IpmiSim]:
        self.port = free_port()
        self._write(
            "lan.conf",
            _LAN.format(
                name=self.name, port=self.port, script=self.directory / "chassis", user=USER, password=PASSWORD
            ),
        )
        program = shutil.which("ipmi_sim", path="/usr/bin:/usr/sbin")
        assert program, "ipmi_sim is missing: install the package openipmi"
        words = [program, "-c", "lan.conf", "-f", "commands", "-s", "state", "-n"]
        with (self.directory / "output").open("wb") as output:
            process = subprocess.Popen(
                words, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            self._wait(process)
            yield self
        finally:
            process.kill()
            process.wait()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + SECONDS
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("127.0.0.1", self.port))
            probe.settimeout(0.05)
            while True:
                assert process.poll() is None, f"ipmi_sim ended: {self._read('output')}"
                assert time.monotonic() < end, f"ipmi_sim does not answer after {SECONDS} s: {self._read('output')}"
                # Until it listens, the question comes back as an error.
                with contextlib.suppress(OSError):
                    probe.send(_PING)
                    probe.recv(100)
                    return


class Relay:
    """Stands between a client and a BMC, counts what can be seen without keys, and can fall silent."""

    # Payload types of RMCP+ that open a session.
    _OPEN, _NAME, _PROOF = 0x10, 0x12, 0x14

    def __init__(self, to: int | None, until: t.Callable[[], bool] = lambda: False) -> None:
        #: the BMC's port; None for nobody there
        self.to = to
        #: it falls silent by itself before it forwards an answer after which this is so
        self._until = until
        self.silent = to is None
        self.opened = self.named = self.proved = 0
        self._ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._ours.bind(("127.0.0.1", 0))
        self.port = int(self._ours.getsockname()[1])
        self._theirs = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if to is not None:
            self._theirs.connect(("127.0.0.1", to))
        self._client: t.Any = None
        self._over = self._fallen = False

    def __enter__(self) -> Relay:
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._forth, self._back)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over = True
        for sock in (self._ours, self._theirs):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._ours.close()
        self._theirs.close()

    def _forth(self) -> None:
        self._ours.settimeout(0.2)
        while not self._over:
            try:
                packet, self._client = self._ours.recvfrom(3000)
            except OSError:
                continue
            self._count(packet)
            if not self.silent:
                with contextlib.suppress(OSError):
                    self._theirs.send(packet)

    def _back(self) -> None:
        if self.to is None:
            return
        self._theirs.settimeout(0.2)
        while not self._over:
            try:
                packet = self._theirs.recv(3000)
            except OSError:
                continue
            if not self._fallen and self._until():
                self._fallen = self.silent = True
            if not self.silent:
                self._ours.sendto(packet, self._client)

    def _count(self, packet: bytes) -> None:
        if len(packet) > 6 and packet[3] == 7 and packet[4] == 6:
            kind = packet[5] & 0x3F
            self.opened += kind == self._OPEN
            self.named += kind == self._NAME
            self.proved += kind == self._PROOF
