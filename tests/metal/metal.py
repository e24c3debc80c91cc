# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two nodes of metal and a network with a DHCP server, and no host that boots: a lab that is quickly there."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.weft.fabric.tests.wire.lab import wait_for
from ansible_collections.weft.fabric.tests.wire.node import Node
from weft_lab import accelerator, network, nodes, tiny_image
from weft_lab import lab as whole
from weft_lab.definition import Lab, parse

NAME = "weftu"
ADDRESSES = {"n1": "198.51.100.31", "n2": "198.51.100.32"}
HELLO = "#!/bin/sh\necho hello from $(hostname) >/root/said\n"


def free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def definition() -> dict[str, Any]:
    def node(mode: str, protocol: str, port: int, bus: str, name: str) -> dict[str, Any]:
        return {
            "boot_mode": mode,
            "bmc": {"protocol": protocol, "port": port},
            "memory": 512,
            "disks": [
                {"size": "1 GiB", "serial": f"weft-{name}-a", "bus": bus},
                {"size": "16 MiB", "serial": f"weft-{name}-b"},
            ],
            "nics": {"nic0": {"network": "lan"}},
        }

    return {
        "name": NAME,
        "networks": {
            "management": {"subnets": ["192.0.2.0/24"], "controller": ["192.0.2.1/24"]},
            "lan": {"subnets": ["198.51.100.0/24"], "controller": ["198.51.100.1/24"]},
        },
        # A lab has one; it is not booted here.
        "hosts": {"nobody": {}},
        "nodes": {
            "n1": node("bios", "ipmi", free_port(socket.SOCK_DGRAM), "virtio", "n1"),
            "n2": node("uefi", "redfish", free_port(socket.SOCK_STREAM), "nvme", "n2"),
        },
    }


class Metal:
    """What stands, and how it is looked at."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self.lab = lab
        self.directory = directory
        self.nodes = {one.name: Node(one.name, lab.state, lab.disks) for one in lab.nodes}
        self.key = directory / "key"

    @contextlib.contextmanager
    def running(self) -> Iterator[Metal]:
        assert not self.lab.state.exists(), f"{self.lab.state} is there already: another run of this test?"
        tiny_image.ensure()
        emulation = accelerator.words()
        try:
            self.lab.state.mkdir(mode=0o700)
            network.create_fabric(self.lab)
            network.ensure_taps(self.lab)
            for node in self.lab.nodes:
                nodes.ensure(self.lab, node, emulation)
            with self._dhcp():
                yield self
        finally:
            whole.down(self.lab)

    @contextlib.contextmanager
    def _dhcp(self) -> Iterator[None]:
        words = [
            "dnsmasq",
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--port=0",
            "--interface=lan",
            "--log-dhcp",
        ]
        words += [f"--dhcp-leasefile={self.directory / 'leases'}", "--dhcp-range=198.51.100.0,static", "--no-ping"]
        words += ["--bind-interfaces", f"--log-facility={self.directory / 'dhcp.log'}", "--user=root", "--pid-file="]
        for node in self.lab.nodes:
            words.append(f"--dhcp-host={node.nics[0].mac},{ADDRESSES[node.name]}")
        with subprocess.Popen(["nsenter", f"--net=/run/netns/{self.lab.fabric}", *words]) as server:
            try:
                wait_for("dnsmasq", (self.directory / "dhcp.log").exists, 10)
                yield
            finally:
                server.kill()

    def mark(self) -> int:
        return (self.directory / "dhcp.log").stat().st_size

    def asked_by(self, vendor: str, since: int = 0) -> set[str]:
        """Return the nodes that have asked for an address in somebody's name: PXEClient, udhcp."""
        lines = (self.directory / "dhcp.log").read_bytes()[since:].decode().splitlines()
        numbers = {line.split("]: ")[1].split()[0] for line in lines if f"vendor class: {vendor}" in line}
        asking = [line for line in lines if "DHCPDISCOVER" in line or "DHCPREQUEST" in line]
        heard = " ".join(line for line in asking if line.split("]: ")[1].split()[0] in numbers)
        return {node.name for node in self.lab.nodes if node.nics[0].mac in heard}

    def insert_image(self) -> None:
        """What a deployment does, done from behind: the image on the first disk, the config drive on the second."""
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        for name, node in self.nodes.items():
            image = str(tiny_image.CACHE / tiny_image.NAME)
            unpacked = self.directory / f"{name}.raw"
            subprocess.run(["zstd", "-q", "-d", "--sparse", image, "-o", str(unpacked)], check=True)
            disk = ["dd", f"if={unpacked}", f"of={node.disk_path}", "bs=1M", "conv=notrunc,sparse", "status=none"]
            subprocess.run(disk, check=True)
            self._config_drive(name, node.disk_path.with_name("disk1.raw"))

    def _config_drive(self, name: str, disk: Path) -> None:
        latest = self.directory / name / "openstack/latest"
        latest.mkdir(parents=True)
        public = self.key.with_suffix(".pub").read_text(encoding="utf-8").strip()
        told = {"uuid": f"of-{name}", "hostname": f"db-{name}", "public_keys": {"mine": public}}
        (latest / "meta_data.json").write_text(json.dumps(told), encoding="utf-8")
        (latest / "user_data").write_text(HELLO, encoding="utf-8")
        subprocess.run(["mkfs.vfat", "-n", "config-2", str(disk)], check=True, capture_output=True)
        subprocess.run(["mcopy", "-s", "-i", str(disk), str(latest.parent), "::"], check=True)

    def ssh(self, name: str, command: str) -> str:
        """Run a command on a node, whose host key is the one that its console has told."""
        known = self.directory / f"known_{name}"
        told = self.nodes[name].wait_console(r"^tiny: host key (\S+ \S+)")
        known.write_text(f"{ADDRESSES[name]} {told[1]}\n", encoding="utf-8")
        words = ["nsenter", f"--net=/run/netns/{self.lab.fabric}", "ssh", "-F", "none", "-i", str(self.key)]
        words += shlex.split(f"-o BatchMode=yes -o UserKnownHostsFile={known} -o StrictHostKeyChecking=yes")
        words += ["-o", "ConnectTimeout=10", f"root@{ADDRESSES[name]}", command]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, env=dict(os.environ))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pings(self, name: str) -> bool:
        words = ["nsenter", f"--net=/run/netns/{self.lab.fabric}", "ping", "-c", "1", "-W", "2", ADDRESSES[name]]
        return subprocess.run(words, capture_output=True, check=False).returncode == 0


def make(directory: Path) -> Metal:
    lab = parse(definition())
    nodes.require_tools(lab)
    return Metal(lab, directory)
