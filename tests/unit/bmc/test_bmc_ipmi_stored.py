# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPMI over the wire, with a BMC that stores its boot flags, and that fails on demand."""

from __future__ import annotations

import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import device_lock
from ansible_collections.weft.fabric.tests.unit.bmc.runs import boot, info, node, power, predicted_and_done, within
from ansible_collections.weft.fabric.tests.wire.ipmi_server import IpmiServer
from ansible_collections.weft.fabric.tests.wire.ipmi_sim import Relay

ON = ["control", 1]
# Bits of the first byte of the boot flags.
PERSISTENT, UEFI = 0x40, 0x20


def sessions(server: IpmiServer, number: int) -> None:
    """So many sessions were opened, and as many are closed."""
    assert server.log.count(["open"]) == number
    server.wait_for(["close"], times=number)
    assert server.log.count(["close"]) == number


def commands(server: IpmiServer) -> list[list[t.Any]]:
    return [words for words in server.log if words[0] in ("control", "flags")]


@pytest.mark.parametrize(
    ("wanted", "flags"),
    [
        ({"device": "pxe", "boot_mode": "uefi"}, ["flags", 0xA0, 0x04]),
        ({"device": "pxe", "boot_mode": "bios"}, ["flags", 0x80, 0x04]),
        ({"device": "disk", "boot_mode": "uefi", "persistent": True}, ["flags", 0xE0, 0x08]),
        ({"device": "cdrom"}, ["flags", 0x80, 0x14]),
        ({"device": "bios", "persistent": True}, ["flags", 0xC0, 0x18]),
        ({"device": "usb"}, ["flags", 0x80, 0x3C]),
    ],
)
def test_boot_devices_are_set_read_back_and_left_alone(
    tmp_path: Path, wanted: dict[str, t.Any], flags: list[t.Any]
) -> None:
    with IpmiServer(tmp_path / "bmc").running() as server:
        done = predicted_and_done(boot, node(server.bmc(), **wanted))
        assert done["failure"] is None
        assert commands(server) == [flags]
        for check_mode in (True, False):
            assert not boot(node(server.bmc(), **wanted), check_mode=check_mode)["changed"]
        found = info(node(server.bmc()))["nodes"][0]
        assert {key: found[key] for key in wanted} == wanted

        assert predicted_and_done(boot, node(server.bmc(), device="none"))["changed"]
        assert info(node(server.bmc()))["nodes"][0]["device"] == "none"
        sessions(server, 8)


def test_a_mode_that_is_not_given_stays(tmp_path: Path) -> None:
    with IpmiServer(tmp_path / "bmc").running() as server:
        boot(node(server.bmc(), device="disk", boot_mode="uefi"))
        boot(node(server.bmc(), device="pxe"))
        assert commands(server)[-1] == ["flags", 0xA0, 0x04]


@pytest.mark.parametrize(
    ("forgets", "wanted", "told"),
    [
        (PERSISTENT, {"device": "disk", "persistent": True, "boot_mode": "uefi"}, "disk once uefi"),
        (UEFI, {"device": "disk", "persistent": True, "boot_mode": "uefi"}, "disk always bios"),
    ],
)
def test_flags_that_are_stored_in_part_are_caught(
    tmp_path: Path, forgets: int, wanted: dict[str, t.Any], told: str
) -> None:
    with IpmiServer(tmp_path / "bmc", forgets=forgets).running() as server:
        done = boot(node(server.bmc(), **wanted))
        assert f"it accepted boot device disk always uefi, but tells {told} when it is asked" in done["failure"]


def test_supermicro_has_a_selector_of_its_own(tmp_path: Path) -> None:
    with IpmiServer(tmp_path / "bmc", maker=10876).running() as server:
        wanted = node(server.bmc(), device="disk", boot_mode="uefi", persistent=True)
        assert boot(wanted)["failure"] is None
        assert commands(server) == [["flags", 0xE0, 0x24]]
        assert not boot(wanted)["changed"]


@pytest.mark.parametrize("fault", ["no_session", "busy"])
def test_what_is_transient_is_tried_again(tmp_path: Path, fault: str) -> None:
    with IpmiServer(tmp_path / "bmc", **{fault: 2}).running() as server:
        done = power(node(server.bmc(), state="on"))

        assert done["failure"] is None
        assert commands(server) == [ON]
        sessions(server, 1)


def test_but_not_for_ever(tmp_path: Path) -> None:
    with IpmiServer(tmp_path / "bmc", no_session=1000).running() as server:
        with within(6, at_least=1.5):
            done = power(node(server.bmc(retry_timeout=2.0), state="on"))
        assert "it has no session left for us" in done["failure"]
        assert 2 <= server.log.count(["no session"]) <= 5


def test_a_command_that_is_refused_is_not_tried_again(tmp_path: Path) -> None:
    with IpmiServer(tmp_path / "bmc", refuses={"2": 0xD5}).running() as server:
        with within(5):
            done = power(node(server.bmc(), state="on"))
        assert "it cannot power on: Command not supported in present state (completion code 0xd5)" in done["failure"]
        sessions(server, 1)


def test_a_bmc_without_boot_options(tmp_path: Path) -> None:
    with IpmiServer(tmp_path / "bmc", refuses={"9": 0xC1}).running() as server:
        assert "it cannot tell its boot device" in boot(node(server.bmc(), device="pxe"))["failure"]
        assert commands(server) == []
        done = predicted_and_done(boot, node(server.bmc(), device="pxe", verify="warn"))
        assert done["changes"] == ["n1: boot device unknown -> pxe once"]
        assert commands(server) == [["flags", 0x80, 0x04]]
        found = info(node(server.bmc()))["nodes"][0]
        assert found["state"] == "off"
        assert found["device"] is None
        assert len(found["warnings"]) == 1


def test_a_bmc_that_loses_its_session_while_power_changes(tmp_path: Path) -> None:
    """A BMC on the machine's own port is away for a moment when the machine's power goes."""
    off = ["control", 0]
    with (
        IpmiServer(tmp_path / "bmc", power="on").running() as server,
        Relay(server.port, until=lambda: off in server.log) as relay,
    ):
        bmc = server.bmc(port=relay.port, timeout=3.0)
        found: dict[str, t.Any] = {}
        run = threading.Thread(target=lambda: found.update(power(node(bmc, state="off", power_timeout=40.0))))
        run.start()
        server.wait_for(off)
        run.join(8)
        assert run.is_alive(), "it gave up at once"
        relay.silent = False
        run.join(60)
        assert not run.is_alive()
        assert found["failure"] is None
        assert commands(server) == [off]


def test_a_bmc_that_never_comes_back_from_a_power_command(tmp_path: Path) -> None:
    off = ["control", 0]
    with (
        IpmiServer(tmp_path / "bmc", power="on").running() as server,
        Relay(server.port, until=lambda: off in server.log) as relay,
        within(30),
    ):
        done = power(node(server.bmc(port=relay.port, timeout=2.0), state="off", power_timeout=4.0))
        assert "it did not answer the command to power off, but 4 s later its power is still not off" in done["failure"]
        assert commands(server) == [off]


def test_the_session_ends_whatever_happens(tmp_path: Path) -> None:
    with IpmiServer(tmp_path / "bmc", refuses={"1": 0xFF}).running() as server:
        assert "Unspecified" in power(node(server.bmc(), state="on"))["failure"]
        sessions(server, 1)


def test_one_session_at_a_time(tmp_path: Path) -> None:
    """Nodes are worked on side by side, but never two at one BMC."""
    with IpmiServer(tmp_path / "bmc").running() as server:
        nodes = [node(server.bmc(), name=f"n{number}", state="on") for number in range(4)]
        assert power(*nodes)["failure"] is None
        order = [words[0] for words in server.log if words[0] in ("open", "close")]
        assert order == ["open", "close"] * 4
        assert commands(server) == [ON], "only the first found it off"


def test_waiting_for_another_run_has_a_bound(tmp_path: Path) -> None:
    with IpmiServer(tmp_path / "bmc").running() as server:
        with device_lock.machine_lock("x", "127.0.0.1", server.port, 1, "another"), within(4, at_least=1):
            done = power(node(server.bmc(lock_timeout=1.0), state="on"))
        assert f"node n1, BMC ipmi, 127.0.0.1 port {server.port}: process " in done["failure"]
        assert "has been at it for more than 1 s" in done["failure"]
        assert server.log == []
