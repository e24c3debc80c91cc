# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPMI over the wire, with OpenIPMI's simulator as the BMC."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import bmc_ipmi
from ansible_collections.weft.fabric.plugins.module_utils.bmc_link import Link
from ansible_collections.weft.fabric.plugins.module_utils.bmc_processes import Item
from ansible_collections.weft.fabric.plugins.module_utils.bmc_watch import Watch
from ansible_collections.weft.fabric.tests.unit.bmc.runs import boot, info, node, power, predicted_and_done, run, within
from ansible_collections.weft.fabric.tests.wire.ipmi_sim import PASSWORD, IpmiSim, Relay

OFF, ON, SOFT = "power 0", "power 1", "shutdown 1"


def test_on_and_off(sim: IpmiSim) -> None:
    for state, command in (("on", ON), ("off", OFF)):
        sim.forget()
        done = predicted_and_done(power, node(sim.bmc(), state=state))

        assert done["failure"] is None
        assert sim.power == state
        assert sim.log == [command]
        assert done["nodes"][0]["commands"] == [f"power {state}"]
        assert done["nodes"][0]["state"] == state
    assert done["changes"] == ["n1: power on -> off"]
    assert done["diff"] == {"before": "n1: power on\n", "after": "n1: power off\n"}


@pytest.mark.parametrize("state", ["on", "off"])
def test_a_second_run_sends_no_command(sim: IpmiSim, state: str) -> None:
    sim.power = state
    for check_mode in (True, False):
        again = power(node(sim.bmc(), state=state, soft_timeout=60.0), check_mode=check_mode)
        assert again["failure"] is None
        assert not again["changed"]
        assert again["nodes"][0]["commands"] == []
    assert sim.log == []


def test_soft_off_is_enough_when_the_system_obeys(sim: IpmiSim) -> None:
    sim.power = "on"
    done = predicted_and_done(power, node(sim.bmc(), state="off", soft_timeout=20.0))

    assert sim.log == [SOFT]
    assert sim.power == "off"
    assert done["nodes"][0]["forced"] is False


def test_power_is_cut_when_the_soft_deadline_is_over(sim: IpmiSim) -> None:
    sim.power = "on"
    with sim.fault("deaf"), within(10, at_least=2):
        done = power(node(sim.bmc(), state="off", soft_timeout=2.0))

    assert sim.log == [SOFT, OFF]
    assert done["failure"] is None
    assert done["nodes"][0]["forced"] is True
    assert done["nodes"][0]["commands"] == ["soft off", "power off"]


def test_power_is_not_cut_where_that_is_not_wanted(sim: IpmiSim) -> None:
    sim.power = "on"
    with sim.fault("deaf"):
        done = power(node(sim.bmc(), state="off", soft_timeout=1.0, hard=False))

    assert sim.log == [SOFT]
    assert sim.power == "on"
    assert "did not power off within 1 s, and is not to be cut off (hard: false)" in done["failure"]


def test_restarting_is_off_and_then_on(sim: IpmiSim) -> None:
    sim.power = "on"
    done = predicted_and_done(power, node(sim.bmc(), state="restarted"))
    assert sim.log == [OFF, ON]
    assert done["changes"] == ["n1: restart"]
    assert done["diff"] == {"before": "n1: power on\n", "after": "n1: power on, restarted\n"}

    sim.power = "off"
    sim.forget()
    assert predicted_and_done(power, node(sim.bmc(), state="restarted"))["changes"] == ["n1: power off -> on"]
    assert sim.log == [ON]


@pytest.mark.parametrize(("before", "state"), [("on", "off"), ("off", "on")])
def test_power_that_is_stuck(sim: IpmiSim, before: str, state: str) -> None:
    sim.power = before
    with sim.fault("stuck"), within(8, at_least=2):
        done = power(node(sim.bmc(), state=state, power_timeout=2.0))

    assert f"node n1, BMC ipmi, 127.0.0.1 port {sim.port}: it obeyed the command to power {state}" in done["failure"]
    assert f"but 2 s later its power is still not {state}" in done["failure"]
    assert "Look at the machine" in done["failure"]
    assert done["changes"] == []
    assert done["changed"], "a command was sent"
    assert done["nodes"][0]["state"] == before


def test_a_boot_device_that_is_not_stored_is_caught(sim: IpmiSim) -> None:
    with within(10):
        done = boot(node(sim.bmc(), device="pxe", boot_mode="uefi"))

    assert "it accepted boot device pxe once uefi, but tells none when it is asked" in done["failure"]
    assert sim.boot == "pxe", "the simulator has it all the same"
    assert done["changed"]
    assert done["changes"] == []
    assert done["nodes"][0]["device"] == "none"


@pytest.mark.parametrize(
    ("device", "told"), [("pxe", "pxe"), ("disk", "default"), ("cdrom", "cdrom"), ("bios", "bios")]
)
def test_boot_flags_reach_a_bmc_that_does_not_tell_them(sim: IpmiSim, device: str, told: str) -> None:
    done = predicted_and_done(boot, node(sim.bmc(), device=device, verify="warn"))

    assert done["failure"] is None
    assert sim.boot == told
    assert sim.log == [f"boot {told}"]
    assert done["warnings"] == [f"node n1: it accepted boot device {device} once, but tells none when it is asked"]


def test_no_boot_device_is_what_it_has(sim: IpmiSim) -> None:
    done = boot(node(sim.bmc(), device="none"))
    assert not done["changed"]
    assert sim.log == []


def test_reading(sim: IpmiSim) -> None:
    found = info(node(sim.bmc()))["nodes"][0]

    assert found["state"] == "off"
    assert found["device"] == "none"
    assert found["identity"] == {"manufacturer": "IANA 4753", "model": "product 3842", "firmware": "9.08"}
    assert found["changed"] is False


def test_one_attempt_with_a_wrong_password(sim: IpmiSim) -> None:
    with Relay(sim.port) as relay, within(5):
        done = power(node(sim.bmc(port=relay.port, password="wrong-password"), state="on"))

    assert (relay.named, relay.proved) == (1, 0)
    assert "it refuses user weft with the password that was given. Correct the credentials" in done["failure"]
    assert "wrong-password" not in str(done)
    assert sim.log == []


def test_one_attempt_with_an_unknown_user(sim: IpmiSim) -> None:
    with Relay(sim.port) as relay, within(5):
        done = power(node(sim.bmc(port=relay.port, username="nobody"), state="on"))

    assert (relay.named, relay.proved) == (1, 0)
    assert "it knows no user nobody who may be operator" in done["failure"]


def test_nothing_is_sent_where_credentials_cannot_be_right(sim: IpmiSim) -> None:
    with Relay(sim.port) as relay:
        done = power(node(sim.bmc(port=relay.port, password="x" * 21), state="on"))
        assert relay.opened == 0
    assert "its password is longer than the 20 bytes that IPMI 2.0 allows" in done["failure"]
    assert "xxx" not in done["failure"]


def test_a_silent_bmc_answers_within_the_bound_and_does_not_stop_the_others(sim: IpmiSim) -> None:
    with Relay(None) as nobody, within(10):
        done = power(node(sim.bmc(port=nobody.port), name="dead", state="on"), node(sim.bmc(), state="on"))

    assert sim.power == "on"
    assert done["changes"] == ["n1: power off -> on"]
    assert done["nodes"][1]["error"] is None
    assert done["failure"].startswith(f"1 of 2 nodes failed. node dead, BMC ipmi, 127.0.0.1 port {nobody.port}: nobody")
    assert "IPMI over LAN is enabled" in done["failure"]
    assert "None" not in done["failure"]


def test_the_bound_of_logging_in_is_ours(sim: IpmiSim) -> None:
    """pyghmi itself gives up after five seconds."""
    with Relay(None) as nobody, within(3.5, at_least=2):
        done = power(node(sim.bmc(port=nobody.port, connect_timeout=2.0), state="on"))

    assert "it took longer than 2 s to log in, and was given up" in done["failure"]


def test_a_bmc_that_hangs_in_the_middle(sim: IpmiSim) -> None:
    with sim.fault("hangs"), within(7):
        done = power(node(sim.bmc(timeout=2.0), state="on"))

    assert "it took longer than 2 s to tell its power state, and was given up" in done["failure"]


def test_a_name_that_nobody_knows() -> None:
    bmc = {"protocol": "ipmi", "address": "no-such-bmc.invalid", "username": "weft", "password": "x"}
    done = power(node({**bmc, "connect_timeout": 30.0}, state="on"))
    assert "its address is not known" in done["failure"]


def test_many_at_once(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        sims = [stack.enter_context(IpmiSim(tmp_path / f"m{number}", f"m{number}").running()) for number in range(6)]
        nodes = [node(sim.bmc(), name=sim.name, state="on") for sim in sims]
        # One by one each takes half a second at least, for reading twice.
        with within(10):
            done = predicted_and_done(power, *nodes)

        assert done["failure"] is None
        assert [report["name"] for report in done["nodes"]] == [sim.name for sim in sims]
        assert {sim.power for sim in sims} == {"on"}
        assert all(sim.log == [ON] for sim in sims)


def test_no_secret_in_anything_that_is_told(sim: IpmiSim, state: Path) -> None:
    done = power(node(sim.bmc(), state="on"))
    assert PASSWORD not in str(done)
    assert all(PASSWORD not in path.read_text(encoding="utf-8") for path in state.rglob("*") if path.is_file())


def test_who_is_not_woken_by_an_answer_looks_for_it(sim: IpmiSim) -> None:
    """As when the answer was there before anybody waited."""

    def wait_for_what_does_not_come(_item: Item, link: Link, _watch: Watch) -> None:
        link.ask("go on", lambda _client: bmc_ipmi.pyghmi_session._io_wait(60.0))

    assert run([node(sim.bmc(timeout=5))], wait_for_what_does_not_come)["failure"] is None
