# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands on a node of metal of the lab, past everything that the collection does: console, BMC's log, disks, faults."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from .lab import wait_for

STATE, DISKS = Path("/run/weft-lab"), Path("/var/lib/weft-lab")
USER = "weft"
#: what chassis.py does wrong when it is told so
FAULTS = ("bad_disk", "boots_disk", "deaf", "forgets_boot", "stuck_off", "stuck_on")
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[()].|c|[=>])")


@dataclass(frozen=True)
class Event:
    """What a BMC was told, or found out: "power on: boots pxe", "power off", "is off", "boot device pxe always"…"""

    time: float
    text: str
    #: the process that the machine is, where one began or ended
    machine: str = ""


class Node:
    """A machine of QEMU, seen from the machine that runs the lab."""

    def __init__(self, name: str, state: Path = STATE, disks: Path = DISKS) -> None:
        self.name = name
        self.state = state
        self.directory = state / "nodes" / name
        self.disk_path = disks / "nodes" / name / "disk0.raw"

    # What it shows

    def console(self, since: int = 0) -> str:
        """Return what came over the serial console, without the sequences that move a cursor."""
        file = self.directory / "console.log"
        text = file.read_bytes()[since:].decode("utf-8", "replace") if file.exists() else ""
        return _ESCAPES.sub("", text).replace("\r", "")

    def mark(self) -> int:
        """Return where the console ends now: what comes after it is console(since)."""
        file = self.directory / "console.log"
        return file.stat().st_size if file.exists() else 0

    def wait_console(self, pattern: str, seconds: float = 60, since: int = 0) -> re.Match[str]:
        """Wait until the console shows something, and return the match."""
        what = f"{pattern!r} on the console of {self.name}"

        def seen() -> re.Match[str] | None:
            return re.search(pattern, self.console(since), re.M)

        try:
            return t.cast("re.Match[str]", wait_for(what, seen, seconds))
        except AssertionError as error:
            raise AssertionError(f"{error}; its end: {self.console(since)[-600:]}") from error

    def bmc_log(self) -> list[Event]:
        """Return what the BMC was told, with the time of it, the oldest first."""
        file = self.directory / "bmc.log"
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        found = re.findall(r"^(\S+) (.*?)(?: \[(\d+)\])?$", text, re.M)
        return [Event(datetime.fromisoformat(stamp).timestamp(), said, machine) for stamp, said, machine in found]

    def powered(self) -> list[tuple[float, float]]:
        """Return from when to when it was on; infinity for still on."""
        events = self.bmc_log()
        ends = {event.machine: event.time for event in events if event.text == "is off"}
        begun = [event for event in events if event.text.startswith("power on: boots")]
        return [(event.time, ends.get(event.machine, float("inf"))) for event in begun]

    def was_off_at(self, time: float) -> bool:
        return not any(begin <= time <= end for begin, end in self.powered())

    def power(self) -> str:
        return "off" if _living(self.directory / "pid") is None else "on"

    # How it is reached

    @property
    def password(self) -> str:
        return (self.state / "bmc_password").read_text(encoding="utf-8")

    def bmc(self, **more: t.Any) -> dict[str, t.Any]:
        """Return the modules' argument `bmc`."""
        found: dict[str, t.Any] = {"address": "127.0.0.1", "username": USER, "password": self.password}
        settings = self.directory / "bmc/redfish.json"
        if settings.exists():
            port = json.loads(settings.read_text(encoding="utf-8"))["port"]
            print_file = self.directory / "bmc_fingerprint"
            found.update(protocol="redfish", port=port, certificate_fingerprint=print_file.read_text(encoding="utf-8"))
        else:
            text = (self.directory / "bmc/lan.conf").read_text(encoding="utf-8")
            port = int(t.cast("re.Match[str]", re.search(r"addr \S+ (\d+)", text))[1])
            found.update(protocol="ipmi", port=port)
        return {**found, **more}

    # Faults

    @contextlib.contextmanager
    def fault(self, *names: str) -> Iterator[None]:
        """Have it do something wrong.

        stuck_on, stuck_off: power stays as it is; deaf: a soft off is ignored; forgets_boot: a boot device is accepted
        and not stored; boots_disk: it boots from disk whatever it was told; bad_disk: a sector of its first disk can't
        be written, from its next start on; silent: the BMC says nothing.
        """
        words = [name for name in names if name != "silent"]
        assert set(words) <= set(FAULTS), words
        file = self.directory / "faults"
        file.write_text("\n".join(words), encoding="utf-8")
        bmc = _living(self.directory / "bmc/pid") if "silent" in names else None
        if bmc is not None:
            os.kill(bmc, signal.SIGSTOP)
            wait_for(f"the BMC of {self.name} to stop", lambda: _status(bmc)[0] == "T", 5)
        try:
            yield
        finally:
            file.unlink(missing_ok=True)
            if bmc is not None:
                os.kill(bmc, signal.SIGCONT)

    def cut_power(self) -> None:
        """Pull its cord. The BMC has a cord of its own."""
        machine = _living(self.directory / "pid")
        if machine is not None:
            os.kill(machine, signal.SIGKILL)
            wait_for(f"the end of {self.name}", lambda: self.power() == "off", 10)

    # Its first disk

    def disk_used(self) -> int:
        """Return how many bytes of its disk are more than holes."""
        return self.disk_path.stat().st_blocks * 512

    def boots_nothing(self) -> bool:
        """Whether its disk begins with nothing, and so has no partition table."""
        with self.disk_path.open("rb") as disk:
            return not disk.read(1 << 20).strip(b"\0")

    def disk_digest(self) -> str:
        """Return a checksum of all on its disk that is more than holes, and of where that is."""
        found = hashlib.sha256()
        for place, data in self._pieces(8 << 20):
            found.update(f"{place} {len(data)}\n".encode() + data)
        return found.hexdigest()

    def disk_contains(self, text: bytes, step: int = 8 << 20) -> bool:
        """Look for something in all that was ever written to the disk and not discarded."""
        tail, end = b"", 0
        for place, data in self._pieces(step):
            tail = tail if place == end else b""
            if text in tail + data:
                return True
            tail, end = data[-len(text) :], place + len(data)
        return False

    def _pieces(self, step: int) -> Iterator[tuple[int, bytes]]:
        """Yield what is on its disk and more than holes, in pieces, each with its place."""
        with self.disk_path.open("rb") as file:
            size, end = os.fstat(file.fileno()).st_size, 0
            while end < size:
                try:
                    place = os.lseek(file.fileno(), end, os.SEEK_DATA)
                except OSError:  # nothing but a hole is left
                    return
                end = os.lseek(file.fileno(), place, os.SEEK_HOLE)
                while place < end:
                    data = os.pread(file.fileno(), min(step, end - place), place)
                    yield place, data
                    place += len(data)


def _living(file: Path) -> int | None:
    """Return the process that a file names, by number and start time, if it lives."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        pid, _space, started = file.read_text(encoding="utf-8").partition(" ")
        fields = _status(int(pid))
        if fields[0] != "Z" and fields[19] == started:
            return int(pid)
    return None


def _status(pid: int) -> list[str]:
    """Return what the kernel says of a process, from its state on."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
