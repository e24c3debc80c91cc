# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from the controller into a node's ramdisk: SSH through the boot server, with keys of this deployment alone.

All of it is in one private directory: the configuration for ssh, the deployer's key, the ramdisk's host key, and the
socket of the connection that all commands share. The directory goes when the run ends; those of runs that were killed
go when the next one begins.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = "weft-ssh-"
CONFIG, KEY, KNOWN_HOSTS, PROXY, SOCKET = "config", "key", "known_hosts", "proxy", "s"
PROXY_SOCKET, PROXY_END = "b", "end"
RELAY = "/usr/libexec/weft-fabric-relay"
#: seconds for one attempt: an emulated machine takes some to calculate keys
ATTEMPT_SECONDS = 20
POLL_SECONDS = 1.0
_SAFE = re.compile(r"[A-Za-z0-9_.:-]+")

_CONFIGURATION = """Host *
  HostName {address}
  Port {port}
  User {user}
  IdentityFile "{directory}/key"
  IdentitiesOnly yes
  IdentityAgent none
  PreferredAuthentications publickey
  HostKeyAlias {alias}
  UserKnownHostsFile "{directory}/known_hosts"
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  UpdateHostKeys no
  BatchMode yes
  ConnectTimeout {attempt}
  ServerAliveInterval 5
  ServerAliveCountMax 6
  LogLevel ERROR
  ControlMaster auto
  ControlPersist 120
  ControlPath "{directory}/s"
  ProxyCommand /bin/sh "{directory}/proxy"
"""


class ConnectionProblem(Exception):
    """The way cannot be laid at all, with what to do about it."""


@dataclass(frozen=True, slots=True)
class BootServerWay:
    """How Ansible itself reaches the boot server."""

    host: str
    #: whether it is the controller itself
    local: bool = False
    address: str = ""
    port: int | None = None
    user: str | None = None
    key_file: str | None = None
    executable: str = "ssh"
    #: all options that Ansible gives ssh, split into words
    arguments: tuple[str, ...] = ()
    host_key_checking: bool = True
    timeout: int = 10
    #: what makes a command run as root there
    become: tuple[str, ...] = ()

    def command(self, *words: str, socket: str = "") -> list[str]:
        """Return the command line that runs a command on the boot server, as root. socket: of a shared connection."""
        remote = [*self.become, *words]
        if self.local:
            return remote
        return [*self.login(socket), "-T", self.address, shlex.join(remote)]

    def login(self, socket: str = "") -> list[str]:
        """Return how ssh gets there."""
        found = [self.executable, *self.arguments]
        if socket:
            found += ["-o", "ControlMaster=auto", "-o", f"ControlPath={socket}", "-o", "ControlPersist=120"]
        if not self.host_key_checking:
            found += ["-o", "StrictHostKeyChecking=no"]
        found += ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={self.timeout}"]
        if self.key_file:
            found += ["-o", f"IdentityFile={self.key_file}"]
        if self.user:
            found += ["-o", f"User={self.user}"]
        if self.port:
            found += ["-o", f"Port={self.port}"]
        return found


@dataclass(frozen=True, slots=True)
class Ramdisk:
    """A ramdisk to talk to."""

    node: str
    address: str
    namespace: str
    host_key: str
    private_key: str = field(repr=False)
    user: str = "root"
    port: int = 22
    relay: str = RELAY


class Way:
    """A private directory with all that ssh needs to get into one ramdisk."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    @classmethod
    def lay(cls, ramdisk: Ramdisk, through: BootServerWay, run: int) -> Way:
        """Make the directory. run is the process whose end makes it superfluous."""
        for value in (ramdisk.node, ramdisk.address, ramdisk.namespace, ramdisk.user, ramdisk.relay.replace("/", "")):
            if not _SAFE.fullmatch(value):
                raise ConnectionProblem(f"{value!r} has characters that have no place in the configuration of ssh")
        try:
            way = cls(tempfile.mkdtemp(prefix=f"{PREFIX}{run}-"))
        except OSError as error:
            raise _no_room(tempfile.gettempdir(), error) from None
        try:
            way._furnish(ramdisk, through)
        except OSError as error:
            remove(way.directory)
            raise _no_room(way.directory, error) from None
        return way

    def _furnish(self, ramdisk: Ramdisk, through: BootServerWay) -> None:
        # One connection to the boot server for all attempts to get on from there.
        socket = os.path.join(self.directory, PROXY_SOCKET)
        proxy = through.command(ramdisk.relay, ramdisk.namespace, ramdisk.address, str(ramdisk.port), socket=socket)
        self._write(KEY, ramdisk.private_key.rstrip("\n") + "\n")
        self._write(KNOWN_HOSTS, f"{alias(ramdisk.node)} {ramdisk.host_key.strip()}\n")
        self._write(PROXY, f"exec {shlex.join(proxy)}\n")
        if not through.local:
            self._write(PROXY_END, f"exec {shlex.join([*through.login(socket), '-O', 'exit', through.address])}\n")
        self._write(
            CONFIG,
            _CONFIGURATION.format(
                address=ramdisk.address,
                port=ramdisk.port,
                user=ramdisk.user,
                directory=self.directory,
                alias=alias(ramdisk.node),
                attempt=ATTEMPT_SECONDS,
            ),
        )

    def _write(self, name: str, text: str) -> None:
        descriptor = os.open(os.path.join(self.directory, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)

    @property
    def arguments(self) -> str:
        """What Ansible's own connection gives ssh."""
        return shlex.join(["-F", os.path.join(self.directory, CONFIG)])

    def command(self, *words: str) -> list[str]:
        return ["ssh", "-F", os.path.join(self.directory, CONFIG), "-T", "node", *words]

    def run(self, command: str, seconds: float = ATTEMPT_SECONDS, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in the ramdisk."""
        try:
            return subprocess.run(
                self.command(command), input=stdin, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 255, "", f"no answer within {seconds:g} s")

    def wait(self, seconds: float, told: t.Callable[[float, str], None] = lambda passed, last: None) -> str | None:
        """Wait until somebody can log in. Return None, or what happened last when nobody could in time."""
        started = time.monotonic()
        while True:
            left = started + seconds - time.monotonic()
            done = self.run("true", max(2.0, min(ATTEMPT_SECONDS + 5.0, left)))
            if done.returncode == 0:
                return None
            last = (done.stderr.strip().splitlines() or ["ssh said nothing"])[-1]
            if "HOST IDENTIFICATION HAS CHANGED" in done.stderr or "Host key verification failed" in done.stderr:
                raise ConnectionProblem(
                    "whoever answers at the node's address does not have the ramdisk's host key, which only the node "
                    "was given. Look who that is on the deployment network before you run this again"
                )
            if time.monotonic() - started + POLL_SECONDS >= seconds:
                return last
            told(time.monotonic() - started, last)
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """End the connection, and remove the keys."""
        ends = {
            SOCKET: ["ssh", "-F", os.path.join(self.directory, CONFIG), "-O", "exit", "node"],
            PROXY_SOCKET: ["/bin/sh", os.path.join(self.directory, PROXY_END)],
        }
        for socket, words in ends.items():
            if os.path.exists(os.path.join(self.directory, socket)):
                with contextlib.suppress(subprocess.TimeoutExpired, OSError):
                    subprocess.run(words, capture_output=True, timeout=5, check=False)
        remove(self.directory)


def _no_room(directory: str, error: OSError) -> ConnectionProblem:
    return ConnectionProblem(
        f"what ssh has to know of the ramdisk could not be written to {directory} on the controller: {error.strerror}. "
        "Make room there, or set TMPDIR to a directory that has some"
    )


def alias(node: str) -> str:
    """Return the name under which ssh knows a node's ramdisk."""
    return f"weft-ramdisk-{node}"


def is_way(directory: str) -> bool:
    """Tell whether a directory is one of ours, before it is removed."""
    path = Path(directory)
    return path.name.startswith(PREFIX) and path.parent == Path(tempfile.gettempdir())


def remove(directory: str) -> None:
    if is_way(directory):
        shutil.rmtree(directory, ignore_errors=True)


def sweep() -> list[str]:
    """Remove the directories that killed runs of this user have left, and return them."""
    found = []
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        number = path.name[len(PREFIX) :].partition("-")[0]
        with contextlib.suppress(OSError):
            ours = path.lstat().st_uid == os.getuid() and path.is_dir() and not path.is_symlink()
            if ours and number.isdigit() and not os.path.exists(f"/proc/{number}"):
                Way(str(path)).close()
                found.append(str(path))
    return found
