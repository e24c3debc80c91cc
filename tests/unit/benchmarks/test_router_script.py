# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plain script that a benchmark compares the collection with."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import tarfile

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host
from ansible_collections.weft.fabric.tests.benchmarks import router_script
from ansible_collections.weft.fabric.tests.benchmarks.generate import write_routers

ROUTERS = 3


@pytest.fixture(name="state")
def fixture_state(tmp_path):
    return compile_host(build(str(write_routers(tmp_path, ROUTERS, 5))), "net1")


def test_each_router_has_what_is_to_be_measured(state):
    routers = state["vrrp_routers"]["routers"]
    assert len(routers) == len(state["router_advertisements"]["routers"]) == ROUTERS
    for table in state["nftables"]["tables"]:
        maps = {entry["map"]["name"]: entry["map"] for entry in table["content"] if "map" in entry}
        assert len(maps["fip_dnat"]["elem"]) == 5
    for item in router_script.namespaces_of(state):
        assert sorted(link["name"][:3] for link in item["links"]) == ["ha-", "qg-", "qr-", "qr-"]


def test_both_nodes_have_all_routers(tmp_path):
    topology = build(str(write_routers(tmp_path, ROUTERS, 5)))
    first, second = (
        [router["name"] for router in compile_host(topology, host)["vrrp_routers"]["routers"]]
        for host in ("net1", "net2")
    )
    assert sorted(first) == sorted(second)
    # Each begins with those that prefer it.
    assert first != second


@pytest.mark.parametrize("name", ["make", "make.systemd", "undo"])
def test_a_shell_can_read_it(state, name):
    text = router_script.files(state)[name]
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_all_files_that_are_read_are_there(state):
    files = router_script.files(state)
    for item in router_script.namespaces_of(state):
        assert f"sh {item['name']}/make" in files["make"]
        for part in ("sysctl", "batch", "rules"):
            assert f"{item['name']}/{part}" in files[f"{item['name']}/make"]
            assert files[f"{item['name']}/{part}"]


def test_both_scripts_start_the_same_daemons(state):
    files = router_script.files(state)
    plain, kept = files["make"], files["make.systemd"]
    for router in state["vrrp_routers"]["routers"]:
        for daemon in ("conntrackd", "keepalived"):
            config = f"/{router['name']}/{daemon}.conf"
            assert plain.count(config) == 1
            assert kept.count(f"{router_script.UNITS}-{daemon}@{router['name']}") == 1
            text = files[f"units/{router_script.UNITS}-{daemon}@.service"].replace("%i", router["name"])
            assert text.count(config) == 1
            assert "Restart=always" in text
    assert plain.partition("cp notify")[0] == kept.partition("cp notify")[0]


def test_rules_name_their_table(state):
    commands = json.loads(router_script.nft_input(state["nftables"]["tables"][0]))["nftables"]
    assert commands[0] == {"add": {"table": {"family": "inet", "name": "weft_fabric"}}}
    assert all(value["table"] == "weft_fabric" for entry in commands[1:] for value in entry["add"].values())


def test_everything_made_is_removed(state):
    files = router_script.files(state)
    made = {line.split()[2] for line in files["devices"].splitlines() if "add" in line}
    gone = {line.split()[2] for line in files["devices.undo"].splitlines()}
    assert made == gone


def test_names_of_ports_become_numbers(tmp_path):
    (tmp_path / "flows").write_text('in_port="a-1" actions=set_field:"b"->reg7,output:"a-1"\nactions=drop\n')
    stub = tmp_path / "ovs-vsctl"
    stub.write_text("#!/bin/sh\nprintf 'a-1,7\\nb,12\\n'\n")
    stub.chmod(0o755)
    command = f"PATH={tmp_path}:$PATH\n{router_script.NUMBERS}numbered flows\n"
    done = subprocess.run(["sh", "-e"], cwd=tmp_path, input=command, text=True, check=True, capture_output=True)
    assert done.stdout == "in_port=7 actions=set_field:12->reg7,output:7\nactions=drop\n"


def test_dhcp_is_refused(state):
    state["dhcp_servers"]["servers"] = [{"name": "somebody"}]
    with pytest.raises(ValueError, match="enable_dhcp"):
        router_script.files(state)


def test_the_archive_holds_all_files(state):
    files = router_script.files(state)
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(router_script.archive(files)))) as tar:
        assert {entry.name for entry in tar} == set(files)
