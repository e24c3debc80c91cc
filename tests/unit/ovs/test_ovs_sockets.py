# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device that is made anew under its old name: a real userspace datapath, on a host without any other network."""

from __future__ import annotations

import socket
import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import ovs_sockets
from ansible_collections.weft.fabric.plugins.module_utils.ovs_transaction import Transaction
from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import OvsdbClient
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import reconcile
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip, private_network
from ansible_collections.weft.fabric.tests.unit.namespaces.runs import inside, outside, run, tap, veth
from ansible_collections.weft.fabric.tests.unit.ovs.helpers import bridge, bridges_engine, column, cycle, port
from ansible_collections.weft.fabric.tests.unit.ovs_sandbox import OvsSandbox

WANTED = [bridge("br-int", port("tap1", 3), port("tap2", 4), fail_mode="standalone")]
PLUG_AGAIN = "interface tap1 on br-int: plug in again (its device was made anew)"


@pytest.fixture
def real() -> t.Iterator[OvsSandbox]:
    """An Open vSwitch with real devices, on a host of its own."""
    with private_network(), OvsSandbox(override=False) as sandbox:
        run(outside(tap("tap1"), tap("tap2")))
        reconcile(bridges_engine(sandbox, WANTED))
        yield sandbox


def heard() -> list[bool]:
    """Tell whether somebody listens on the two devices."""
    with open(ovs_sockets.SOCKETS, encoding="ascii") as stream:
        numbers = {line.split()[4] for line in stream}
    return [str(socket.if_nametoindex(name)) in numbers for name in ("tap1", "tap2")]


@pytest.mark.parametrize("kind", ["tap", "veth"])
def test_a_device_made_anew_is_plugged_in_again(real: OvsSandbox, kind: str) -> None:
    if kind == "tap":
        ip("link del tap1", "tuntap add dev tap1 mode tap", "link set tap1 up")
    else:
        run(inside(veth("eth0", "tap1")), outside(tap("tap2")))
    assert heard() == [False, True]
    tap2 = column(real, "Interface", "tap2", "ofport")
    assert cycle(bridges_engine(real, WANTED))["changes"] == [PLUG_AGAIN]
    assert heard() == [True, True]
    assert column(real, "Interface", "tap2", "ofport") == tap2


def test_a_run_that_was_killed_in_between_is_finished_by_the_next(
    real: OvsSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ip("link del tap1", "tuntap add dev tap1 mode tap", "link set tap1 up")

    def killed(*_arguments: t.Any) -> t.NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Transaction, "build", killed)
        with pytest.raises(KeyboardInterrupt):
            reconcile(bridges_engine(real, WANTED))
    assert cycle(bridges_engine(real, WANTED))["changed"]
    assert heard() == [True, True]


def test_nobody_is_judged_without_knowledge(real: OvsSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    ip("link del tap1", "tuntap add dev tap1 mode tap", "link set tap1 up")
    engine = bridges_engine(real, WANTED)
    with monkeypatch.context() as patched:
        patched.setattr(ovs_sockets, "SOCKETS", "/proc/there/is/none")
        assert engine.read().deaf == set()
    with OvsdbClient(real.socket_path) as client:
        ip("link set br-int name br-other")  # the devices are not those that this Open vSwitch has
        client.wait_applied(client.commit([], []))
        assert engine.read().deaf == set()


def test_a_device_that_went_is_nobody_deaf(real: OvsSandbox) -> None:
    ip("link del tap1")
    assert bridges_engine(real, WANTED).read().deaf == set()
