# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What switches are to be like, compiled: golden files, what the module takes, and what holds for any topology.

WEFT_GOLDEN=write writes the golden files anew; read them before you commit them.
"""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.weft.fabric.plugins.doc_fragments.switch import ModuleDocFragment
from ansible_collections.weft.fabric.plugins.module_utils.switch_desired import parse
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.switch import (
    CONCERNS,
    VLAN_MARK,
    compile_switch,
    vlan_name,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Network, Topology, Where
from ansible_collections.weft.fabric.tests.unit.topology.compile.test_arguments import documented, problems

DIRECTORY = Path(__file__).parent / "switches"
CASES = sorted(path.stem for path in DIRECTORY.glob("*.topology"))


class _Dumper(yaml.SafeDumper):
    """Writes no anchors."""

    def ignore_aliases(self, data: t.Any) -> bool:
        return True


def read(case: str, tmp_path: Path) -> Topology:
    path = tmp_path / "topology.yml"
    path.write_bytes((DIRECTORY / f"{case}.topology").read_bytes())
    return build(str(path))


@pytest.mark.parametrize("case", CASES)
def test_a_switch_state_is_as_it_was(case: str, tmp_path: Path) -> None:
    topology = read(case, tmp_path)
    states = {name: {c: compile_switch(topology, name, c) for c in CONCERNS} for name in topology.switches}
    text = yaml.dump(states, Dumper=_Dumper, sort_keys=False, width=100000)
    expected = DIRECTORY / f"{case}.golden"
    if os.environ.get("WEFT_GOLDEN") == "write":
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


def with_login(state: dict[str, t.Any]) -> dict[str, t.Any]:
    return {**state, "switch": {**state["switch"], "username": "weft", "password": "from a vault"}}


@pytest.mark.parametrize("case", CASES)
def test_arguments_are_what_the_module_documents(case: str, tmp_path: Path) -> None:
    fragments = (ModuleDocFragment.DOCUMENTATION, ModuleDocFragment.WRITING)
    options = documented("switch_ports")
    options.update({name: option for text in fragments for name, option in yaml.safe_load(text)["options"].items()})
    topology = read(case, tmp_path)
    for name in topology.switches:
        for concern in CONCERNS:
            assert problems(with_login(compile_switch(topology, name, concern)), options, name) == []


@pytest.mark.parametrize("case", CASES)
def test_the_module_reads_them(case: str, tmp_path: Path) -> None:
    topology = read(case, tmp_path)
    for name, switch in topology.switches.items():
        for concern in CONCERNS:
            found = parse(with_login(compile_switch(topology, name, concern)))
            assert [wanted.name for wanted in found.ports.values()] == [p.interface for p in switch.ports.values()]


def test_nothing_of_the_login_is_in_the_state(tmp_path: Path) -> None:
    for case in CASES:
        topology = read(case, tmp_path)
        for name, switch in topology.switches.items():
            text = json.dumps(compile_switch(topology, name, "switch_ports"))
            login = switch.credentials
            for secret in (login.password, login.ssh_key_file):
                assert secret is None or str(secret) not in text


def test_a_vlan_has_the_mark_and_a_name_of_its_own() -> None:
    where = Where("file", 1, "path")
    long = Network("a-very-long-name-of-a-network", "a-very-long-name-of-a-project", where)
    names = [vlan_name(number, network) for number in range(1, 4095) for network in (None, long)]
    assert len(set(names)) == len(names)
    assert all(name.startswith(VLAN_MARK) and len(name) <= 32 for name in names)
    assert vlan_name(7, Network("a.b", "c", where)) == "weft-7-c-a-b"


# Any topology of a few hosts behind two switches.

HOSTS = [f"h{number}" for number in range(4)]
VLANS = range(100, 106)


@st.composite
def fabrics(draw: st.DrawFn) -> dict[str, t.Any]:
    places = draw(st.dictionaries(st.sampled_from(VLANS), st.sets(st.sampled_from(HOSTS))))
    extra = draw(st.lists(st.integers(150, 155), max_size=3))
    switch_of = draw(st.lists(st.integers(0, 1), min_size=len(HOSTS), max_size=len(HOSTS)))
    switches: dict[str, t.Any] = {}
    for number in (0, 1):
        ports: dict[str, t.Any] = {f"Ethernet{20 + index}": {"vlan": vlan} for index, vlan in enumerate(extra)}
        for index, host in enumerate(HOSTS):
            if switch_of[index] == number:
                ports[f"Ethernet{index + 1}"] = {"host": host}
        switches[f"leaf{number}"] = {
            "driver": "eos",
            "address": f"198.51.100.{number + 1}",
            "credentials": {"username": "weft", "ssh_key_file": "~/.ssh/key"},
            "allowed_vlans": ["100-199"],
            "uplinks": ["Ethernet49"],
            "physical_networks": ["physnet1"],
            "ports": ports,
        }
    provider = {"type": "vlan", "physical_network": "physnet1"}
    return {
        "plugin": "weft.fabric.topology",
        "physical_networks": {"physnet1": {}},
        "hosts": {
            host: {"roles": ["compute_node"], "physical_networks": {"physnet1": {"interface": "eth1"}}}
            for host in HOSTS
        },
        "projects": {
            "p": {
                "networks": {f"n{vlan}": {**provider, "segmentation_id": vlan} for vlan in places},
                "ports": {
                    f"n{vlan}-{host}": {"network": f"n{vlan}", "host": host}
                    for vlan, hosts in places.items()
                    for host in sorted(hosts)
                },
            }
        },
        "switches": switches,
    }


def compiled(directory: Path, document: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    path = directory / "topology.yml"
    path.write_text(json.dumps(document), encoding="utf-8")
    topology = build(str(path))
    return {name: compile_switch(topology, name, "switch_ports") for name in topology.switches}


def behind(document: dict[str, t.Any], host: str) -> set[int]:
    project = document["projects"]["p"]
    names = {port["network"] for port in project["ports"].values() if port["host"] == host}
    return {project["networks"][name]["segmentation_id"] for name in names}


@given(document=fabrics())
def test_a_trunk_carries_what_its_host_has_and_nothing_else(
    document: dict[str, t.Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    states = compiled(tmp_path_factory.getbasetemp(), document)
    needed = set().union(*(behind(document, host) for host in HOSTS))
    for name, state in states.items():
        ports = {item["name"]: item for item in state["ports"]}
        for port, item in document["switches"][name]["ports"].items():
            if "host" not in item:
                assert (ports[port]["mode"], ports[port]["vlan"]) == ("access", item["vlan"])
            elif behind(document, item["host"]):
                assert set(ports[port]["allowed_vlans"]) == behind(document, item["host"])
            else:
                assert ports[port]["state"] == "absent"
        named = {item["vlan"] for item in document["switches"][name]["ports"].values() if "vlan" in item}
        assert {item["vlan_id"] for item in state["vlans"]} == needed | named
        assert "Ethernet49" not in ports
        assert len(parse(with_login(state)).ports) == len(ports)


@given(document=fabrics(), host=st.sampled_from(HOSTS), other=st.sampled_from(HOSTS))
def test_a_port_that_moves_changes_the_two_trunks_only(
    document: dict[str, t.Any], host: str, other: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.getbasetemp()
    before = compiled(directory, document)
    for port in document["projects"]["p"]["ports"].values():
        port["host"] = other if port["host"] == host else port["host"]
    after = compiled(directory, document)
    for name, switch in document["switches"].items():
        for old, new in zip(before[name]["ports"], after[name]["ports"], strict=True):
            if switch["ports"][old["name"]].get("host") not in (host, other):
                assert old == new
        assert before[name]["vlans"] == after[name]["vlans"]
