# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a lab definition may say, and what each mistake is answered with."""

from __future__ import annotations

import copy
import ipaddress
from pathlib import Path
from typing import Any

import pytest

from weft_lab.definition import load, mac, numbered, parse
from weft_lab.system import LabError

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "lab.yml"
SMALL: dict[str, Any] = {
    "name": "small",
    "management": "mgmt",
    "networks": {"mgmt": {"subnets": ["192.0.2.0/24"], "controller": ["192.0.2.1/24"]}},
    "hosts": {"one": {"release": "bookworm", "number": 11}},
}


def small(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(SMALL), **changes}


def test_the_example_is_the_lab_of_the_documentation() -> None:
    lab = load(EXAMPLE)
    assert [(host.name, host.release) for host in lab.hosts] == [
        ("net1", "bookworm"),
        ("net2", "trixie"),
        ("cmp1", "bookworm"),
        ("cmp2", "trixie"),
        ("world", "bookworm"),
    ]
    net1 = lab.host("net1")
    assert [(nic.name, nic.mtu) for nic in net1.nics] == [("eth0", 1500), ("eth1", 1550), ("eth2", 1500)]
    assert net1.nic("eth1").addresses == ("198.51.100.11/24",)
    assert net1.nic("eth2").addresses == ()
    assert lab.host("world").nic("eth2").addresses == ("203.0.113.1/24", "2001:db8:cafe::1/64")
    assert lab.management_address(net1) == "192.0.2.11"
    assert lab.fabric == "weft-fabric"
    assert lab.machine(net1) == "weft-net1"


def test_one_host_is_a_lab() -> None:
    assert [host.name for host in parse(small()).hosts] == ["one"]


def test_sixty_hosts_have_distinct_numbers_macs_and_interface_names_that_fit() -> None:
    hosts = {f"hostname{n:02d}": {"number": 100 + n} for n in range(60)}
    lab = parse(small(hosts=hosts))
    nics = [nic for host in lab.hosts for nic in host.nics]
    macs = [value for nic in nics for value in (nic.mac, nic.far_mac)]
    assert len(set(macs)) == len(macs) == 120
    assert all(len(nic.far_end) <= 15 for nic in nics)


def test_numbers_default_to_the_place_in_the_file() -> None:
    lab = parse(small(hosts={"a": None, "b": {}}))
    assert [host.number for host in lab.hosts] == [11, 12]


def test_ipv6_addresses_read_like_the_number() -> None:
    assert numbered("2001:db8::/64", 11, "here") == "2001:db8::11/64"
    assert numbered("192.0.2.0/24", 11, "here") == "192.0.2.11/24"


def test_macs_are_local_unicast_and_fixed() -> None:
    assert mac(0, 1, 300) == "02:57:46:01:01:2c"
    first = int(mac(0xF0, 2, 11).split(":")[0], 16)
    assert first & 2
    assert not first & 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "no-dash"}, "name: 'no-dash' must look like"),
        ({"colour": "red"}, "unknown key colour; known are hosts, images, management, name, networks, nodes, packages"),
        ({"hosts": {}}, "0 hosts; a lab has 1 to 60"),
        ({"hosts": {"x": {"release": "sid"}}}, "hosts.x.release: 'sid' is none of bookworm, trixie"),
        ({"hosts": {"x": {"nics": 3}}}, "hosts.x: unknown key nics"),
        ({"hosts": {"way-too-long": {}}}, "must look like"),
        ({"hosts": {"x; reboot": {}}}, "must look like"),
        ({"hosts": {"x\n": {}}}, "must look like"),
        ({"hosts": {"fabric": {}}}, "hosts.fabric: the name is taken"),
        ({"hosts": {"a": {"number": 12}, "b": {"number": 12}}}, "host number used twice: 12"),
        ({"hosts": {"a": {"number": 1}}}, "address used twice: 192.0.2.1"),
        ({"hosts": {"a": {"number": 255}}}, "hosts.a.number: 255 does not fit into 192.0.2.0/24"),
        ({"hosts": {"a": {"number": 0}}}, "0 is not a number from 1 to 9999"),
        ({"hosts": {"a": {"addresses": {"mgmt": ["nonsense"]}}}}, "hosts.a.addresses: 'nonsense'"),
        ({"hosts": {"a": {"addresses": {"lan": []}}}}, "hosts.a.addresses: unknown key lan"),
        ({"hosts": ["a"]}, "hosts must be a mapping"),
        ({"management": "lan"}, "management must name a network"),
        ({"networks": {"mgmt": {}}}, "management must name a network that has subnets"),
        ({"packages": ["--evil"]}, "packages: '--evil' must look like"),
    ],
)
def test_mistakes_are_told(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(LabError) as caught:
        parse(small(**changes))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({"mtu": 900}, "networks.lan.mtu: 900 is not a number from 1280 to 65535"),
        ({"mtu": "big"}, "networks.lan.mtu: 'big'"),
        ({"subnets": ["192.0.2.5/24"]}, "networks.lan.subnets: 192.0.2.5/24 has host bits set"),
        ({"nic": "eth0"}, "NIC used twice: eth0"),
        ({"vlan": 3}, "networks.lan: unknown key vlan"),
    ],
)
def test_mistakes_in_networks_are_told(network: dict[str, Any], words: str) -> None:
    changed = small()
    changed["networks"]["lan"] = network
    with pytest.raises(LabError) as caught:
        parse(changed)
    assert words in str(caught.value)


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot read the lab definition"):
        load(tmp_path / "none.yml")
    broken = tmp_path / "broken.yml"
    broken.write_text("a: [", encoding="utf-8")
    with pytest.raises(LabError, match="is not YAML"):
        load(broken)


def test_an_unknown_host_or_nic_is_answered_with_the_known_ones() -> None:
    lab = load(EXAMPLE)
    with pytest.raises(LabError, match="no host net9; it has net1, net2, cmp1, cmp2, world"):
        lab.host("net9")
    with pytest.raises(LabError, match="no NIC eth9; it has eth0, eth1, eth2"):
        lab.host("net1").nic("eth9")


def test_the_lab_stays_inside_documentation_addresses() -> None:
    allowed = [
        ipaddress.ip_network(one) for one in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
    ]
    for host in load(EXAMPLE).hosts:
        for nic in host.nics:
            for address in nic.addresses:
                assert any(ipaddress.ip_interface(address).ip in network for network in allowed)
