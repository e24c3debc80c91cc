# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks that set switches, on devices that are pretended."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.weft.fabric.tests.unit.switch_plays.operator import COLLECTION, Operator

TOPOLOGY = """plugin: weft.fabric.topology
physical_networks: {physnet1: {}}
hosts:
  cmp1: {roles: [compute_node], physical_networks: {physnet1: {interface: eth2}}}
  cmp2: {roles: [compute_node], physical_networks: {physnet1: {interface: eth2}}}
projects:
  admin:
    networks:
      a: {type: vlan, physical_network: physnet1, segmentation_id: 120}
      b: {type: vlan, physical_network: physnet1, segmentation_id: 121}
    ports:
      a-1: {network: a, host: cmp1}
      a-2: {network: a, host: cmp2}
switches:
  leaf1: &leaf
    driver: openconfig
    address: 198.51.100.2
    credentials: {username: weft, password: "{{ vault_password }}"}
    allowed_vlans: [100-199]
    physical_networks: [physnet1]
    vars: {vault_password: "{{ 'hidden' | upper }}"}
    ports: {Ethernet1: {host: cmp1}}
  leaf2: {<<: *leaf, address: 198.51.100.3, ports: {Ethernet1: {host: cmp2}}}
"""


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path, TOPOLOGY)


def sorted_hosts(log: list[str]) -> list[str]:
    """Return a log with what happens at the same time in one order."""
    return [*sorted(log[:2]), *sorted(log[2:4]), *sorted(log[4:])]


def test_switches_are_made_and_hosts_are_not_touched(operator: Operator) -> None:
    assert sorted(operator.good("switches")) == ["leaf1: purge Ethernet1=[120]", "leaf2: purge Ethernet1=[120]"]
    assert operator.good("switches") == []


def test_one_switch_alone(operator: Operator) -> None:
    assert operator.good("switches", "--limit", "leaf2") == ["leaf2: purge Ethernet1=[120]"]
    assert operator.good("site", "--limit", "leaf1") == ["leaf1: Ethernet1=[120]"]
    assert operator.good("site", "--limit", "cmp1") == ["cmp1"]


def test_the_module_gets_the_login_rendered_and_who_it_was(operator: Operator) -> None:
    operator.good("switches")
    state = operator.world.load()
    assert (state["login"]["username"], state["login"]["password"]) == ("weft", "HIDDEN")
    assert state["who"] == "alice, weft.fabric.switches"
    operator.good("site", "-e", '{"switch_connection": {"port": 8300, "known_hosts": "here"}, "switch_user": "bob"}')
    state = operator.world.load()
    assert (state["login"]["port"], state["login"]["known_hosts"]) == (8300, "here")
    assert state["who"] == "bob, weft.fabric.site"


def test_a_vlan_is_there_before_the_hosts_need_it_and_gone_after(operator: Operator) -> None:
    operator.good("switches")
    operator.write(TOPOLOGY.replace("{network: a, ", "{network: b, "))
    assert sorted_hosts(operator.good("site")) == [
        "leaf1: Ethernet1=[120, 121]",
        "leaf2: Ethernet1=[120, 121]",
        "cmp1",
        "cmp2",
        "leaf1: purge Ethernet1=[121]",
        "leaf2: purge Ethernet1=[121]",
    ]
    assert sorted(operator.good("site")) == ["cmp1", "cmp2"]


def test_what_a_port_had_is_compared_once(operator: Operator) -> None:
    expected = "expected_current: {mode: access, vlan: 7}"
    operator.write(TOPOLOGY.replace("{host: cmp1}}", f"{{host: cmp1, {expected}}}}}"))
    operator.good("site")
    assert operator.world.load()["expected"] == ["Ethernet1"]


def test_a_plan_tells_each_port_once_and_changes_nothing(operator: Operator) -> None:
    plan = operator.good("site", "--check")
    assert sorted_hosts(plan) == [
        "leaf1: check purge Ethernet1=[120]", "leaf2: check purge Ethernet1=[120]", "cmp1", "cmp2"
    ]  # fmt: skip
    assert all(not ports for ports in operator.world.load()["switches"].values())


@pytest.mark.parametrize("away", [("leaf1",), ("leaf1", "leaf2")])
def test_a_switch_that_is_away_stops_nobody_and_the_run_fails(away: tuple[str, ...], operator: Operator) -> None:
    operator.away(*away)
    done = operator.run("site")
    assert done.returncode == 2
    log = operator.world.log
    assert {"cmp1", "cmp2"} <= set(log)
    assert ("leaf2: Ethernet1=[120]" in log) is ("leaf2" not in away)
    for switch in away:
        assert f'fatal: [{switch}]: FAILED! => {{"changed": false, "msg": "{switch} does not answer"}}' in done.stdout


def test_status_tells_how_a_switch_stands(operator: Operator) -> None:
    done = operator.run("status")
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"Ethernet1=[120]"' in done.stdout
    operator.good("switches")
    done = operator.run("status", "--limit", "switches")
    assert done.stdout.count('"in_step": true') == 2


def test_teardown_shuts_ports_only_when_told(operator: Operator) -> None:
    operator.good("switches")
    assert operator.good("teardown", "--limit", "leaf1") == []
    assert operator.good("teardown", "--limit", "leaf1", "-e", "teardown_switches=true") == ["leaf1: purge"]


@pytest.mark.parametrize(
    ("task", "error"),
    [
        (
            """debug: {msg: "{{ lookup('weft.fabric.host_state', 'nftables') }}"}""",
            "there is no concern nftables: use one of switch_ports, switch_release",
        ),
        ("weft.fabric.host_state:", "leaf1 is a switch: use the playbook weft.fabric.switches, or the role switch"),
    ],
)
def test_a_switch_is_no_host(task: str, error: str, operator: Operator) -> None:
    (operator.directory / "play.yml").write_text(
        f"- hosts: leaf1\n  gather_facts: false\n  tasks:\n    - {task}\n", encoding="utf-8"
    )
    pretended = operator.directory / "collections/ansible_collections/weft/fabric/plugins/action/host_state.py"
    pretended.unlink()
    pretended.symlink_to(COLLECTION / "plugins/action/host_state.py")
    done = operator.play("play.yml")
    assert done.returncode == 2
    assert error in done.stdout + done.stderr
