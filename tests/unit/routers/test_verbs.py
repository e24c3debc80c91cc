# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs as an operator calls them: on this machine, which has no routers, and on hosts that are pretended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import resource_id
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip, private_network
from ansible_collections.weft.fabric.tests.unit.routers.fabric import SPREAD, TOPOLOGY
from ansible_collections.weft.fabric.tests.unit.routers.pretended import World

COLLECTIONS = Path(build.__file__).parents[6]


class Operator:
    """Runs verbs."""

    def __init__(self, directory: Path, collections: Path = COLLECTIONS) -> None:
        self.directory = directory
        self.collections = collections
        (directory / "topology.yml").write_text(TOPOLOGY, encoding="utf-8")

    def run(self, verb: str, *words: str, check_mode: bool = False) -> subprocess.CompletedProcess[str]:
        return self.play(f"weft.fabric.{verb}", *words, check_mode=check_mode)

    def play(self, playbook: str, *words: str, check_mode: bool = False) -> subprocess.CompletedProcess[str]:
        extra = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "ansible_become": "false"}
        arguments = [word for name, value in extra.items() for word in ("-e", f"{name}={value}")]
        arguments += [word for setting in words for word in ("-e", setting)]
        arguments += ["--check"] if check_mode else []
        return subprocess.run(
            [sys.executable, "-m", "ansible.cli.playbook", "-i", "topology.yml", playbook, *arguments],
            cwd=self.directory,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.directory),
                "LC_ALL": "C.UTF-8",
                "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
                "ANSIBLE_NOCOLOR": "1",
                "COLUMNS": "10000",
            },
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def operator(tmp_path: Path) -> t.Iterator[Operator]:
    with private_network():
        yield Operator(tmp_path)


@pytest.mark.parametrize(
    ("verb", "word", "error"),
    [
        ("router_status", "router=blue/r11", "there is no router 'blue/r11': did you mean blue/r1?"),
        ("router_failover", "host=nte1", "there is no host 'nte1': did you mean net1?"),
        ("router_failover", "unused=1", "which router? Say either -e router=PROJECT/ROUTER or -e host=HOST"),
        ("drain", "unused=1", "which host? Say -e host=HOST"),
    ],
)
def test_a_wrong_name_is_one_error_before_any_host_is_touched(
    operator: Operator, verb: str, word: str, error: str
) -> None:
    done = operator.run(verb, word)
    assert done.returncode == 2, done.stdout + done.stderr
    assert error in done.stdout + done.stderr
    assert (done.stdout + done.stderr).count("fatal:") == 1
    assert "Look at the routers" not in done.stdout


def test_the_status_of_routers_that_are_not_there_is_loud(operator: Operator) -> None:
    done = operator.run("router_status", "host=net1")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "blue/r1: no node is primary: nobody routes" in done.stdout
    assert "blue/r2: net1 has no namespace for it: run weft.fabric.site" in done.stdout


def test_nothing_is_moved_that_has_no_primary(operator: Operator) -> None:
    done = operator.run("router_failover", "router=blue/r1")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "blue/r1: no node is primary: repair that first" in done.stdout + done.stderr
    assert "Move the roles" not in done.stdout


IDS = {name: resource_id(name.partition("/")[0], "routers", name.partition("/")[2]) for name in ("blue/r1", "blue/r2")}
IDS.update({"blue/r3": resource_id("blue", "routers", "r3"), "red/r1": resource_id("red", "routers", "r1")})


class Pretended(Operator):
    """Runs verbs on hosts that are pretended."""

    def __init__(self, directory: Path) -> None:
        place = directory / "collections/ansible_collections/weft/fabric"
        place.mkdir(parents=True)
        Operator.__init__(self, directory, directory / "collections")
        self.world = World(directory / "world.json")
        self.world.install(COLLECTIONS / "ansible_collections/weft/fabric", place)
        nodes = {"blue/r1": ["net1", "net2"], "blue/r3": ["net3", "net1", "net2"], "red/r1": ["net2", "net1"]}
        self.world.begin({IDS[name]: hosts for name, hosts in nodes.items()}, {IDS["blue/r2"]: "net1"})

    def primaries(self) -> dict[str, str]:
        return {name: self.world.load()["primary"].get(router) for name, router in IDS.items() if name != "blue/r2"}

    def good(self, verb: str, *words: str, check_mode: bool = False) -> str:
        """Run a verb that has to succeed."""
        done = self.run(verb, *words, check_mode=check_mode)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def pretended(tmp_path: Path) -> Pretended:
    return Pretended(tmp_path)


AT_HOME = {"blue/r1": "net1", "blue/r3": "net3", "red/r1": "net2"}


def test_a_failover_moves_one_role_and_tells_what_was_lost(pretended: Pretended) -> None:
    foretold = pretended.good("router_failover", "router=blue/r3", "to=net2", check_mode=True)
    assert "blue/r3: net3 -> net2" in foretold
    assert (pretended.primaries(), pretended.world.log) == (AT_HOME, [])
    told = pretended.good("router_failover", "router=blue/r3", "to=net2")
    assert pretended.primaries() == {**AT_HOME, "blue/r3": "net2"}
    # First who stands aside, then who gives up; the handicaps of all at last.
    assert pretended.world.log[:3] == ["net1: blue/r3", "net3: blue/r3", "net2: blue/r3"]
    assert sorted(pretended.world.log[3:]) == ["net1: blue/r3", "net2: blue/r3", "net3: blue/r3"]
    assert "blue/r3: 2 of 100 pings lost, longest time without an answer 20 ms" in told
    assert "NOT MEASURED: quiet/one" in told
    assert all(set(values.values()) == {0} for values in pretended.world.load()["handicaps"].values())
    assert "PROBLEM" not in pretended.good("router_status")


def test_a_drain_a_rebalance_and_an_undrain(pretended: Pretended) -> None:
    done = pretended.run("drain", "host=net1")
    assert done.returncode == 2
    assert "blue/r2 is not HA and stays on net1" in done.stdout
    assert pretended.primaries() == {**AT_HOME, "blue/r1": "net2"}
    told = pretended.good("drain", "host=net1", "accept_outage=true")
    assert "changed=0" in told
    assert "changed=1" not in told
    told = pretended.good("rebalance")
    assert "blue/r1 stays on net2: net1 is drained" in told
    assert "net1 is drained" in pretended.good("router_status", "router=blue/r1,red/r1")
    pretended.good("undrain", "host=net1")
    assert pretended.primaries() == {**AT_HOME, "blue/r1": "net2"}
    pretended.good("rebalance")
    assert pretended.primaries() == AT_HOME


def test_a_host_that_does_not_answer_is_a_problem_and_not_the_end(pretended: Pretended) -> None:
    state = pretended.world.load()
    state["hosts"]["net2"]["answers"] = False
    pretended.world.save(state)
    done = pretended.run("router_status")
    assert done.returncode == 2
    assert "blue/r1: net2 does not answer: whether it is primary is unknown" in done.stdout
    done = pretended.run("router_failover", "host=net1")
    assert "blue/r1: nowhere to go from net1: net2 does not answer" in done.stdout + done.stderr
    assert pretended.world.log == []


def test_distributed_routers_have_a_role_that_moves_and_parts_that_are_looked_at(pretended: Pretended) -> None:
    (pretended.directory / "topology.yml").write_text(SPREAD, encoding="utf-8")
    told = pretended.good("router_status")
    assert "blue/r1 (HA, distributed): net1 primary since" in told
    assert "routes on cmp1, net1, net2 and 1 more" in told
    assert "red/r1 (HA, distributed): routes on cmp1" in told
    state = pretended.world.load()
    state["hosts"]["cmp1"]["answers"] = False
    pretended.world.save(state)
    done = pretended.run("router_status")
    assert done.returncode == 2
    assert "red/r1: cmp1 does not answer: whether it routes is unknown" in done.stdout
    # To move a role, nobody needs the hosts of the machines.
    pretended.good("router_failover", "router=blue/r1")
    assert pretended.primaries()["blue/r1"] == "net2"


def test_a_measurement_outlives_its_module_and_does_not_hold_up_ansible(operator: Operator) -> None:
    ip("netns add weft-t-port", "netns add weft-t-router")
    mac = "fa:16:3e:00:00:01"
    ip(f"link add eth0 netns weft-t-port type veth peer name qr address {mac} netns weft-t-router")
    ip("addr add 10.0.0.9/24 dev eth0", "link set eth0 up", namespace="weft-t-port")
    ip("addr add 10.0.0.1/24 dev qr", "link set qr up", namespace="weft-t-router")
    way = {"router": "blue/r1", "namespace": "weft-t-port", "interface": "eth0", "source": "10.0.0.9", "mac": mac}
    targets = [{"address": "10.0.0.1", "what": "the router itself"}]
    (operator.directory / "measure.yml").write_text(MEASURE, encoding="utf-8")
    done = operator.play("measure.yml", json.dumps({"way": {**way, "targets": targets}}))
    assert done.returncode == 0, done.stdout + done.stderr
    assert not Path("/run/weft-fabric-probe").exists()


MEASURE = """
- hosts: net1
  gather_facts: false
  tasks:
    - weft.fabric.router_probe: {state: started, ways: ["{{ way }}"], seconds: 20}
    - weft.fabric.router_probe: {state: stopped}
      register: measured
    - ansible.builtin.assert:
        that:
          - measured.results[0].lost == 0
          - measured.results[0].sent > 5
"""
