# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks, from the topology to a switch's NETCONF server and back."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.unit.switch_plays.operator import COLLECTION, Operator
from ansible_collections.weft.fabric.tests.wire import netconf_openconfig as openconfig
from ansible_collections.weft.fabric.tests.wire.netconf_server import NetconfServer

FACTORY = {"mode": "access", "vlan": 1}

TOPOLOGY = """plugin: weft.fabric.topology
physical_networks: {{physnet1: {{}}}}
hosts:
  cmp1: {{roles: [compute_node], physical_networks: {{physnet1: {{interface: eth2}}}}}}
projects:
  admin:
    networks:
      a: {{type: vlan, physical_network: physnet1, segmentation_id: 120}}
      b: {{type: vlan, physical_network: physnet1, segmentation_id: 121}}
    ports:
      one: {{network: {network}, host: cmp1}}
switches:
  leaf1:
    driver: openconfig
    address: 127.0.0.1
    port: {port}
    credentials: {{username: weft, password: "{{{{ lookup('env', 'HOME') and password_of_leaf1 }}}}"}}
    host_key: {host_key}
    allowed_vlans: [100-199]
    owned_vlans: [1]
    physical_networks: [physnet1]
    ports:
      Ethernet1: {{host: cmp1}}
      Ethernet2: {{network: admin/{network}, edge: true, description: "Rack 7 (left)"}}
      Ethernet3: {{native: 130, allowed: [120, 121]}}
      Ethernet4: {{enabled: false}}
"""


@pytest.fixture
def server() -> t.Iterator[NetconfServer]:
    ports = [{"name": f"Ethernet{number}", **FACTORY} for number in range(1, 7)]
    with NetconfServer(openconfig.ports(*ports, vlans=[{"vlan_id": 1, "name": "default"}])) as found:
        yield found


@pytest.fixture(params=["in the process of the task", "as a module"])
def operator(server: NetconfServer, tmp_path: Path, request: pytest.FixtureRequest) -> Operator:
    found = Operator(tmp_path, topology(server, "a"))
    # The switch is reached as it is; only the host is pretended.
    for module in ("switch_ports", "switch_ports_info"):
        action = tmp_path / f"collections/ansible_collections/weft/fabric/plugins/action/{module}.py"
        action.unlink()
        if request.param == "in the process of the task":
            action.symlink_to(COLLECTION / f"plugins/action/{module}.py")
    return found


def topology(server: NetconfServer, network: str) -> str:
    return TOPOLOGY.format(network=network, port=server.port, host_key=server.host_key)


def run(operator: Operator, playbook: str, *words: str) -> str:
    done = operator.run(playbook, "-e", "password_of_leaf1=secret", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "secret" not in done.stdout + done.stderr
    return done.stdout


def test_a_switch_is_made_as_the_topology_says(operator: Operator, server: NetconfServer) -> None:
    plan = run(operator, "switches", "--check", "--diff")
    assert not server.edits()
    assert "weft-120-admin-a" in plan
    made = run(operator, "switches", "--diff")
    assert [line for line in plan.splitlines() if line[:1] in "+-"] == [
        line for line in made.splitlines() if line[:1] in "+-"
    ]
    assert len(server.edits()) == 1
    server.forget()
    assert "changed=0" in run(operator, "switches")
    assert not {"edit-config", "lock", "commit"} & set(server.names())

    # The host moves from one network to the other: the trunk carries both while it does.
    operator.write(topology(server, "b"))
    run(operator, "site")
    first, second = (edit.xml for edit in server.edits())
    assert "weft-121-admin-b" in first
    assert "weft-121-admin-b" not in second
    assert operator.world.log == ["cmp1"]
    server.forget()
    assert "changed=0" in run(operator, "site")
    assert not server.edits()

    run(operator, "teardown", "--limit", "leaf1", "-e", "teardown_switches=true")
    audit = (operator.directory / ".local/state/weft-fabric/switches.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in audit]
    assert {record["who"] for record in records} == {
        "alice, weft.fabric.switches", "alice, weft.fabric.site", "alice, weft.fabric.teardown"
    }  # fmt: skip
    assert {record["result"] for record in records} == {"ok"}
    names = [record["after"] for record in records if record.get("vlan") == 121]
    assert names == ["weft-121", "weft-121-admin-b", None]


def test_a_wrong_password_is_told_and_not_shown(operator: Operator, server: NetconfServer) -> None:
    done = operator.run("site", "-e", "password_of_leaf1=very-wrong")
    assert done.returncode == 2
    assert "very-wrong" not in done.stdout + done.stderr
    assert len(server.attempts) == 1
    assert operator.world.log == ["cmp1"]
