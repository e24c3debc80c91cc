# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Broken topologies by the thousand: every attribute with every kind of wrong value, and bytes at random."""

from __future__ import annotations

import contextlib
import copy
import json
import typing as t
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.kinds import Free, Kind
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.load import load
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.schema import ROOT
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.shapes import ListOf, Named, Resource, Shape
from ansible_collections.weft.fabric.tests.unit.topology import metal

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7Rk3HeJqyEQ9CEzqzC3y4pGZtbi8+1e5xAqvR9vZ2V"

# Every attribute of every resource, in use.
COMPLETE: dict[str, t.Any] = {
    "plugin": "weft.fabric.topology",
    "strict": True,
    "use_extra_vars": False,
    "leading_separator": True,
    "compose": {"a": "1"},
    "groups": {"b": "true"},
    "keyed_groups": [{"key": "weft_datapath_type"}],
    "defaults": {
        "datapath_type": "netdev",
        "underlay_mtu": 1600,
        "network_type": "vxlan",
        "dhcp_servers": 1,
        "lease_time": 3600,
    },
    "physical_networks": {"physnet1": {"mtu": 1500}},
    "hosts": {
        "net1": {
            "roles": ["network_node"],
            "ansible_host": "192.0.2.11",
            "datapath_type": "netdev",
            "vars": {"anything": 1},
            "underlay": {
                "address": "198.51.100.11/24",
                "interface": "eth1",
                "bridge": "br-underlay",
                "other_addresses": ["198.51.100.111/24"],
                "mtu": 1600,
                "routes": [{"to": "198.51.100.0/24", "via": "198.51.100.1"}],
            },
            "physical_networks": {"physnet1": {"interface": "eth2", "bridge": "br-ex"}},
        },
        "net2": {
            "roles": ["network_node"],
            "underlay": {"address": "198.51.100.12/24", "interface": "eth1"},
            "physical_networks": {"physnet1": {"interface": "eth2"}},
        },
    },
    "switches": {
        "leaf1": {
            "driver": "openconfig",
            "address": "leaf1.example",
            "port": 8300,
            "credentials": {
                "username": "weft",
                "password": "{{ vault_leaf1_password }}",
                "ssh_key_file": "~/.ssh/leaf1",
            },
            "host_key_checking": True,
            "known_hosts": "/etc/ssh/known_hosts",
            "allowed_vlans": ["100-199", 300],
            "allowed_ports": ["Ethernet1", "Ethernet2", "Ethernet3", "Ethernet4", "Port-Channel1"],
            "uplinks": ["Ethernet49"],
            "owned_vlans": [1],
            "manage_vlans": True,
            "persist": "startup",
            "physical_networks": ["physnet1"],
            "timeout": 60,
            "connect_timeout": 5,
            "lock_timeout": 90,
            "confirmed_commit": 0,
            "vars": {"anything": 1},
            "ports": {
                "Port-Channel1": {
                    "host": "net1",
                    "physical_network": "physnet1",
                    "members": ["Ethernet1", "Ethernet2"],
                    "lacp": "active",
                    "min_links": 1,
                    "native": 100,
                    "description": "net1, rack 7",
                },
                "Ethernet3": {
                    "mode": "access",
                    "network": "blue/tagged",
                    "edge": True,
                    "enabled": True,
                    "neighbour": "machine.example",
                    "expected_current": {"mode": "trunk", "native": 1, "allowed": ["10-20"]},
                },
                "Ethernet4": {"mode": "trunk", "native": 130, "allowed": ["blue/tagged", 140, "150-160"]},
            },
        },
        "leaf2": {
            "driver": "nxos",
            "address": "198.51.100.3",
            "credentials": {"username": "weft", "ssh_key_file": "/etc/weft/leaf2"},
            "host_key": HOST_KEY,
            "allowed_vlans": [120],
            "ports": {"Eth1/1": {"vlan": 120, "expected_current": {"mode": "access", "vlan": 7}}},
        },
    },
    "projects": {
        "blue": {
            "networks": {
                "tagged": {"type": "vlan", "physical_network": "physnet1", "segmentation_id": 120},
                "web": {
                    "type": "vxlan",
                    "segmentation_id": 5000,
                    "mtu": 1400,
                    "external": False,
                    "shared": False,
                    "mac_learning": False,
                    "dhcp_servers": 1,
                    "dns_domain": "blue.example",
                    "subnets": {
                        "web-v4": {
                            "cidr": "10.0.0.0/24",
                            "gateway_ip": "10.0.0.1",
                            "enable_dhcp": True,
                            "allocation_pools": [{"start": "10.0.0.10", "end": "10.0.0.200"}],
                            "dns_nameservers": ["192.0.2.53"],
                            "ntp_servers": ["192.0.2.123"],
                            "host_routes": [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.254"}],
                            "lease_time": 600,
                            "extra_dhcp_opts": [{"name": "66", "value": "tftp.example", "ip_version": 4}],
                        },
                        "web-v6": {"cidr": "2001:db8::/64", "ipv6_mode": "dhcpv6-stateful"},
                    },
                },
                "ext": {
                    "type": "flat",
                    "physical_network": "physnet1",
                    "external": True,
                    "subnets": {"ext-v4": {"cidr": "203.0.113.0/24", "enable_dhcp": False}},
                },
            },
            "ports": {
                "web-1": {
                    "network": "web",
                    "host": "net1",
                    "mac_address": "fa:16:3e:00:00:01",
                    "fixed_ips": [{"subnet": "web-v4", "address": "10.0.0.9"}],
                    "binding": {"kind": "veth", "namespace": "web-1", "interface": "eth0"},
                    "port_security_enabled": True,
                    "allowed_address_pairs": [{"ip_address": "10.0.0.100", "mac_address": "fa:16:3e:00:00:02"}],
                    "dns_name": "one",
                    "extra_dhcp_opts": [{"name": "67", "value": "kernel"}],
                },
                "web-2": {
                    "network": "web",
                    "fixed_ips": [{"address": "10.0.0.8"}],
                    "binding": {"kind": "tap", "owner": "libvirt-qemu"},
                },
                "web-3": {"network": "web", "binding": {"kind": "iface_id", "iface_id": "vm-3"}},
            },
            "routers": {
                "r1": {
                    "ha": True,
                    "distributed": False,
                    "network_nodes": 2,
                    "hosts": ["net1", "net2"],
                    "external_gateway": {
                        "network": "ext",
                        "enable_snat": True,
                        "fixed_ips": [{"subnet": "ext-v4", "address": "203.0.113.9"}],
                    },
                    "interfaces": [{"network": "blue/web", "subnet": "web-v4", "address": "10.0.0.1"}],
                    "routes": [{"destination": "10.8.0.0/16", "nexthop": "10.0.0.253"}],
                },
            },
            "floating_ips": {
                "one": {"network": "ext", "address": "203.0.113.10", "port": "web-1", "fixed_ip": "10.0.0.9"},
                "two": {
                    "network": "blue/ext",
                    "port_forwardings": [
                        {
                            "protocol": "tcp",
                            "external_port": 2222,
                            "port": "web-2",
                            "internal_port": "22",
                            "fixed_ip": "10.0.0.8",
                        }
                    ],
                },
            },
        }
    },
}

Path_ = tuple[t.Any, ...]

INJECTIONS = {
    "newline": "a\nb",
    "carriage-return": "a\rb",
    "nul": "a\0b",
    "escape": "a\x1b[31mb",
    "brace": "a{b}",
    "quote": 'a"b',
    "single-quote": "a'b",
    "backtick": "a`b`",
    "substitution": "$(reboot)",
    "variable": "${HOME}",
    "semicolon": "a;reboot",
    "pipe": "a|b",
    "jinja": "{{ 1 }}",
    "jinja-block": "{% raw %}",
    "hash": "a #b",
    "backslash": "a\\b",
    "long": "a" * 5000,
    "line-separator": "a\u2028b",
    "not-ascii": "bl\u00e4u",
}
WRONG_TYPES: dict[str, t.Any] = {
    "float": 1.5,
    "list-of-lists": [[[]]],
    "mapping": {"no-such-key": {}},
    "null-in-list": [None],
}


def leaves(shape: Shape, value: t.Any, path: Path_ = ()) -> t.Iterator[tuple[Path_, Kind]]:
    """Yield the path and kind of every single value."""
    if isinstance(shape, Resource):
        for attribute in shape.attributes:
            if attribute.name in value:
                yield from leaves(attribute.shape, value[attribute.name], (*path, attribute.name))
    elif isinstance(shape, Named):
        for name, item in value.items():
            yield from leaves(shape.resource, item, (*path, name))
    elif isinstance(shape, ListOf):
        for index, item in enumerate(value):
            yield from leaves(shape.item, item, (*path, index))
    elif not isinstance(shape, Free):
        yield path, shape


def resources(shape: Shape, value: t.Any, path: Path_ = ()) -> t.Iterator[tuple[Path_, Resource]]:
    """Yield the path and kind of every resource."""
    if isinstance(shape, Resource):
        yield path, shape
        for attribute in shape.attributes:
            if attribute.name in value:
                yield from resources(attribute.shape, value[attribute.name], (*path, attribute.name))
    elif isinstance(shape, Named):
        for name, item in value.items():
            yield from resources(shape.resource, item, (*path, name))
    elif isinstance(shape, ListOf):
        for index, item in enumerate(value):
            yield from resources(shape.item, item, (*path, index))


def at(document: t.Any, path: Path_) -> t.Any:
    for part in path:
        document = document[part]
    return document


def refused(directory: Path, document: t.Any) -> TopologyError:
    """Return the error for a document. JSON is YAML, and an indented one has a line for each value."""
    path = directory / "topology.yml"
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    with pytest.raises(TopologyError) as caught:
        build(str(path))
    assert all(problem.where.line >= 1 and problem.where.file == str(path) for problem in caught.value.problems)
    assert all(line.isprintable() and len(line) < 1200 for line in str(caught.value).splitlines())
    return caught.value


# In two documents: each of the thousands of mistakes below costs the time to read one.
DOCUMENTS = (COMPLETE, metal.COMPLETE)
LEAVES = [(document, path) for document in DOCUMENTS for path, _kind in leaves(ROOT, document)]
RESOURCES = [(document, path, resource) for document in DOCUMENTS for path, resource in resources(ROOT, document)]


@pytest.mark.parametrize(
    ("document", "port", "mac"),
    [(COMPLETE, "web-1", "fa:16:3e:00:00:01"), (metal.COMPLETE, "server-db-1-web", "52:54:00:00:00:02")],
)
def test_the_complete_topology_is_fine(document: t.Any, port: str, mac: str, tmp_path: Path) -> None:
    path = tmp_path / "topology.yml"
    path.write_text(json.dumps(document), encoding="utf-8")
    topology = build(str(path))
    assert topology.projects["blue"].ports[port].mac_address == mac


def test_every_attribute_is_tried() -> None:
    tried = {(id(resource), name) for document, path, resource in RESOURCES for name in at(document, path)}
    untried = {
        f"{resource.noun}.{attribute.name}"
        for _document, _path, resource in RESOURCES
        for attribute in resource.attributes
        if (id(resource), attribute.name) not in tried
    }
    # Those name files: they have tests of their own.
    assert untried == {"topology.include", "topology.part_of", "server.user_data_file"}


@pytest.mark.parametrize("wrong", [*INJECTIONS, *WRONG_TYPES])
def test_every_attribute_refuses(wrong: str, tmp_path: Path) -> None:
    value = {**INJECTIONS, **WRONG_TYPES}[wrong]
    assert len(LEAVES) >= 60
    for complete, path in LEAVES:
        document = copy.deepcopy(complete)
        at(document, path[:-1])[path[-1]] = value
        error = refused(tmp_path, document)
        # The file has one value a line, so the line proves that the place is right.
        lines = (tmp_path / "topology.yml").read_text(encoding="utf-8").splitlines()
        keys = [part for part in path if isinstance(part, str)]
        assert any(_names(problem.where.path, path) for problem in error.problems), (path, str(error))
        assert any(keys[-1] in lines[problem.where.line - 1] or isinstance(path[-1], int) for problem in error.problems)


def _names(shown: str, path: Path_) -> bool:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return shown.startswith(text)


@pytest.mark.parametrize("wrong", [name for name in INJECTIONS if name != "long"])
def test_every_name_refuses(wrong: str, tmp_path: Path) -> None:
    places = [("nodes", "n2"), ("nodes", "n1", "nics", "nic1"), ("images", "debian"), ("flavors", "small"),
              ("projects", "blue", "servers", "db-1")]  # fmt: skip
    for path in places:
        document = copy.deepcopy(metal.COMPLETE)
        parent = at(document, path[:-1])
        parent[INJECTIONS[wrong]] = parent.pop(path[-1])
        assert "is not a name" in str(refused(tmp_path, document))
    for path in [("hosts", "net1"), ("switches", "leaf2"), ("projects", "blue"),
                 ("projects", "blue", "networks", "web"), ("projects", "blue", "ports", "web-1"),
                 ("physical_networks", "physnet1"), ("projects", "blue", "routers", "r1"),
                 ("projects", "blue", "floating_ips", "one"),
                 ("projects", "blue", "networks", "web", "subnets", "web-v4")]:  # fmt: skip
        document = copy.deepcopy(COMPLETE)
        parent = at(document, path[:-1])
        parent[INJECTIONS[wrong]] = parent.pop(path[-1])
        assert "is not a name" in str(refused(tmp_path, document))


def test_every_misspelt_attribute_gets_a_suggestion(tmp_path: Path) -> None:
    count = 0
    for complete, path, resource in RESOURCES:
        for name in at(complete, path):
            if name not in {attribute.name for attribute in resource.attributes}:
                continue
            document = copy.deepcopy(complete)
            parent = at(document, path)
            misspelt = name[:-1] + name[-1] * 2
            parent[misspelt] = parent.pop(name)
            error = refused(tmp_path, document)
            found = [problem for problem in error.problems if repr(misspelt) in problem.message]
            assert found, (path, name, str(error))
            assert found[0].remedy == f"write {name!r}"
            count += 1
    assert count >= 70


@given(data=st.binary(max_size=200))
@example(data=b"\xff\xfep\x00")
@example(data=b"&a [*a]")
@example(data=b"? [a]\n: b")
@example(data=b"a: !!binary x")
@example(data=b"<<: [1]")
@example(data=b"a: &b 1\n*b : 2")
@example(data=b'"\\uD800": 1')
@example(data=b"%YAML 9.9\n---\na: 1")
@example(data=b"%TAG ! tag:x,2000:\n---\na: !y 1")
def test_bytes_never_break_the_loader(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.yml"
    path.write_bytes(data)
    with pytest.raises(TopologyError) as caught:
        load([str(path)])
    assert all(problem.where.line >= 1 for problem in caught.value.problems)


_TEXT = json.dumps(COMPLETE, indent=1)


@given(
    position=st.integers(0, len(_TEXT) - 1),
    length=st.integers(0, 40),
    put=st.sampled_from(["", "*", "&a", "{", "]", ":", "\t", "- ", "é", "1"]),
)
def test_damaged_text_never_breaks_the_loader(
    position: int, length: int, put: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.yml"
    path.write_text(_TEXT[:position] + put + _TEXT[position + length :], encoding="utf-8")
    # Damage in a comment or a value can leave a good topology; any other exception fails the test.
    with contextlib.suppress(TopologyError):
        load([str(path)])
