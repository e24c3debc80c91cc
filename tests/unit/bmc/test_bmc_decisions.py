# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided, with a BMC that is played and a clock that only goes when somebody waits."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import bmc_ipmi, bmc_module
from ansible_collections.weft.fabric.plugins.module_utils.bmc_boot_device import BootDevice
from ansible_collections.weft.fabric.plugins.module_utils.bmc_link import Link
from ansible_collections.weft.fabric.plugins.module_utils.bmc_model import (
    BmcError,
    Boot,
    Client,
    NoAnswer,
    Refused,
    Transient,
    Way,
    way,
)
from ansible_collections.weft.fabric.plugins.module_utils.bmc_power import Power
from ansible_collections.weft.fabric.plugins.module_utils.bmc_watch import Overdue, Watch
from ansible_collections.weft.fabric.tests.unit.bmc.runs import BOOT, POWER, Item, filled, node

WAY = Way("ipmi", "192.0.2.1", 623, "weft", "secret", retry_timeout=0)


class Clock(Watch):
    """A watch whose time goes on when somebody sleeps."""

    def __init__(self) -> None:
        super().__init__("n1")
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class Played(Client):
    """A BMC that tells power states one after the other, the last one for ever."""

    def __init__(self, *told: str | BmcError, flags: Boot | None = None) -> None:
        self.told = list(told)
        self.flags = flags or Boot("none")
        self.got: list[str] = []
        self.opened = 0

    def power(self) -> str:
        told = self.told.pop(0) if len(self.told) > 1 else self.told[0]
        if isinstance(told, BmcError):
            raise told
        return told

    def power_on(self) -> None:
        self.got.append("on")

    def power_off(self) -> None:
        self.got.append("off")

    def shut_down(self) -> None:
        self.got.append("soft")

    def boot(self) -> Boot:
        return self.flags

    def check_boot(self, wanted: Boot) -> None:
        self.got.append("check")

    def set_boot(self, wanted: Boot) -> None:
        self.flags = wanted

    def close(self) -> None:
        self.got.append("close")


def linked(bmc: Played, clock: Clock) -> Link:
    def connect(_to: Way) -> Client:
        bmc.opened += 1
        return bmc

    link = Link(WAY, clock)
    link.connect = connect
    link.open()
    return link


def power(bmc: Played, clock: Clock, check_mode: bool = False, **wanted: t.Any) -> Item:
    Power(linked(bmc, clock), clock, {**POWER, **wanted}).run(check_mode)
    return clock.report


def test_off_is_believed_when_it_was_told_twice() -> None:
    """While a machine is reset, its BMC may say for a moment that it is off."""
    bmc, clock = Played("on", "off", "on", "on", "off", "off"), Clock()
    assert power(bmc, clock, state="off")["state"] == "off"
    assert bmc.told == ["off"]
    assert bmc.got == ["off"]


def test_on_its_way_is_waited_for_and_no_command_is_sent() -> None:
    bmc, clock = Played("stopping", "stopping", "off"), Clock()
    assert not power(bmc, clock, state="off")["changed"]
    assert bmc.got == []


def test_each_deadline_is_its_own() -> None:
    bmc, clock = Played("on"), Clock()
    with pytest.raises(BmcError, match="60 s later its power is still not off"):
        power(bmc, clock, state="off", soft_timeout=300.0, power_timeout=60.0)
    assert bmc.got == ["soft", "off"]
    assert 360 <= clock.time <= 362
    assert clock.report["forced"] is True


def test_an_answer_that_is_missing_while_waiting_is_no_failure() -> None:
    bmc, clock = Played("on", NoAnswer("gone", "x"), NoAnswer("gone", "x"), Transient("busy", "x"), "off"), Clock()
    assert power(bmc, clock, state="off")["state"] == "off"
    assert bmc.opened == 3
    assert bmc.got == ["off", "close", "close"]


def test_refused_credentials_while_waiting_end_it_at_once() -> None:
    bmc, clock = Played("on", Refused("no", "x")), Clock()
    with pytest.raises(Refused):
        power(bmc, clock, state="off")
    assert clock.report["changed"], "a command was sent"


def test_check_mode_sends_nothing_and_is_right() -> None:
    foretold, done = Clock(), Clock()
    assert power(Played("on"), foretold, check_mode=True, state="restarted")["changes"] == ["restart"]
    bmc = Played("on", "off", "off", "on")
    assert power(bmc, done, state="restarted")["changes"] == foretold.report["changes"]
    assert bmc.got == ["off", "on"]


def test_what_the_wish_leaves_open_may_be_anything() -> None:
    bmc, clock = Played("on", flags=Boot("pxe", False, "uefi")), Clock()
    BootDevice(linked(bmc, clock), clock, {**BOOT, "device": "pxe"}).run(False)
    assert not clock.report["changed"]
    assert clock.report["boot_mode"] == "uefi"
    assert bmc.got == []


@pytest.mark.parametrize(
    ("found", "wanted", "met"),
    [
        (Boot("none"), Boot("none", True, "uefi"), True),
        (Boot("pxe", False, "bios"), Boot("pxe"), True),
        (Boot("pxe", False, "bios"), Boot("pxe", False, "uefi"), False),
        (Boot("pxe", True), Boot("pxe"), False),
        (Boot("http", False, "uefi"), Boot("http", http_uri="http://x"), False),
    ],
)
def test_boot_devices_are_compared(found: Boot, wanted: Boot, met: bool) -> None:
    assert found.meets(wanted) is met


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ("None", NoAnswer, "nobody answers there"),
        ("", NoAnswer, "nobody answers there"),
        ("Session no longer connected", NoAnswer, "nobody answers there"),
        (
            "Insufficient resources to create new session (wait for existing sessions to timeout)",
            Transient,
            "no session left",
        ),
        ("Insufficient resources to create a session at the requested role", Transient, "no session left"),
        ("Incorrect password provided", Refused, "refuses user weft"),
        ("Unauthorized name in RAKP2", Refused, "knows no user weft"),
        ("Unauthorized role or privilege level requested in RAKP2", Refused, "may not have the privilege operator"),
        ("Invalid role in RAKP2", Refused, "may not have the privilege operator"),
        ("User is not allowed requested privilege level", Refused, "may not have the privilege operator"),
        ("Invalid RAKP4 integrity code (wrong Kg?)", Refused, "BMC key"),
        ("No Cipher suite match with proposed security algorithms", BmcError, "no cipher suite"),
        ("BMC initialization in progress", Transient, "not ready"),
        ("Node Busy", Transient, "not ready"),
        ("Something new", BmcError, "no session came about: Something new"),
    ],
)
def test_every_error_of_a_login_has_its_kind(said: str, kind: type[BmcError], told: str) -> None:
    error = bmc_ipmi._explain_login(WAY, said)
    assert error.__class__ is kind
    assert told in str(error)
    assert "None" not in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("code", "kind"), [(0xC0, Transient), (0xD2, Transient), (0xD4, Refused), (0xFF, BmcError), (0xFFFF, NoAnswer)]
)
def test_every_completion_code_has_its_kind(code: int, kind: type[BmcError]) -> None:
    assert bmc_ipmi._explain_answer("power on", code, "because").__class__ is kind


def test_a_way_does_not_show_its_secrets() -> None:
    to = way(filled({"protocol": "redfish", "address": "b", "username": "weft", "password": "secret", "kg": "key"}))
    assert to.port == 443
    assert "secret" not in repr(to)
    assert "key" not in repr(to)


def test_the_step_that_is_named_is_the_one_whose_bound_is_over() -> None:
    clock = Clock()
    with clock.step("outer", 5), clock.step("inner", 60):
        assert str(clock.overdue()) == "it took longer than 5 s to outer"


def test_an_overdue_step_further_out_is_not_taken_for_an_answer_that_is_missing() -> None:
    link = Link(WAY, Clock())
    link._client = Played("on")

    def question(_client: Client) -> None:
        raise Overdue("outer", 5)

    with pytest.raises(Overdue):
        link.try_to_ask("inner", question)


BMC: Item = {"protocol": "ipmi", "address": "b", "username": "u", "password": "p"}


@pytest.mark.parametrize(
    ("nodes", "problem"),
    [
        ([node(BMC), node(BMC)], "node n1 is listed 2 times"),
        ([node({**BMC, "timeout": 0.0})], "node n1: timeout cannot be 0 s"),
        ([node({**BMC, "retry_timeout": -1.0})], "node n1: retry_timeout cannot be -1 s"),
        ([node({**BMC, "connect_timeout": float("nan")})], "node n1: connect_timeout cannot be nan s"),
        ([node(BMC, soft_timeout=float("inf"))], "node n1: soft_timeout cannot be inf s"),
        ([node(BMC, device="http")], "node n1: IPMI has no boot device http"),
        ([node({**BMC, "certificate_fingerprint": "aa:bb"})], "is no SHA-256 fingerprint"),
        ([node({**BMC, "protocol": "redfish"}, device="pxe", http_boot_uri="x")], "http_boot_uri is of use with"),
        ([node({**BMC, "protocol": "redfish"}, device="http", boot_mode="bios")], "HTTP boot is UEFI's"),
    ],
)
def test_arguments_that_no_bmc_is_asked_with(nodes: list[Item], problem: str) -> None:
    assert any(problem in text for text in bmc_module.check_nodes(nodes, 16))
