# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private Open vSwitch for tests: needs no root, touches neither the kernel nor the host's own Open vSwitch.

ovsdb-server and ovs-vswitchd run in a temporary directory. Every device is a dummy (nothing appears in
`ip link`), while OVSDB, OpenFlow, tunnels and `ofproto/trace` are the real program.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
DAEMON_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT = 30  # seconds that any one command may take
OPENFLOW = "OpenFlow14"


class OvsSandboxError(Exception):
    """A command failed; the message holds what it printed."""


class OvsSandbox:
    """One ovsdb-server and one ovs-vswitchd of our own.

    Use it as a context manager, or call start() and stop(). Commands of tests go through vsctl(), ofctl() and
    appctl(); a program under test gets `env` (OVS_RUNDIR points here) or `socket` (of OVSDB).

    override=True makes a dummy of every device and datapath whatever its type, tunnels too, so that what is written
    for a real host can be applied as it stands. With override=False only type "dummy" is one, and tunnels are real:
    they encapsulate and send through a bridge with datapath_type=dummy.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None, override: bool = True) -> None:
        self._dummy = "--enable-dummy=override" if override else "--enable-dummy"
        # A Unix socket's path may not exceed 107 bytes, so pytest's tmp_path is too long.
        self._own_directory = directory is None
        self.directory = Path(directory or tempfile.mkdtemp(prefix="weft-ovs-"))
        self.env = {
            **os.environ,
            "PATH": os.environ.get("PATH", "") + ":" + DAEMON_PATH,
            "OVS_RUNDIR": str(self.directory),
            "OVS_LOGDIR": str(self.directory),
            "OVS_DBDIR": str(self.directory),
            "OVS_SYSCONFDIR": str(self.directory),
        }

    @property
    def socket_path(self) -> str:
        """The path of OVSDB's socket."""
        return str(self.directory / "db.sock")

    @property
    def socket(self) -> str:
        """OVSDB's socket as Open vSwitch's own programs write it."""
        return "unix:" + self.socket_path

    def __enter__(self) -> OvsSandbox:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> OvsSandbox:
        """Start both daemons; when this returns, they answer."""
        try:
            self.start_ovsdb()
            self.vsctl("--no-wait", "init")
            self.start_vswitchd()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End both daemons and remove their directory."""
        self._end("ovs-vswitchd", signal.SIGTERM)
        self._end("ovsdb-server", signal.SIGTERM)
        if self._own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def start_ovsdb(self) -> None:
        """Start ovsdb-server, with an empty database unless there is one."""
        database = self.directory / "conf.db"
        if not database.exists():
            self.run("ovsdb-tool", "create", str(database), str(SCHEMA))
        self._daemon("ovsdb-server", "--remote=punix:" + self.socket_path, str(database))

    def start_vswitchd(self) -> None:
        """Start ovs-vswitchd; when this returns it has taken over what the database says."""
        self._daemon("ovs-vswitchd", self._dummy, "--disable-system", "--disable-system-route", self.socket)

    def kill_vswitchd(self) -> None:
        """End ovs-vswitchd as a crash does."""
        self._end("ovs-vswitchd", signal.SIGKILL)

    def restart_vswitchd(self) -> None:
        """Crash ovs-vswitchd and start it again: its flows are gone."""
        self.kill_vswitchd()
        self.start_vswitchd()

    def vsctl(self, *arguments: str) -> str:
        """Run ovs-vsctl and return what it printed."""
        return self.run("ovs-vsctl", "--db=" + self.socket, f"--timeout={TIMEOUT}", *arguments)

    def ofctl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run ovs-ofctl (OpenFlow 1.4) and return what it printed."""
        return self.run("ovs-ofctl", "-O", OPENFLOW, f"--timeout={TIMEOUT}", *arguments, stdin=stdin)

    def appctl(self, *arguments: str) -> str:
        """Run ovs-appctl against ovs-vswitchd and return what it printed."""
        return self.run("ovs-appctl", f"--timeout={TIMEOUT}", *arguments)

    def ofports(self) -> dict[str, int]:
        """Return the OpenFlow port of each interface by name; -1 is one that could not be made.

        An interface with an iface-id is there a second time, as "iface-id:UUID".
        """
        table = json.loads(self.vsctl("--format=json", "--columns=name,ofport,external_ids", "list", "Interface"))
        found = {}
        for name, number, external_ids in table["data"]:
            if isinstance(number, int):
                found[name] = number
                found.update({f"iface-id:{value}": number for key, value in external_ids[1] if key == "iface-id"})
        return found

    def add_flows(self, bridge: str, flows: t.Iterable[str]) -> None:
        """Add flows in the collection's syntax (ports are names in double quotes), in one bundle."""
        ports = self.ofports()
        lines = (re.sub(r'"([^"]+)"', lambda name: str(ports[name.group(1)]), flow) for flow in flows)
        self.ofctl("--bundle", "add-flows", bridge, "-", stdin="".join(line + "\n" for line in lines))

    def trace(self, bridge: str, flow: str) -> str:
        """Return what ofproto/trace says about a frame; ports in the answer are names."""
        return self.appctl("ofproto/trace", "--names", bridge, flow)

    def run(self, *command: str, stdin: str | None = None) -> str:
        """Run one of Open vSwitch's programs against this sandbox and return what it printed."""
        done = subprocess.run(
            command, input=stdin, env=self.env, capture_output=True, text=True, timeout=2 * TIMEOUT, check=False
        )
        if done.returncode != 0:
            raise OvsSandboxError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr or done.stdout}")
        return done.stdout

    def _daemon(self, name: str, *arguments: str) -> None:
        # --detach returns when the daemon is ready, so there is nothing to wait for.
        log = self.directory / (name + ".log")
        self.run(
            name, *arguments, "--detach", "--no-chdir", f"--pidfile={self._pidfile(name)}",
            f"--log-file={log}", "-vconsole:off", "-vsyslog:off",
        )  # fmt: skip

    def _pidfile(self, name: str) -> Path:
        return self.directory / (name + ".pid")

    def _end(self, name: str, number: signal.Signals) -> None:
        pidfile = self._pidfile(name)
        try:
            pid = int(pidfile.read_text())
            os.kill(pid, number)
        except (FileNotFoundError, ProcessLookupError):
            return
        if not _gone(pid, TIMEOUT):
            os.kill(pid, signal.SIGKILL)
            if not _gone(pid, TIMEOUT):
                raise OvsSandboxError(f"{name} (process {pid}) does not end")
        pidfile.unlink(missing_ok=True)


def _gone(pid: int, seconds: float) -> bool:
    """Wait for the end of a process that isn't our child; a zombie of a lazy init counts as ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False
