# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routers and floating IPs: where they are placed, the ports they get, and who has which address."""

from __future__ import annotations

import copy
import json
import re
import typing as t
from collections import Counter
from ipaddress import ip_address
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import Built, build_all
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.names import device_name
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.lockfile import lock_path, write_lock
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    BINDING_KINDS,
    HA_CIDR,
    MAX_LOCAL_PORTS,
    ROUTER_GATEWAY_OWNER,
    ROUTER_HA_OWNER,
    ROUTER_INTERFACE_OWNER,
    Binding,
    Port,
    Where,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError

ROUTERS = 300
# What VRRP has for numbers, without 0 and without what would be the last octet of a broadcast address.
VRIDS = (1, 254)
Document = dict[str, t.Any]
CORE: Document = {"type": "vxlan", "shared": True, "subnets": {"core": {"cidr": "172.16.0.0/24"}}}
Placement = dict[str, tuple[str, ...]]


class Fabric:
    """A project with routers, an external network, and some network nodes."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "topology.yml"
        self.lock = lock_path(str(self.path))
        self.blue: Document = {
            "networks": {
                "web": {"subnets": {"web-v4": {"cidr": "10.0.0.0/24"}, "web-v6": {"cidr": "2001:db8:1::/64"}}},
                "db": {"subnets": {"db-v4": {"cidr": "10.0.1.0/24"}}},
            },
            "ports": {"web-1": {"network": "web", "host": "cmp1"}, "db-1": {"network": "db", "host": "cmp1"}},
            "routers": {},
            "floating_ips": {},
        }
        self.public: Document = {
            "type": "flat",
            "physical_network": "physnet1",
            "external": True,
            "subnets": {"v4": {"cidr": "203.0.113.0/24"}, "v6": {"cidr": "2001:db8:ff::/64"}},
        }
        self.defaults: Document = {}

    def build(self, nodes: t.Iterable[str] = ("a", "b", "c"), lock: bool = False) -> Built:
        hosts: Document = {
            name: {
                "roles": ["network_node"],
                "underlay": {"address": f"198.51.100.{number + 1}"},
                "physical_networks": {"physnet1": {"interface": "eth2"}},
            }
            for number, name in enumerate(nodes)
        }
        hosts["cmp1"] = {"roles": ["compute_node"], "underlay": {"address": "198.51.100.200"}}
        document = {
            "plugin": "weft.fabric.topology",
            "defaults": self.defaults,
            "physical_networks": {"physnet1": {}},
            "hosts": hosts,
            "projects": {
                "admin": {"networks": {"public": self.public, "core": copy.deepcopy(CORE)}},
                "blue": self.blue,
            },
        }
        self.path.write_text(json.dumps(document, indent=1), encoding="utf-8")
        built = build_all(str(self.path))
        if lock:
            write_lock(self.lock, built.wanted.dump())
        return built

    def fill(self, count: int = ROUTERS, **attributes: t.Any) -> None:
        gateway = {"external_gateway": {"network": "admin/public"}}
        self.blue["routers"] = {f"r{number}": {**gateway, **attributes} for number in range(count)}
        # As many gateways, and some hundred more addresses.
        self.public["subnets"]["v4"]["cidr"] = "203.0.112.0/21"

    def place(self, nodes: t.Iterable[str] = ("a", "b", "c"), lock: bool = False) -> Placement:
        routers = self.build(nodes, lock).topology.projects["blue"].routers
        return {name: router.nodes for name, router in routers.items()}


@pytest.fixture
def fabric(tmp_path: Path) -> Fabric:
    return Fabric(tmp_path)


def refuse(fabric: Fabric) -> str:
    with pytest.raises(TopologyError) as caught:
        fabric.build()
    return str(caught.value)


def ports(built: Built, network: tuple[str, str], owner: str) -> list[Port]:
    return [port for port in built.topology.router_ports[network] if port.device_owner == owner]


@pytest.mark.parametrize("attributes", [{}, {"ha": True}, {"ha": True, "network_nodes": 3}])
@pytest.mark.parametrize("nodes", ["abc", "abcdef"])
def test_primaries_spread_evenly(attributes: Document, nodes: str, fabric: Fabric) -> None:
    fabric.fill(**attributes)
    placement = fabric.place(nodes)
    wanted = attributes.get("network_nodes", 2 if attributes else 1)
    assert {len(set(found)) for found in placement.values()} == {wanted}
    primaries = Counter(found[0] for found in placement.values())
    fair = ROUTERS / len(nodes)
    assert all(0.8 * fair <= primaries[node] <= 1.2 * fair for node in nodes)


def test_two_nodes_share_primaries_in_halves(fabric: Fabric) -> None:
    fabric.fill(ha=True)
    primaries = Counter(found[0] for found in fabric.place("ab").values())
    assert primaries == {"a": ROUTERS / 2, "b": ROUTERS / 2}


@pytest.mark.parametrize("ha", [True, False])
def test_with_a_lock_a_new_node_moves_nothing(ha: bool, fabric: Fabric) -> None:
    fabric.fill(ha=ha)
    before = fabric.place("abc", lock=True)
    assert fabric.place("abcd") == before


def test_a_lost_node_moves_only_what_it_had(fabric: Fabric) -> None:
    fabric.fill(ha=True)
    before = fabric.place("abcd", lock=True)
    after = fabric.place("abc")
    for name, nodes in before.items():
        left = tuple(node for node in nodes if node != "d")
        assert after[name][: len(left)] == left
        assert len(set(after[name])) == 2


def test_a_router_becomes_ha_and_back_where_it_is(fabric: Fabric) -> None:
    fabric.fill()
    one = fabric.place("abc", lock=True)
    fabric.fill(ha=True)
    two = fabric.place("abc", lock=True)
    assert {name: nodes[:1] for name, nodes in two.items()} == one
    fabric.fill()
    assert fabric.place("abc") == one


def test_a_pin_wins_over_the_lock_and_stays_out_of_it(fabric: Fabric) -> None:
    fabric.blue["routers"] = {"r": {"ha": True, "interfaces": [{"network": "web"}]}}
    (nodes,) = fabric.place(lock=True).values()
    pinned = list(reversed(nodes))
    fabric.blue["routers"]["r"]["hosts"] = pinned
    built = fabric.build(lock=True)
    assert built.topology.router(("blue", "r")).nodes == tuple(pinned)
    assert "projects/blue/routers/r" not in built.wanted.entries
    fabric.blue["routers"]["r"]["hosts"] = ["a", "b", "c"]
    assert fabric.place()["r"] == ("a", "b", "c")


def test_pinned_primaries_count_for_the_others(fabric: Fabric) -> None:
    fabric.fill()
    for number in range(0, ROUTERS, 2):
        fabric.blue["routers"][f"r{number}"]["hosts"] = ["a"]
    assert Counter(found[0] for found in fabric.place("ab").values()) == {"a": ROUTERS / 2, "b": ROUTERS / 2}


@pytest.mark.parametrize("hosts", ["1", '"a"', "{a: 1}", "[1]"])
def test_a_damaged_placement_is_an_error(hosts: str, fabric: Fabric) -> None:
    fabric.blue["routers"] = {"r": {"interfaces": [{"network": "web"}]}}
    fabric.build(lock=True)
    text = fabric.lock.read_text(encoding="utf-8").splitlines()
    number = next(number for number, line in enumerate(text, 1) if line.startswith("  projects/blue/routers/r:"))
    text[number - 1] = f"  projects/blue/routers/r: {{hosts: {hosts}}}"
    fabric.lock.write_text("\n".join(text), encoding="utf-8")
    assert f"topology.lock.yml:{number}: projects/blue/routers/r: hosts must be a list of names" in refuse(fabric)


def test_the_legs_of_a_router(fabric: Fabric) -> None:
    fabric.blue["routers"] = {
        "r": {
            "ha": True,
            "interfaces": [{"network": "web"}, {"network": "db", "address": "10.0.1.254"}],
            "external_gateway": {"network": "admin/public"},
        }
    }
    built = fabric.build()
    router = built.topology.router(("blue", "r"))
    web = ports(built, ("blue", "web"), ROUTER_INTERFACE_OWNER)
    assert [port.host for port in web] == list(router.nodes)
    assert {(port.name, port.id, port.mac_address) for port in web} == {
        ("router:blue:r:blue:web", web[0].id, web[0].mac_address)
    }
    assert web[0].addresses == web[1].addresses == [ip_address("10.0.0.1"), ip_address("2001:db8:1::1")]
    assert web[0].binding.namespace == f"qrouter-{router.id}"
    assert web[0].binding.interface == f"qr-{web[0].id[:11]}"
    (db, _twin) = ports(built, ("blue", "db"), ROUTER_INTERFACE_OWNER)
    assert db.addresses == [ip_address("10.0.1.254")]
    gateway = ports(built, ("admin", "public"), ROUTER_GATEWAY_OWNER)
    assert gateway[0].project == "admin"
    assert gateway[0].binding.interface == f"qg-{gateway[0].id[:11]}"
    assert gateway[0].addresses == gateway[1].addresses
    assert [address.version for address in gateway[0].addresses] == [4, 6]
    assert router.external_gateway is not None
    assert [fixed.address for fixed in router.external_gateway.fixed_ips] == gateway[0].addresses


def test_the_ports_over_which_ha_routers_hear_each_other(fabric: Fabric) -> None:
    fabric.blue["routers"] = {name: {"ha": True, "interfaces": [{"network": name}]} for name in ("web", "db")}
    built = fabric.build()
    found = ports(built, ("blue", "_ha"), ROUTER_HA_OWNER)
    assert len({port.mac_address for port in found}) == len({port.addresses[0] for port in found}) == 4
    assert all(port.addresses[0] in HA_CIDR for port in found)
    assert all(port.binding.interface == f"ha-{port.id[:11]}" for port in found)
    network = built.topology.network(("blue", "_ha"))
    assert network.type == "vxlan"
    assert network.segmentation_id is not None
    assert ("blue", "_ha") not in built.topology.dhcp_ports
    fabric.blue["routers"] = {"web": {"interfaces": [{"network": "web"}]}}
    assert "_ha" not in fabric.build().topology.projects["blue"].networks


def test_the_ha_network_is_a_tunnel_of_the_default_type(fabric: Fabric) -> None:
    fabric.blue["routers"] = {"r": {"ha": True, "interfaces": [{"network": "web"}]}}
    fabric.defaults = {"network_type": "geneve"}
    assert fabric.build().topology.network(("blue", "_ha")).type == "geneve"
    # A VLAN has to be asked for on the switches.
    fabric.defaults = {"network_type": "vlan"}
    for network in fabric.blue["networks"].values():
        network["type"] = "gre"
    assert fabric.build().topology.network(("blue", "_ha")).type == "vxlan"


def test_more_ha_routers_than_vrids(fabric: Fabric) -> None:
    """A node speaks to its peers alone, from address to address: two routers may have one number."""
    fabric.fill(ha=True)
    built = fabric.build()
    assert VRIDS[1] < ROUTERS
    assert len({port.addresses[0] for port in ports(built, ("blue", "_ha"), ROUTER_HA_OWNER)}) == 2 * ROUTERS
    speakers: dict[tuple[str, str], tuple[str, str]] = {}  # (sender, receiver): its router
    vrids: dict[str, set[int]] = {}
    for host in ("a", "b", "c"):
        for item in compile_host(built.topology, host, "vrrp_routers")["vrrp_routers"]["routers"]:
            config = item["config"]
            (vrid,) = map(int, re.findall(r"virtual_router_id (\d+)", config))
            assert VRIDS[0] <= vrid <= VRIDS[1]
            vrids.setdefault(item["name"], set()).add(vrid)
            # One address alone is told to the peers, and it fits: the rest of the octet is the network's.
            assert f"169.254.0.{vrid}/24 dev {item['interface']} scope link" in config
            (source,) = re.findall(r"unicast_src_ip (\S+)", config)
            assert "check_unicast_src" in config
            (peer,) = item["peers"]
            assert speakers.setdefault((source, peer), item["name"]) == item["name"]
    assert len(vrids) == ROUTERS
    assert all(len(numbers) == 1 for numbers in vrids.values()), "the nodes of a router must agree"
    assert len({number for numbers in vrids.values() for number in numbers}) < ROUTERS
    # Each pair of addresses is one router's, so no advert is heard by another one with the same number.
    assert len(speakers) == 2 * ROUTERS


def test_more_ha_routers_than_a_network_holds_are_refused(fabric: Fabric) -> None:
    """All routers of a project share one HA network, and a host has a limit of ports in each."""
    fabric.fill(ha=True, count=MAX_LOCAL_PORTS + 1)
    with pytest.raises(TopologyError) as caught:
        fabric.build(nodes=("a", "b"))
    assert f"network blue/_ha has {MAX_LOCAL_PORTS + 1} ports on host a" in str(caught.value)


def test_routers_of_two_projects_meet_in_a_shared_network(fabric: Fabric) -> None:
    interfaces = [{"network": "web"}, {"network": "admin/core", "address": "172.16.0.2"}]
    routes = [{"destination": "10.9.0.0/16", "nexthop": f"172.16.0.{number}"} for number in (3, 4)]
    fabric.blue["routers"] = {"r": {"interfaces": interfaces, "routes": routes}}
    built = fabric.build()
    (port,) = ports(built, ("admin", "core"), ROUTER_INTERFACE_OWNER)
    assert (port.project, port.name) == ("admin", "router:blue:r:admin:core")
    assert "projects/blue/routers/r/interfaces/admin/core" in built.wanted.entries
    assert len(built.topology.router(("blue", "r")).routes) == 2
    assert built.topology.networks_by_host[str(port.host)]


def test_a_floating_ip_finds_its_router(fabric: Fabric) -> None:
    out = {"external_gateway": {"network": "admin/public"}}
    fabric.blue["routers"] = {
        "a-not-the-gateway": {**out, "interfaces": [{"network": "web", "subnet": "web-v4", "address": "10.0.0.2"}]},
        "gateway": {**out, "interfaces": [{"network": "web"}]},
        "inside": {"interfaces": [{"network": "db"}]},
    }
    forwarding = {"protocol": "tcp", "external_port": "2200-2201", "port": "web-1", "internal_port": "22-23"}
    fabric.blue["floating_ips"] = {
        "whole": {"network": "admin/public", "port": "web-1", "address": "203.0.113.77"},
        "spare": {"network": "admin/public"},
    }
    built = fabric.build()
    found = built.topology.projects["blue"].floating_ips
    web_1 = built.topology.projects["blue"].ports["web-1"]
    assert found["whole"].router == ("blue", "gateway")
    assert found["whole"].fixed_address == web_1.addresses[0]
    assert found["spare"].router is None
    assert found["spare"].address in built.topology.network(("admin", "public")).subnets["v4"].cidr
    assert built.wanted.entries["projects/blue/floating_ips/spare"] == {"address": str(found["spare"].address)}
    assert "projects/blue/floating_ips/whole" not in built.wanted.entries
    fabric.blue["floating_ips"] = {"ports": {"network": "admin/public", "port_forwardings": [forwarding]}}
    (ports_only,) = fabric.build().topology.projects["blue"].floating_ips.values()
    assert ports_only.router == ("blue", "gateway")
    assert ports_only.port_forwardings[0].external_ports == (2200, 2201)
    assert ports_only.port_forwardings[0].internal_address == web_1.addresses[0]


def test_a_floating_ip_for_the_second_address_of_a_port(fabric: Fabric) -> None:
    fabric.blue["ports"]["web-1"]["fixed_ips"] = [{"address": "10.0.0.8"}, {"address": "10.0.0.9"}]
    fabric.blue["routers"] = {
        "r": {"external_gateway": {"network": "admin/public"}, "interfaces": [{"network": "web"}]}
    }
    fabric.blue["floating_ips"] = {
        "first": {"network": "admin/public", "port": "web-1"},
        "second": {"network": "admin/public", "port": "web-1", "fixed_ip": "10.0.0.9"},
    }
    found = fabric.build().topology.projects["blue"].floating_ips
    assert [str(found[name].fixed_address) for name in ("first", "second")] == ["10.0.0.8", "10.0.0.9"]


def test_a_floating_ip_goes_to_the_next_subnet_when_one_is_full(fabric: Fabric) -> None:
    pool = [{"start": "203.0.113.10", "end": "203.0.113.11"}]
    fabric.public["subnets"] = {
        "full": {"cidr": "203.0.113.0/24", "allocation_pools": pool},
        "more": {"cidr": "198.51.100.0/24"},
    }
    fabric.blue["floating_ips"] = {name: {"network": "admin/public"} for name in "abc"}
    built = fabric.build(lock=True)
    addresses = sorted(str(ip.address) for ip in built.topology.floating_ips())
    assert addresses[1:] == ["203.0.113.10", "203.0.113.11"]
    assert addresses[0].startswith("198.51.100.")
    assert fabric.build().missing == []
    del fabric.public["subnets"]["more"]
    fabric.lock.unlink()
    assert "no address is left for floating IPs in network admin/public" in refuse(fabric)


def test_an_address_that_the_lock_has_given_away_is_told(fabric: Fabric) -> None:
    fabric.blue["floating_ips"] = {"a": {"network": "admin/public"}}
    built = fabric.build(lock=True)
    (taken,) = built.topology.floating_ips()
    fabric.blue["floating_ips"]["b"] = {"network": "admin/public", "address": str(taken.address)}
    assert f"{taken.address} is also held by projects/blue/floating_ips/a" in refuse(fabric)
    del fabric.blue["floating_ips"]["b"]
    port = built.topology.projects["blue"].ports["db-1"]
    fabric.blue["routers"] = {"r": {"interfaces": [{"network": "db", "address": str(port.addresses[0])}]}}
    assert "is also held by" in refuse(fabric)


def test_a_port_without_an_address_says_nothing_of_its_floating_ip(fabric: Fabric) -> None:
    pool = [{"start": "10.0.0.10", "end": "10.0.0.10"}]
    fabric.blue["networks"]["web"] = {"dhcp_servers": 0, "subnets": {"v4": {"cidr": "10.0.0.0/24"}}}
    fabric.blue["networks"]["web"]["subnets"]["v4"]["allocation_pools"] = pool
    fabric.blue["ports"] = {name: {"network": "web"} for name in ("one", "two")}
    fabric.blue["routers"] = {
        "r": {"external_gateway": {"network": "admin/public"}, "interfaces": [{"network": "web"}]}
    }
    fabric.blue["floating_ips"] = {name: {"network": "admin/public", "port": name} for name in ("one", "two")}
    (line,) = refuse(fabric).splitlines()
    assert "no address is left in subnet v4 of network web" in line


def test_a_crowd_on_one_host_is_refused(fabric: Fabric) -> None:
    fabric.blue["networks"]["crowd"] = {"dhcp_servers": 0}
    fabric.blue["ports"] = {f"p{number}": {"network": "crowd", "host": "cmp1"} for number in range(MAX_LOCAL_PORTS)}
    fabric.build()
    fabric.blue["ports"]["one-too-many"] = {"network": "crowd", "host": "cmp1"}
    (line,) = refuse(fabric).splitlines()
    assert "projects.blue.networks.crowd: network blue/crowd has 1001 ports on host cmp1" in line
    crowd = copy.deepcopy(fabric.blue["ports"])
    fabric.blue["ports"] = {**crowd, "one-too-many": {"network": "crowd", "host": "a"}}
    fabric.build()


@pytest.mark.parametrize("kind", BINDING_KINDS)
@pytest.mark.parametrize("interface", [None, "eth7"])
def test_a_device_is_known_by_one_name(kind: str, interface: str | None) -> None:
    port = Port("web-1", "blue", "web", Where("", 1, ""), binding=Binding(kind, interface))
    assert port.device == device_name(port, port.id)


def test_an_edit_of_one_router_leaves_the_others(fabric: Fabric) -> None:
    fabric.fill(ha=True)
    before = fabric.build(lock=True).wanted.entries
    for number in range(0, ROUTERS, 3):
        del fabric.blue["routers"][f"r{number}"]
    fabric.blue["routers"]["new"] = {"ha": True, "external_gateway": {"network": "admin/public"}}
    after = fabric.build().wanted.entries
    assert {path: entry for path, entry in after.items() if path in before} == {
        path: before[path] for path in after if path in before
    }
    assert {path.split("/")[3] for path in after.keys() - before.keys()} == {"new"}
