# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift, and runs that were killed: the next run makes it good."""

from __future__ import annotations

import os
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import (
    iproute,
    namespaces,
)
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip, links
from ansible_collections.weft.fabric.tests.unit.namespaces.runs import (
    FULL,
    changes,
    inside,
    outside,
    picture,
    run,
    tap,
    veth,
)

pytestmark = pytest.mark.usefixtures("host")


@pytest.mark.parametrize(
    "damage",
    [
        ["netns del weft-t-a"],
        ["link del tap1"],
        ["-n link del eth0"],
        ["-n link set eth0 name other"],
        ["-n link set eth0 address 02:00:00:00:00:99 mtu 1300"],
        ["-n link set eth0 down"],
        ["link set tap1 down"],
        ["-n addr flush dev eth0"],
        ["-n addr add 10.0.0.77/24 dev eth0"],
        ["-n route del default"],
        ["-n route replace default via 10.0.0.3"],
        ["-n link set lo down"],
        ["link del tap9"],
        ["link set tap9 mtu 1300"],
    ],
)
def test_drift_is_mended(damage: list[str]) -> None:
    items = [inside(FULL, routes=[{"to": "default", "via": "10.0.0.1"}]), outside(tap(mtu=1450))]
    run(*items, purge=True)
    before = picture()
    for line in damage:
        prefix, rest = line.split(" ", 1)
        ip(rest if prefix == "-n" else line, namespace="weft-t-a" if prefix == "-n" else None)
    assert picture() != before
    run(*items, purge=True)
    assert picture() == before
    assert not run(*items, purge=True)["changed"]


def test_a_namespace_removed_under_a_running_program() -> None:
    """The program keeps the namespace alive, and with it the host's end of the pair."""
    run(inside(FULL))
    program = subprocess.Popen(
        ["ip", "netns", "exec", "weft-t-a", "sh", "-c", "echo; exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    program.stdout.readline()
    ip("netns del weft-t-a")
    assert "tap1" in links()
    assert changes(inside(FULL)) == ["create namespace weft-t-a", "create veth eth0 in weft-t-a with peer tap1"]
    assert links("weft-t-a")["eth0"]["link_index"] == links()["tap1"]["ifindex"]
    program.communicate()


class Killed(BaseException):
    """Like SIGKILL, nothing catches it."""


CUT = [
    inside(FULL, routes=[{"to": "default", "via": "10.0.0.1"}]),
    inside(tap("tap8", mtu=1450), veth("eth1", "tap2", tx_checksum=False), name="weft-t-b"),
    outside(tap(mtu=1450), veth("left", "right")),
]


def cut_after(limit: int, monkeypatch: pytest.MonkeyPatch) -> t.Callable[[], bool]:
    """Let ip do so many lines and no more. Return whether it came to that."""
    left = [limit]
    call = iproute._call

    def short(options: list[str], lines: list[str], name: str | None, family: int | None) -> t.Any:
        chosen = lines[: left[0]]
        done = call(options, chosen, name, family) if chosen else None
        left[0] -= len(chosen)
        if len(chosen) < len(lines):
            raise Killed
        return done

    def short_all(wanted: dict[str, list[str]], family: int | None) -> list[t.Any]:
        return [short([], lines, name, family) for name, lines in wanted.items()]

    monkeypatch.setattr(iproute, "_call", short)
    monkeypatch.setattr(iproute, "_call_all", short_all)
    return lambda: left[0] == 0


@pytest.mark.parametrize("purge_next", [False, True])
def test_a_run_killed_anywhere_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch, purge_next: bool) -> None:
    run(*CUT)
    expected = picture()
    run(purge=True)
    empty = picture()
    for limit in range(100):
        with monkeypatch.context() as patch:
            cut_after(limit, patch)
            try:
                run(*CUT)
            except Killed:
                killed = True
            else:
                killed = False
        if purge_next:
            # The operator thought again: what was half made must go, marked or not.
            run(purge=True)
            assert picture() == empty, f"after {limit} lines"
        run(*CUT)
        assert picture() == expected, f"after {limit} lines"
        assert not run(*CUT)["changed"]
        run(purge=True)
        assert picture() == empty
        if not killed:
            assert limit > 20
            return
    raise AssertionError("the run never came to its end")


def test_a_removal_killed_anywhere_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = picture()
    for limit in range(100):
        run(*CUT)
        with monkeypatch.context() as patch:
            cut_after(limit, patch)
            try:
                run(purge=True)
            except Killed:
                killed = True
            else:
                killed = False
        run(purge=True)
        assert picture() == empty, f"after {limit} lines"
        if not killed:
            return
    raise AssertionError("the run never came to its end")


def test_only_what_was_begun_is_adopted() -> None:
    """The negative: the note of an interrupted run does not cover what came from elsewhere."""
    namespaces.namespaces_current.write_intent(["weft-t-a"], {None: ["tap1"], "weft-t-a": ["eth0"]})
    ip("link add tap9 type bridge")
    with pytest.raises(FabricError, match=r"link tap9 in the host exists"):
        run(inside(FULL), outside(tap()))
    changes(inside(FULL))
    assert not os.path.exists(namespaces.namespaces_current.INTENT_FILE)


def test_a_namespace_file_without_a_namespace() -> None:
    Path("/run/netns/weft-t-a").touch()
    assert changes(inside(FULL))[0] == "create namespace weft-t-a"
    assert "eth0" in links("weft-t-a")
