# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measurement counts, and what it leaves behind."""

from __future__ import annotations

import socket
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import router_probe
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.router_probe import Target, Way
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip, links, private_network
from ansible_collections.weft.fabric.tests.unit.vrrp.fake_systemd import wait_for

ROUTER_MAC = "fa:16:3e:00:00:01"
WAY = {
    "router": "blue/r1",
    "namespace": "weft-t-port",
    "interface": "eth0",
    "source": "10.0.0.9",
    "mac": ROUTER_MAC,
    "targets": [{"address": "203.0.113.1", "what": "outside"}, {"address": "10.0.0.1", "what": "the router itself"}],
}


@pytest.fixture
def router() -> t.Iterator[str]:
    """A port without a route, and a router that answers."""
    with private_network():
        ip("netns add weft-t-port", "netns add weft-t-router")
        ip(f"link add eth0 netns weft-t-port type veth peer name qr address {ROUTER_MAC} netns weft-t-router")
        ip("addr add 10.0.0.9/24 dev eth0", "link set eth0 up", namespace="weft-t-port")
        ip("addr add 10.0.0.1/24 dev qr", "link set qr up", "link set lo up", namespace="weft-t-router")
        yield "weft-t-router"


def start(directory: Path, *ways: dict[str, t.Any]) -> dict[str, t.Any]:
    return router_probe.start(router_probe.parse(ways), 30, str(directory))


def test_the_farthest_that_answers_is_measured(router: str, tmp_path: Path) -> None:
    started = start(tmp_path / "p", WAY)
    assert [entry["what"] for entry in started["measuring"]] == ["the router itself"]
    router_probe.stop(str(tmp_path / "p"))
    ip("addr add 203.0.113.1/32 dev lo", namespace=router)
    started = start(tmp_path / "p", WAY)
    assert [entry["what"] for entry in started["measuring"]] == ["outside"]
    (result,) = router_probe.stop(str(tmp_path / "p"))
    assert (result["lost"], result["longest_gap_ms"], result["target"]) == (0, 0, "203.0.113.1")
    assert not (tmp_path / "p").exists()


def test_a_gap_is_seen_and_its_length_told(router: str, tmp_path: Path) -> None:
    start(tmp_path / "p", WAY)
    ip("link set qr down", namespace=router)
    with pytest.raises(AssertionError):
        wait_for("nothing", lambda: False, patience=0.3)
    ip("link set qr up", namespace=router)
    wait_for("an answer", lambda: "LOWER_UP" in links(router)["qr"]["flags"])
    (result,) = router_probe.stop(str(tmp_path / "p"))
    assert 20 <= result["lost"] < result["sent"]
    assert 250 <= result["longest_gap_ms"] < 2000


def test_a_way_on_which_nobody_answers_is_told_and_the_next_one_taken(router: str, tmp_path: Path) -> None:
    silent = {**WAY, "mac": "fa:16:3e:00:00:99"}
    gone = {**WAY, "namespace": "weft-t-gone"}
    started = start(tmp_path / "p", silent, {**WAY, "router": "blue/r2", "mac": "fa:16:3e:00:00:99"})
    assert started == {"measuring": [], "silent": ["blue/r1", "blue/r2"]}
    assert router_probe.stop(str(tmp_path / "p")) == []
    started = start(tmp_path / "p", silent, gone, WAY)
    assert [entry["router"] for entry in started["measuring"]] == ["blue/r1"]
    assert started["silent"] == []
    router_probe.stop(str(tmp_path / "p"))


def test_it_ends_by_itself(router: str, tmp_path: Path) -> None:
    router_probe.start(router_probe.parse([WAY]), 1, str(tmp_path / "p"))
    wait_for("the end", (tmp_path / "p/result").exists)
    assert [result["router"] for result in router_probe.stop(str(tmp_path / "p"))] == ["blue/r1"]


def test_an_answer_is_known_by_what_was_sent() -> None:
    request = router_probe.echo_request("10.0.0.9", "203.0.113.1", 77, 70000)
    assert router_probe.echo_reply(request) is None
    reply = bytearray(request)
    reply[12:20] = socket.inet_aton("203.0.113.1") + socket.inet_aton("10.0.0.9")
    reply[20] = 0
    assert router_probe.echo_reply(bytes(reply)) == ("203.0.113.1", 77, 70000)
    assert all(router_probe.echo_reply(bytes(reply[:length])) is None for length in range(len(reply)))


@pytest.mark.parametrize(
    ("answered", "gap"), [({0, 1, 2, 3}, 0), ({0, 3}, 20), ({0, 1, 2}, 10), (set(), 40), ({0, 2}, 10)]
)
def test_the_longest_gap_is_from_the_first_lost_to_the_next_answered(answered: set[int], gap: int) -> None:
    assert round(router_probe.longest_gap([0.0, 0.01, 0.02, 0.03], answered) * 1000) == gap


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"mac": "fa:16:3e"}, "is not a MAC address"),
        ({"mac": "x"}, "is not a MAC address"),
        ({"source": "::1"}, "way through router blue/r1: "),
        ({"targets": []}, "there is no target"),
        ({"interface": "eth0; rm"}, "interface"),
    ],
)
def test_bad_arguments_are_refused(change: dict[str, t.Any], error: str) -> None:
    with pytest.raises(FabricError, match=error):
        router_probe.parse([{**WAY, **change}])


def test_a_way_has_its_targets() -> None:
    assert router_probe.parse([WAY]) == [
        Way(
            "blue/r1",
            "weft-t-port",
            "eth0",
            "10.0.0.9",
            ROUTER_MAC,
            (Target("203.0.113.1", "outside"), Target("10.0.0.1", "the router itself")),
        )
    ]


def test_a_number_that_is_used_again_is_nobody_to_be_ended(tmp_path: Path) -> None:
    """The process is not the one that has written its number."""
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            (tmp_path / "pid").write_text(f"{other.pid} 1\n", encoding="ascii")
            assert router_probe.stop(str(tmp_path)) == []
            assert other.poll() is None
        finally:
            other.kill()
    assert not tmp_path.exists()
