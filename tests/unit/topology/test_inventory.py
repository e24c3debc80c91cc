# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin, the lookup and the lock's action, as Ansible's own commands use them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.lockfile import lock_path
from ansible_collections.weft.fabric.tests.unit.topology import metal

COLLECTIONS = Path(build.__file__).parents[6]

TOPOLOGY = """---
plugin: weft.fabric.topology
physical_networks: {north-1: {}}
hosts:
  net1:
    roles: [network_node]
    ansible_host: 192.0.2.11
    underlay: {address: 198.51.100.11}
    physical_networks: {north-1: {interface: eth2, bridge: br-ex}}
  cmp1:
    roles: [compute_node]
    ansible_host: "{{ prefix }}.13"
    underlay: {address: 198.51.100.13}
    vars: {prefix: 192.0.2, untemplated: !unsafe "{{ prefix }}", enabled: yes, list: ["{{ prefix }}.1"]}
  spare: {roles: [compute_node], datapath_type: netdev, ansible_become_password: !vault secret}
switches:
  leaf1:
    driver: eos
    address: leaf1.example
    credentials: {username: weft, password: "{{ vault_leaf1_password }}"}
    allowed_vlans: [100-199]
    vars: {rack: 7}
compose: {weft_is_spare: weft_underlay_address is not defined}
groups: {with_underlay: weft_underlay_address is defined}
keyed_groups: [{key: weft_datapath_type, prefix: datapath}]
projects:
  blue-1:
    networks: {web: {subnets: {v4: {cidr: 10.0.0.0/24}}}}
    ports: {web-1: {network: web, host: cmp1}}
    routers: {out: {interfaces: [{network: web}]}}
"""


def run(command: str, *arguments: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one of Ansible's commands with nothing but the path of the collection."""
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_NOCOLOR": "1",
        "COLUMNS": "10000",
        **environment,
    }
    return subprocess.run(
        [sys.executable, "-m", f"ansible.cli.{command}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        env=variables,
    )


def inventory(directory: Path, *arguments: str, source: str = "topology.yml") -> subprocess.CompletedProcess[str]:
    return run("inventory", "-i", str(directory / source), *arguments, directory=directory)


def as_json(result: subprocess.CompletedProcess[str]) -> dict[str, t.Any]:
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture
def fabric(tmp_path: Path) -> Path:
    (tmp_path / "topology.yml").write_text(TOPOLOGY, encoding="utf-8")
    return tmp_path


@pytest.fixture
def locked(fabric: Path) -> Path:
    result = run("playbook", "-i", "topology.yml", "weft.fabric.lock", directory=fabric)
    assert result.returncode == 0, result.stdout + result.stderr
    return fabric


def test_graph(fabric: Path) -> None:
    result = inventory(fabric, "--graph")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "@all:",
        "  |--@ungrouped:",
        "  |--@network_node:",
        "  |  |--net1",
        "  |--@compute_node:",
        "  |  |--cmp1",
        "  |  |--spare",
        "  |--@router_node:",
        "  |  |--net1",
        "  |--@switches:",
        "  |  |--leaf1",
        "  |--@physnet_north_1:",
        "  |  |--net1",
        "  |--@project_blue_1:",
        "  |  |--net1",
        "  |  |--cmp1",
        "  |--@with_underlay:",
        "  |  |--net1",
        "  |  |--cmp1",
        "  |--@datapath_system:",
        "  |  |--net1",
        "  |  |--cmp1",
        "  |--@datapath_netdev:",
        "  |  |--spare",
        "  |--@switch_eos:",
        "  |  |--leaf1",
    ]


def test_list(fabric: Path) -> None:
    found = as_json(inventory(fabric, "--list"))
    variables = found["_meta"]["hostvars"]
    assert variables["net1"] == {
        "ansible_host": "192.0.2.11",
        "weft_datapath_type": "system",
        "weft_host_roles": ["network_node"],
        "weft_is_spare": False,
        "weft_topology": str(fabric / "topology.yml"),
        "weft_underlay_address": "198.51.100.11",
    }
    assert variables["spare"]["weft_is_spare"] is True
    assert variables["spare"]["ansible_become_password"] == {"__ansible_vault": "secret"}
    assert variables["cmp1"]["untemplated"] == {"__ansible_unsafe": "{{ prefix }}"}
    assert found["project_blue_1"]["hosts"] == ["net1", "cmp1"]


def test_a_switch_is_a_host_whose_login_nobody_has_rendered(fabric: Path) -> None:
    found = as_json(inventory(fabric, "--list"))
    leaf1 = found["_meta"]["hostvars"]["leaf1"]
    assert leaf1["weft_switch_credentials"] == {"username": "weft", "password": "{{ vault_leaf1_password }}"}
    assert (leaf1["ansible_connection"], leaf1["ansible_become"], leaf1["rack"]) == ("local", False, 7)
    assert (leaf1["weft_switch_driver"], leaf1["weft_switch_address"]) == ("eos", "leaf1.example")
    assert found["switches"]["hosts"] == found["switch_eos"]["hosts"] == ["leaf1"]
    text = TOPOLOGY.replace('password: "{{ vault_leaf1_password }}"', "password: !vault secret")
    (fabric / "topology.yml").write_text(text, encoding="utf-8")
    leaf1 = as_json(inventory(fabric, "--list"))["_meta"]["hostvars"]["leaf1"]
    assert leaf1["weft_switch_credentials"]["password"] == {"__ansible_vault": "secret"}


def test_a_node_is_a_host_whose_bmc_nobody_has_logged_in_to(fabric: Path) -> None:
    (fabric / "topology.yml").write_text(json.dumps(metal.COMPLETE), encoding="utf-8")
    found = as_json(inventory(fabric, "--list"))
    variables = found["_meta"]["hostvars"]
    n1, n2 = variables["n1"], variables["n2"]
    assert n1["weft_node_bmc"]["password"] == "{{ vault_bmc_password }}"
    assert n1["weft_node_bmc"] | {"protocol": "ipmi", "port": 6230, "timeout": 20} == n1["weft_node_bmc"]
    assert (n1["ansible_user"], n1["ansible_port"], n1["anything"]) == ("root", 2222, 1)
    assert n1["ansible_host"].startswith("10.66.0.")
    assert n1["ansible_host"] != n2["ansible_host"]
    # User data is not copied into every inventory: it is compiled where somebody asks.
    assert n1["weft_node"] == "{{ lookup('weft.fabric.host_state', 'bare_metal') }}"
    assert "cloud-config" not in json.dumps(variables)
    assert found["bare_metal_nodes"]["hosts"] == ["n1", "n2", "n3"]
    assert found["server_nodes"]["hosts"] == ["n1", "n3"]
    assert found["project_blue"]["hosts"] == ["net1", "n1", "n3"]


def test_a_nodes_state_is_compiled_when_it_is_asked_for(fabric: Path) -> None:
    (fabric / "topology.yml").write_text(json.dumps(metal.COMPLETE), encoding="utf-8")
    result = run(
        "adhoc", "-i", "topology.yml", "n2", "-m", "debug",
        "-a", "msg={{ [weft_node.server, hostvars.n1.weft_node.server.name, weft_node.phases | list] | to_json }}",
        directory=fabric,
    )  # fmt: skip
    assert '[null, \\"db-1\\", [\\"idle\\"' in result.stdout, result.stdout + result.stderr
    # What the tenant wrote is text, whatever it looks like.
    result = run(
        "adhoc", "-i", "topology.yml", "n1", "-m", "debug", "-a", "msg={{ weft_node.server.config_drive.user_data }}",
        directory=fabric,
    )  # fmt: skip
    assert "{{ ds.meta_data }}" in result.stdout, result.stdout + result.stderr
    found = look_up(fabric, "ovs_bridges", hosts="n1")
    assert "there is no concern ovs_bridges: use one of bare_metal" in found


def test_host_variables_are_ansibles(fabric: Path) -> None:
    found = as_json(inventory(fabric, "--host", "cmp1"))
    assert found["enabled"] is True
    assert found["list"] == ["{{ prefix }}.1"]
    result = run(
        "adhoc", "-i", "topology.yml", "cmp1", "-m", "debug", "-a", "msg={{ [ansible_host, untemplated, list] }}",
        directory=fabric,
    )  # fmt: skip
    assert '"192.0.2.13"' in result.stdout, result.stdout + result.stderr
    assert '"{{ prefix }}"' in result.stdout
    assert '"192.0.2.1"' in result.stdout


def test_export_has_the_same_hosts(fabric: Path) -> None:
    found = as_json(inventory(fabric, "--list", "--export"))
    assert set(found["_meta"]["hostvars"]) == {"net1", "cmp1", "spare", "leaf1"}


def test_nothing_is_written_and_the_missing_lock_is_named_once(fabric: Path) -> None:
    before = sorted(fabric.rglob("*"))
    result = inventory(fabric, "--list")
    assert [path for path in sorted(fabric.rglob("*")) if ".ansible" not in path.parts] == before
    assert result.stderr.count("5 allocations are not in") == 1
    assert f"{fabric}/topology.lock.yml" in result.stderr
    assert "weft.fabric.lock" in result.stderr


def test_with_a_lock_there_is_no_warning(locked: Path) -> None:
    assert inventory(locked, "--list").stderr == ""


def test_the_same_file_gives_the_same_text(locked: Path) -> None:
    assert inventory(locked, "--list").stdout == inventory(locked, "--list").stdout


def test_a_directory_is_an_inventory(locked: Path) -> None:
    """Ansible tries every file of a directory by itself: parts and the lock pass, the root brings all."""
    topology = locked / "topology.yml"
    topology.write_text(TOPOLOGY.replace("hosts:\n", "include: [more.yml]\nhosts:\n", 1), encoding="utf-8")
    more = "plugin: weft.fabric.topology\npart_of: topology.yml\nhosts: {extra: {roles: [compute_node]}}\n"
    (locked / "more.yml").write_text(more, encoding="utf-8")
    result = inventory(locked, "--list", source="")
    assert set(as_json(result)["_meta"]["hostvars"]) == {"net1", "cmp1", "spare", "extra", "leaf1"}
    assert result.stderr == ""


@pytest.mark.parametrize(
    "change", [("{v4: {cidr: 10.0.0.0/24}}", "{v4: {cidr: 10.0.0.5/24}}"), ("hosts:\n", "hosst:\n")]
)
def test_a_bad_topology_gives_no_host(change: tuple[str, str], fabric: Path) -> None:
    (fabric / "topology.yml").write_text(TOPOLOGY.replace(*change, 1), encoding="utf-8")
    result = inventory(fabric, "--list")
    assert as_json(result)["_meta"]["hostvars"] == {}
    # What AWX sets, and what we recommend: then a bad inventory is a failure.
    strict = run(
        "inventory", "-i", "topology.yml", "--list", directory=fabric, ANSIBLE_INVENTORY_UNPARSED_FAILED="true"
    )
    assert strict.returncode != 0
    assert f"{fabric}/topology.yml:" in result.stderr
    assert "Remedy: " in result.stderr


def test_all_problems_are_told(fabric: Path) -> None:
    text = TOPOLOGY.replace("10.0.0.0/24", "10.0.0.5/24").replace("host: cmp1", "host: cmp7")
    (fabric / "topology.yml").write_text(text, encoding="utf-8")
    result = inventory(fabric, "--list")
    assert "has host bits set. Remedy: write 10.0.0.0/24" in result.stderr
    assert "there is no host 'cmp7'. Remedy: write 'cmp1'" in result.stderr


def test_a_bad_topology_stops_a_play(fabric: Path) -> None:
    (fabric / "topology.yml").write_text(TOPOLOGY.replace("host: cmp1", "host: cmp7"), encoding="utf-8")
    (fabric / "play.yml").write_text("- hosts: all\n  tasks: [{debug: {msg: reached}}]\n", encoding="utf-8")
    result = run("playbook", "-i", "topology.yml", "play.yml", directory=fabric)
    assert "reached" not in result.stdout
    assert "no hosts matched" in result.stdout


def test_another_plugins_file_is_left_alone(fabric: Path) -> None:
    (fabric / "other.yml").write_text("plugin: ansible.builtin.constructed\nstrict: true\n", encoding="utf-8")
    result = run(
        "inventory", "-i", "other.yml", "--list", directory=fabric, ANSIBLE_INVENTORY_ENABLED="weft.fabric.topology"
    )
    assert "declined parsing" in result.stderr or "Unable to parse" in result.stderr
    assert "Remedy" not in result.stderr


def test_the_plugin_can_be_enabled_by_name(fabric: Path) -> None:
    result = run(
        "inventory", "-i", "topology.yml", "--list", directory=fabric, ANSIBLE_INVENTORY_ENABLED="weft.fabric.topology"
    )
    assert "net1" in as_json(result)["_meta"]["hostvars"]


LOOKUP = """
- hosts: HOSTS
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "{{ lookup('weft.fabric.host_state', CONCERN) | to_json }}"
"""


def look_up(directory: Path, concern: str, hosts: str = "cmp1", source: str = "topology.yml", **variables: str) -> str:
    play = LOOKUP.replace("HOSTS", hosts).replace("CONCERN", repr(concern))
    (directory / "play.yml").write_text(play, encoding="utf-8")
    extra = ["-e", json.dumps(variables)] if variables else []
    result = run("playbook", "-i", source, "play.yml", *extra, directory=directory)
    return result.stdout + result.stderr


@pytest.mark.parametrize("concern", ["namespaces", "ovs_bridges", "openflow_flows", "dhcp_servers"])
def test_the_lookup_gives_each_host_its_state(concern: str, locked: Path) -> None:
    found = look_up(locked, concern, hosts="net1:cmp1")
    assert "failed=0" in found, found
    assert found.count("ok: [") == 2


def test_the_lookup_finds_an_imported_topology_beside_the_playbook(locked: Path) -> None:
    """AWX imports the inventory from one place and runs the play in another."""
    imported = as_json(inventory(locked, "--list"))
    hosts = imported["_meta"]["hostvars"]
    hosts["cmp1"]["weft_topology"] = "/runner/project/elsewhere/topology.yml"
    del hosts["spare"]["ansible_become_password"]
    (locked / "imported.json").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    assert "br-int" in look_up(locked, "ovs_bridges", source="imported.json")


@pytest.mark.parametrize(
    ("concern", "variables", "expected"),
    [
        ("ovs_bridge", {}, "there is no concern ovs_bridge"),
        (
            "ovs_bridges",
            {"weft_topology": "/nowhere/fabric.yml"},
            "topology not found, looked for: /nowhere/fabric.yml",
        ),
        ("ovs_bridges", {"inventory_hostname": "cmp9"}, "host cmp9 does not stand in"),
    ],
)
def test_the_lookup_says_what_is_wrong(concern: str, variables: dict[str, str], expected: str, locked: Path) -> None:
    if "inventory_hostname" in variables:
        (locked / "hosts.yml").write_text(
            f"all: {{hosts: {{cmp9: {{weft_topology: {locked}/topology.yml}}}}}}\n", encoding="utf-8"
        )
        assert expected in look_up(locked, concern, hosts="cmp9", source="hosts.yml")
    else:
        assert expected in look_up(locked, concern, **variables)


def lock(directory: Path, *arguments: str) -> tuple[str, str | None]:
    """Run the lock playbook; return its output and the lock file."""
    result = run("playbook", "-i", "topology.yml", "weft.fabric.lock", *arguments, directory=directory)
    path = lock_path(str(directory / "topology.yml"))
    return result.stdout + result.stderr, path.read_text(encoding="utf-8") if path.exists() else None


def test_the_lock_in_check_mode_is_shown_and_not_written(fabric: Path) -> None:
    output, text = lock(fabric, "--check")
    assert "changed=1" in output
    assert "+  projects/blue-1/networks/web: {local_vlan: " in output
    assert text is None


def test_the_lock_is_written_once(fabric: Path) -> None:
    output, text = lock(fabric)
    assert "changed=1" in output
    assert text is not None
    assert oct((fabric / "topology.lock.yml").stat().st_mode & 0o777) == "0o644"
    output, again = lock(fabric)
    assert "changed=0" in output
    assert again == text


def test_the_lock_follows_the_topology(locked: Path) -> None:
    (locked / "topology.yml").write_text(TOPOLOGY.replace("web-1:", "web-9:"), encoding="utf-8")
    output, text = lock(locked)
    assert "-  projects/blue-1/ports/web-1: " in output
    assert "+  projects/blue-1/ports/web-9: " in output
    assert text is not None
    assert "web-1" not in text


def test_the_lock_of_a_bad_topology_stays(locked: Path) -> None:
    before = (locked / "topology.lock.yml").read_text(encoding="utf-8")
    play = "- hosts: localhost\n  tasks: [{weft.fabric.topology_lock: {path: topology.yml}}]\n"
    (locked / "play.yml").write_text(play, encoding="utf-8")
    (locked / "topology.yml").write_text(TOPOLOGY.replace("host: cmp1", "host: cmp7"), encoding="utf-8")
    result = run("playbook", "play.yml", directory=locked)
    assert result.returncode == 2
    assert "the lock file was not written" in result.stdout
    assert "Remedy: write 'cmp1'" in result.stdout
    assert (locked / "topology.lock.yml").read_text(encoding="utf-8") == before
