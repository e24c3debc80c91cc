# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ramdisk's programs without a ramdisk: what is made of a DHCP server's answer, and that the shell reads them."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import ramdisk_programs


@pytest.mark.parametrize("path", sorted(ramdisk_programs.programs()))
def test_every_program_is_one(path: str, tmp_path: Path) -> None:
    text = ramdisk_programs.programs()[path]
    assert text.startswith("#!/bin/sh\n")
    assert "%(" not in text
    subprocess.run(["dash", "-n"], input=text, text=True, check=True)


class Lease:
    """The program that udhcpc starts, started by a stand-in for it, with a stand-in for ip."""

    def __init__(self, directory: Path):
        self.directory = directory
        run, calls, messages = directory / "run", directory / "calls", directory / "messages"
        run.mkdir()
        (run / "settings").write_text("nic=eth0\naddress=10.66.100.11\n", encoding="utf-8")
        (directory / "ip").write_text(f'#!/bin/sh\necho "ip $*" >> {calls}\n', encoding="utf-8")
        (directory / "ip").chmod(0o755)
        text = ramdisk_programs.programs()[ramdisk_programs.LEASE]
        text = text.replace(ramdisk_programs.RUN, str(run)).replace("/dev/kmsg", str(messages))
        (directory / "lease").write_text(text, encoding="utf-8")

    def __call__(self, event: str, **values: str) -> str:
        """Return what the client says: that it has survived, if it has."""
        env = {"PATH": f"{self.directory}:{os.environ['PATH']}", **values}
        script = f'sh {self.directory}/lease {event}\necho "survived"'
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, env=env)
        return done.stdout + done.stderr

    def calls(self) -> list[str]:
        path = self.directory / "calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def messages(self) -> str:
        path = self.directory / "messages"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def taken(self) -> bool:
        return (self.directory / "run/lease").exists()


@pytest.fixture
def lease(tmp_path: Path) -> Lease:
    return Lease(tmp_path)


SERVER: dict[str, t.Any] = {"mask": "24", "serverid": "10.66.100.2", "router": "10.66.100.1 10.66.100.3"}


@pytest.mark.parametrize("event", ["bound", "renew"])
def test_the_address_of_the_identity_is_taken(lease: Lease, event: str) -> None:
    assert lease(event, ip="10.66.100.11", **SERVER) == "survived\n"
    assert lease.calls() == [
        "ip address replace 10.66.100.11/24 dev eth0",
        "ip route replace default via 10.66.100.1 dev eth0",
    ]
    assert lease.taken()


def test_a_network_without_a_router_is_enough(lease: Lease) -> None:
    lease("bound", ip="10.66.100.11", mask="24", serverid="10.66.100.2")
    assert lease.calls() == ["ip address replace 10.66.100.11/24 dev eth0"]
    assert lease.taken()


@pytest.mark.parametrize("address", ["10.66.100.12", "10.66.100.1", ""])
def test_another_address_is_not_taken_and_its_client_ends(lease: Lease, address: str) -> None:
    assert "survived" not in lease("bound", ip=address, **SERVER)
    assert lease.calls() == []
    assert not lease.taken()
    assert (
        f"the DHCP server 10.66.100.2 gives {address}, but the address of this node is 10.66.100.11" in lease.messages()
    )


@pytest.mark.parametrize("event", ["deconfig", "leasefail", "nak"])
def test_an_address_stays_when_a_lease_ends(lease: Lease, event: str) -> None:
    """An image is being written over it."""
    assert lease(event, ip="10.66.100.11") == "survived\n"
    assert lease.calls() == []
