# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module does with highly available routers: a real keepalived and a real conntrackd, in namespaces."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import vrrp_files, vrrp_program, vrrp_routers
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, reconcile
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Unit
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ip
from ansible_collections.weft.fabric.tests.unit.vrrp.fake_systemd import wait_for
from ansible_collections.weft.fabric.tests.unit.vrrp.machine import LEG_MAC, ROUTES, Node

FLOATING = ("203.0.113.120/32", "qg-1")


class Killed(BaseException):
    """Like SIGKILL, nothing catches it."""


def verbs(node: Node) -> list[str]:
    """Return what was asked of systemd since the last time."""
    short = {node.unit: "vrrp", node.sessions_unit: "sessions", vrrp_program.REFRESH_TIMER: "timer"}
    return [" ".join([call[0], *(short[name] for name in call[1:])]) for call in node.systemd.forget()]


def test_life_cycle(node: Node) -> None:
    """Create, change each part, remove: predicted first, done, then nothing is left to do."""
    more_routes = [*ROUTES, {"to": "10.9.0.0/16", "via": "10.0.0.77", "device": "qr-1"}]
    no_peers = {"peers": []}
    steps: list[tuple[dict[str, t.Any], list[str]]] = [
        (node.item(**no_peers), ["start sessions", "start timer", "start vrrp"]),
        (node.item(**no_peers, config=node.config([FLOATING])), ["reload vrrp"]),
        (node.item(**no_peers, config=node.config(routes=more_routes)), ["reload vrrp"]),
        (node.item(**no_peers, forwarding=[]), ["reload vrrp"]),
        (node.item(), []),
        (node.item(conntrackd=node.sessions() + "# x\n"), ["stop sessions", "start sessions"]),
        (node.item(conntrackd=None), ["stop sessions", "stop timer"]),
        ({"name": node.name, "state": "absent"}, ["stop vrrp sessions"]),
    ]
    for item, expected in steps:
        predicted = node.run(item, check_mode=True)
        assert node.systemd.forget() == []
        done = node.run(item)
        assert done == predicted
        assert done["changed"]
        assert verbs(node) == expected
        for check_mode in (True, False):
            assert node.run(item, check_mode=check_mode)["changes"] == []
            assert node.systemd.forget() == []
    assert not (Path(node.paths.directory) / node.name).exists()
    assert node.systemd.units(vrrp_program.PATTERN) == {}
    assert node.addresses() == ["169.254.192.1/18"]


def test_the_primary_holds_what_the_file_says(node: Node) -> None:
    node.run(node.item(peers=[]))
    node.wait_for_role("primary")
    assert {"10.0.0.1/24", "fd00::1/64", "203.0.113.150/24"} <= set(node.addresses())
    assert node.routes() == {"default"}
    assert node.forwards() == "1"
    status = node.status()
    assert (status["active"], status["handicap"], status["priority"]) == (True, 0, 100)
    assert status["sessions"]["failed"] == 0


def test_what_was_read_can_be_fed_back(node: Node) -> None:
    node.run(node.item())
    found = node.describe()
    assert found["routers"] == [node.item()]
    assert not node.run(*found["routers"])["changed"]


@pytest.mark.parametrize("routes", [True, False], ids=["with routes", "addresses only"])
def test_a_reload_changes_only_what_differs(node: Node, routes: bool) -> None:
    node.run(node.item(peers=[]))
    node.wait_for_role("primary")
    since = node.status()["since"]
    more = [*ROUTES, {"to": "10.9.0.0/16", "via": "10.0.0.77", "device": "qr-1"}] if routes else list(ROUTES)
    result = node.run(node.item(peers=[], config=node.config([FLOATING], more)))
    assert result["changes"] == [
        f"change keepalived.conf of VRRP router {node.name}",
        f"reload VRRP router {node.name}",
    ]
    wait_for("the floating IP", lambda: FLOATING[0] in node.addresses())
    assert node.routes() == {"default"} | ({"10.9.0.0/16"} if routes else set())
    node.run(node.item(peers=[]))
    wait_for("the end of the floating IP", lambda: FLOATING[0] not in node.addresses())
    assert "203.0.113.150/24" in node.addresses()
    assert node.routes() == {"default"}
    assert node.status()["since"] == since


def test_a_route_with_several_next_hops(node: Node) -> None:
    hops = [{"via": "10.0.0.77", "device": "qr-1"}, {"via": "10.0.0.78", "device": "qr-1"}]
    node.run(node.item(peers=[], config=node.config(routes=[*ROUTES, {"to": "10.9.0.0/16", "nexthops": hops}])))
    wait_for("the routes", lambda: node.routes() == {"default", "10.9.0.0/16"})


def test_a_device_made_anew_is_a_restart(node: Node) -> None:
    """keepalived forgets a device that goes, and leaves out the addresses on one that comes under the same name."""
    node.run(node.item(peers=[]))
    node.wait_for_role("primary")
    ip("link del qr-1", namespace=node.namespace)
    node.device("qr", LEG_MAC)
    node.systemd.forget()
    assert node.run(node.item(peers=[]))["changes"] == [f"restart VRRP router {node.name}"]
    assert verbs(node) == ["stop vrrp", "start vrrp"]
    wait_for("the address", lambda: "10.0.0.1/24" in node.addresses())


def test_a_leg_that_comes_and_goes_is_a_reload(node: Node) -> None:
    ip("link del qr-1", namespace=node.namespace)
    small = "".join(line for line in node.config().splitlines(True) if "qr-1" not in line)
    node.run(node.item(peers=[], config=small))
    node.wait_for_role("primary")
    node.device("qr", LEG_MAC)
    node.systemd.forget()
    node.run(node.item(peers=[]))
    wait_for("the address", lambda: "10.0.0.1/24" in node.addresses())
    ip("link del qr-1", namespace=node.namespace)
    node.run(node.item(peers=[], config=small))
    assert verbs(node) == ["reload vrrp", "reload vrrp"]
    assert node.is_primary()


def test_a_bad_configuration_changes_nothing(node: Node) -> None:
    node.run(node.item())
    before = node.describe()
    with pytest.raises(FabricError, match=r"nothing was changed: keepalived refuses .*weft-t-1: .*prioritee"):
        node.run(node.item(config=node.config().replace("priority 100", "prioritee 100")))
    assert node.describe()["routers"] == before["routers"]
    with pytest.raises(FabricError, match=r"nothing was changed: VRRP router weft-t-1 needs device qx-9"):
        node.run(node.item(config=node.config([("10.5.0.1/24", "qx-9")])))
    assert node.describe()["routers"] == before["routers"]
    assert not node.run(node.item())["changed"]


def test_at_boot_one_that_cannot_be_keeps_no_other_from_coming_back(node: Node) -> None:
    broken = {**node.item(), "name": "broken", "namespace": "qrouter-broken", "conntrackd": None}
    with pytest.raises(FabricError, match=r"^nothing was changed: VRRP router broken needs device"):
        node.run(node.item(), broken)
    assert node.systemd.forget() == []
    engine = node.engine(node.item(), broken)
    engine.tolerant = True
    with pytest.raises(FabricError, match=r"^VRRP router broken needs device ha-1"):
        reconcile(engine)
    assert verbs(node) == ["start sessions", "start timer", "start vrrp"]
    assert not node.run(node.item())["changed"]


@pytest.mark.parametrize("step", ["_write_files", "_run_sessions", "_run"])
def test_a_killed_run_is_finished_by_the_next(node: Node, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    node.run(node.item(peers=[]))
    node.wait_for_role("primary")
    item = node.item(peers=[], config=node.config([FLOATING]), conntrackd=node.sessions() + "# new\n")

    def killed(*_arguments: t.Any) -> t.NoReturn:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(vrrp_routers.VrrpRoutersEngine, step, killed)
        with pytest.raises(Killed):
            node.run(item)
    assert node.run(item)["changed"]
    wait_for("the floating IP", lambda: FLOATING[0] in node.addresses())
    assert not node.run(item)["changed"]


def test_a_run_that_was_killed_before_its_stamp_tells_the_daemon_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.run(node.item())

    def killed(*_arguments: t.Any) -> t.NoReturn:
        raise Killed

    item = node.item(config=node.config([FLOATING]))
    with monkeypatch.context() as patched:
        patched.setattr(vrrp_files, "write_stamp", killed)
        with pytest.raises(Killed):
            node.run(item)
    assert node.run(item)["changes"] == [f"reload VRRP router {node.name}"]


def test_one_that_does_not_start_does_not_have_the_others_restarted(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = node.systemd.start

    def start_all_but_one(names: t.Sequence[str]) -> None:
        start(names)
        if node.unit in names:
            raise FabricError("systemctl start failed: another router")

    with monkeypatch.context() as patched:
        patched.setattr(node.systemd, "start", start_all_but_one)
        with pytest.raises(FabricError, match="another router"):
            node.run(node.item())
    node.systemd.forget()
    assert not node.run(node.item())["changed"]
    assert node.systemd.forget() == []


@pytest.mark.parametrize("started", [True, False], ids=["started", "not started"])
def test_a_run_that_was_killed_while_daemons_start_restarts_none(
    node: Node, monkeypatch: pytest.MonkeyPatch, started: bool
) -> None:
    """A healthy primary is left alone; one that has not started is started."""
    start = node.systemd.start

    def killed(names: t.Sequence[str]) -> None:
        if node.unit not in names or started:
            start(names)
        if node.unit in names:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(node.systemd, "start", killed)
        with pytest.raises(Killed):
            node.run(node.item(peers=[]))
    node.systemd.forget()
    if started:
        node.wait_for_role("primary")
    node.run(node.item(peers=[]))
    assert verbs(node) == ([] if started else ["start vrrp"])
    assert not node.run(node.item(peers=[]))["changed"]
    # What the daemon has not been told yet, it is told.
    node.run(node.item(peers=[], config=node.config([FLOATING])))
    assert verbs(node) == ["reload vrrp"]


def test_the_timer_goes_with_the_last_router_that_tells_its_sessions(node: Node) -> None:
    node.run(node.item())
    other = {"name": "other", "state": "absent"}
    assert not node.run(other)["changed"], "a router that is not listed goes on telling"
    node.systemd.forget()
    changes = node.run({"name": node.name, "state": "absent"})["changes"]
    assert changes == [f"remove VRRP router {node.name}", f"stop {vrrp_program.REFRESH_TIMER}"]
    assert node.systemd.timers == set()
    assert not node.run({"name": node.name, "state": "absent"})["changed"]


def test_a_configuration_that_never_ran_is_tested_again(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(names: t.Sequence[str]) -> None:
        if node.unit in names:
            raise FabricError("systemctl start failed: no memory")

    item = node.item(config=node.config().replace("priority 100", "prioritee 100"))
    with monkeypatch.context() as patched:
        patched.setattr(node.systemd, "start", refused)
        patched.setattr(vrrp_routers, "_test", lambda _router: None)
        with pytest.raises(FabricError, match="no memory"):
            node.run(item)
    with pytest.raises(FabricError, match="nothing was changed: keepalived refuses"):
        node.run(item)


def test_a_router_starts_without_its_sessions_and_says_so(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    start = node.systemd.start

    def start_keepalived_only(names: t.Sequence[str]) -> None:
        if node.sessions_unit in names:
            raise FabricError("systemctl start failed: no memory")
        start(names)

    with monkeypatch.context() as patched:
        patched.setattr(node.systemd, "start", start_keepalived_only)
        with pytest.raises(FabricError, match="no memory"):
            node.run(node.item(peers=[]))
        node.wait_for_role("primary")
    node.systemd.forget()
    assert node.run(node.item(peers=[]))["changed"]
    assert "start sessions" in verbs(node)


def test_a_conntrackd_that_hangs_holds_nobody_up(node: Node) -> None:
    node.run(node.item(peers=[]))
    node.wait_for_role("primary")
    program = Path(node.paths.program)
    program.write_text(program.read_text().replace("timeout 5 ", "timeout 0.1 "))
    hanging = node.path / "bin/conntrackd"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    for verb in (["refresh"], ["notify", node.name, "INSTANCE", "router", "MASTER", "100"]):
        command = ["ip", "netns", "exec", node.namespace, "/bin/sh", str(program), *verb]
        subprocess.run(command, env=node.systemd.environment, timeout=10, check=True)
    assert node.status()["state"] == "primary"


def test_purge_removes_what_is_not_listed_and_everything_in_the_end(node: Node) -> None:
    node.run(node.item())
    assert not node.run()["changed"]
    result = node.run(purge=True)
    assert result["changes"] == [f"remove VRRP router {node.name}", "remove the units of VRRP routers"]
    assert node.addresses() == ["169.254.192.1/18"]
    left = [path for path in node.path.rglob("*") if path.is_file() and path.suffix != ".log"]
    assert sorted(left) == [node.path / "bin/systemctl", node.path / "watches"]
    assert node.systemd.timers == set()
    assert not node.run(purge=True)["changed"]


def test_a_router_can_go_on_without_vrrp(node: Node) -> None:
    node.run(node.item(peers=[]))
    node.wait_for_role("primary")
    held, routes = node.addresses(), node.routes()
    node.run({"name": node.name, "state": "absent", "keep_addresses": True})
    assert (node.addresses(), node.routes(), node.forwards()) == (held, routes, "1")
    assert not (node.run_path / node.name).exists()


def test_systemd_is_not_asked_where_no_such_router_ever_was(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_patterns: str) -> dict[str, Unit]:
        raise FabricError("systemctl not found")

    absent = {"name": node.name, "state": "absent", "keep_addresses": True}
    with monkeypatch.context() as patched:
        patched.setattr(node.systemd, "units", refused)
        assert not node.run(absent, purge=True)["changed"]
    node.run(node.item(peers=[]))
    # What still runs is looked for, also when its files are lost.
    shutil.rmtree(node.paths.directory)
    for path in vrrp_program.file_names(node.paths):
        Path(path).unlink(missing_ok=True)
    with monkeypatch.context() as patched:
        patched.setattr(node.systemd, "units", refused)
        with pytest.raises(FabricError, match="systemctl not found"):
            node.run(absent, purge=True)


def test_the_limit_of_watches_is_raised_when_it_is_low(node: Node) -> None:
    limit = Path(node.paths.watches)
    limit.write_text("128\n")
    changes = node.run(node.item(), check_mode=True)["changes"]
    assert "raise fs.inotify.max_user_instances to 1024" in changes
    assert limit.read_text() == "128\n"
    assert node.run(node.item())["changes"] == changes
    assert limit.read_text() == "1024\n"
    assert not node.run(node.item())["changed"]
    limit.unlink()  # as in a container
    assert not node.run(node.item())["changed"]


# However it ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_nothing_stays_when_keepalived_ends(node: Node, number: signal.Signals) -> None:
    node.run(node.item(peers=[]))
    node.wait_for_role("primary")
    node.systemd.end(node.unit, number)
    assert node.addresses() == ["169.254.192.1/18"]
    assert node.routes() == set()
    assert node.forwards() == "0"
    status = node.status()
    assert (status["active"], status["state"]) == (False, None)
    assert node.run(node.item(peers=[]))["changes"] == [f"start VRRP router {node.name}"]
    node.wait_for_role("primary")


def test_a_child_outlives_its_parent_only_to_tidy_up(node: Node) -> None:
    node.run(node.item(peers=[]))
    node.wait_for_role("primary")
    os.kill(node.keepalived()[0], signal.SIGKILL)
    wait_for("the end of the addresses", lambda: node.addresses() == ["169.254.192.1/18"])


def test_a_handicap_outlives_a_restart(node: Node) -> None:
    node.run(node.item(peers=[]))
    node.handicap(-40)
    node.systemd.end(node.unit, signal.SIGTERM)
    node.run(node.item(peers=[]))
    status = wait_for("the state", lambda: (found := node.status())["state"] and found)
    assert (status["handicap"], status["priority"]) == (-40, 60)
