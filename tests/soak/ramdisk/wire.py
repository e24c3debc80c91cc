# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks for nodes, in the namespace of a test: bridges with taps, and DHCP servers on them, honest or not."""

from __future__ import annotations

import contextlib
import os
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip


class Wire:
    """A bridge that this machine is on, with a tap for a node."""

    def __init__(self, name: str, address: str):
        self.name, self.tap, self.address = f"weft-{name}", f"weft-{name}-tap", address
        ip(
            f"link add {self.name} type bridge",
            f"address add {address}/24 dev {self.name}",
            f"link set {self.name} up",
            f"tuntap add {self.tap} mode tap",
            f"link set {self.tap} master {self.name}",
            f"link set {self.tap} up",
        )


class DhcpServer:
    """Gives each network card that it knows an address, and says in a file what it was asked."""

    def __init__(self, directory: Path, interface: str, hosts: dict[str, str], namespace: str = ""):
        directory.mkdir(parents=True, exist_ok=True)
        self.log = directory / "log"
        network = f"{next(iter(hosts.values())).rpartition('.')[0]}.0"
        words = ["ip", "netns", "exec", namespace] if namespace else []
        words += ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--port=0"]
        words += [f"--interface={interface}", "--bind-interfaces", f"--dhcp-range={network},static,255.255.255.0,3600"]
        words += ["--dhcp-authoritative", "--leasefile-ro", "--no-ping", "--log-dhcp", f"--log-facility={self.log}"]
        words += [f"--pid-file={directory / 'pid'}"]
        words += [f"--dhcp-host={mac},{address}" for mac, address in hosts.items()]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL)

    def asked(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@contextlib.contextmanager
def stranger(wire: Wire, address: str) -> t.Iterator[str]:
    """Plug somebody else in: a namespace on the same network, which is the name that it returns."""
    name = f"{wire.name}-other"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        ip(f"link add {name} type veth peer name eth0 netns {name}", f"link set {name} master {wire.name} up")
        ip("link set lo up", f"address add {address}/24 dev eth0", "link set eth0 up", namespace=name)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True, env=dict(os.environ))
