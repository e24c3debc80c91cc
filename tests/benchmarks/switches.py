# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds until 1, 10 and 48 ports of the lab's switch are in another VLAN: ncclient's calls alone, and the module."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
import typing as t
from pathlib import Path

import yaml

from ansible_collections.weft.fabric.tests.wire import netconf_openconfig as openconfig
from ansible_collections.weft.fabric.tests.wire.lab import LAB_INVENTORY
from ansible_collections.weft.fabric.tests.wire.leaf import KEY, PORT, USER, session
from ansible_collections.weft.fabric.tests.wire.plays import play

COUNTS = (1, 10, 48)
RUNS = 5
VLANS = (110, 120)
DEFINITION = Path(__file__).parents[2] / "examples/switches/lab.yml"
KNOWN_HOSTS = "/run/weft-lab/known_hosts"
REPLACE = ' xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="replace"'


def names(count: int) -> list[str]:
    return [f"Ethernet{number}" for number in range(1, count + 1)]


def items(count: int, vlan: int) -> list[dict[str, t.Any]]:
    return [{"name": name, "mode": "access", "vlan": vlan} for name in names(count)]


def edit_of(count: int, vlan: int) -> str:
    """Return an edit that puts ports into a VLAN, whatever they were in."""
    text = openconfig.ports(*items(count, vlan)).partition("<network-instances")[0]
    vlans = f'<switched-vlan xmlns="{openconfig.VLAN}"><config'
    return f"<config>{text.replace(vlans, vlans + REPLACE)}</config>"


def prepare() -> None:
    """Put a switch with 48 ports into the lab, all of them in the first VLAN."""
    play("weft.fabric.lab_up", LAB_INVENTORY, "-e", f"lab_definition={DEFINITION}")
    database = [{"vlan_id": vlan, "name": f"weft-{vlan}"} for vlan in VLANS]
    with session() as client:
        whole = openconfig.ports(*items(max(COUNTS), VLANS[0]), vlans=database)
        client.edit_config(target="candidate", config=f"<config>{whole}</config>", test_option="test-then-set")
        client.commit()


def shortest(count: int, vlan: int) -> float:
    """Do it with as few calls as can be: no look before, none after, no way back."""
    began = time.monotonic()
    with session() as client:
        client.lock("candidate")
        client.edit_config(target="candidate", config=edit_of(count, vlan), test_option="test-then-set")
        client.commit()
        client.unlock("candidate")
    return time.monotonic() - began


def safe(count: int, vlan: int) -> float:
    """Do it with the calls that the module makes, but nothing that thinks about their answers."""
    entries = "".join(f"<interface><name>{name}</name></interface>" for name in names(count))
    wanted = ("subtree", f'<interfaces xmlns="{openconfig.INTERFACES}">{entries}</interfaces>')
    began = time.monotonic()
    with session() as client:
        client.get_config("running", wanted)
        client.get(("subtree", f'<lldp xmlns="{openconfig.LLDP}"/>'))
        client.lock("candidate")
        client.get_config("running", wanted)
        client.edit_config(
            target="candidate", config=edit_of(count, vlan), test_option="test-then-set",
            error_option="rollback-on-error",
        )  # fmt: skip
        client.commit(confirmed=True, timeout="30", persist="weft")
        client.get_config("running", wanted)
        client.commit(persist_id="weft")
        client.copy_config(source="running", target="startup")
        client.unlock("candidate")
    return time.monotonic() - began


def playbook(directory: Path, task: dict[str, t.Any]) -> Path:
    path = directory / "play.yml"
    run = {"hosts": "localhost", "gather_facts": False, "tasks": [task]}
    variables = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    path.write_text(yaml.safe_dump([{**run, "vars": variables}]), encoding="utf-8")
    return path


def module(directory: Path, count: int, vlan: int) -> float:
    switch = {
        "name": "leaf1", "driver": "openconfig", "address": "127.0.0.1", "port": PORT, "username": USER,
        "ssh_key_file": str(KEY), "known_hosts": KNOWN_HOSTS,
    }  # fmt: skip
    arguments = {
        "switch": switch,
        "ports": items(count, vlan),
        "policy": {"allowed_vlans": ["100-199"], "allowed_ports": names(count)},
        "persist": "startup",
        "audit_file": str(directory / "audit"),
    }
    done = play(str(playbook(directory, {"weft.fabric.switch_ports": arguments})), LAB_INVENTORY)
    if len(done.changed) != 1:
        raise SystemExit(f"nothing was changed:\n{done.output}")
    return done.seconds


def nothing(directory: Path) -> float:
    """Return how long Ansible takes to start and to run a module that does nothing."""
    return play(str(playbook(directory, {"ansible.builtin.ping": {}})), LAB_INVENTORY).seconds


def run() -> None:
    prepare()
    print(json.dumps({"switches": {"runs": RUNS, "figures": "medians, in seconds"}}))
    with tempfile.TemporaryDirectory(prefix="weft-b-") as name:
        directory, at = Path(name), 0
        for count in COUNTS:
            found: dict[str, list[float]] = {}
            for _run in range(RUNS):
                for what, action in (("shortest calls", shortest), ("same calls", safe)):
                    at = 1 - at
                    found.setdefault(what, []).append(action(count, VLANS[at]))
                at = 1 - at
                found.setdefault("module", []).append(module(directory, count, VLANS[at]))
                found.setdefault("Ansible alone", []).append(nothing(directory))
            show(count, {what: statistics.median(seconds) for what, seconds in found.items()})


def show(count: int, found: dict[str, float]) -> None:
    own = found["module"] - found["Ansible alone"]
    shortest_calls, same_calls = found["shortest calls"], found["same calls"]
    print(
        f"switches: {count:2d} ports, one commit: ncclient {shortest_calls:.2f} s,"
        f" ncclient with the module's calls {same_calls:.2f} s,"
        f" the module {own:.2f} s ({own / shortest_calls:.2f} and {own / same_calls:.2f} times),"
        f" besides {found['Ansible alone']:.2f} s of Ansible's own"
    )
