# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way into a ramdisk: an sshd of this machine's own in place of the ramdisk's, reached through a relay."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal import connection, progress
from ansible_collections.weft.fabric.plugins.plugin_utils.bare_metal.connection import (
    BootServerWay,
    ConnectionProblem,
    Ramdisk,
    Way,
)

RELAY = """import socket, sys, threading, os
connection = socket.create_connection((sys.argv[2], int(sys.argv[3])))
def forth():
    while data := os.read(0, 65536):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
threading.Thread(target=forth, daemon=True).start()
while data := connection.recv(65536):
    os.write(1, data)
"""


def key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return " ".join(path.with_suffix(".pub").read_text(encoding="utf-8").split()[:2])


class Server:
    """An sshd, and the keys that belong to it."""

    def __init__(self, directory: Path) -> None:
        sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
        assert sshd, "sshd is needed"
        self.host_key = key(directory / "host")
        authorized = key(directory / "deployer")
        self.private_key = (directory / "deployer").read_text(encoding="utf-8")
        (directory / "authorized").write_text(f"{authorized}\n", encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = int(probe.getsockname()[1])
        (directory / "relay").write_text(f"#!{sys.executable}\n{RELAY}", encoding="utf-8")
        (directory / "relay").chmod(0o755)
        self.relay = str(directory / "relay")
        Path("/run/sshd").mkdir(exist_ok=True)
        options = (
            f"ListenAddress=127.0.0.1:{self.port}",
            f"HostKey={directory}/host",
            f"AuthorizedKeysFile={directory}/authorized",
            "StrictModes=no",
            "PasswordAuthentication=no",
            "PidFile=none",
            "UsePAM=no",
        )
        words = [word for option in options for word in ("-o", option)]
        self.process = subprocess.Popen([sshd, "-D", "-e", "-f", "/dev/null", *words], stderr=subprocess.DEVNULL)

    def ramdisk(self, **other: t.Any) -> Ramdisk:
        return Ramdisk(
            **{
                "node": "n1",
                "address": "127.0.0.1",
                "namespace": "none",
                "host_key": self.host_key,
                "private_key": self.private_key,
                "user": Path.home().owner(),
                "port": self.port,
                "relay": self.relay,
                **other,
            }
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("ssh"))
    yield found
    found.process.terminate()
    found.process.wait()


@pytest.fixture(autouse=True)
def _temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place of its own, with a name short enough for a socket."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("t")))


def test_commands_run_there_over_one_connection_and_nothing_is_left(server: Server) -> None:
    way = Way.lay(server.ramdisk(), BootServerWay("net1", local=True), os.getpid())
    try:
        assert way.wait(20) is None
        assert way.run("echo here").stdout == "here\n"
        modes = {path.name: path.stat().st_mode & 0o777 for path in Path(way.directory).iterdir()}
        assert {mode for name, mode in modes.items() if name != "s"} == {0o600}
        assert "s" in modes
    finally:
        way.close()
    assert not Path(way.directory).exists()


def test_whoever_has_another_host_key_is_not_believed(server: Server, tmp_path: Path) -> None:
    way = Way.lay(server.ramdisk(host_key=key(tmp_path / "other")), BootServerWay("net1", local=True), os.getpid())
    with pytest.raises(ConnectionProblem, match="does not have the ramdisk's host key"):
        way.wait(20)
    way.close()


def test_whoever_does_not_let_the_deployer_in_is_waited_for_in_vain(server: Server, tmp_path: Path) -> None:
    key(tmp_path / "other")
    private = (tmp_path / "other").read_text(encoding="utf-8")
    way = Way.lay(server.ramdisk(private_key=private), BootServerWay("net1", local=True), os.getpid())
    assert "Permission denied" in (way.wait(2) or "")
    way.close()


def test_names_that_mean_something_to_ssh_are_refused(server: Server) -> None:
    for other in ({"node": "n1\nProxyCommand x"}, {"address": "%h"}, {"namespace": "a b"}):
        with pytest.raises(ConnectionProblem, match="no place in the configuration"):
            Way.lay(server.ramdisk(**other), BootServerWay("net1", local=True), os.getpid())


def test_a_controller_without_room_keeps_no_keys(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    write, directory = Way._write, Path(tempfile.gettempdir())

    def full(way: Way, name: str, text: str) -> None:
        if name == connection.PROXY:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(way, name, text)

    monkeypatch.setattr(Way, "_write", full)
    with pytest.raises(ConnectionProblem, match=r"on the controller: No space left on device\. Make room there"):
        Way.lay(server.ramdisk(), BootServerWay("net1", local=True), os.getpid())
    assert list(directory.iterdir()) == []
    monkeypatch.setattr("tempfile.tempdir", str(directory / "gone"))
    with pytest.raises(ConnectionProblem, match="No such file or directory"):
        Way.lay(server.ramdisk(), BootServerWay("net1", local=True), os.getpid())


def test_what_a_killed_run_left_goes_with_the_next(server: Server) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    left = Way.lay(server.ramdisk(), BootServerWay("net1", local=True), int(ended.stdout))
    ours = Way.lay(server.ramdisk(), BootServerWay("net1", local=True), os.getpid())
    assert connection.sweep() == [left.directory]
    assert not Path(left.directory).exists()
    assert Path(ours.directory).exists()


def test_only_our_own_directories_are_ever_removed(tmp_path: Path) -> None:
    connection.remove(str(tmp_path))
    assert tmp_path.exists()


def test_the_boot_server_is_reached_as_ansible_reaches_it() -> None:
    way = BootServerWay(
        "net1",
        address="192.0.2.11",
        user="ops",
        port=2222,
        key_file="/k",
        arguments=("-o", "ProxyCommand=ssh -W %h:%p bastion"),
        host_key_checking=False,
        become=("sudo", "-n"),
    )
    words = way.command("/relay", "qboot-1", "10.66.100.11", "22")
    assert words[:3] == ["ssh", "-o", "ProxyCommand=ssh -W %h:%p bastion"]
    assert words[-2:] == ["192.0.2.11", "sudo -n /relay qboot-1 10.66.100.11 22"]
    assert {"StrictHostKeyChecking=no", "IdentityFile=/k", "User=ops", "Port=2222"} <= set(words)
    assert BootServerWay("net1", local=True).command("/relay", "x") == ["/relay", "x"]


@pytest.mark.parametrize(
    ("found", "speed", "line"),
    [
        (
            {"phase": "write", "bytes": 45 << 20, "total": 96 << 20},
            10.0 * (1 << 20),
            "n1: write 47 %, 45 MiB of 96 MiB, 10 MiB/s, 5 s left",
        ),
        ({"phase": "write", "bytes": 1536, "total": None}, 1536.0, "n1: write 1.5 KiB, 1.5 KiB/s"),
        ({"phase": "grow"}, None, "n1: grow"),
    ],
)
def test_progress_in_a_line(found: dict[str, t.Any], speed: float | None, line: str) -> None:
    assert progress.describe("n1", found, speed) == line


def test_the_rate_is_that_of_the_phase() -> None:
    meter = progress.Meter()
    rates = [
        meter.rate({"phase": phase, "bytes": done, "updated": when})
        for phase, done, when in [("load", 0, 0.0), ("load", 200, 2.0), ("write", 50, 3.0), ("write", 100, 4.0)]
    ]
    assert rates == [None, 100.0, None, 50.0]


def test_a_log_is_told_of_each_tenth_and_of_silence() -> None:
    now = 0.0
    teller = progress.Teller(lambda: now)
    told = []
    for second in range(100):
        now = float(second)
        found = {"phase": "write", "bytes": min(second, 35), "total": 100}
        if teller.worth_telling(found):
            told.append(second)
    assert told == [0, 10, 20, 30, 60, 90]


def test_what_is_no_progress_is_none() -> None:
    for text in ("", "{", "[]", "{}"):
        assert progress.parse(text) is None
