# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the engine the way a play does, against the scripted server."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.switch_driver_openconfig import OpenConfigDriver
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import State
from ansible_collections.weft.fabric.plugins.module_utils.switch_ports import SwitchRun
from ansible_collections.weft.fabric.tests.wire import netconf_openconfig as openconfig
from ansible_collections.weft.fabric.tests.wire.netconf_server import Faults, NetconfServer

Item = dict[str, t.Any]

READS = {"get", "get-config", "close-session"}
VLANS = [{"vlan_id": number, "name": f"weft-{number}"} for number in (100, 110, 120, 130)]
# As a leaf switch is found: one port in use, the others free.
LEAF: tuple[Item, ...] = (
    {"name": "Ethernet1", "mode": "access", "vlan": 110},
    *({"name": f"Ethernet{number}"} for number in range(2, 10)),
)


def leaf(*items: Item, vlans: t.Iterable[Item] = VLANS, **options: t.Any) -> NetconfServer:
    """Return the server of a switch with the ports of LEAF, of which items replace some."""
    ports = {item["name"]: item for item in (*LEAF, *items)}
    return NetconfServer(openconfig.ports(*ports.values(), vlans=vlans), **options)


def broken(*items: Item, vlans: t.Iterable[Item] = VLANS, **faults: t.Any) -> NetconfServer:
    return leaf(*items, vlans=vlans, faults=Faults(**faults))


def arguments(server: NetconfServer, *ports: Item, **more: t.Any) -> Item:
    """Return the module's arguments."""
    switch = {**server.switch(), **more.pop("switch", {})}
    policy = {"allowed_vlans": ["100-199"], **more.pop("policy", {})}
    return {"switch": switch, "ports": list(ports), "policy": policy, "lock_timeout": 20, **more}


def run(server: NetconfServer, *ports: Item, check_mode: bool = False, **more: t.Any) -> Item:
    return SwitchRun(arguments(server, *ports, **more)).run(check_mode)


def changes(server: NetconfServer, *ports: Item, **more: t.Any) -> list[str]:
    """Run as a play does: predict, do, and find nothing left to do. Return what was changed."""
    server.forget()
    predicted = run(server, *ports, check_mode=True, **more)
    assert set(server.names()) <= READS, "check mode is to read only"
    done = run(server, *ports, **more)
    assert {**done, "saved": False} == predicted, "check mode predicted something else"
    server.forget()
    for check_mode in (True, False):
        again = run(server, *ports, check_mode=check_mode, **more)
        assert not again["changed"], again["changes"]
    assert set(server.names()) <= READS, "a run without changes is to read only"
    nothing_left(server)
    return t.cast("list[str]", done["changes"])


def nothing_left(server: NetconfServer) -> None:
    """No lock, no session, no commit that waits, and nothing in candidate that is not in running."""
    until(lambda: not server.sessions, "the sessions end")
    assert server.locks == {}
    assert not server.device.pending
    if "candidate" in server.device.features:
        assert state(server, "candidate") == state(server)


def until(condition: t.Callable[[], bool], what: str, seconds: float = 10) -> None:
    """Wait, but not for ever: a server notices a little later than its client that a session is over."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s until {what}"
        time.sleep(0.01)


def state(server: NetconfServer, store: str = "running") -> State:
    """Return what a datastore says."""
    return OpenConfigDriver().parse(server.device.stores[store])


def refusal(server: NetconfServer, *ports: Item, **more: t.Any) -> str:
    """Run what must fail, find the switch as it was and nothing left behind, and return the error."""
    before = state(server)
    with pytest.raises(FabricError) as caught:
        run(server, *ports, **more)
    assert state(server) == before
    nothing_left(server)
    return str(caught.value)


def port(server: NetconfServer, name: str) -> Item:
    return openconfig.port(server.running, name)


class Background(threading.Thread):
    """A run that goes on while the test does something else."""

    def __init__(self, work: t.Callable[[], t.Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.result: t.Any = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._work()
        except (FabricError, AssertionError) as error:
            self._error = error

    def join(self, timeout: float | None = 60) -> None:
        super().join(timeout)
        assert not self.is_alive(), "the run does not end"
        if self._error is not None:
            raise self._error


def _at_once(params: Item, home: str, answers: multiprocessing.Queue[tuple[str, t.Any]]) -> None:
    os.environ["XDG_STATE_HOME"] = home
    name = params["ports"][0]["name"]
    try:
        answers.put((name, SwitchRun(params).run()["changes"]))
    except FabricError as error:
        answers.put((name, str(error)))


class AtOnce:
    """Runs in processes of their own, as Ansible's forks do."""

    def __init__(self, every: list[Item], homes: list[str]) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([SwitchRun.__module__])
        self._answers: t.Any = context.Queue()
        self.processes = [
            context.Process(target=_at_once, args=(params, home, self._answers))
            for params, home in zip(every, homes, strict=True)
        ]
        for process in self.processes:
            process.start()

    def ended(self, count: int) -> dict[str, t.Any]:
        """Return how so many ended: the changes, or an error."""
        found = dict(self._answers.get(timeout=60) for _number in range(count))
        for process in self.processes:
            process.join(10)
        return found
