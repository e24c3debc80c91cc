# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What routers are asked for, what is refused, and what is read from files. Without a daemon."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import (
    dhcp_unit,
    ra_unit,
    vrrp_current,
    vrrp_files,
    vrrp_info,
    vrrp_plan,
    vrrp_program,
)
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Unit

Item = dict[str, t.Any]

EVIL = ["a b", "a'b", 'a"b', "$(id)", "`id`", "a;b", "a\nb", "", "é", "a\0", "../x"]

CONFIG = """\
global_defs {
}
track_file handicap {
    file "/run/x"
}
track_file underlay {
    file "/run/y"
}
vrrp_instance router {
    interface ha-1
    priority 100
    virtual_ipaddress {
        169.254.0.7/24 dev ha-1
    }
    virtual_ipaddress_excluded {
        10.0.0.1/24 dev qr-1 no_track
    }
    virtual_routes {
        10.9.0.0/16 no_track nexthop via 10.0.0.7 dev qr-2 nexthop via 10.0.0.8 dev qr-3
    }
}
"""


def router(**changes: t.Any) -> Item:
    return {"name": "n", "interface": "ha-1", "config": CONFIG, **changes}


def parse(*items: Item) -> dict[str, vrrp_current.Router]:
    return vrrp_current.parse({"routers": list(items)})


PLACES: dict[str, t.Callable[[str], Item]] = {
    "name": lambda text: router(name=text),
    "interface": lambda text: router(interface=text),
    "peer": lambda text: router(peers=[text]),
    "forwarding": lambda text: router(forwarding=[text]),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", EVIL)
def test_injection_is_refused(place: str, text: str) -> None:
    with pytest.raises(FabricError, match="VRRP router"):
        parse(PLACES[place](text))


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (router(namespace="qrouter-other"), "VRRP router n: its namespace must be qrouter-n or snat-n"),
        (router(config=" "), "VRRP router n: config is missing"),
        (router(config=None), "VRRP router n: config is missing"),
        (router(conntrackd=""), "VRRP router n: conntrackd is missing"),
    ],
)
def test_what_is_refused(item: Item, message: str) -> None:
    with pytest.raises(FabricError) as caught:
        parse(item)
    assert str(caught.value) == message


def test_a_router_is_in_one_of_its_two_namespaces() -> None:
    assert parse(router())["n"].namespace == "qrouter-n"
    assert parse(router(namespace="snat-n"))["n"].namespace == "snat-n"


def test_a_router_is_listed_once() -> None:
    with pytest.raises(FabricError, match="listed twice"):
        parse(router(), router())


def test_the_settings_are_what_a_shell_reads(tmp_path: Path) -> None:
    found = parse(router(peers=["169.254.192.2", "169.254.192.3"], forwarding=["all", "qr-1"]))["n"]
    settings = found.files[vrrp_current.SETTINGS]
    path = tmp_path / "settings"
    path.write_text(settings or "")
    words = ["sh", "-c", f'. {path}; echo "$interface,$peers,$forwarding"']
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "ha-1,169.254.192.2 169.254.192.3,all qr-1\n"
    assert vrrp_current.settings(settings) == {
        "interface": "ha-1",
        "peers": "169.254.192.2 169.254.192.3",
        "forwarding": "all qr-1",
    }


def test_the_devices_of_a_configuration() -> None:
    assert vrrp_current.named_devices(CONFIG) == {"ha-1", "qr-1", "qr-2", "qr-3"}
    assert vrrp_current.named_devices(None) == set()


@pytest.mark.parametrize(
    ("tracked", "expected"),
    [
        ({}, 100),
        ({"handicap": -40}, 60),
        ({"handicap": -40, "underlay": -30, "unknown": -5}, 30),
        ({"handicap": -90, "underlay": -90}, 1),
        ({"handicap": 200}, 254),
        ({"underlay": -254}, 0),
    ],
)
def test_the_priority_is_computed_as_keepalived_does(tracked: dict[str, int], expected: int) -> None:
    assert vrrp_info._priority(CONFIG, tracked) == expected


def test_the_priority_of_an_unknown_configuration() -> None:
    assert vrrp_info._priority("", {}) is None


RECORDED = """\
cache internal:
current active connections:	          14
connections created:		          15	failed:	           0
connections updated:		           3	failed:	           0
connections destroyed:		           1	failed:	           0

external inject:
connections created:		           7	failed:	           2
connections updated:		           5	failed:	           0
connections destroyed:		           0	failed:	           0

traffic processed:
                   0 Bytes                         0 Pckts

UDP traffic (active device=ha-1):
               10316 Bytes sent                 9748 Bytes recv
                  32 Pckts sent                   19 Pckts recv
                   4 Error send                    0 Error recv

message tracking:
                   0 Malformed msgs                   20 Lost msgs
"""


def test_the_statistics_of_conntrackd() -> None:
    found = vrrp_info.parse_sessions(RECORDED)
    assert found == {"current": 14, "received": 7, "failed": 2, "lost_messages": 20, "errors": 4}
    assert vrrp_info.parse_sessions("") == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"config": 1}', "\0"])
def test_a_damaged_stamp_is_no_error(tmp_path: Path, text: str) -> None:
    (tmp_path / vrrp_files.STAMP).write_text(text)
    assert isinstance(vrrp_files.read_stamp(str(tmp_path)), dict)


def state(router: vrrp_current.Router, **changes: t.Any) -> vrrp_current.State:
    """Return the state of a router as it should be."""
    found = vrrp_current.State(router.name)
    found.exists = True
    found.files = dict(router.files)
    found.unit = Unit(True, 1)
    found.devices = {"ha-1": 2, "qr-1": 3}
    found.stamp = vrrp_current.stamp(router, found)
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def plan(router: vrrp_current.Router, found: vrrp_current.State) -> list[str]:
    current = vrrp_current.Current({})
    current.routers[router.name] = found
    current.refreshed = router.files[vrrp_current.SESSIONS] is not None
    return [operation.text for operation in vrrp_plan.plan(current, {router.name: router}, False, {})]


def test_what_makes_a_restart_and_what_does_not() -> None:
    wanted = parse(router())["n"]
    assert plan(wanted, state(wanted)) == []
    restart, start = ["restart VRRP router n"], ["start VRRP router n"]
    assert plan(wanted, state(wanted, stranded=True)) == restart
    assert plan(wanted, state(wanted, devices={"ha-1": 2, "qr-1": 9})) == restart
    assert plan(wanted, state(wanted, devices={"ha-1": 2, "qr-1": 3, "qr-2": 4})) == []
    assert plan(wanted, state(wanted, unit=Unit(False, 0))) == start
    other = {**state(wanted).stamp, "interface": "ha-2"}
    assert plan(wanted, state(wanted, stamp=other)) == restart
    assert plan(wanted, state(wanted, stamp={**state(wanted).stamp, "config": "x"})) == ["reload VRRP router n"]


def test_a_router_that_goes_on_in_another_namespace_ends_and_starts() -> None:
    wanted = parse(router(namespace="snat-n", conntrackd="Sync {\n}\n"))["n"]
    before = parse(router(conntrackd="Sync {\n}\n"))["n"]
    assert plan(wanted, state(before, sessions=Unit(True, 2))) == [
        "remove VRRP router n",
        "create VRRP router n",
        "start the session synchronisation of VRRP router n",
        "start VRRP router n",
    ]


def test_a_link_that_is_gone_is_made_again() -> None:
    wanted = parse(router())["n"]
    found = state(wanted, files={**wanted.files, vrrp_current.NAMESPACE: None})
    assert plan(wanted, found) == ["change namespace of VRRP router n"]


def test_sessions_of_a_namespace_that_was_made_anew_are_told_again() -> None:
    wanted = parse(router(conntrackd="Sync {\n}\n"))["n"]
    told = {"sessions": Unit(True, 2)}
    assert plan(wanted, state(wanted, **told)) == []
    assert plan(wanted, state(wanted, **told, sessions_stranded=True)) == [
        "restart the session synchronisation of VRRP router n"
    ]


def test_names_of_units() -> None:
    assert vrrp_program.unit_name("a-1") == "weft-fabric-vrrp@a-1.service"
    assert vrrp_program.sessions_name("a-1") == "weft-fabric-conntrackd@a-1.service"
    names = ["weft-fabric-vrrp@a-1.service", "weft-fabric-conntrackd@a-2.service", vrrp_program.REFRESH_TIMER]
    units = {name: Unit(True, number) for number, name in enumerate(names)}
    assert vrrp_program.by_router(units, vrrp_program.unit_name) == {"a-1": Unit(True, 0)}
    assert vrrp_program.by_router(units, vrrp_program.sessions_name) == {"a-2": Unit(True, 1)}


def test_a_missing_program_says_what_to_install() -> None:
    with pytest.raises(FabricError, match="the program frobnicate is missing on this host: install"):
        vrrp_program.executable("frobnicate")


def test_all_placeholders_are_filled() -> None:
    for text in vrrp_program.files(vrrp_program.Paths("/var/lib/x")).values():
        assert "%%" not in text
        assert "%(" not in text


@pytest.mark.parametrize("text", [vrrp_program._UNIT, vrrp_program._SESSIONS_UNIT, ra_unit._TEXT, dhcp_unit._TEXT])
def test_no_daemon_has_mounts_of_its_own(text: str) -> None:
    """systemd copies and reads all mounts of the host for each process of a unit that has. A namespace is a mount."""
    service = text.partition("[Service]")[2].splitlines()
    assert any(line.startswith("NetworkNamespacePath=") for line in service)
    assert "PrivateMounts=no" in service
    # Each of these would bring them back.
    implying = ("Private", "Protect", "ReadOnly", "ReadWrite", "Inaccessible", "TemporaryFileSystem", "Bind", "Root")
    assert [line for line in service if line.startswith(implying)] == ["PrivateMounts=no"]
