# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as Ansible runs them: what a play gets back, and that no secret is in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.weft.fabric.tests.wire.ipmi_sim import PASSWORD, IpmiSim, Relay
from ansible_collections.weft.fabric.tests.wire.redfish_server import RedfishServer

Item = dict[str, t.Any]


def ansible(module: str, given: Item, tmp_path: Path, *options: str) -> tuple[Item, str]:
    """Run a module on the controller. Return what it returned, and all that was printed."""
    words = [sys.executable, "-m", "ansible", "adhoc", "localhost", "-c", "local", "-m", f"weft.fabric.{module}"]
    environ = {
        **os.environ,
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"),
        "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
        "ANSIBLE_NOCOLOR": "1",
    }
    extra = ["-e", f"ansible_python_interpreter={sys.executable}", "-a", json.dumps(given), *options]
    done = subprocess.run(
        [*words, *extra], capture_output=True, text=True, check=False, timeout=120, env=environ, cwd=tmp_path
    )
    start = done.stdout.index("=> {")
    return t.cast("Item", json.JSONDecoder().raw_decode(done.stdout[start + 3 :])[0]), done.stdout + done.stderr


def test_both_protocols_in_one_call(sim: IpmiSim, tmp_path: Path) -> None:
    with RedfishServer(tmp_path) as server:
        nodes = [{"name": "one", "bmc": sim.bmc(), "state": "on"}, {"name": "two", "bmc": server.bmc(), "state": "on"}]
        foretold, _printed = ansible("bmc_power", {"nodes": nodes}, tmp_path, "--check")
        done, printed = ansible("bmc_power", {"nodes": nodes}, tmp_path, "-vvv")

        assert done["changed"]
        assert done["changes"] == foretold["changes"] == ["one: power off -> on", "two: power off -> on"]
        assert sim.power == "on"
        assert server.system["PowerState"] == "On"
        assert PASSWORD not in printed

        reading = [{"name": item["name"], "bmc": item["bmc"]} for item in nodes]
        found, _printed = ansible("bmc_info", {"nodes": reading}, tmp_path)
        assert [(item["name"], item["state"]) for item in found["nodes"]] == [("one", "on"), ("two", "on")]


def test_a_failure_names_the_node_and_tells_of_the_others(sim: IpmiSim, tmp_path: Path) -> None:
    with Relay(None) as nobody, RedfishServer(tmp_path) as server:
        nodes = [
            {"name": "dead", "bmc": sim.bmc(port=nobody.port), "device": "pxe"},
            {"name": "lossy", "bmc": sim.bmc(), "device": "pxe"},
            {"name": "fine", "bmc": server.bmc(), "device": "pxe"},
        ]
        failed, printed = ansible("bmc_boot_device", {"nodes": nodes}, tmp_path, "-vvv")

    assert "FAILED!" in printed
    assert failed["msg"].startswith("2 of 3 nodes failed. node dead, BMC ipmi")
    assert "node lossy, BMC ipmi" in failed["msg"]
    assert failed["changes"] == ["fine: boot device none -> pxe once"]
    assert [bool(item["error"]) for item in failed["nodes"]] == [True, True, False]
    assert PASSWORD not in printed
