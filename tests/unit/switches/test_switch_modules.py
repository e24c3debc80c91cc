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

import pytest

from ansible_collections.weft.fabric.tests.unit.switches.runs import VLANS, Item, NetconfServer, arguments, leaf, port

PASSWORD = "correct horse battery"


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
    printed = done.stdout + done.stderr
    assert "localhost | " in done.stdout, printed
    outcome = done.stdout[done.stdout.index("localhost | ") :]
    return t.cast("Item", json.JSONDecoder().raw_decode(outcome[outcome.index("{") :])[0]), printed


@pytest.fixture(params=["in the process of the task", "as a module"])
def way(tmp_path: Path, request: pytest.FixtureRequest) -> list[str]:
    """Return the options with which a task is done in one way or the other; the latter by a Python of another name."""
    if request.param != "as a module":
        return []
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    other.chmod(0o755)
    return ["-e", f"ansible_python_interpreter={other}"]


def secret(server: NetconfServer, *ports: Item, **more: t.Any) -> Item:
    return arguments(server, *ports, **more, switch={"password": PASSWORD})


def test_a_play_gets_what_changed_and_no_secret(tmp_path: Path, state: Path, way: list[str]) -> None:
    wanted = {"name": "Ethernet2", "mode": "trunk", "allowed_vlans": [110, "120-121"]}
    new = {"vlans": [{"vlan_id": 121}], "create_vlans": True}
    with leaf(password=PASSWORD) as server:
        predicted, _printed = ansible("switch_ports", secret(server, wanted, **new), tmp_path, "--check", *way)
        done, printed = ansible("switch_ports", secret(server, wanted, **new), tmp_path, "--diff", "-vvv", *way)

        assert ("EXEC /bin/sh" in printed) is bool(way)
        assert done["changed"]
        assert done["changes"] == predicted["changes"]
        assert port(server, "Ethernet2")["allowed_vlans"] == [110, 120, 121]
        assert PASSWORD not in printed
        assert PASSWORD not in (state / "switches.jsonl").read_text(encoding="utf-8")


def test_a_failure_tells_the_cause_and_no_secret(tmp_path: Path, way: list[str]) -> None:
    with leaf(password="another") as server:
        failed, printed = ansible("switch_ports", secret(server, {"name": "Ethernet2"}), tmp_path, "-vvv", *way)
        assert "localhost | FAILED!" in printed
        assert "refuses user weft with the password" in failed["msg"]
        assert PASSWORD not in printed
        assert server.attempts == [("weft", "password")]


def test_the_other_modules(tmp_path: Path, way: list[str]) -> None:
    with leaf(password=PASSWORD) as server:
        common = {name: value for name, value in secret(server).items() if name != "ports"}
        new = {**common, "vlans": [{"vlan_id": 150, "name": "new"}]}
        made, _printed = ansible("switch_vlans", new, tmp_path, *way)
        assert made["changes"] == ["make VLAN 150 weft-new"]
        only = {"switch": common["switch"]}
        ports, _printed = ansible("switch_ports_info", {**only, "ports": ["Ethernet1"]}, tmp_path, *way)
        assert [(item["name"], item["vlan"]) for item in ports["ports"]] == [("Ethernet1", 110)]
        vlans, _printed = ansible("switch_vlans_info", only, tmp_path, *way)
        assert [item["vlan_id"] for item in vlans["vlans"]] == [*(vlan["vlan_id"] for vlan in VLANS), 150]
