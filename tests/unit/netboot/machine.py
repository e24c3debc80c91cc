# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network with a boot server and nodes, in namespaces of its own, and a stand-in for systemd that runs daemons."""

from __future__ import annotations

import contextlib
import http.client
import os
import shlex
import signal
import subprocess
import time
import typing as t
from pathlib import Path

from ansible_collections.weft.fabric.plugins.module_utils import netns
from ansible_collections.weft.fabric.plugins.module_utils.netboot_files import BootFilesEngine
from ansible_collections.weft.fabric.plugins.module_utils.netboot_files_info import describe
from ansible_collections.weft.fabric.plugins.module_utils.netboot_paths import Paths
from ansible_collections.weft.fabric.plugins.module_utils.netboot_servers import BootServersEngine
from ansible_collections.weft.fabric.plugins.module_utils.netboot_units import DHCP, HTTP, unit_name
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, reconcile
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd, Unit
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.boot_texts import with_texts
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip
from ansible_collections.weft.fabric.tests.unit.netboot.firmware import Firmware

Item = dict[str, t.Any]

CLIENTS = "weft-t-clients"
NAME = "weft-t"
SERVER = "10.66.100.2"
PATIENCE = 5.0

# The mount namespace is the test's own. A worker of nginx may go anywhere here, which it could not below pytest's.
ROOT = Path("/mnt")

MACS = {"n1": "52:54:00:00:00:01", "n2": "52:54:00:00:00:02"}
ADDRESSES = {"n1": "10.66.100.11", "n2": "10.66.100.12", "stranger": "10.66.100.77"}


def wait_for(what: str, condition: t.Callable[[], t.Any]) -> t.Any:
    """Return what a condition gives as soon as it gives something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE} s in vain for {what}"
        time.sleep(0.01)
    return found


def is_running(pid: int) -> bool:
    """Whether a process is one of the daemons, and more than a name."""
    try:
        program, rest = Path(f"/proc/{pid}/stat").read_text().split("(", 1)[1].rsplit(")", 1)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return program in ("dnsmasq", "nginx") and rest.split()[0] != "Z"


class FakeSystemd(Systemd):
    """Runs what a unit file says, and remembers what it was asked."""

    def __init__(self, paths: Paths):
        self.paths = paths
        self.calls: list[tuple[str, ...]] = []
        self.known: set[str] = set()
        self.reloads = 0

    def units(self, pattern: str) -> dict[str, Unit]:
        prefix = pattern.split("*", maxsplit=1)[0]
        return {name: Unit(self.alive(name), self.pid(name)) for name in sorted(self.known) if name.startswith(prefix)}

    def start(self, names: t.Sequence[str]) -> None:
        self._note("start", names)
        for name in names:
            self.known.add(name)
            values = self._values(name)
            pid_file = Path(values["PIDFile"])
            pid_file.parent.mkdir(parents=True, exist_ok=True)
            pid_file.unlink(missing_ok=True)
            words = ["ip", "netns", "exec", f"qboot-{self._server(name)}", *shlex.split(values["ExecStart"])]
            with open(self.journal(name), "ab") as journal:
                done = subprocess.run(words, stdout=journal, stderr=journal, stdin=subprocess.DEVNULL, check=False)
            if done.returncode != 0:
                raise FabricError(f"systemctl start failed: {self.journal(name).read_text()}")
            # Process 1 waits for the file, too.
            wait_for(f"the process of {name}", lambda name=name: self.alive(name))

    def stop(self, names: t.Sequence[str]) -> None:
        self._note("stop", names)
        self._end(names, signal.SIGTERM)

    def reload(self, names: t.Sequence[str]) -> None:
        self._note("reload", names)
        for name in names:
            os.kill(self.pid(name), signal.SIGHUP)

    def daemon_reload(self) -> None:
        self.reloads += 1

    def crash(self, *names: str) -> None:
        """End daemons as a power cut does."""
        self._end(names, signal.SIGKILL)

    def _end(self, names: t.Sequence[str], number: int) -> None:
        for name in filter(self.alive, names):
            # Halted first: a process that is told of its child's end would have another.
            os.kill(self.pid(name), signal.SIGSTOP)
            found = self.processes(name)
            if number == signal.SIGKILL:
                for pid in found:
                    os.kill(pid, number)
            else:
                os.kill(found[0], number)
                os.kill(found[0], signal.SIGCONT)
            wait_for(f"the end of {name}", lambda found=found: not any(map(is_running, found)))

    def crash_all(self) -> None:
        self.crash(*self.known)

    def pid(self, name: str) -> int:
        try:
            values = self._values(name)
            return int(Path(values["PIDFile"]).read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def processes(self, name: str) -> list[int]:
        """Return the main process of a unit and its children."""
        if not self.alive(name):
            return []
        pid = self.pid(name)
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def alive(self, name: str) -> bool:
        return is_running(self.pid(name))

    def journal(self, name: str) -> Path:
        return ROOT / f"{name}.journal"

    def _values(self, name: str) -> dict[str, str]:
        template = Path(self.paths.units, name.split("@", maxsplit=1)[0] + "@.service")
        text = template.read_text().replace("%i", self._server(name)).replace("\\\n", "")
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    @staticmethod
    def _server(name: str) -> str:
        return name.split("@")[1][: -len(".service")]

    def _note(self, verb: str, names: t.Sequence[str]) -> None:
        if names:
            self.calls.append((verb, *names))


class BootNet:
    """One network: a bridge with the nodes, and the boot server that hangs on it."""

    dhcp = unit_name(DHCP, NAME)
    http = unit_name(HTTP, NAME)

    def __init__(self) -> None:
        self.paths = Paths(
            directory=str(ROOT / "fabric" / "boot"),
            units=str(ROOT / "units"),
            run=str(ROOT / "run"),
            relay=str(ROOT / "libexec" / "weft-fabric-relay"),
        )
        self.systemd = FakeSystemd(self.paths)

    def __enter__(self) -> BootNet:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(ROOT)], check=True)
        (ROOT / "units").mkdir()
        ip(f"netns add {CLIENTS}", f"netns add qboot-{NAME}")
        ip("link add br0 type bridge mcast_snooping 0", "link set br0 up", namespace=CLIENTS)
        ip(*(f"addr add {address}/24 dev br0" for address in ADDRESSES.values()), namespace=CLIENTS)
        self.wire()
        return self

    def __exit__(self, *exc: object) -> None:
        self.systemd.crash_all()

    def wire(self) -> None:
        """Plug the server in."""
        namespace = f"qboot-{NAME}"
        ip(f"link add s0 netns {namespace} type veth peer name p0 netns {CLIENTS}")
        ip("link set p0 master br0 up", namespace=CLIENTS)
        ip(
            "link set lo up",
            f"addr add {SERVER}/24 dev s0",
            "addr add fd66::1/64 dev s0 nodad",
            "link set s0 up",
            namespace=namespace,
        )

    # servers

    def server(self, *names: str, volumes: bool = False, **changes: t.Any) -> Item:
        """Return the item of the boot server for some nodes; all of them unless some are named."""
        nodes = [node(name) for name in names or MACS]
        item = {
            "name": NAME,
            "namespace": f"qboot-{NAME}",
            "interface": "s0",
            "address": SERVER,
            "cidr": "10.66.100.0/24",
            "http_port": 80,
            "ra_prefix": "fd66::/64",
            "lease_time": 3600,
            "nodes": nodes,
        }
        return with_texts({**item, **changes}, {}, self.paths, str(ROOT / "syslog"), volumes)

    def engine(self, *servers: Item, purge: bool = False) -> BootServersEngine:
        return BootServersEngine({"servers": list(servers), "purge": purge}, self.systemd, self.paths)

    def run(self, *servers: Item, purge: bool = False, check_mode: bool = False) -> Item:
        """Reconcile, and forget what systemd was asked before."""
        self.systemd.calls.clear()
        return reconcile(self.engine(*servers, purge=purge), check_mode)

    def workers(self) -> set[int]:
        """Return nginx's workers."""
        return set(self.systemd.processes(self.http)[1:])

    @contextlib.contextmanager
    def reloading(self) -> t.Iterator[None]:
        """Wait afterwards until all workers of nginx are new: for a moment the old ones answer, too."""
        before = self.workers()
        yield
        wait_for("new workers", lambda: self.workers() and not before & self.workers())

    # nodes

    def files_engine(self, *nodes: Item) -> BootFilesEngine:
        return BootFilesEngine({"nodes": list(nodes)}, self.systemd, self.paths)

    def boot(self, *nodes: Item, check_mode: bool = False) -> Item:
        """Say what nodes boot."""
        self.systemd.calls.clear()
        return reconcile(self.files_engine(*nodes), check_mode)

    def info(self, name: str = "n1", *, secrets: bool = False) -> Item:
        """Return what is known of one node."""
        return describe([name], secrets, self.paths)["nodes"][0]

    def add_ramdisk(self) -> None:
        for name in ("vmlinuz", "initrd"):
            Path(self.paths.join("http", "ramdisk", name)).write_bytes(name.encode() * 1000)

    @contextlib.contextmanager
    def firmware(self, mac: str) -> t.Iterator[Firmware]:
        with netns.entered(CLIENTS), Firmware("br0", mac) as found:
            yield found

    def get(self, who: str, path: str, method: str = "GET", **headers: str) -> Answer:
        """Fetch a path as somebody."""
        with netns.entered(CLIENTS):
            connection = http.client.HTTPConnection(SERVER, 80, PATIENCE, source_address=(ADDRESSES[who], 0))
            with contextlib.closing(connection):
                connection.request(method, path, headers={key.replace("_", "-"): text for key, text in headers.items()})
                response = connection.getresponse()
                return Answer(response.status, response.read(), dict(response.getheaders()))


class Answer(t.NamedTuple):
    """What nginx said."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def text(self) -> str:
        assert self.status == 200, self.status
        return self.body.decode()


def node(name: str, **changes: t.Any) -> Item:
    """Return the item of a node, as boot_servers takes it."""
    return {"name": name, "address": ADDRESSES[name], "mac_addresses": [MACS[name]], **changes}


def boot(what: str, name: str = "n1", **changes: t.Any) -> Item:
    """Return the item of a node, as boot_files takes it."""
    return {**node(name), "server": NAME, "boot": what, **changes}


def script(name: str = "n1") -> str:
    """Return the path of a node's script."""
    return f"/nodes/{MACS[name].replace(':', '-')}.ipxe"
