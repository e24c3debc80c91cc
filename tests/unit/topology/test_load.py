# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From files to the model: what each thing a user may write becomes."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from ansible_collections.weft.fabric.plugins.plugin_utils.topology import reference
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.json_schema import generate
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.load import load
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Binding, Topology
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import (
    MAX_PROBLEMS,
    Problems,
    TopologyError,
    near_miss,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.yamlmap import Map, Reader, Unsafe, Vault

ROOT = Path(__file__).parents[3]
HEAD = "plugin: weft.fabric.topology\n"
HOSTS = """hosts:
  net1: {roles: [network_node], underlay: {address: 198.51.100.11}}
  cmp1: {roles: [compute_node], underlay: {address: 198.51.100.13}}
"""


def write(directory: Path, text: str, name: str = "topology.yml") -> str:
    path = directory / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)


def model(directory: Path, text: str) -> Topology:
    return load([write(directory, HEAD + text)])


def errors(*paths: str) -> list[str]:
    with pytest.raises(TopologyError) as caught:
        load(paths)
    return str(caught.value).splitlines()


def read_yaml(text: str) -> Map:
    problems = Problems()
    document = Reader("file", problems, lambda depth, key: key == "free").read(text.encode())
    problems.raise_if_any()
    assert document is not None
    return document


def test_defaults_reach_what_says_nothing(tmp_path: Path) -> None:
    topology = model(
        tmp_path,
        "defaults: {datapath_type: netdev, underlay_mtu: 1600, network_type: gre, dhcp_servers: 0, lease_time: 600}\n"
        "hosts: {net1: {roles: [network_node], underlay: {address: 198.51.100.11}}}\n"
        "projects: {blue: {networks: {web: {subnets: {v4: {cidr: 10.0.0.0/24}}}}}}\n",
    )
    host, network = topology.hosts["net1"], topology.projects["blue"].networks["web"]
    assert host.underlay is not None
    assert (host.datapath_type, host.underlay.mtu, topology.underlay_mtu) == ("netdev", 1600, 1600)
    assert (network.type, network.dhcp_servers, network.subnets["v4"].lease_time) == ("gre", 0, 600)


def test_without_defaults(tmp_path: Path) -> None:
    topology = model(tmp_path, HOSTS + "projects: {blue: {networks: {web: {subnets: {v4: {cidr: 10.0.0.0/24}}}}}}\n")
    network = topology.projects["blue"].networks["web"]
    assert (network.type, network.dhcp_servers, topology.hosts["net1"].datapath_type) == ("vxlan", 1, "system")
    subnet = network.subnets["v4"]
    assert (subnet.gateway_ip, subnet.enable_dhcp, subnet.ipv6_mode) == (ip_address("10.0.0.1"), True, None)


@pytest.mark.parametrize("none", ["null", "~", "none", ""])
def test_a_subnet_without_gateway(none: str, tmp_path: Path) -> None:
    text = (
        f"projects: {{blue: {{networks: {{web: {{subnets: {{v4: {{cidr: 10.0.0.0/24, gateway_ip: {none}}}}}}}}}}}}}\n"
    )
    assert model(tmp_path, text).projects["blue"].networks["web"].subnets["v4"].gateway_ip is None


def test_ipv6_subnets_are_stateful_unless_they_say_so(tmp_path: Path) -> None:
    text = "projects: {blue: {networks: {web: {subnets: {v6: {cidr: '2001:db8::/64'}}}}}}\n"
    assert model(tmp_path, text).projects["blue"].networks["web"].subnets["v6"].ipv6_mode == "dhcpv6-stateful"


def test_a_port_in_full(tmp_path: Path) -> None:
    topology = model(
        tmp_path,
        HOSTS
        + """projects:
  blue:
    networks: {web: {subnets: {v4: {cidr: 10.0.0.0/24}}}}
    ports:
      web_1.a:
        network: web
        host: cmp1
        mac_address: 10-11-12-13-14-15
        fixed_ips: [{address: 10.0.0.9}]
        binding: {kind: veth, namespace: one, interface: eth7}
        allowed_address_pairs: [{ip_address: 10.0.0.100}, {ip_address: 10.0.0.128/25, mac_address: 10:11:12:13:14:15}]
        extra_dhcp_opts: [{name: "67", value: kernel}]
""",
    )
    port = topology.projects["blue"].ports["web_1.a"]
    assert (port.mac_address, port.mac_pinned) == ("10:11:12:13:14:15", True)
    assert [(fixed.subnet, str(fixed.address), fixed.pinned) for fixed in port.fixed_ips] == [("v4", "10.0.0.9", True)]
    assert port.binding == Binding("veth", "eth7", "one")
    pairs = [(pair.cidr, pair.mac_address) for pair in port.allowed_address_pairs]
    assert pairs == [(ip_network("10.0.0.100"), None), (ip_network("10.0.0.128/25"), "10:11:12:13:14:15")]
    assert port.dns_name == "web-1-a"
    assert (port.where.line, port.where.path) == (9, "projects.blue.ports.web_1.a")


def test_a_mac_address_of_digits_is_no_number() -> None:
    """YAML 1.1 reads 10:11:12:13:14:15 as a number of base 60, and no as false."""
    document = read_yaml("mac: 10:11:12:13:14:15\nname: no\nnumber: 0x1F\nfloat: 1e3\n")
    assert document == {"mac": "10:11:12:13:14:15", "name": "no", "number": 31, "float": 1000.0}


def test_what_is_ansibles_is_read_as_ansible_reads_it() -> None:
    document = read_yaml("free: {a: yes, b: 010, c: 'yes', d: !unsafe '{{ x }}', e: !vault secret, f: 2.5}\n")
    assert document["free"] == {"a": True, "b": 8, "c": "yes", "d": "{{ x }}", "e": "secret", "f": 2.5}
    assert isinstance(document["free"]["d"], Unsafe)
    assert isinstance(document["free"]["e"], Vault)


def test_anchors_and_merges_work(tmp_path: Path) -> None:
    topology = model(
        tmp_path,
        "hosts:\n"
        "  net1: &node {roles: &roles [network_node], datapath_type: netdev}\n"
        "  net2: {<<: *node, datapath_type: system}\n"
        "  net3: {roles: *roles}\n",
    )
    assert {name: (host.roles, host.datapath_type) for name, host in topology.hosts.items()} == {
        "net1": (("network_node",), "netdev"),
        "net2": (("network_node",), "system"),
        "net3": (("network_node",), "system"),
    }


def test_lines_are_those_of_keys_and_items() -> None:
    document = read_yaml("a:\n  b: 1\n\n  c: [1,\n    2]\n  d: {e: 1, f: 2}\n")
    assert [document["a"].line_of(key) for key in "bcd"] == [2, 4, 6]
    assert [document["a"]["c"].line_of(index) for index in (0, 1)] == [4, 5]
    assert document["a"]["d"].line_of("f") == 6
    assert document["a"].line_of("missing") == 2


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "topology.yml"
    path.write_bytes(b"\xef\xbb\xbfplugin: weft.fabric.topology\r\nhosts: {}\r\n")
    assert load([str(path)]).hosts == {}


def test_included_files_are_one_topology(tmp_path: Path) -> None:
    root = write(tmp_path, HEAD + "include: [hosts.yml, 'projects/*.yml']\n" + HOSTS.replace("  cmp1", "  cmp2"))
    write(tmp_path, "hosts: {cmp1: {roles: [compute_node], underlay: {address: 198.51.100.99}}}\n", "hosts.yml")
    write(tmp_path, HEAD + "part_of: ../topology.yml\nprojects: {blue: {networks: {web: {}}}}\n", "projects/a.yml")
    write(tmp_path, "projects: {blue: {ports: {web-1: {network: web, host: cmp1}}}}\n", "projects/b.yml")
    for paths in ([root], [str(tmp_path)]):
        topology = load(paths)
        assert set(topology.hosts) == {"net1", "cmp1", "cmp2"}
        assert topology.projects["blue"].ports["web-1"].where.file == str(tmp_path / "projects/b.yml")
        assert [Path(file).name for file in topology.files] == ["topology.yml", "hosts.yml", "a.yml", "b.yml"]


def test_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    root = write(tmp_path, HEAD + "include: ['parts/*.yml']\nhosts: {net1: {roles: [x]}}\n")
    write(tmp_path, "hosts:\n  net1: {roles: []}\ndefaults: {}\n", "parts/a.yml")
    write(tmp_path, "projects: [\n", "parts/b.yml")
    write(tmp_path, "projects: {blue: {networks: {web: {mtu: 1}}}}\n", "parts/c.yml")
    found = [line.replace(f"{tmp_path}/", "").split(". Remedy")[0] for line in errors(root)]
    assert found == [
        "parts/a.yml:2: hosts.net1: is there twice, first in topology.yml:3",
        "parts/a.yml:3: defaults: stands in an included file",
        "parts/b.yml:2: projects[0]: a value is missing",
        "parts/c.yml:1: projects.blue.networks.web.mtu: 1 is not a whole number from 576 to 65535",
        "topology.yml:3: hosts.net1.roles[0]: 'x' is not one of network_node, compute_node",
    ]


def test_only_the_first_hundred_are_shown(tmp_path: Path) -> None:
    networks = "".join(f"      n{number}: {{mtu: 1}}\n" for number in range(250))
    found = errors(write(tmp_path, HEAD + "projects:\n  blue:\n    networks:\n" + networks))
    assert len(found) == MAX_PROBLEMS + 1
    assert found[0].split(":")[1] == "5"
    assert found[-1] == "and 150 more problems"


def test_what_follows_from_a_problem_is_not_told(tmp_path: Path) -> None:
    """A network whose type is misspelt is not also a vxlan network with a physical network it must not have."""
    found = errors(
        write(
            tmp_path,
            HEAD
            + HOSTS
            + "physical_networks: {physnet1: {}}\n"
            + "projects:\n  blue:\n    networks: {ext: {type: flatt, physical_network: physnet1}}\n"
            + "    ports: {ext-1: {network: ext, host: cmp1}}\n",
        )
    )
    assert len(found) == 1
    assert "write 'flat'" in found[0]


def test_near_misses() -> None:
    assert near_miss("gatway_ip", ["gateway_ip", "cidr"]) == "gateway_ip"
    assert near_miss("nonsense", ["gateway_ip", "cidr"]) is None
    assert near_miss("cmp77x", [f"cmp{number}" for number in range(1000)]) == "cmp77"


def test_the_published_schema_is_current() -> None:
    assert (ROOT / "docs/topology.schema.json").read_text(encoding="utf-8") == generate(), (
        "write it anew: python -m ansible_collections.weft.fabric.plugins.plugin_utils.topology.json_schema "
        "docs/topology.schema.json"
    )


def test_the_reference_in_the_docs_is_current() -> None:
    page = (ROOT / "docs/topology.md").read_text(encoding="utf-8")
    assert page == reference.put_into(page), (
        "write it anew: python -m ansible_collections.weft.fabric.plugins.plugin_utils.topology.reference "
        "docs/topology.md"
    )


VALIDATOR = Draft202012Validator(json.loads(generate()))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(json.loads(generate()))


@pytest.mark.parametrize(
    "document",
    [
        {"hosts": {"net1": {"roles": ["network_nod"]}}},
        {"hosts": {"net1": {}}},
        {"hosts": {"a b": {"roles": []}}},
        {"hosts": {"net1": {"roles": [], "underly": {}}}},
        {"projects": {"blue": {"networks": {"web": {"mtu": "1500"}}}}},
        {"projects": {"blue": {"networks": {"web": {"mtu": 100}}}}},
        {"projects": {"blue": {"networks": {"web": {"subnets": {"v4": {"cidr": "10.0.0.0"}}}}}}},
        {"projects": {"blue": {"ports": {"web-1": {"network": "{{ x }}"}}}}},
        {"projects": {"blue": {"ports": {"web-1": {"network": "web", "binding": {"kind": "veht"}}}}}},
        {"plugin": "constructed"},
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(document: dict[str, object], tmp_path: Path) -> None:
    document = {"plugin": "weft.fabric.topology", **document}
    assert not VALIDATOR.is_valid(document)
    assert errors(write(tmp_path, json.dumps(document)))


@pytest.mark.parametrize("example", sorted(path.parent.name for path in (ROOT / "examples").glob("*/topology.yml")))
def test_examples_load_and_fit_the_schema(example: str) -> None:
    path = ROOT / "examples" / example / "topology.yml"
    assert load([str(path)]).hosts
    document = read_yaml(path.read_text(encoding="utf-8"))
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
