# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network with DHCP servers and clients, in namespaces of its own, and a stand-in for systemd that runs dnsmasq."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import typing as t
from pathlib import Path

from ansible_collections.weft.fabric.plugins.module_utils import netns
from ansible_collections.weft.fabric.plugins.module_utils.dhcp_servers import DhcpServersEngine
from ansible_collections.weft.fabric.plugins.module_utils.dhcp_unit import server_name
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, reconcile
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd, Unit
from ansible_collections.weft.fabric.tests.unit.dhcp.wire_client import Client, Client6
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip

CLIENTS = "weft-t-clients"
PATIENCE = 5.0


def wait_for(what: str, condition: t.Callable[[], t.Any]) -> t.Any:
    """Return what a condition gives as soon as it gives something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE} s in vain for {what}"
        time.sleep(0.01)
    return found


class FakeSystemd(Systemd):
    """Runs the dnsmasq of a unit the way the unit file says, and remembers what it was asked."""

    def __init__(self, directory: Path, pids: Path):
        self.directory = directory
        self.pids = pids
        self.calls: list[tuple[str, ...]] = []
        self.known: set[str] = set()
        self.reloads = 0

    def units(self, pattern: str) -> dict[str, Unit]:
        return {name: Unit(self.alive(name), self.pid(name)) for name in sorted(self.known)}

    def start(self, names: t.Sequence[str]) -> None:
        self._note("start", names)
        for name in names:
            self.known.add(name)
            server = server_name(name)
            command = ["ip", "netns", "exec", f"qdhcp-{server}", "dnsmasq", "--user=root", "--log-dhcp"]
            command += [f"--conf-file={self.directory}/{server}/{file}" for file in ("dnsmasq.conf", "tagged.conf")]
            command += [f"--pid-file={self._pid_file(name)}", f"--log-facility={self.pids}/{server}.log"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise FabricError(f"systemctl start failed: {done.stderr}")

    def stop(self, names: t.Sequence[str]) -> None:
        self._note("stop", names)
        for name in names:
            self.kill([name])

    def reload(self, names: t.Sequence[str]) -> None:
        self._note("reload", names)
        for name in names:
            os.kill(self.pid(name), signal.SIGHUP)

    def daemon_reload(self) -> None:
        self.reloads += 1

    def kill(self, names: t.Sequence[str]) -> None:
        """End daemons, as stop() does, or as a power cut does."""
        for name in names:
            if self.alive(name):
                os.kill(self.pid(name), signal.SIGKILL)
                wait_for(f"the end of {name}", lambda name=name: not self.alive(name))

    def kill_all(self) -> None:
        for name in self.known:
            self.kill([name])

    def pid(self, name: str) -> int:
        try:
            return int(self._pid_file(name).read_text())
        except FileNotFoundError:
            return 0

    def alive(self, name: str) -> bool:
        pid = self.pid(name)
        try:
            return pid > 0 and "dnsmasq" in Path(f"/proc/{pid}/comm").read_text() and not self._zombie(pid)
        except FileNotFoundError:
            return False

    @staticmethod
    def _zombie(pid: int) -> bool:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"

    def _pid_file(self, name: str) -> Path:
        return self.pids / f"{server_name(name)}.pid"

    def _note(self, verb: str, names: t.Sequence[str]) -> None:
        if names:
            self.calls.append((verb, *names))


class Net:
    """One network: a bridge with the clients, and servers that hang on it."""

    def __init__(self, path: Path):
        self.path = path
        self.directory = path / "fabric" / "dhcp"
        self.systemd = FakeSystemd(self.directory, path)
        self.servers: list[str] = []
        self.clients: set[str] = set()

    def __enter__(self) -> Net:
        ip(f"netns add {CLIENTS}")
        ip(
            "link add br0 type bridge mcast_snooping 0",
            "link set br0 up",
            namespace=CLIENTS,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        self.systemd.kill_all()

    def add_server(self, number: int) -> str:
        """Wire a server. Its addresses are 10.0.0.<number + 1> and fd00::<number + 1>."""
        name = f"weft-t-{number}"
        namespace = f"qdhcp-{name}"
        ip(f"netns add {namespace}")
        self.wire(number)
        self.servers.append(name)
        return name

    def wire(self, number: int) -> None:
        namespace = f"qdhcp-weft-t-{number}"
        mac = f"address fa:16:3e:00:aa:{number:02x}"
        ip(f"link add s0 {mac} netns {namespace} type veth peer name p{number} netns {CLIENTS}")
        ip(f"link set p{number} master br0 up", namespace=CLIENTS)
        ip(
            "link set lo up",
            f"addr add 10.0.0.{number + 1}/24 dev s0",
            f"addr add fd00::{number + 1}/64 dev s0 nodad",
            "link set s0 up",
            namespace=namespace,
        )

    def config(self, number: int, *, mine_only: bool = True, authoritative: bool = True) -> str:
        """Return a configuration like the template's."""
        directory = self.directory / f"weft-t-{number}"
        lines = ["interface=s0", "except-interface=lo", "bind-dynamic", "no-hosts", "no-resolv", "no-poll", "no-ping"]
        lines += ["dhcp-ignore-names", "domain=blue.example", "local=/blue.example/", "dhcp-lease-max=500"]
        lines += ["dhcp-range=set:v4,10.0.0.0,static,255.255.255.0,3600", "dhcp-range=set:v6,fd00::,static,64,3600"]
        lines += [f"dhcp-hostsfile={directory}/hosts", f"dhcp-optsfile={directory}/options"]
        lines += [f"addn-hosts={directory}/names", f"dhcp-leasefile={directory}/leases"]
        if authoritative:
            lines += ["dhcp-authoritative"]
        if mine_only:
            lines += ["dhcp-match=set:chosen,54", f"dhcp-match=set:chosen-here,54,10.0.0.{number + 1}"]
            lines += ["dhcp-ignore=tag:chosen,tag:!chosen-here"]
        return "".join(line + "\n" for line in lines)

    def server(self, number: int, hosts: list[dict[str, t.Any]], **changes: t.Any) -> dict[str, t.Any]:
        """Return the item of a server."""
        item = {
            "name": f"weft-t-{number}",
            "namespace": f"qdhcp-weft-t-{number}",
            "interface": "s0",
            "config": self.config(number),
            "hosts": hosts,
            "options": [{"tags": ["v4"], "option": "option:router", "value": "10.0.0.1"}],
            "names": [{"address": host["addresses"][0], "names": [host["hostname"]]} for host in hosts],
            "leases": True,
        }
        return {**item, **changes}

    def engine(self, *servers: dict[str, t.Any], purge: bool = False) -> DhcpServersEngine:
        params = {"servers": list(servers), "purge": purge}
        return DhcpServersEngine(params, self.systemd, str(self.directory), str(self.path / "unit.service"))

    def run(self, *servers: dict[str, t.Any], purge: bool = False, check_mode: bool = False) -> dict[str, t.Any]:
        """Reconcile, and forget what systemd was asked before."""
        self.systemd.calls.clear()
        return reconcile(self.engine(*servers, purge=purge), check_mode)

    def leases(self, number: int) -> str:
        return (self.directory / f"weft-t-{number}" / "leases").read_text()

    def unit(self, number: int) -> str:
        return f"weft-fabric-dhcp@weft-t-{number}.service"

    @contextlib.contextmanager
    def client(self, mac: str, client_id: bytes | None = None) -> t.Iterator[Client]:
        with netns.entered(CLIENTS), Client("br0", mac, client_id) as client:
            yield client

    @contextlib.contextmanager
    def client6(self, mac: str) -> t.Iterator[Client6]:
        """Return a DHCPv6 client on a device of its own: servers go by the MAC the frames come from."""
        device = "c" + mac.replace(":", "")[-8:]
        if device not in self.clients:
            self.clients.add(device)
            ip(f"link add {device} address {mac} type veth peer name {device}-p", namespace=CLIENTS)
            with netns.entered(CLIENTS):
                Path(f"/proc/sys/net/ipv6/conf/{device}/accept_dad").write_text("0")
            ip(f"link set {device}-p master br0 up", f"link set {device} up", namespace=CLIENTS)
        with netns.entered(CLIENTS):
            wait_for("a link-local address", lambda: device in self._link_local())
            with Client6(device, mac) as client:
                yield client

    @staticmethod
    def _link_local() -> set[str]:
        lines = Path("/proc/thread-self/net/if_inet6").read_text().splitlines()
        return {words[5] for line in lines if (words := line.split())[3] == "20" and not int(words[4], 16) & 0x40}


def host(number: int, address: str | None = None, **changes: t.Any) -> dict[str, t.Any]:
    """Return the host item of client number."""
    item: dict[str, t.Any] = {
        "mac": f"fa:16:3e:00:00:{number:02x}",
        "hostname": f"web-{number}",
        "addresses": [address or f"10.0.0.{100 + number}"],
    }
    return {**item, **changes}


def mac(number: int) -> str:
    return f"fa:16:3e:00:00:{number:02x}"
