# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenarios routers and ha share: the machines of their topology, and the provider's side."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Topology

from .lab import Host, wait_for
from .router import RouterOnHosts
from .tenant import Tenant
from .traffic import Question, Server, ask

WORLD, WORLD_V6 = "203.0.113.1", "2001:db8:cafe::1"
ECHO = 7777
# What each machine listens on, whether or not a floating IP leads there.
PORTS = ("22-23", "2222", "2999-3011", "3999-4003", "4999-5003", str(ECHO))


class Machine:
    """A tenant's machine that answers everybody, with its name, project-port, and whom it sees."""

    def __init__(self, tenant: Tenant, model: Topology, project: str, port: str) -> None:
        self.tenant = tenant
        self.host, self.namespace = tenant.host, tenant.namespace
        self.name = f"{project}-{port}"
        self.model = model.projects[project].ports[port]
        floating = (fip for fip in model.projects[project].floating_ips.values() if fip.port == port)
        self.floating: str | None = next((str(fip.address) for fip in floating), None)

    def __str__(self) -> str:
        return self.name

    def address(self, version: int = 4) -> str:
        return next(str(address) for address in self.model.addresses if address.version == version)

    def ask(self, *questions: Question, seconds: float = 2.5) -> list[str]:
        return ask(self.host, self.namespace, questions, seconds)

    def reaches(self, target: str, count: int = 3) -> bool:
        return self.tenant.reaches(target, count)

    def solicit(self) -> str:
        """Ask for a router advertisement, and return what was answered: the kernel hears the answer too."""
        return self.host.try_run(f"ip netns exec {self.namespace} rdisc6 -1 -r 3 -w 1000 eth0").stdout

    def default_route_v6(self) -> str:
        return self.tenant.run("ip -6 route show default").strip()

    def autoconfigured(self) -> Machine:
        """Wait for what advertisements give: the address that the topology foretold, and a default route."""

        def done() -> bool:
            return self.address(6) in self.tenant.addresses() and bool(self.default_route_v6())

        wait_for(f"the IPv6 address of {self}", lambda: done() or (self.solicit() and done()), 20)
        return self


class Machines:
    """All machines, each booted (DHCP, then its server) when it is first asked for."""

    def __init__(self, lab: t.Callable[[str], Host], model: Topology) -> None:
        self._lab = lab
        self._model = model
        self._found: dict[tuple[str, str], Machine] = {}
        self._servers: dict[tuple[str, str], Server] = {}

    def __call__(self, project: str, name: str) -> Machine:
        key = (project, name)
        if key not in self._found:
            port = self._model.projects[project].ports[name]
            tenant = Tenant(self._lab(port.host or ""), port.binding.namespace or "")
            tenant.dhcp()
            machine = Machine(tenant, self._model, project, name)
            self._servers[key] = Server(machine.host, machine.namespace, machine.name, *PORTS)
            self._found[key] = machine
        return self._found[key]

    def forget(self, host: str) -> None:
        """A host has lost its power: its machines boot again when they are next asked for."""
        for key in [key for key, machine in self._found.items() if machine.host.name == host]:
            del self._found[key], self._servers[key]

    def shut_down(self, project: str, name: str) -> None:
        """Stop one machine: it boots again when it is next asked for."""
        self._servers.pop((project, name)).stop()
        del self._found[project, name]

    def stop(self) -> None:
        for server in self._servers.values():
            server.stop()


class World:
    """The provider's side: a host that answers at 203.0.113.1 and knows no address inside unless it is told."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._server = Server(host, None, "world", ECHO)
        self._routes: list[str] = []

    def ask(self, *questions: Question, seconds: float = 2.5) -> list[str]:
        return ask(self.host, None, questions, seconds)

    def route(self, to: str, via: str) -> None:
        """Tell the world a way inside."""
        self.host.run(f"ip route replace {to} via {via} dev eth2")
        self._routes.append(f"{to} via {via} dev eth2")

    def forget(self, to: str) -> None:
        for route in [route for route in self._routes if route.startswith(f"{to} ")]:
            self.host.try_run(f"ip route delete {route}")
            self._routes.remove(route)

    def stop(self) -> None:
        self._server.stop()
        for route in list(self._routes):
            self.forget(route.split()[0])


@pytest.fixture(scope="session")
def topology_source() -> Path:
    return Path(__file__).parents[2] / "molecule/routers/topology.yml"


@pytest.fixture(scope="session")
def model(topology_source: Path) -> Topology:
    return build(str(topology_source))


@pytest.fixture(scope="session")
def machines(lab: t.Callable[[str], Host], model: Topology) -> t.Iterator[Machines]:
    """Return machines by project and port."""
    found = Machines(lab, model)
    yield found
    found.stop()


@pytest.fixture(scope="session")
def world(lab: t.Callable[[str], Host]) -> t.Iterator[World]:
    found = World(lab("world"))
    yield found
    found.stop()


@pytest.fixture(scope="session")
def router(lab: t.Callable[[str], Host], model: Topology) -> t.Callable[[str, str], RouterOnHosts]:
    """Return routers by project and name."""
    return lambda project, name: RouterOnHosts(lab, model, project, name)
