# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The replay: its order, what it does when something fails, and the program itself against a private Open vSwitch."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import boot_files, replay
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import (
    Engine,
    FabricError,
    Operation,
    reconcile,
    save_state,
)
from ansible_collections.weft.fabric.tests.unit.ovs.helpers import bridge, bridges_engine, dump, flows_engine, port
from ansible_collections.weft.fabric.tests.unit.ovs_sandbox import OvsSandbox

FLOWS = ['table=0,in_port="tap1" actions=output:"tap2"', 'table=77 actions=output:"tap1",output:"tap2"']


class Recorder(Engine):
    """Does nothing, and remembers what it was asked for."""

    def __init__(self, params: dict[str, t.Any]) -> None:
        super().__init__(params)
        self.done = False

    def read(self) -> bool:
        if self.params.get("raises"):
            raise {"fabric": FabricError("no such bridge"), "os": OSError("no such file"), "bug": KeyError("oops")}[
                self.params["raises"]
            ]
        return self.done

    def diff(self, current: bool) -> list[Operation]:
        return [] if current else [Operation("do it")]

    def apply(self, operations: list[Operation]) -> None:
        self.params["log"].append(self.params["number"])
        self.done = True


def steps(log: list[int], *raises: str | None, own_states: bool = False) -> list[replay.Step]:
    def prepare(number: int, error: str | None) -> t.Callable[[t.Any], t.Any]:
        return lambda _params: {"log": log, "number": number, "raises": error}

    states = [f"state{i}" if own_states else "state" for i in range(len(raises))]
    return [replay.Step(f"step{i}", states[i], Recorder, prepare(i, error)) for i, error in enumerate(raises)]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state.json").write_text("{}")
    return tmp_path


def test_steps_run_in_order(state: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log: list[int] = []
    assert replay.Replay(str(state)).run(steps(log, None, None, None))
    assert log == [0, 1, 2]
    assert [record.message.rpartition(" in ")[0] for record in caplog.records] == [
        "step0: 1 changes",
        "step1: 1 changes",
        "step2: 1 changes",
    ]


@pytest.mark.parametrize("error", ["fabric", "os", "bug"])
def test_a_failed_step_stops_no_other(state: Path, caplog: pytest.LogCaptureFixture, error: str) -> None:
    log: list[int] = []
    run = replay.Replay(str(state))
    for number in range(3):
        (state / f"state{number}.json").write_text("{}")
    assert not run.run(steps(log, None, error, None, own_states=True))
    assert log == [0, 2]
    assert run.failed == ["step1"]
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR][0].startswith(
        "step1: failed after "
    )


class Daemons(Engine):
    """Starts daemons, all or none: a bad configuration is refused before anything is changed."""

    running: t.ClassVar[list[str]] = []

    def read(self) -> list[str]:
        return list(self.running)

    def diff(self, current: list[str]) -> list[Operation]:
        wanted = (item["name"] for item in self.params["servers"])
        return [Operation(name, name) for name in wanted if name not in current]

    def apply(self, operations: list[Operation]) -> None:
        if any(operation.payload == "bad" for operation in operations):
            raise FabricError("nothing was changed: dnsmasq refuses bad")
        self.running.extend(operation.payload for operation in operations)


def test_a_bad_item_costs_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Daemons, "running", [])
    (tmp_path / "state.json").write_text(json.dumps({"servers": [{"name": "a"}, {"name": "bad"}, {"name": "b"}]}))
    run = replay.Replay(str(tmp_path))
    step = replay.Step("servers", "state", Daemons, replay.additions, "servers")
    assert not run.run([step])
    assert Daemons.running == ["a", "b"]
    assert "2 changes, and 1 of 3 failed: nothing was changed: dnsmasq refuses bad" in caplog.records[0].message
    monkeypatch.setattr(Daemons, "running", [])
    assert not replay.Replay(str(tmp_path)).run([step._replace(items=None)])
    assert Daemons.running == []


def test_what_goes_by_items_is_a_list_of_the_state() -> None:
    by_items = {step.state: step.items for step in replay.STEPS if step.items}
    assert by_items == {
        "nftables": "tables",
        "dhcp_servers": "servers",
        "router_advertisements": "routers",
        "vrrp_routers": "routers",
        "boot_servers": "servers",
    }
    for state, items in by_items.items():
        source = Path(boot_files.__file__).parents[1] / "modules" / f"{state}.py"
        assert f"\n  {items}:\n" in source.read_text("utf-8")


@pytest.mark.parametrize(("second", "succeeded"), [(None, True), ("fabric", False)])
def test_what_a_later_turn_mends_is_no_failure(
    state: Path, caplog: pytest.LogCaptureFixture, second: str | None, succeeded: bool
) -> None:
    run = replay.Replay(str(state))
    assert run.run(steps([], "fabric", second)) is succeeded
    assert caplog.records[0].levelno == logging.WARNING
    assert run.failed == ([] if succeeded else ["step1"])


def test_a_step_without_saved_state_or_work_is_left_out(tmp_path: Path) -> None:
    log: list[int] = []
    assert replay.Replay(str(tmp_path)).run(steps(log, None))
    assert log == []
    (tmp_path / "state.json").write_text("{}")
    idle = replay.Step("idle", "state", Recorder, lambda _params: None)
    assert replay.Replay(str(tmp_path)).run([idle])


def test_a_damaged_state_is_a_failure_and_stops_no_other(state: Path) -> None:
    log: list[int] = []
    (state / "broken.json").write_text('{"bridges": [')
    made = steps(log, None)
    run = replay.Replay(str(state))
    assert not run.run([made[0]._replace(title="broken", state="broken"), made[0]])
    assert (run.failed, log) == (["broken"], [0])


def test_the_order_of_boot() -> None:
    assert [step.title for step in replay.STEPS] == [
        "namespaces (devices)",
        "ovs_bridges",
        "openflow_flows",
        "nftables",
        "namespaces",
        "ovs_tunnel_routes",
        "dhcp_servers",
        "router_advertisements",
        "vrrp_routers",
        "boot_servers",
    ], "a router has addresses when it translates, and takes a role when everything is wired"
    assert all(step.engine.name == step.state for step in replay.STEPS)


def test_a_replay_removes_nothing() -> None:
    params = {
        "purge": True,
        "bridges": [{"name": "a", "ports": [{"name": "p", "state": "absent"}]}, {"name": "b", "state": "absent"}],
    }
    assert replay.additions(params) == {"purge": False, "bridges": [{"name": "a", "ports": []}]}
    assert replay.flows(params) == {"purge": True, "bridges": [{"name": "a", "ports": []}]}
    assert replay.flows({"bridges": []}) == {"purge": False, "bridges": []}


def test_devices_come_first_when_they_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "NETWORK_DEVICES", str(tmp_path))
    veth = {"name": "ns-1", "kind": "veth", "peer": "tap1", "addresses": ["10.0.0.2/24"]}
    tap = {"name": "tap2", "kind": "tap"}
    existing = {"name": "br-underlay", "kind": "existing", "addresses": ["192.0.2.1/24"]}
    params = {
        "purge": True,
        "namespaces": [
            {"name": None, "links": [tap, existing], "routes": [{"to": "0.0.0.0/0", "dev": "br-underlay"}]},
            {"name": "qdhcp-1", "links": [veth], "sysctls": {"net.ipv4.ip_forward": "0"}},
        ],
    }
    assert replay.missing_devices(params) == {
        "purge": False,
        "namespaces": [
            {"name": None, "links": [tap], "sysctls": None},
            {"name": "qdhcp-1", "links": [veth], "sysctls": {"net.ipv4.ip_forward": "0"}},
        ],
    }
    (tmp_path / "tap1").touch()
    assert replay.missing_devices(params) is not None
    (tmp_path / "tap2").touch()
    assert replay.missing_devices(params) is None, "after a crash of ovs-vswitchd alone nothing keeps flows waiting"


# The program itself


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "replay.pyz"
    path.write_bytes(boot_files.zipapp())
    return path


@pytest.fixture
def host(tmp_path: Path) -> t.Iterator[OvsSandbox]:
    """A host that Ansible has configured."""
    with OvsSandbox() as box:
        engines = (
            bridges_engine(box, [bridge("br-int", port("tap1", 1), port("tap2", 2), {"iface_id": "vm-1", "tag": 3})]),
            flows_engine(box, {"br-int": [*FLOWS, 'table=0,in_port="iface-id:vm-1" actions=drop']}),
        )
        for engine in engines:
            reconcile(engine)
            save_state(engine.name, engine.params, str(tmp_path))
        yield box


def run(program: Path, state: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(program), *arguments, "--state-dir", str(state), "--lock", str(state / "lock")],
        capture_output=True, text=True, timeout=60, env={"PATH": "/usr/sbin:/usr/bin", **environment}, check=False,
    )  # fmt: skip


def test_after_a_crash_everything_is_back(host: OvsSandbox, program: Path, tmp_path: Path) -> None:
    before = dump(host, "br-int")
    host.restart_vswitchd()
    assert dump(host, "br-int") == []
    done = run(program, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    titles = [line.split(":")[0] for line in done.stdout.splitlines()]
    assert titles == ["ovs-vswitchd", "ovs_bridges", "openflow_flows"]
    assert "openflow_flows: 2 changes, 1 ports pending in " in done.stdout
    assert dump(host, "br-int") == before
    assert "openflow_flows: 0 changes" in run(program, tmp_path).stdout


def test_a_lost_database_is_made_again(host: OvsSandbox, program: Path, tmp_path: Path) -> None:
    before = dump(host, "br-int")
    host.vsctl("del-br", "br-int")
    done = run(program, tmp_path)
    assert done.returncode == 0, done.stdout
    assert "ovs_bridges: 3 changes, 1 ports pending in " in done.stdout
    assert len(dump(host, "br-int")) == len(before)


def test_what_others_have_made_meanwhile_stands(host: OvsSandbox, program: Path, tmp_path: Path) -> None:
    host.vsctl("add-br", "br-ours", "--", "set", "Bridge", "br-ours", "external_ids:weft-fabric=1")
    host.vsctl("add-br", "br-theirs", "--", "add-port", "br-int", "vnet9")
    host.ofctl("add-flow", "br-int", "cookie=0x99,table=5 actions=drop")
    assert run(program, tmp_path).returncode == 0
    assert sorted(host.vsctl("list-br").split()) == ["br-int", "br-ours", "br-theirs"]
    assert "vnet9" in host.vsctl("list-ports", "br-int").split()
    assert dump(host, "br-int", "table=5") == ["cookie=0x99, table=5, actions=drop"]


def test_one_dead_port_costs_nobody_else(host: OvsSandbox, program: Path, tmp_path: Path) -> None:
    state = tmp_path / "ovs_bridges.json"
    state.unlink()  # so that nothing makes the port again
    host.vsctl("del-port", "tap2")
    host.ofctl("del-flows", "br-int")
    done = run(program, tmp_path)
    assert done.returncode == 1
    assert "there is no working port tap2 on br-int; its flows are left out" in done.stdout
    number = host.ofports()["tap1"]
    assert dump(host, "br-int", "table=77") == [
        f"cookie=0x7765667400000000, table=77, actions=output:{number},output:65279"
    ]


def test_without_open_vswitch_it_fails_and_says_so(host: OvsSandbox, program: Path, tmp_path: Path) -> None:
    host.stop()
    done = run(program, tmp_path, JOURNAL_STREAM="8:1")
    assert done.returncode == 1
    assert all(line.startswith("<3>") for line in done.stdout.splitlines())
    assert done.stdout.count("does not answer") == 3


def test_the_journal_gets_priorities(host: OvsSandbox, program: Path, tmp_path: Path) -> None:
    assert run(program, tmp_path, JOURNAL_STREAM="8:1").stdout.startswith("<6>ovs-vswitchd: ready in ")


def test_a_machine_that_is_plugged_in_gets_tag_and_flows(host: OvsSandbox, program: Path, tmp_path: Path) -> None:
    host.vsctl("add-port", "br-int", "vnet0", "--", "set", "Interface", "vnet0", "external_ids:iface-id=vm-1")
    number = host.ofports()["vnet0"]
    assert run(program, tmp_path, "ports").returncode == 0
    assert host.vsctl("get", "Port", "vnet0", "tag").strip() == "3"
    assert f"cookie=0x7765667400000000, in_port={number} actions=drop" in dump(host, "br-int")


def test_a_host_without_state_has_nothing_to_do(program: Path, tmp_path: Path) -> None:
    done = run(program, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# The watcher


@pytest.fixture
def watcher(tmp_path: Path) -> Path:
    path = tmp_path / "watch"
    path.write_bytes(boot_files.files()[boot_files.WATCHER])
    return path


def test_the_watcher_rests_where_nobody_plugs_in(watcher: Path, tmp_path: Path) -> None:
    (tmp_path / "ovs_bridges.json").write_text(json.dumps({"bridges": [{"ports": [{"iface_id": None}]}]}))
    for state in ("ovs_bridges.json", "missing.json"):
        done = subprocess.run(["sh", str(watcher), str(tmp_path / state)], timeout=10, check=False)
        assert done.returncode == 0


def test_the_watcher_tells_of_a_port_and_ends_with_the_database(
    host: OvsSandbox, watcher: Path, tmp_path: Path
) -> None:
    trigger = tmp_path / "run" / "trigger"
    command = ["sh", str(watcher), str(tmp_path / "ovs_bridges.json"), str(trigger), host.socket]
    with subprocess.Popen(command) as process:
        host.vsctl("add-port", "br-int", "tap9")
        host.vsctl("add-port", "br-int", "vnet0", "--", "set", "Interface", "vnet0", "external_ids:iface-id=vm-1")
        _wait_for(trigger, process)
        trigger.unlink()
        host.vsctl("del-port", "vnet0")
        _wait_for(trigger, process)
        host.stop()
        assert process.wait(10) == 1


def test_the_watcher_does_not_care_for_other_ports(host: OvsSandbox, watcher: Path, tmp_path: Path) -> None:
    trigger = tmp_path / "trigger"
    command = ["sh", str(watcher), str(tmp_path / "ovs_bridges.json"), str(trigger), host.socket]
    with subprocess.Popen(command) as process:
        host.vsctl("add-port", "br-int", "tap9")
        host.stop()
        assert process.wait(10) == 1
    assert not trigger.exists()


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    for _poll in range(1000):
        if path.exists():
            return
        try:
            process.wait(0.01)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(f"{path} did not appear; the watcher ended with {process.poll()}")
