# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two nodes with one router between a client and the world, in namespaces of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import typing as t
from pathlib import Path

import jinja2

from ansible_collections.weft.fabric.plugins.module_utils import netns, vrrp_health, vrrp_info, vrrp_program
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import reconcile
from ansible_collections.weft.fabric.plugins.module_utils.vrrp_routers import VrrpRoutersEngine
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip, links
from ansible_collections.weft.fabric.tests.unit.vrrp.fake_systemd import FakeSystemd, children, wait_for

TEMPLATES = Path(__file__).parents[3] / "templates"
FABRIC, INSIDE, OUTSIDE = "weft-t-fabric", "weft-t-inside", "weft-t-outside"

LEG_MAC = "fa:16:3e:00:01:00"
GATEWAY_MAC = "fa:16:3e:00:02:00"

ADDRESSES = (
    ("10.0.0.1/24", "qr-1"),
    ("fd00::1/64", "qr-1"),
    ("fe80::f816:3eff:fe00:100/64", "qr-1"),
    ("203.0.113.150/24", "qg-1"),
    ("fe80::f816:3eff:fe00:200/64", "qg-1"),
)
ROUTES: tuple[dict[str, t.Any], ...] = (
    {"to": "0.0.0.0/0", "via": "203.0.113.1", "device": "qg-1"},
    {"to": "::/0", "via": "fe80::1", "device": "qg-1"},
)


def template(file: str, **variables: t.Any) -> str:
    """Render a template of the collection as the compiler does."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return environment.from_string((TEMPLATES / file).read_text()).render(**variables)


class Node:
    """A network node with its replica of the router."""

    def __init__(self, number: int, path: Path):
        self.number = number
        self.name = f"weft-t-{number}"
        self.namespace = f"qrouter-{self.name}"
        self.centralised_namespace = f"snat-{self.name}"
        self.path = path / str(number)
        self.run_path = self.path / "weft-fabric-vrrp"
        self.paths = vrrp_program.Paths(
            directory=str(self.path / "vrrp"),
            run=str(self.run_path),
            program=str(self.path / "lib/vrrp"),
            units=str(self.path / "units"),
            advertisements=str(self.path / "ra"),
            watches=str(self.path / "watches"),
        )
        self.health_paths = vrrp_health.Paths(
            directory=str(self.path / "health"),
            run=str(self.path / "weft-fabric-health"),
            program=str(self.path / "lib/health"),
            unit=str(self.path / "units" / vrrp_health.UNIT),
        )
        self.path.mkdir()
        (self.path / "watches").write_text("4096\n")
        self.systemd = FakeSystemd(self.path / "units", self.path)
        self._fake_systemctl()

    def _fake_systemctl(self) -> None:
        """What the notify script asks of systemd is written down."""
        program = self.path / "bin/systemctl"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\necho "$*" >> {self.path}/systemctl\n')
        program.chmod(0o755)

    def asked(self) -> list[str]:
        """Return what the notify script asked of systemd."""
        found = self.path / "systemctl"
        return found.read_text().splitlines() if found.exists() else []

    def wire(self) -> None:
        """Make the namespace with its devices, as the module namespaces does."""
        ip(f"netns add {self.namespace}")
        with netns.entered(self.namespace):
            for name, value in (
                ("net.ipv4.ip_forward", "1"),
                ("net.ipv4.conf.all.promote_secondaries", "1"),
                ("net.ipv4.conf.default.promote_secondaries", "1"),
                ("net.ipv6.conf.default.addr_gen_mode", "1"),
                ("net.ipv6.conf.default.accept_dad", "0"),
            ):
                netns.write_sysctl(netns.sysctl_path(name, "test"), value)
        self.device("ha", f"fa:16:3e:00:00:0{self.number}")
        self.device("qr", LEG_MAC)
        self.device("qg", GATEWAY_MAC)
        other = 3 - self.number
        ip(
            "link set lo up",
            f"addr add 169.254.192.{self.number}/18 dev ha-1",
            f"neigh replace 169.254.192.{other} lladdr fa:16:3e:00:00:0{other} dev ha-1 nud permanent",
            namespace=self.namespace,
        )

    def device(self, kind: str, mac: str) -> None:
        port = f"{kind}-{self.number}"
        ip(f"link add {kind}-1 address {mac} netns {self.namespace} type veth peer name {port} netns {FABRIC}")
        ip(f"link set {kind}-1 up", namespace=self.namespace)
        ip(f"link set {port} master br-{kind} up", namespace=FABRIC)
        _flood(port)

    def config(
        self,
        extra: t.Sequence[tuple[str, str]] = (),
        routes: t.Sequence[dict[str, t.Any]] = ROUTES,
        health: t.Sequence[str] = (),
        delay: float = 0,
    ) -> str:
        text = template(
            "keepalived.conf.j2",
            router="blue/r1",
            name=self.name,
            interface="ha-1",
            vrid=7,
            source=f"169.254.192.{self.number}",
            peers=[f"169.254.192.{3 - self.number}"],
            startup_delay=delay,
            advert_interval=0.1,
            health=health,
            addresses=[{"address": address, "device": device} for address, device in (*ADDRESSES, *extra)],
            routes=routes,
        )
        return self._relocated(text)

    def sessions(self) -> str:
        text = template(
            "conntrackd.conf.j2",
            router="blue/r1",
            name=self.name,
            interface="ha-1",
            source=f"169.254.192.{self.number}",
            peers=[f"169.254.192.{3 - self.number}"],
            group=None,
        )
        return self._relocated(text).replace("Systemd on", "Systemd off")

    def _relocated(self, text: str) -> str:
        text = text.replace("/run/weft-fabric-health", self.health_paths.run)
        return text.replace(vrrp_program.PROGRAM, self.paths.program).replace("/run/weft-fabric-vrrp", self.paths.run)

    def item(self, **changes: t.Any) -> dict[str, t.Any]:
        return {
            "name": self.name,
            "namespace": self.namespace,
            "config": self.config(),
            "conntrackd": self.sessions(),
            "peers": [f"169.254.192.{3 - self.number}"],
            "interface": "ha-1",
            "forwarding": ["all"],
            **changes,
        }

    def engine(self, *items: dict[str, t.Any], **params: t.Any) -> VrrpRoutersEngine:
        return VrrpRoutersEngine({"routers": list(items), **params}, self.systemd, self.paths, self.health_paths)

    def run(self, *items: dict[str, t.Any], check_mode: bool = False, **params: t.Any) -> dict[str, t.Any]:
        return reconcile(self.engine(*items, **params), check_mode)

    def describe(self) -> dict[str, t.Any]:
        return vrrp_info.describe(None, self.paths, self.systemd, self.health_paths)

    def status(self) -> dict[str, t.Any]:
        found: dict[str, t.Any] = self.describe()["status"][self.name]
        return found

    def wait_for_role(self, role: str) -> None:
        """Wait until the notify script has said it."""
        wait_for(f"node {self.number} to be {role}", lambda: self.status()["state"] == role)

    @property
    def unit(self) -> str:
        return vrrp_program.unit_name(self.name)

    @property
    def sessions_unit(self) -> str:
        return vrrp_program.sessions_name(self.name)

    def keepalived(self) -> tuple[int, int]:
        """Return the processes: the parent and the child that speaks VRRP."""
        parent = self.systemd.processes[self.unit].pid
        return parent, children(parent)[0]

    def handicap(self, value: int) -> None:
        (self.run_path / self.name / "handicap").write_text(f"{value}\n")

    def addresses(self) -> list[str]:
        """Return the addresses in the namespace, those of link scope too."""
        entries = [entry for device in links(self.namespace).values() for entry in device["addr_info"]]
        return sorted(f"{entry['local']}/{entry['prefixlen']}" for entry in entries)

    def pids(self) -> list[str]:
        """Return the processes in the namespace."""
        words = ["ip", "netns", "pids", self.namespace]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()

    def is_primary(self) -> bool:
        return "169.254.0.7/24" in self.addresses()

    def routes(self) -> set[str]:
        """Return the destinations keepalived has put in."""
        found = set()
        for family in ("-4", "-6"):
            command = ["ip", "-n", self.namespace, family, "route", "show", "proto", "18"]
            lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
            found |= {line.split()[0] for line in lines if not line[0].isspace()}
        return found

    def forwards(self) -> str | None:
        with netns.entered(self.namespace):
            return netns.read_sysctl("/proc/sys/net/ipv6/conf/all/forwarding")

    def log(self) -> str:
        return self.systemd.log(self.unit).read_text()

    def split(self, apart: bool) -> None:
        """Cut the HA link without a loss of carrier, or repair it."""
        port = f"ha-{self.number}"
        state = "0" if apart else "3"
        command = ["ip", "netns", "exec", FABRIC, "bridge", "link", "set", "dev", port, "state", state]
        subprocess.run(command, check=True)


class Site:
    """The fabric with two nodes."""

    def __init__(self) -> None:
        # Paths of sockets may have 107 characters only.
        self.path = Path(tempfile.mkdtemp(prefix="weft-vrrp-"))
        self.nodes = [Node(number, self.path) for number in (1, 2)]

    def __enter__(self) -> Site:
        ip(f"netns add {FABRIC}")
        for kind in ("ha", "qr", "qg"):
            ip(f"link add br-{kind} type bridge mcast_snooping 0", f"link set br-{kind} up", namespace=FABRIC)
        self._neighbour(INSIDE, "qr", "10.0.0.9/24", "fd00::9/64", "10.0.0.1")
        self._neighbour(OUTSIDE, "qg", "203.0.113.1/24", "fe80::1/64", None)
        ip("route add 10.0.0.0/24 via 203.0.113.150", namespace=OUTSIDE)
        for node in self.nodes:
            node.wire()
        return self

    def __exit__(self, *exc: object) -> None:
        for node in self.nodes:
            node.systemd.end_all()
        # A notify script whose keepalived was killed may still be at work.
        wait_for("the end of all in the nodes", lambda: not any(node.pids() for node in self.nodes))
        shutil.rmtree(self.path)

    def _neighbour(self, name: str, kind: str, address: str, address6: str, gateway: str | None) -> None:
        ip(f"netns add {name}")
        ip(f"link add eth0 netns {name} type veth peer name {kind}-0 netns {FABRIC}")
        ip(f"link set {kind}-0 master br-{kind} up", namespace=FABRIC)
        _flood(f"{kind}-0")
        lines = ["link set lo up", f"addr add {address} dev eth0", f"addr add {address6} dev eth0 nodad"]
        ip(*lines, "link set eth0 up", namespace=name)
        if gateway:
            ip(f"route add default via {gateway}", namespace=name)

    def start(self) -> tuple[Node, Node]:
        """Start the router on the first node, then on the second. Return the primary and the backup."""
        one, two = self.nodes
        for node, role in ((one, "primary"), (two, "backup")):
            node.run(node.item())
            node.wait_for_role(role)
        return one, two

    def primaries(self) -> list[int]:
        return [node.number for node in self.nodes if node.is_primary()]


class Pings:
    """Counts what comes back of a ping from inside to outside every ten milliseconds."""

    def __enter__(self) -> Pings:
        words = ["ip", "netns", "exec", INSIDE, "ping", "-n", "-i", "0.01", "203.0.113.1"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        for _line in range(10):
            self.process.stdout.readline()
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.send_signal(signal.SIGINT)
        output, _errors = self.process.communicate()
        words = output[output.index("packets transmitted") - 20 :].split()
        at = words.index("packets")
        sent, received = int(words[at - 1]), int(words[at + 2])
        duration = float(output.rpartition("time ")[2].partition("ms")[0]) / 1000
        self.lost = (sent - received) * duration / sent


def _flood(port: str) -> None:
    """Send frames to a MAC that several replicas share to all of them, as the fabric does."""
    command = ["ip", "netns", "exec", FABRIC, "bridge", "link", "set", "dev", port, "learning", "off"]
    subprocess.run(command, check=True)


def freeze(pids: t.Iterable[int], frozen: bool) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP if frozen else signal.SIGCONT)
