# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node of the lab as its BMC sees it: power switch and boot device of a machine of QEMU.

Called by both kinds of BMC: chassis.py DIRECTORY get|set WHAT [VALUE...], as ipmi_sim calls its programs. It answers at
once: a BMC that is kept waiting for a second gets the same command again. Words in DIRECTORY/faults are what it does
wrong on purpose.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qmp import Qmp

FAULTS = ("bad_disk", "boots_disk", "deaf", "forgets_boot", "stuck_off", "stuck_on")
#: what may be chosen; "default" is how ipmi_sim says disk
DEVICES = {"default": "disk", "disk": "disk", "pxe": "pxe", "http": "http", "none": "none"}
# How long a killed machine may take: its memory is given back by then.
KILL_SECONDS = 0.8
START_SECONDS = 20.0
# A sector of the first disk that can't be written, as QEMU's blkdebug takes it.
BAD_SECTOR = 8 * 2048
BAD_DISK = f"""\
[inject-error]
event = "none"
iotype = "write"
sector = "{BAD_SECTOR}"
errno = "5"
"""


def process_start(pid: int) -> str | None:
    """The kernel's start time of a process, which with the pid names it for good; None when it is dead."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


class Chassis:
    """The machine whose files are in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    # Files

    @property
    def settings(self) -> dict[str, Any]:
        return dict(json.loads((self.directory / "node.json").read_text(encoding="utf-8")))

    @property
    def faults(self) -> set[str]:
        with contextlib.suppress(FileNotFoundError):
            return set((self.directory / "faults").read_text(encoding="utf-8").split())
        return set()

    def log(self, text: str, when: float | None = None) -> None:
        moment = datetime.datetime.fromtimestamp(time.time() if when is None else when, datetime.UTC)
        with (self.directory / "bmc.log").open("a", encoding="utf-8") as file:
            file.write(f"{moment:%Y-%m-%dT%H:%M:%S.%fZ} {text}\n")

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """One command at a time, and none once the lab has taken the node's settings away."""
        with (self.directory / "lock").open("w", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not (self.directory / "node.json").exists():
                sys.exit("this node is no part of the lab any more")
            yield

    # Power

    def pid(self) -> int | None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            pid, _space, started = (self.directory / "pid").read_text(encoding="utf-8").partition(" ")
            if process_start(int(pid)) == started:
                return int(pid)
        return None

    def power_on(self) -> None:
        if self.pid() is not None:
            self.log("power on: is on")
        elif "stuck_off" in self.faults:
            self.log("power on: stuck off")
        else:
            self._start()

    def _start(self) -> None:
        settings, selected = self.settings, self.take_boot()
        used = {"device": "disk", "persistent": False} if "boots_disk" in self.faults else selected
        begun = time.time()
        with (self.directory / "qemu.log").open("ab") as output:
            machine = subprocess.Popen(
                command(self._spoilt(settings) if "bad_disk" in self.faults else settings, used["device"]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
            )
        write(self.directory / "pid", f"{machine.pid} {process_start(machine.pid)}")
        always = " always" if selected["persistent"] else ""
        self.log(f"power on: boots {selected['device']}{always} [{machine.pid}]", begun)
        once = not used["persistent"] and order(settings, used["device"]) != order(settings, "none")
        subprocess.Popen(
            [sys.executable, *sys.orig_argv[1 : -len(sys.argv)], __file__, str(self.directory), "watch"]
            + [str(machine.pid), "once" if once else "always"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )

    def _spoilt(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings of a machine whose first disk fails."""
        rules = self.directory / "bad_disk"
        write(rules, BAD_DISK)
        before, after = f"id={next(iter(settings['disks']))}-file,file=", f"blkdebug:{rules}:"
        return {**settings, "command": [word.replace(before, before + after) for word in settings["command"]]}

    def power_off(self) -> None:
        pid = self.pid()
        if pid is None:
            self.log("power off: is off")
        elif "stuck_on" in self.faults:
            self.log("power off: stuck on")
        else:
            self.log("power off")
            self._cut(pid)

    def _cut(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + KILL_SECONDS
        while self.pid() is not None and time.monotonic() < end:
            time.sleep(0.005)

    def reset(self) -> None:
        pid = self.pid()
        if pid is None or "stuck_on" in self.faults:
            self.log(f"reset: {'is off' if pid is None else 'stuck on'}")
            return
        self.log("reset")
        self._cut(pid)
        if self.pid() is None:
            self._start()

    def shut_down(self) -> None:
        """Press the power button for a moment: it is for the operating system to do something about it."""
        if self.pid() is None:
            self.log("soft off: is off")
        elif self.faults & {"deaf", "stuck_on"}:
            self.log("soft off: deaf")
        else:
            self.log("soft off")
            with contextlib.suppress(OSError), Qmp(self.directory / "qmp.sock", 0.5) as qmp:
                qmp.ask("system_powerdown")

    # Boot device

    def boot(self) -> dict[str, Any]:
        with contextlib.suppress(FileNotFoundError):
            return dict(json.loads((self.directory / "boot.json").read_text(encoding="utf-8")))
        return {"device": "none", "persistent": False}

    def set_boot(self, device: str, persistent: bool) -> None:
        chosen = DEVICES.get(device)
        if chosen is None:
            self.log(f"boot device {device}: has no such device")
            sys.exit(f"no boot device {device}")
        if "forgets_boot" in self.faults:
            self.log(f"boot device {chosen}: forgotten")
            return
        self.log(f"boot device {chosen}{' always' if persistent else ''}")
        persistent = persistent and chosen != "none"
        write(self.directory / "boot.json", json.dumps({"device": chosen, "persistent": persistent}))

    def take_boot(self) -> dict[str, Any]:
        """The boot device of a start; what was meant for one start is used up by it."""
        selected = self.boot()
        if not selected["persistent"]:
            (self.directory / "boot.json").unlink(missing_ok=True)
        return selected

    # While it runs

    def watch(self, pid: int, once: bool) -> None:
        """Note when the machine is off again, whoever did it; have a boot device that was for once be for once."""
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(pid)
            if once:
                self._forget_order(pid)
            select.select([descriptor], [], [])
        # With its number, as after a reset the next one may have begun before this is noted.
        self.log(f"is off [{pid}]")

    def _forget_order(self, pid: int) -> None:
        """Set the usual order, which counts from the machine's next reset on; it has begun its first boot by then."""
        started, end, names = process_start(pid), time.monotonic() + START_SECONDS, order(self.settings, "none")
        # No two may have the same place, not even on the way.
        places = [(name, -1) for name in names] + [(name, index) for index, name in enumerate(names)]
        while process_start(pid) == started:
            try:
                with Qmp(self.directory / "qmp.sock", 5) as qmp:
                    for name, place in places:
                        qmp.ask("qom-set", path=f"/machine/peripheral/{name}", property="bootindex", value=place)
                return
            except OSError as error:
                if time.monotonic() > end:
                    self.log(f"boot device stays for the next reset: {error}")
                    return
                time.sleep(0.05)


def order(settings: dict[str, Any], device: str) -> list[str]:
    """The machine's bootable devices, the first first: its own order is disks before NICs."""
    disks, nics = list(settings["disks"]), list(settings["nics"])
    return nics + disks if device in ("pxe", "http") else disks + nics


def command(settings: dict[str, Any], device: str) -> list[str]:
    devices = {**settings["disks"], **settings["nics"]}
    words = list(settings["command"])
    for index, name in enumerate(order(settings, device)):
        words += ["-device", f"{devices[name]},bootindex={index}"]
    return words + (settings["http"] if device == "http" else [])


def write(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


def get(chassis: Chassis, what: str) -> None:
    power = chassis.pid() is not None
    if what == "power":
        print(f"power:{int(power)}")
    elif what == "boot":
        device = chassis.boot()["device"]
        print(f"boot:{'default' if device == 'disk' else device}")
    elif what == "all":
        print(json.dumps({"power": power, **chassis.boot()}))


def change(chassis: Chassis, what: str, value: str, more: list[str]) -> None:
    with chassis.alone():
        if what == "power":
            (chassis.power_on if value == "1" else chassis.power_off)()
        elif what == "reset":
            chassis.reset()
        elif what == "shutdown":
            chassis.shut_down()
        elif what == "boot":
            chassis.set_boot(value, "always" in more)
        else:
            chassis.log(f"{what} {value}")


def main() -> None:
    chassis, verb, words = Chassis(Path(sys.argv[1])), sys.argv[2], sys.argv[3:]
    if verb == "get":
        get(chassis, words[0])
    elif verb == "set":
        change(chassis, words[0], words[1], words[2:])
    elif verb == "watch":
        chassis.watch(int(words[0]), words[1] == "once")


if __name__ == "__main__":
    main()
