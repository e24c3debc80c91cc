# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces and links on a real kernel, read by ip."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import (
    command,
    namespaces_info,
    netns,
)
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.tests.unit.namespaces.private_network import ask, ip, links
from ansible_collections.weft.fabric.tests.unit.namespaces.runs import (
    FULL,
    MAC,
    Item,
    changes,
    inside,
    make_foreign,
    neighbour,
    outside,
    picture,
    run,
    tap,
    veth,
)

pytestmark = pytest.mark.usefixtures("host")


def test_a_namespace_with_a_pair() -> None:
    assert changes(inside(FULL)) == ["create namespace weft-t-a", "create veth eth0 in weft-t-a with peer tap1"]
    inner, outer = links("weft-t-a")["eth0"], links()["tap1"]
    assert (inner["address"], inner["mtu"], inner["global"]) == (MAC, 1450, {"10.0.0.2/24", "fd00::2/64"})
    assert (outer["mtu"], outer["global"]) == (1450, set())
    assert inner["link_index"] == outer["ifindex"]
    for link in (inner, outer):
        assert "UP" in link["flags"]
        assert link["ifalias"] == "weft.fabric ports/blue/web-1"
    assert "UP" in ask("link show lo", "weft-t-a")[0]["flags"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"mtu": 1450}, {"mtu": 1400}, ["set MTU of eth0 in weft-t-a from 1450 to 1400", "tap1 in the host"]),
        ({"mac": MAC}, {"mac": "fa:16:3e:00:00:02"}, ["set MAC of eth0 in weft-t-a"]),
        ({"up": True}, {"up": False}, ["set state of eth0 in weft-t-a from up to down", "tap1 in the host"]),
        ({"up": False}, {"up": True}, ["set state of eth0 in weft-t-a from down to up", "tap1 in the host"]),
        ({"resource": "ports/a/b"}, {"resource": "ports/a/c"}, ["set mark of eth0", "set mark of tap1"]),
        ({"tx_checksum": True}, {"tx_checksum": False}, ["set checksum offload of eth0 in weft-t-a from on to off"]),
        ({"tx_checksum": False}, {"tx_checksum": True}, ["set checksum offload of eth0 in weft-t-a from off to on"]),
        (
            {"addresses": ["10.0.0.2/24"]},
            {"addresses": ["10.0.0.3/24"]},
            ["add address 10.0.0.3/24", "remove address 10.0.0.2/24"],
        ),
        ({"addresses": ["10.0.0.2/24"]}, {"addresses": ["10.0.0.2/16"]}, ["add address", "remove address"]),
        ({"addresses": ["fd00::2/64"]}, {"addresses": []}, ["remove address fd00::2/64"]),
        ({"peer": "tap1"}, {"peer": "tap2"}, ["create veth eth0 in weft-t-a with peer tap2"]),
    ],
)
def test_a_pair_changes(before: Item, after: Item, expected: list[str]) -> None:
    run(inside(veth(**before)))
    index = links("weft-t-a")["eth0"]["ifindex"]
    told = changes(inside(veth(**after)))
    assert len(told) == len(expected)
    for text, part in zip(told, expected, strict=True):
        assert part in text
    inner = links("weft-t-a")["eth0"]
    assert (inner["ifindex"] == index) == ("peer" not in after), "a link is made anew only when it must"
    if "mtu" in after:
        assert inner["mtu"] == links()["tap1"]["mtu"] == after["mtu"]
    if "mac" in after:
        assert inner["address"] == after["mac"]
    if "up" in after:
        assert ("UP" in inner["flags"]) == ("UP" in links()["tap1"]["flags"]) == after["up"]
    if "addresses" in after:
        assert inner["global"] == set(after["addresses"])
    if "tx_checksum" in after:
        assert offload("weft-t-a", "eth0") == after["tx_checksum"]
    if "peer" in after:
        assert set(links()) == {after["peer"]}


def offload(namespace: str, device: str) -> bool:
    command = ["ip", "netns", "exec", namespace, "ethtool", "-k", device]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return "tx-checksumming: on" in text


def test_a_tap() -> None:
    assert changes(outside(tap(mtu=1450, owner="nobody"))) == ["create tap tap9 in the host"]
    found = links()["tap9"]
    assert found["linkinfo"]["info_data"]["type"] == "tap"
    assert found["linkinfo"]["info_data"]["user"] == "nobody"
    assert found["mtu"] == 1450
    told = changes(outside(tap(mtu=1400, owner="daemon")))
    assert told == ["set MTU of tap9 in the host from 1450 to 1400", "set owner of tap9 in the host from 65534 to 1"]
    assert links()["tap9"]["linkinfo"]["info_data"]["user"] == "daemon"
    assert links()["tap9"]["ifindex"] == found["ifindex"]
    assert changes(outside({**tap(), "state": "absent"})) == ["remove tap tap9 in the host"]
    assert links() == {}


def test_the_owner_of_a_tap_in_use() -> None:
    run(outside(tap(owner="nobody")))
    with open("/dev/net/tun", "r+b", buffering=0) as user:
        fcntl.ioctl(user, 0x400454CA, struct.pack("16sH22x", b"tap9", 0x1002))
        with pytest.raises(FabricError, match=r"tap tap9 cannot get another owner while a program uses it"):
            run(outside(tap(owner="daemon")))


def test_a_tap_in_a_namespace() -> None:
    told = changes(inside(tap(mtu=1450), sysctls={"net.ipv6.conf.tap9.accept_ra": 0}))
    assert told[:2] == ["create namespace weft-t-a", "create tap tap9 in weft-t-a"]
    assert links("weft-t-a")["tap9"]["mtu"] == 1450
    assert links() == {}


def test_both_ends_in_the_host() -> None:
    assert changes(outside(veth("left", "right", mtu=1400))) == ["create veth left in the host with peer right"]
    assert {name: link["mtu"] for name, link in links().items()} == {"left": 1400, "right": 1400}
    assert changes(outside(), purge=True) == ["remove veth right in the host"]
    assert links() == {}


def test_another_kind_replaces_the_link() -> None:
    run(outside(tap("dev1")))
    assert changes(outside(veth("dev1", "dev2"))) == ["create veth dev1 in the host with peer dev2"]
    assert links()["dev1"]["linkinfo"]["info_kind"] == "veth"


@pytest.mark.parametrize("stays", [True, False])
def test_a_port_moves_to_another_namespace(stays: bool) -> None:
    """A switch has the host's end open, and would go on listening to one that is gone."""
    run(inside(FULL))
    index = links()["tap1"]["ifindex"]
    origin = [inside(name="weft-t-a")] if stays else []
    told = changes(*origin, inside(FULL, name="weft-t-b"), purge=True)
    assert told[:2] == ["create namespace weft-t-b", "move veth eth0 from weft-t-a to weft-t-b"]
    assert told[2:] == ([] if stays else ["remove namespace weft-t-a"])
    inner = links("weft-t-b")["eth0"]
    assert (inner["address"], inner["mtu"], inner["global"]) == (MAC, 1450, set(FULL["addresses"]))
    assert "UP" in inner["flags"]
    assert links()["tap1"]["ifindex"] == index
    assert (links("weft-t-a") == {}) if stays else ("weft-t-a" not in netns.names()[0])


def test_a_port_moves_and_another_of_its_name_comes() -> None:
    run(inside(veth(peer="tap1")))
    told = changes(inside(veth(peer="tap2")), inside(veth(peer="tap1"), name="weft-t-b"), purge=True)
    assert "create veth eth0 in weft-t-b with peer tap1" in told
    assert set(links()) == {"tap1", "tap2"}


# Size


def count_processes(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    calls: list[Sequence[str]] = []
    real = command.run

    def counting(words: Sequence[str], data: str = "") -> command.Result:
        calls.append(words)
        return real(words, data)

    monkeypatch.setattr(command, "run", counting)
    return calls


def test_one_process_for_the_host_and_one_for_each_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [inside(veth(peer=f"tap{number}", tx_checksum=False), name=f"weft-t-{number}") for number in range(20)]
    many.append(outside(*[tap(f"wtk{number}") for number in range(200)]))
    calls = count_processes(monkeypatch)
    batches: list[int] = []
    run_all = command.run_all
    monkeypatch.setattr(command, "run_all", lambda programs: batches.append(len(programs)) or run_all(programs))
    run(*many)
    assert [words[0] for words in calls] == ["ip", "sh"], "a shell starts those of the namespaces"
    assert [number for number in batches if number] == [20]
    calls.clear()
    run(*many, purge=True)
    assert calls == []
    run(*many[5:], purge=True)
    assert len(calls) == 1, "removal is one process for the host"
    calls.clear()
    run(purge=True)
    assert len(calls) == 1
    assert links() == {}


def test_removal_of_many_leaves_the_group_of_others_alone() -> None:
    run(outside(*[tap(f"wtk{number}") for number in range(10)]))
    ip("link add mine type bridge", f"link set mine group {0x7765}")
    # Left over by a run that was killed between the two, and wanted again.
    ip(f"link set wtk0 group {0x7765}")
    run(outside(tap("wtk0")), purge=True)
    assert set(links()) == {"mine", "wtk0"}


# Information


def test_info_goes_back_in() -> None:
    make_foreign()
    run(
        inside(
            FULL,
            tap(owner="nobody"),
            routes=[
                {"to": "default", "via": "10.0.0.1"},
                {"to": "::/0", "dev": "eth0"},
                {"to": "10.8.0.0/16", "type": "blackhole", "table": 7},
            ],
            neighbours=[neighbour("10.0.0.1")],
            rules=[{"priority": 100, "from": "fd00::/64", "table": 7}, {"priority": 101, "iif": "lo", "table": 7}],
        ),
        inside(veth("eth9", "tap2"), name="foreign"),
        outside(tap("tap3", mtu=1400), veth("left", "right")),
    )
    for names, everything in ((None, False), (["weft-t-a"], False), (None, True)):
        found = namespaces_info.describe(names, everything)
        assert not run(*found)["changed"], found
    found = namespaces_info.describe(None, False)
    assert not run(*found, purge=True)["changed"]
    before = picture()
    run(purge=True)
    run(*found)
    assert picture() == before
    listed = {item.get("name"): [link["name"] for link in item["links"]] for item in found}
    assert listed == {None: ["tap3", "left"], "foreign": ["eth9"], "weft-t-a": ["eth0", "tap9"]}


def test_info_of_an_empty_host() -> None:
    assert namespaces_info.describe(None, False) == [{"links": [], "routes": [], "neighbours": [], "rules": []}]
    assert namespaces_info.describe(["nowhere"], False) == []


# The host lacks something


def test_without_ip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FabricError, match=r"the program ip is missing on this host: install iproute2"):
        run(inside(FULL))


def test_without_the_right_to(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "from ansible_collections.weft.fabric.plugins.module_utils import command\n"
        "from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError\n"
        "from ansible_collections.weft.fabric.tests.unit import runner\n"
        "from ansible_collections.weft.fabric.tests.unit.namespaces.runs import inside, run, veth\n"
        "command.use(runner.run)\n"
        "try:\n    run(inside(veth()))\nexcept FabricError as error:\n    print(error)\n"
    )
    words = ["setpriv", "--bounding-set", "-net_admin,-sys_admin", "--inh-caps", "-all", sys.executable, str(script)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    assert "root is needed, in a container CAP_NET_ADMIN and CAP_SYS_ADMIN too" in done.stdout
