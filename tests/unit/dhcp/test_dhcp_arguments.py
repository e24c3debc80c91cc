# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What dnsmasq is given to read, and what is refused before it is."""

from __future__ import annotations

import re
import subprocess
import typing as t
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.weft.fabric.plugins.module_utils import dhcp_current, dhcp_files, dhcp_info, dhcp_unit
from ansible_collections.weft.fabric.plugins.module_utils.dhcp_release import Lease, parse_leases
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

Item = dict[str, t.Any]

EVIL = ["a,b", "a\nb", 'a"b', "a b", "", "a\0", "a#b", "é", "a;b", "$(id)", "{{ x }}", "a\\b", "[a]", "a=b"]


def server(**changes: t.Any) -> Item:
    return {"name": "n", "interface": "s0", "config": "port=53\n", **changes}


def files(**changes: t.Any) -> dict[str, str]:
    return dhcp_current.parse({"servers": [server(**changes)]})["n"].files


MAC = "fa:16:3e:00:00:01"

PLACES: dict[str, t.Callable[[str], Item]] = {
    "name": lambda text: server(name=text),
    "interface": lambda text: server(interface=text),
    "mac": lambda text: server(hosts=[{"mac": f"{MAC}{text}" if text else "x"}]),
    "hostname": lambda text: server(hosts=[{"mac": MAC, "hostname": text or " "}]),
    "address": lambda text: server(hosts=[{"mac": MAC, "addresses": [text]}]),
    "tag": lambda text: server(hosts=[{"mac": MAC, "tags": [text]}]),
    "client id": lambda text: server(hosts=[{"mac": MAC, "client_id": text or " "}]),
    "tag of an option": lambda text: server(options=[{"option": "3", "tags": [text]}]),
    "option": lambda text: server(options=[{"option": text}]),
    "address of a name": lambda text: server(names=[{"address": text, "names": ["a"]}]),
    "name of an address": lambda text: server(names=[{"address": "10.0.0.1", "names": [text]}]),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", EVIL)
def test_injection_is_refused(place: str, text: str) -> None:
    with pytest.raises(FabricError, match="DHCP server"):
        dhcp_current.parse({"servers": [PLACES[place](text)]})


@pytest.mark.parametrize("value", ["1\n2", 'a"b', "a\\b", "a #b", " a", "a ", "\x1b"])
def test_injection_by_a_value_is_refused(value: str) -> None:
    with pytest.raises(FabricError, match=r"the value .* of option 3 holds"):
        files(options=[{"option": "3", "value": value}])


@given(st.sampled_from(sorted(PLACES)), st.text(max_size=20))
def test_whatever_is_accepted_is_one_field(place: str, text: str) -> None:
    try:
        found = next(iter(dhcp_current.parse({"servers": [PLACES[place](text)]}).values())).files
    except FabricError:
        return
    for name in ("tagged.conf", "hosts", "options", "names"):
        lines = found[name].splitlines()
        assert len(lines) <= 1
        assert not lines or re.fullmatch(r"[A-Za-z0-9_.:=,*/\[\] -]+", lines[0])


def test_lines() -> None:
    hosts = [
        {"mac": "FA:16:3E:00:00:01", "hostname": "web-1", "addresses": ["10.0.0.9", "FD00::9"]},
        {"mac": "fa:16:3e:00:00:02", "client_id": "*", "addresses": ["10.0.0.8"]},
        {"client_id": "ff:00:01", "addresses": ["10.0.0.7"]},
        {"mac": "fa:16:3e:00:00:03", "hostname": "x", "tags": ["ports-1", "b"], "addresses": ["10.0.0.6"]},
    ]
    options = [
        {"tags": ["v4"], "option": "option:router", "value": "10.0.0.1"},
        {"option": "121", "value": "0.0.0.0/0,10.0.0.1"},
        {"option": "3"},
        {"option": "option6:23", "value": "[fd00::53]"},
    ]
    found = files(hosts=hosts, options=options, names=[{"address": "FD00::9", "names": ["web-1.blue", "web-1"]}])
    assert found == {
        "dnsmasq.conf": "port=53\n",
        "tagged.conf": "dhcp-host=fa:16:3e:00:00:03,set:ports-1,set:b,x,10.0.0.6\n",
        "hosts": "fa:16:3e:00:00:01,web-1,10.0.0.9,[fd00::9]\nfa:16:3e:00:00:02,id:*,10.0.0.8\nid:ff:00:01,10.0.0.7\n",
        "options": "tag:v4,option:router,10.0.0.1\n121,0.0.0.0/0,10.0.0.1\n3\noption6:23,[fd00::53]\n",
        "names": "fd00::9 web-1.blue web-1\n",
    }


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (server(namespace="other"), "its namespace must be qdhcp-n, not other"),
        (server(config=None), "config is missing"),
        (server(config=" \n"), "config is missing"),
        (server(interface=None), "None is not a device name"),
        (server(hosts=[{"hostname": "a"}]), "a host needs a mac or a client_id"),
        (server(hosts=[{"mac": MAC, "client_id": None, "hostname": "10.0.0.1"}]), "is an address and no host name"),
        (server(names=[{"address": "10.0.0.1", "names": []}]), "10.0.0.1 has no name"),
        (
            server(hosts=[{"mac": MAC, "addresses": ["10.0.0.1"]}, {"client_id": "b", "addresses": ["10.0.0.1"]}]),
            f"address 10.0.0.1 is given to {MAC} and to b",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(item: Item, message: str) -> None:
    with pytest.raises(FabricError, match=re.escape(message)):
        dhcp_current.parse({"servers": [item]})


def test_a_server_listed_twice() -> None:
    with pytest.raises(FabricError, match="DHCP server n is listed twice"):
        dhcp_current.parse({"servers": [server(), server()]})


def test_all_none_is_nothing() -> None:
    """The replay at boot has what Ansible filled up with None."""
    names = ("state", "namespace", "hosts", "options", "names", "leases")
    found = dhcp_current.parse({"servers": [server(**dict.fromkeys(names))]})["n"]
    assert (found.present, found.leases, found.files["hosts"]) == (True, True, "")
    assert dhcp_current.parse({"servers": None}) == {}


# Leases. The text is what dnsmasq 2.90 wrote.

RECORDED = """\
1795322891 fa:16:3e:00:00:0a 10.0.0.10 n ff:01:02:61:62:63
0 fa:16:3e:00:00:0b 10.0.0.11 * *
duid 00:01:00:01:32:93:e0:0c:fa:16:3e:00:aa:01
1795323150 1 fd00::10 n 00:03:00:01:fa:16:3e:00:00:0a
"""
A, B = "fa:16:3e:00:00:0a", "fa:16:3e:00:00:0b"


def test_a_lease_file_read_and_written() -> None:
    leases, duid = parse_leases(RECORDED)
    assert [lease.address for lease in leases] == ["10.0.0.10", "10.0.0.11", "fd00::10"]
    assert duid == "00:01:00:01:32:93:e0:0c:fa:16:3e:00:aa:01"
    assert dhcp_files.lease_file(leases, duid) == RECORDED
    assert parse_leases("") == ([], None)
    assert parse_leases("179532289")[0] == [], "a file that is being written"


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({"10.0.0.10": A, "fd00::10": A}, {"10.0.0.10": A, "10.0.0.11": B, "fd00::10": A}, []),
        ({"10.0.0.10": A, "fd00::10": A}, {"10.0.0.10": B, "10.0.0.11": B, "fd00::10": B}, ["10.0.0.10", "fd00::10"]),
        ({}, {"10.0.0.10": B, "10.0.0.11": B, "fd00::10": B}, ["10.0.0.10"]),
        ({"10.0.0.10": A}, {"10.0.0.11": B, "fd00::10": A}, ["10.0.0.10"]),
        ({"fd00::10": A}, {"10.0.0.10": A, "10.0.0.11": B}, ["fd00::10"]),
    ],
)
def test_stale_leases(before: dict[str, str], now: dict[str, str], expected: list[str]) -> None:
    leases = parse_leases(RECORDED)[0]
    assert [lease.address for lease in dhcp_files.stale(leases, before, now)] == expected


def test_seeding_keeps_what_holds_and_adds_the_rest() -> None:
    hosts = [
        dhcp_files.Host(A, "", "n", ("10.0.0.10", "fd00::10"), ()),
        dhcp_files.Host("fa:16:3e:00:00:0c", "", "m", ("10.0.0.11",), ()),
        dhcp_files.Host("fa:16:3e:00:00:0d", "", "", ("10.0.0.12",), ("x",)),
        dhcp_files.Host("", "ff:00", "", ("10.0.0.13",), ()),
    ]
    seeded = dhcp_files.seed(parse_leases(RECORDED)[0], {}, hosts)
    assert [str(lease) for lease in seeded] == [
        f"1795322891 {A} 10.0.0.10 n ff:01:02:61:62:63",
        f"1795323150 1 fd00::10 n 00:03:00:01:{A}",
        "0 fa:16:3e:00:00:0c 10.0.0.11 m *",
        "0 fa:16:3e:00:00:0d 10.0.0.12 * *",
    ]


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(1, 200)), unique_by=lambda pair: pair[1], max_size=30))
def test_after_seeding_every_static_host_has_a_lease_and_nobody_else(pairs: list[tuple[int, int]]) -> None:
    hosts = [dhcp_files.Host(f"fa:16:3e:00:00:{mac:02x}", "", "", (f"10.0.0.{ip}",), ()) for mac, ip in pairs]
    start = [Lease(5, f"fa:16:3e:00:00:{number:02x}", f"10.0.0.{number}", "*", "*") for number in range(1, 200, 7)]
    seeded = dhcp_files.seed(start, {}, hosts)
    assert {(lease.key, lease.address) for lease in seeded} == {(host.mac, host.addresses[0]) for host in hosts}
    assert len(seeded) == len(hosts)


# The unit


def test_the_unit_is_one_systemd_accepts(tmp_path: Path) -> None:
    path = tmp_path / "weft-fabric-dhcp@.service"
    path.write_text(dhcp_unit.unit_text("/var/lib/weft-fabric/dhcp"))
    instance = tmp_path / "weft-fabric-dhcp@weft-t-1.service"
    instance.symlink_to(path)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(instance)], capture_output=True, text=True, check=False
    )
    assert "weft-fabric-dhcp" not in done.stderr


def test_unit_names() -> None:
    assert dhcp_unit.unit_name("1a-2b") == "weft-fabric-dhcp@1a-2b.service"
    assert dhcp_unit.server_name("weft-fabric-dhcp@1a-2b.service") == "1a-2b"


def test_host_lines_are_read_back() -> None:
    for item in (
        {"mac": MAC, "client_id": None, "hostname": "web-1", "addresses": ["10.0.0.9", "fd00::9"], "tags": ["a", "b"]},
        {"mac": None, "client_id": "aa:bb:cc:dd:ee", "hostname": None, "addresses": ["10.0.0.9"], "tags": []},
        {"mac": MAC, "client_id": "*", "hostname": "set", "addresses": [], "tags": []},
    ):
        assert dhcp_info._host(dhcp_files.parse_host(item, "x").line()) == item
