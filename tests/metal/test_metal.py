# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes of metal as they are: the collection's own modules power them on, and their consoles and cables tell of it.

The tests are one story, told in order: a boot takes ten seconds or more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from qmp import Qmp

from ansible_collections.weft.fabric.tests.metal.metal import ADDRESSES, Metal, make
from ansible_collections.weft.fabric.tests.unit.bmc.runs import Item, boot, info, node, power
from ansible_collections.weft.fabric.tests.wire.lab import wait_for
from weft_lab import lab as whole
from weft_lab import network, node_faults, nodes

# About ten on a machine that does nothing else.
BOOT_SECONDS = 180


@pytest.fixture(scope="module")
def metal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metal]:
    with make(tmp_path_factory.mktemp("metal")).running() as running:
        yield running


@pytest.fixture(autouse=True)
def state(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def items(metal: Metal, **wanted: object) -> list[Item]:
    return [node(one.bmc(), name, **wanted) for name, one in metal.nodes.items()]


def choose(metal: Metal, device: str) -> Item:
    # ipmi_sim never says that its boot flags are valid.
    return boot(
        *[{**item, "verify": "strict" if item["name"] == "n2" else "warn"} for item in items(metal, device=device)]
    )


def test_they_are_off_at_first_and_no_cable_has_a_carrier(metal: Metal) -> None:
    assert [one["state"] for one in info(*items(metal))["nodes"]] == ["off", "off"]
    assert [one.power() for one in metal.nodes.values()] == ["off", "off"]
    assert [one.bmc_log() for one in metal.nodes.values()] == [[], []]


@pytest.mark.parametrize("name", ["n1", "n2"])
def test_a_wrong_password_powers_nothing_on(metal: Metal, name: str) -> None:
    started = time.monotonic()
    done = power(node(metal.nodes[name].bmc(password="wrong"), name, state="on"))
    assert "it refuses user weft with the password that was given" in done["failure"]
    assert time.monotonic() - started < 5
    assert metal.nodes[name].power() == "off"
    assert metal.nodes[name].bmc_log() == []


def start_from_network(metal: Metal) -> None:
    """Choose the network for one start, power on, and wait until the firmware of both asks for an address."""
    since = metal.mark()
    assert choose(metal, "pxe")["failure"] is None
    done = power(*items(metal, state="on"))
    assert done["failure"] is None
    assert [one["state"] for one in done["nodes"]] == ["on", "on"]
    what = "both nodes' firmware to ask for an address"
    wait_for(what, lambda: metal.asked_by("PXEClient", since) == {"n1", "n2"}, BOOT_SECONDS)
    # It was for once, and is used up.
    assert info(*items(metal))["nodes"][1]["device"] == "none"


def test_they_boot_from_the_network_when_told_so_though_their_disks_are_bootable(metal: Metal) -> None:
    metal.insert_image()
    start_from_network(metal)
    assert not [one.name for one in metal.nodes.values() if "tiny" in one.console()]
    assert "Booting from Hard Disk" not in metal.nodes["n1"].console()


def test_who_has_no_operating_system_is_cut_off(metal: Metal) -> None:
    done = power(*items(metal, state="off", soft_timeout=1.0))
    assert done["failure"] is None
    assert [one["forced"] for one in done["nodes"]] == [True, True]
    for one in metal.nodes.values():
        wait_for(f"the end of {one.name} in its log", lambda one=one: one.bmc_log()[-1].text == "is off", 5)
        assert [event.text for event in one.bmc_log()] == [
            "boot device pxe",
            "power on: boots pxe",
            "soft off",
            "power off",
            "is off",
        ]
        (begin, end) = one.powered()[0]
        assert 0 < end - begin < BOOT_SECONDS + 60
        assert one.was_off_at(begin - 0.01)
        assert not one.was_off_at((begin + end) / 2)
        assert one.was_off_at(end + 0.01)


def test_faults_are_what_they_say(metal: Metal) -> None:
    first, second = metal.nodes.values()
    with first.fault("stuck_off"), second.fault("stuck_off"):
        done = power(*items(metal, state="on", power_timeout=1.0))
        assert done["failure"].count("its power is still not on") == 2
    with second.fault("forgets_boot"):
        assert "it accepted boot device disk once" in boot(node(second.bmc(), "n2", device="disk"))["failure"]
    with first.fault("silent"):
        assert nodes.is_ill(metal.lab, metal.lab.node("n1"))
        assert "it took longer than 2 s to log in" in info(node(first.bmc(connect_timeout=2.0), "n1"))["failure"]
    assert not nodes.is_ill(metal.lab, metal.lab.node("n1"))
    assert info(*items(metal))["failure"] is None


def test_a_restart_from_within_boots_the_image_from_their_disks(metal: Metal) -> None:
    start_from_network(metal)
    for one in metal.nodes.values():
        with Qmp(one.directory / "qmp.sock", 10) as monitor:
            monitor.ask("system_reset")
    since = metal.mark()
    for name, one in metal.nodes.items():
        one.wait_console(rf"^tiny: address {ADDRESSES[name]}/24 on eth0", BOOT_SECONDS)
        one.wait_console(r"^tiny: user data ended with 0", 60)
        assert metal.ssh(name, "hostname; cat /root/said") == f"db-{name}\nhello from db-{name}\n"
        assert metal.pings(name)
        assert [event.text for event in one.bmc_log()][-1] == "power on: boots pxe", "the BMC knows nothing of it"
    # The network was for one start.
    assert metal.asked_by("PXEClient", since) == set()


def test_a_pulled_cable_is_noticed_and_plugged_in_again(metal: Metal) -> None:
    one = metal.lab.node("n1")
    assert node_faults.perform(metal.lab, one, "link-down", "nic0", check=False)["changed"]
    assert not node_faults.perform(metal.lab, one, "link-down", "nic0", check=False)["changed"]
    assert not metal.pings("n1")
    assert metal.pings("n2")
    assert nodes.is_ill(metal.lab, one)
    nodes.repair(metal.lab, one)
    wait_for("an answer to a ping", lambda: metal.pings("n1"), 10)


def test_a_system_powers_off_when_it_is_asked_to(metal: Metal) -> None:
    done = power(*items(metal, state="off", soft_timeout=40.0, hard=False))
    assert done["failure"] is None
    assert [one["forced"] for one in done["nodes"]] == [False, False]
    assert [one.power() for one in metal.nodes.values()] == ["off", "off"]


def test_they_boot_from_disk_when_told_so_or_where_they_do_what_they_want(metal: Metal) -> None:
    first, second = metal.nodes.values()
    marks = {one.name: one.mark() for one in (first, second)}
    since = metal.mark()
    assert choose(metal, "pxe")["failure"] is None
    assert boot(node(second.bmc(), "n2", device="disk", persistent=True))["failure"] is None
    with first.fault("boots_disk"):
        assert power(*items(metal, state="on"))["failure"] is None
    for one in (first, second):
        one.wait_console(r"^tiny: ready", BOOT_SECONDS, marks[one.name])
        # That is once in the life of a server.
        assert "user data ended" not in one.console(marks[one.name])
    assert metal.asked_by("PXEClient", since) == set()
    told = info(*items(metal))["nodes"][1]
    assert (told["device"], told["persistent"], told["boot_mode"]) == ("disk", True, "uefi")
    assert power(*items(metal, state="off", soft_timeout=0.0))["failure"] is None


def test_what_they_wrote_is_on_their_disks(metal: Metal) -> None:
    for name, one in metal.nodes.items():
        assert one.disk_contains(f"hello from db-{name}".encode())
        assert not one.disk_contains(b"nobody has written this")
        assert one.disk_used() < 200 << 20


def test_nothing_is_left_when_the_lab_goes_though_one_is_on(metal: Metal) -> None:
    assert power(*items(metal, state="on"))["failure"] is None
    assert len([line for line in nodes.remains(metal.lab) if "qemu" in line]) == 2
    whole.down(metal.lab)
    assert nodes.remains(metal.lab) == []
    assert whole.remains(metal.lab) == []
    assert not metal.lab.state.exists()
    assert not metal.lab.disks.exists()
    assert not network.exists(metal.lab.fabric)
