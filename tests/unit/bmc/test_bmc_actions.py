# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a task for the controller is done: in the process of the task, unless another Python is to do it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.unit.bmc.test_bmc_modules import ansible
from ansible_collections.weft.fabric.tests.wire.ipmi_sim import PASSWORD, IpmiSim

# What Ansible says at -vvv when it has a shell do something, as it must for each module.
EXECUTED = "EXEC /bin/sh"


@pytest.mark.parametrize(
    ("words", "here"),
    [
        ([], True),
        (["-e", f"ansible_python_interpreter={sys.executable}"], True),
        (["-e", "ansible_python_interpreter=auto_silent"], True),
        (["-e", "ansible_python_interpreter=OTHER"], False),
        (["-B", "30", "-P", "1"], False),
    ],
    ids=["nothing said", "Ansible's own Python", "any Python", "another Python", "in the background"],
)
def test_it_is_done_here_where_a_module_would_be_run_by_the_same(
    sim: IpmiSim, tmp_path: Path, words: list[str], here: bool
) -> None:
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    other.chmod(0o755)
    words = [word.replace("OTHER", str(other)) for word in words]
    nodes = [{"name": "n1", "bmc": sim.bmc(), "state": "on"}]
    done, printed = ansible("bmc_power", {"nodes": nodes}, tmp_path, "-vvv", *words)
    assert done["changes"] == ["n1: power off -> on"]
    assert done["nodes"][0]["state"] == "on"
    assert sim.power == "on"
    assert (EXECUTED in printed) is not here
    assert PASSWORD not in printed


def test_what_is_wrong_with_an_argument_is_told_without_secrets(sim: IpmiSim, tmp_path: Path) -> None:
    bmc = {**sim.bmc(), "protocol": PASSWORD}
    failed, printed = ansible("bmc_power", {"nodes": [{"name": "n1", "bmc": bmc, "state": "on"}]}, tmp_path, "-vvv")
    assert "value of protocol must be one of: ipmi, redfish" in failed["msg"]
    assert EXECUTED not in printed
    assert PASSWORD not in failed["msg"]
    assert sim.power == "off"


def test_without_a_shell_of_its_own_it_predicts_what_it_then_does(sim: IpmiSim, tmp_path: Path) -> None:
    given = {"nodes": [{"name": "n1", "bmc": sim.bmc(), "device": "pxe", "verify": "warn"}]}
    foretold, printed = ansible("bmc_boot_device", given, tmp_path, "--check", "--diff", "-vvv")
    done, printed_then = ansible("bmc_boot_device", given, tmp_path, "--diff")
    assert EXECUTED not in printed
    assert "+n1: boot device pxe once" in printed
    assert "+n1: boot device pxe once" in printed_then
    assert done["changes"] == foretold["changes"] == ["n1: boot device none -> pxe once"]
    assert [item["commands"] for item in foretold["nodes"]] == [[]]
    assert "[WARNING]: node n1: it accepted boot device pxe once" in " ".join(printed_then.split())
