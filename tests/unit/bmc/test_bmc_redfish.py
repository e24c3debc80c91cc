# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redfish over TLS on loopback, against a scripted service."""

from __future__ import annotations

import socket
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.unit.bmc.runs import boot, info, node, power, predicted_and_done, within
from ansible_collections.weft.fabric.tests.wire.redfish_server import PASSWORD, SESSIONS, RedfishServer

ON, OFF, SOFT = ({"ResetType": kind} for kind in ("On", "ForceOff", "GracefulShutdown"))


def patch(server: RedfishServer) -> dict[str, t.Any]:
    """Return the last change of the boot source."""
    return t.cast("dict[str, t.Any]", server.writes[-1]["Boot"])


def logged_out(server: RedfishServer, attempts: int) -> None:
    assert len(server.attempts) == attempts
    server.wait_for(lambda: not server.sessions, "all sessions are ended")


def test_on_and_off(tmp_path: Path) -> None:
    with RedfishServer(tmp_path) as server:
        assert predicted_and_done(power, node(server.bmc(), state="on"))["changes"] == ["n1: power off -> on"]
        assert not power(node(server.bmc(), state="on"))["changed"]
        assert predicted_and_done(power, node(server.bmc(), state="off", soft_timeout=20.0))["changed"]
        assert server.writes == [ON, SOFT]
        assert server.system["PowerState"] == "Off"
        logged_out(server, 5)


def test_power_is_cut_when_the_soft_deadline_is_over(tmp_path: Path) -> None:
    with RedfishServer(tmp_path, power="On", deaf=True) as server:
        done = power(node(server.bmc(), state="off", soft_timeout=1.0))
        assert done["failure"] is None
        assert done["nodes"][0]["forced"] is True
        assert server.writes == [SOFT, OFF]


def test_power_that_is_stuck(tmp_path: Path) -> None:
    with RedfishServer(tmp_path, stuck=True) as server, within(6, at_least=1):
        done = power(node(server.bmc(), state="on", power_timeout=1.0))
        assert "it obeyed the command to power on, but 1 s later its power is still not on" in done["failure"]
        logged_out(server, 1)


def test_a_system_without_soft_off_is_cut_off(tmp_path: Path) -> None:
    with RedfishServer(tmp_path, power="On") as server:
        server.system["Actions"]["#ComputerSystem.Reset"]["ResetType@Redfish.AllowableValues"] = ["On", "ForceOff"]
        done = power(node(server.bmc(), state="off", soft_timeout=20.0))
        assert done["failure"] is None
        assert server.writes == [OFF]
        assert done["warnings"] == [
            "node n1: it was not shut down softly: it cannot shut down softly: it has only On, ForceOff"
        ]


def test_power_that_is_on_its_way_is_waited_for(tmp_path: Path) -> None:
    with RedfishServer(tmp_path, power="PoweringOff") as server:
        done = power(node(server.bmc(), state="off", power_timeout=1.0))
        assert "it has been stopping for more than 1 s" in done["failure"]
        assert server.writes == []


@pytest.mark.parametrize(
    ("wanted", "change"),
    [
        (
            {"device": "pxe", "boot_mode": "uefi"},
            {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe", "BootSourceOverrideMode": "UEFI"},
        ),
        (
            {"device": "disk", "persistent": True},
            {"BootSourceOverrideEnabled": "Continuous", "BootSourceOverrideTarget": "Hdd"},
        ),
        (
            {"device": "http", "http_boot_uri": "http://192.0.2.1/ipxe.efi"},
            {
                "BootSourceOverrideEnabled": "Once",
                "BootSourceOverrideTarget": "UefiHttp",
                "HttpBootUri": "http://192.0.2.1/ipxe.efi",
            },
        ),
        (
            {"device": "bios", "boot_mode": "bios"},
            {
                "BootSourceOverrideEnabled": "Once",
                "BootSourceOverrideTarget": "BiosSetup",
                "BootSourceOverrideMode": "Legacy",
            },
        ),
    ],
)
def test_boot_devices_are_set_read_back_and_left_alone(
    tmp_path: Path, wanted: dict[str, t.Any], change: dict[str, str]
) -> None:
    with RedfishServer(tmp_path, wants_etag=True) as server:
        assert predicted_and_done(boot, node(server.bmc(), **wanted))["failure"] is None
        assert server.writes == [{"Boot": change}]
        for check_mode in (True, False):
            assert not boot(node(server.bmc(), **wanted), check_mode=check_mode)["changed"]
        found = info(node(server.bmc()))["nodes"][0]
        assert {key: found[key] for key in wanted} == wanted
        assert found["identity"]["serial_number"] == "0042"

        assert predicted_and_done(boot, node(server.bmc(), device="none"))["changed"]
        assert patch(server) == {"BootSourceOverrideEnabled": "Disabled"}
        logged_out(server, 7)


@pytest.mark.parametrize("forgets", ["BootSourceOverrideTarget", "BootSourceOverrideEnabled", "BootSourceOverrideMode"])
def test_a_boot_device_that_is_not_stored_is_caught(tmp_path: Path, forgets: str) -> None:
    with RedfishServer(tmp_path, forgets=(forgets,)) as server:
        wanted = node(server.bmc(), device="pxe", boot_mode="bios")
        done = boot(wanted)
        assert "it accepted boot device pxe once bios, but tells" in done["failure"]
        assert boot({**wanted, "verify": "warn"})["failure"] is None
        logged_out(server, 2)


def test_a_mode_that_may_not_be_written_but_is_right(tmp_path: Path) -> None:
    with RedfishServer(tmp_path, refuses=("BootSourceOverrideMode",)) as server:
        assert boot(node(server.bmc(), device="pxe", boot_mode="uefi"))["failure"] is None
        assert "BootSourceOverrideMode" not in patch(server)
        wrong = boot(node(server.bmc(), device="pxe", boot_mode="bios"))
        assert "The property BootSourceOverrideMode is not writable" in wrong["failure"]


def test_what_it_cannot_boot_from_is_known_in_check_mode(tmp_path: Path) -> None:
    with RedfishServer(tmp_path) as server:
        done = predicted_and_done(boot, node(server.bmc(), device="usb"))
        assert "it cannot boot from usb, but from: bios, cdrom, disk, http, none, pxe" in done["failure"]
        assert server.writes == []


@pytest.mark.parametrize("basic_only", [False, True])
def test_one_attempt_with_a_wrong_password(tmp_path: Path, basic_only: bool) -> None:
    with RedfishServer(tmp_path, basic_only=basic_only) as server:
        done = power(node(server.bmc(password="wrong-password"), state="on"))
        assert len(server.attempts) == 1
        assert "it refuses user weft with the password that was given (HTTP 401" in done["failure"]
        assert "wrong-password" not in str(done)
        assert server.writes == []


def test_a_service_without_sessions(tmp_path: Path) -> None:
    with RedfishServer(tmp_path, basic_only=True) as server:
        assert power(node(server.bmc(), state="on"))["failure"] is None
        assert server.system["PowerState"] == "On"


@pytest.mark.parametrize("fault", ["no_session", "busy"])
def test_what_is_transient_is_tried_again(tmp_path: Path, fault: str) -> None:
    with RedfishServer(tmp_path, **{fault: 2}) as server:
        done = power(node(server.bmc(), state="on"))
        assert done["failure"] is None
        assert done["nodes"][0]["commands"] == ["power on"]
        logged_out(server, 3 if fault == "no_session" else 1)


def test_but_not_for_ever(tmp_path: Path) -> None:
    with RedfishServer(tmp_path, busy=1000) as server, within(6, at_least=1.5):
        done = power(node(server.bmc(retry_timeout=2.0), state="on"))
        assert "it cannot power on now (HTTP 409: The previous request is still being worked on.)" in done["failure"]
        logged_out(server, 1)


def test_a_user_who_may_only_read(tmp_path: Path) -> None:
    with RedfishServer(tmp_path, no_role=True) as server:
        done = power(node(server.bmc(), state="on"))
        assert "user weft may not do that: power on (HTTP 403" in done["failure"]
        assert len(server.writes) == 1
        logged_out(server, 1)


def test_a_silent_service_answers_within_the_bound(tmp_path: Path) -> None:
    with RedfishServer(tmp_path, silent=True) as server, within(4, at_least=2):
        done = power(node(server.bmc(connect_timeout=2.0), state="on"))
    assert "2 s" in done["failure"]
    assert "None" not in done["failure"]


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    bmc = {"protocol": "redfish", "address": "127.0.0.1", "port": port, "username": "weft", "password": "x"}
    done = power(node(bmc, state="on"))
    assert f"node n1, BMC redfish, 127.0.0.1 port {port}: it does not answer: " in done["failure"]
    assert "Connection refused" in done["failure"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"certificate_fingerprint": None}, "its certificate is not trusted"),
        ({"certificate_fingerprint": "00:" * 31 + "00"}, "it shows a certificate with another fingerprint"),
    ],
)
def test_nothing_is_sent_to_a_stranger(tmp_path: Path, more: dict[str, t.Any], told: str) -> None:
    with RedfishServer(tmp_path) as server:
        done = power(node(server.bmc(**more), state="on"))
        assert told in done["failure"]
        assert server.requests == []


def test_ways_to_say_which_certificate(tmp_path: Path) -> None:
    with RedfishServer(tmp_path) as server:
        pairs = [server.fingerprint[number : number + 2].upper() for number in range(0, 64, 2)]
        for fingerprint in (":".join(pairs), "SHA256:" + server.fingerprint, "sha256 Fingerprint=" + ":".join(pairs)):
            assert info(node(server.bmc(certificate_fingerprint=fingerprint)))["failure"] is None
        unchecked = server.bmc(certificate_fingerprint=None, validate_certs=False)
        assert info(node(unchecked))["failure"] is None


def test_one_bmc_with_several_systems(tmp_path: Path) -> None:
    with RedfishServer(tmp_path, systems=("left", "right")) as server:
        both = [node(server.bmc(system=name), name=name, state="on") for name in ("left", "right")]
        assert power(*both)["changes"] == ["left: power off -> on", "right: power off -> on"]
        assert {system["PowerState"] for system in server.systems.values()} == {"On"}
        assert "it has not one computer system, but: left, right" in info(node(server.bmc()))["failure"]
        assert "it has no system up, but: left, right" in info(node(server.bmc(system="up")))["failure"]
        logged_out(server, 4)


def test_no_secret_in_anything_that_is_told(tmp_path: Path) -> None:
    with RedfishServer(tmp_path) as server:
        done = power(node(server.bmc(), state="on"))
        assert PASSWORD not in str(done)
        assert [path for method, path, _body in server.requests if method == "DELETE"] == [f"{SESSIONS}/s1"]
