# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Allocation on generated fabrics: unique, stable under every edit, the same on every machine.

WEFT_SOAK=1 tries a thousand fabrics instead of a hundred.
"""

from __future__ import annotations

import copy
import json
import os
import random
import re
import typing as t
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.weft.fabric.plugins.plugin_utils.topology import allocate
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import Built, build_all
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.lockfile import lock_path, write_lock
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import ROUTER_HA_OWNER
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError

FABRICS = 1000 if os.environ.get("WEFT_SOAK") else 100
Document = dict[str, t.Any]

HEAD: Document = {"plugin": "weft.fabric.topology", "physical_networks": {"physnet1": {}}}
HOSTS: dict[str, Document] = {
    f"h{number}": {"roles": ["network_node", "compute_node"], "underlay": {"address": f"198.51.100.{number + 1}"}}
    for number in range(5)
}
for name in ("h0", "h1", "h2", "h3"):
    HOSTS[name]["physical_networks"] = {"physnet1": {"interface": "eth2"}}
SUBNETS: dict[str, Document] = {
    "v4": {"cidr": "10.0.0.0/27"},
    "also-v4": {"cidr": "10.0.1.0/27"},
    "pool": {"cidr": "10.0.2.0/24", "allocation_pools": [{"start": "10.0.2.10", "end": "10.0.2.40"}]},
    "stateful": {"cidr": "2001:db8:1::/64"},
    "slaac": {"cidr": "2001:db8:2::/64", "ipv6_mode": "slaac"},
}

# What routers lead out to.
ADMIN: Document = {
    "networks": {
        "public": {
            "type": "flat",
            "physical_network": "physnet1",
            "external": True,
            "subnets": {
                "public-v4": {
                    "cidr": "203.0.113.0/24",
                    "enable_dhcp": False,
                    "allocation_pools": [{"start": "203.0.113.100", "end": "203.0.113.160"}],
                },
                "public-v6": {"cidr": "2001:db8:ff::/64", "enable_dhcp": False},
            },
        },
    },
    "ports": {},
}

networks = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["vxlan", "gre", "geneve"]),
        "dhcp_servers": st.integers(0, 2),
        "subnets": st.sets(st.sampled_from(sorted(SUBNETS)), max_size=3).map(
            lambda names: {name: SUBNETS[name] for name in sorted(names)}
        ),
    }
)
NETWORK_NAMES = ("a", "b", "c")
ports = st.fixed_dictionaries({"network": st.sampled_from(NETWORK_NAMES), "host": st.sampled_from(sorted(HOSTS))})
routers = st.fixed_dictionaries(
    {"ha": st.booleans()},
    optional={
        "external_gateway": st.just({"network": "admin/public"}),
        "hosts": st.sampled_from([("h1", "h2"), ("h3", "h0")]).map(list),
    },
)
projects = st.fixed_dictionaries(
    {
        "networks": st.fixed_dictionaries(dict.fromkeys(NETWORK_NAMES, networks)),
        "ports": st.dictionaries(st.sampled_from([f"p{number}" for number in range(8)]), ports, max_size=6),
        # A router for each of some networks: two could not both be their gateway.
        "routers": st.dictionaries(st.sampled_from(NETWORK_NAMES), routers),
        "floating_ips": st.dictionaries(
            st.sampled_from(["spare", *(f"p{number}" for number in range(8))]),
            st.fixed_dictionaries({"network": st.just("admin/public")}),
        ),
    }
)


def fabric(found: dict[str, Document]) -> Document:
    """Return the document of some projects, without what would be refused."""
    document: Document = {
        **HEAD,
        "hosts": copy.deepcopy(HOSTS),
        "projects": {**copy.deepcopy(found), "admin": copy.deepcopy(ADMIN)},
    }
    for name in sorted(found):
        mend(document, document["projects"][name])
    return document


def mend(document: Document, project: Document) -> None:
    """Give the routers of a project their interfaces, and bind its floating IPs to the ports behind them."""
    for name, router in list(project["routers"].items()):
        if not project["networks"].get(name, {}).get("subnets"):
            del project["routers"][name]
            continue
        router["interfaces"] = [{"network": name}]
        if "hosts" in router:
            router["hosts"] = router["hosts"][: 2 if router["ha"] else 1]
            if not set(router["hosts"]) <= set(document["hosts"]):
                del router["hosts"]
    for name, floating_ip in project["floating_ips"].items():
        floating_ip.pop("port", None)
        network = project["ports"].get(name, {}).get("network")
        leads_out = "external_gateway" in project["routers"].get(network, {})
        if leads_out and any("." in subnet["cidr"] for subnet in project["networks"][network]["subnets"].values()):
            floating_ip["port"] = name


fabrics = st.dictionaries(st.sampled_from(["red", "green", "blue"]), projects, min_size=1).map(fabric)


class Bench:
    """A place to build documents in, one after the other, with or without the lock of the one before."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "topology.yml"
        self.lock = lock_path(str(self.path))

    def build(self, document: Document, keep_lock: bool = True) -> Built:
        if not keep_lock:
            self.lock.unlink(missing_ok=True)
        self.path.write_text(json.dumps(document), encoding="utf-8")
        built = build_all(str(self.path))
        write_lock(self.lock, built.wanted.dump())
        return built


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("allocate"))


@pytest.fixture(autouse=True, scope="module")
def _little_room() -> t.Iterator[None]:
    """Numbers so few that collisions are the rule."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(allocate, "SEGMENTATION_RANGE", (4096, 4112))
        patch.setattr(allocate, "LOCAL_VLAN_RANGE", (1, 12))
        patch.setattr(allocate, "MAC_COUNT", 64)
        yield


few = settings(
    max_examples=FABRICS, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def check_unique(built: Built) -> None:
    topology = built.topology
    segments = [(network.type, network.segmentation_id) for network in topology.networks()]
    assert len(set(segments)) == len(segments)
    # The ports of a router's leg that is on several hosts are one.
    macs = {port.id: port.mac_address for found in topology.ports_by_network.values() for port in found}
    assert len(set(macs.values())) == len(macs)
    for host, found in topology.networks_by_host.items():
        vlans = [topology.local_vlan(host, network) for network in found]
        assert len(set(vlans)) == len(vlans)
        assert all(1 <= vlan <= 4094 for vlan in vlans)
    for key, found in topology.ports_by_network.items():
        network = topology.network(key)
        addresses = [address for port in {port.id: port for port in found}.values() for address in port.addresses]
        addresses += [ip.address for ip in topology.floating_ips() if ip.network == key and ip.address is not None]
        assert len(set(addresses)) == len(addresses)
        for port in found:
            for fixed in port.fixed_ips:
                subnet = network.subnets[fixed.subnet]
                assert fixed.address in subnet.cidr
                assert fixed.address != subnet.cidr.network_address
                assert port.router is not None or fixed.address != subnet.gateway_ip
                if subnet.ip_version == 4:
                    assert fixed.address != subnet.cidr.broadcast_address
                if subnet.allocation_pools and not fixed.pinned:
                    assert any(start <= fixed.address <= end for start, end in subnet.allocation_pools)
    check_routers(built)


def check_routers(built: Built) -> None:
    topology = built.topology
    for router in topology.routers():
        assert len(set(router.nodes)) == len(router.nodes) == (router.network_nodes if router.ha else 1)
    for key, found in topology.router_ports.items():
        for port in found:
            assert port.router is not None
            assert port.host in topology.router(port.router).nodes
            assert topology.hosts[port.host].reaches(topology.network(key))
            # Replicas are the same in all but the host.
            twins = [other for other in found if other.id == port.id]
            assert len({(twin.mac_address, tuple(twin.addresses)) for twin in twins}) == 1
            if port.device_owner != ROUTER_HA_OWNER:
                assert {twin.host for twin in twins} == set(topology.router(port.router).nodes)
    for floating_ip in topology.floating_ips():
        assert floating_ip.address is not None
        assert (floating_ip.router is None) == (floating_ip.port is None)
        if floating_ip.port is not None:
            port = topology.projects[floating_ip.project].ports[floating_ip.port]
            assert floating_ip.fixed_address in port.addresses
            assert floating_ip.router == (floating_ip.project, port.network)


@few
@given(document=fabrics)
def test_every_number_is_unique_and_fits(document: Document, bench: Bench) -> None:
    check_unique(bench.build(document, keep_lock=False))


@few
@given(document=fabrics)
def test_the_lock_says_it_all(document: Document, bench: Bench) -> None:
    first = bench.build(document, keep_lock=False)
    text = bench.lock.read_text(encoding="utf-8")
    second = bench.build(document)
    assert second.missing == []
    assert second.wanted.dump() == text
    assert first.topology.projects == second.topology.projects
    assert first.topology.dhcp_ports == second.topology.dhcp_ports
    assert first.topology.router_ports == second.topology.router_ports


@few
@given(document=fabrics, seed=st.integers())
def test_the_order_in_the_file_means_nothing(document: Document, seed: int, bench: Bench) -> None:
    text = bench.build(document, keep_lock=False).wanted.dump()
    shuffled = _shuffle(document, random.Random(seed))
    for name, project in document["projects"].items():
        for network in project["networks"]:  # the first subnet in the file is the one that is chosen
            shuffled["projects"][name]["networks"][network]["subnets"] = project["networks"][network]["subnets"]
    assert bench.build(shuffled, keep_lock=False).wanted.dump() == text


def _shuffle(value: t.Any, chance: random.Random) -> t.Any:
    if not isinstance(value, dict):
        return value
    items = list(value.items())
    chance.shuffle(items)
    return {key: _shuffle(item, chance) for key, item in items}


Pick = random.Random


def add_port(document: Document, project: Document, pick: Pick) -> None:
    network = pick.choice(sorted(project["networks"]))
    project["ports"].setdefault(f"new{pick.randrange(1000)}", {"network": network, "host": min(document["hosts"])})


def remove_port(_document: Document, project: Document, pick: Pick) -> None:
    if project["ports"]:
        del project["ports"][pick.choice(sorted(project["ports"]))]


def move_port(document: Document, project: Document, pick: Pick) -> None:
    if project["ports"]:
        port = project["ports"][pick.choice(sorted(project["ports"]))]
        port["host"] = pick.choice(sorted(document["hosts"]))


def add_network(_document: Document, project: Document, pick: Pick) -> None:
    project["networks"].setdefault(f"new{pick.randrange(1000)}", {"subnets": {"v4": SUBNETS["v4"]}})


def remove_network(_document: Document, project: Document, pick: Pick) -> None:
    if len(project["networks"]) > 1:
        network = pick.choice(sorted(project["networks"]))
        del project["networks"][network]
        project["ports"] = {name: port for name, port in project["ports"].items() if port["network"] != network}
        project["routers"].pop(network, None)


def add_router(_document: Document, project: Document, pick: Pick) -> None:
    gateway = {"external_gateway": {"network": "admin/public"}}
    project["routers"].setdefault(pick.choice(NETWORK_NAMES), {"ha": pick.random() < 0.5, **gateway})


def remove_router(_document: Document, project: Document, pick: Pick) -> None:
    if project["routers"]:
        del project["routers"][pick.choice(sorted(project["routers"]))]


def turn_ha(_document: Document, project: Document, pick: Pick) -> None:
    if project["routers"]:
        router = project["routers"][pick.choice(sorted(project["routers"]))]
        router["ha"] = not router["ha"]
        router.pop("hosts", None)


def add_floating_ip(_document: Document, project: Document, pick: Pick) -> None:
    names = [f"new{pick.randrange(1000)}", *sorted(project["ports"])]
    project["floating_ips"].setdefault(pick.choice(names), {"network": "admin/public"})


def remove_floating_ip(_document: Document, project: Document, pick: Pick) -> None:
    if project["floating_ips"]:
        del project["floating_ips"][pick.choice(sorted(project["floating_ips"]))]


def add_subnet(_document: Document, project: Document, pick: Pick) -> None:
    network = project["networks"][pick.choice(sorted(project["networks"]))]
    name = pick.choice(sorted(SUBNETS))
    # In front: the ports that have an address elsewhere must keep it there.
    network["subnets"] = {name: SUBNETS[name], **network["subnets"]}


def add_project(document: Document, project: Document, pick: Pick) -> None:
    document["projects"][f"new{pick.randrange(1000)}"] = copy.deepcopy({**project, "routers": {}})


def remove_project(document: Document, _project: Document, pick: Pick) -> None:
    tenants = sorted(set(document["projects"]) - {"admin"})
    if len(tenants) > 1:
        del document["projects"][pick.choice(tenants)]


def remove_host(document: Document, _project: Document, pick: Pick) -> None:
    if len(document["hosts"]) > 3:
        gone = pick.choice(sorted(document["hosts"]))
        del document["hosts"][gone]
        for project in document["projects"].values():
            for port in project["ports"].values():
                port["host"] = min(document["hosts"]) if port["host"] == gone else port["host"]


EDITS = (
    add_port,
    remove_port,
    move_port,
    add_network,
    remove_network,
    add_subnet,
    add_project,
    remove_project,
    remove_host,
    add_router,
    remove_router,
    turn_ha,
    add_floating_ip,
    remove_floating_ip,
)


def edited(document: Document, pick: Pick) -> Document:
    """Return the document with one thing added, removed or moved."""
    document = copy.deepcopy(document)
    tenants = sorted(set(document["projects"]) - {"admin"})
    pick.choice(EDITS)(document, document["projects"][pick.choice(tenants)], pick)
    for name in sorted(set(document["projects"]) - {"admin"}):
        mend(document, document["projects"][name])
    return document


@few
@given(document=fabrics, seed=st.integers())
def test_an_edit_changes_nobody_elses_numbers(document: Document, seed: int, bench: Bench) -> None:
    pick = random.Random(seed)
    before = bench.build(document, keep_lock=False)
    for _round in range(5):
        document = edited(document, pick)
        after = build_if_there_is_room(bench, document)
        if after is None:
            return
        check_unique(after)
        compare(before, after)
        before = after


def build_if_there_is_room(bench: Bench, document: Document) -> Built | None:
    """So few numbers may be used up. Nothing else may be wrong with an edit."""
    try:
        return bench.build(document)
    except TopologyError as error:
        other = [problem for problem in error.problems if not re.search("is left|more than", problem.message)]
        if other:
            raise
        return None


def compare(before: Built, after: Built) -> None:
    for path, entry in before.wanted.entries.items():
        if path not in after.wanted.entries:
            continue
        now = after.wanted.entries[path]
        for key, value in entry.items():
            if key == "hosts":
                # It stays where it is, as far as those hosts are there and as many are wanted.
                kept = [host for host in value if host in after.topology.hosts][: len(now[key])]
                assert now[key][: len(kept)] == kept, path
            elif isinstance(value, dict):
                # A subnet that was added gives further addresses; those there were stay.
                assert value.items() <= now[key].items(), path
            else:
                assert now[key] == value, path
    vlans = _vlans(after)
    for place, vlan in _vlans(before).items():
        assert vlans.get(place, vlan) == vlan


def _vlans(built: Built) -> dict[tuple[str, tuple[str, str]], int]:
    topology = built.topology
    return {
        (host, network.key): topology.local_vlan(host, network)
        for host, found in topology.networks_by_host.items()
        for network in found
    }


def test_more_networks_than_vlans(bench: Bench) -> None:
    """Thirty networks, twelve numbers: those on one host differ, and none changes when others come and go."""
    document: Document = {**HEAD, "hosts": HOSTS, "projects": {}}
    for number in range(30):
        document["projects"][f"t{number}"] = {
            "networks": {"n": {"type": ("vxlan", "gre", "geneve")[number % 3]}},
            "ports": {"p": {"network": "n", "host": f"h{number % 5}"}},
        }
    before = bench.build(document, keep_lock=False)
    assert before.topology.local_vlan_overrides
    check_unique(before)
    for number in (3, 17, 8):
        del document["projects"][f"t{number}"]
        after = bench.build(document)
        check_unique(after)
        compare(before, after)
        before = after
    # Its network now meets others: it yields, they stay.
    document["projects"]["t0"]["ports"]["p"]["host"] = "h1"
    after = bench.build(document)
    check_unique(after)
    compare(before, after)


def test_a_host_with_too_many_networks_is_an_error(bench: Bench) -> None:
    document: Document = {**HEAD, "hosts": HOSTS, "projects": {}}
    for number in range(13):
        document["projects"][f"t{number}"] = {
            "networks": {"n": {"type": ("vxlan", "gre", "geneve")[number % 3]}},
            "ports": {"p": {"network": "n", "host": "h0"}},
        }
    with pytest.raises(TopologyError, match="host h0 has more than"):
        bench.build(document, keep_lock=False)


def test_two_addresses_in_one_subnet(bench: Bench) -> None:
    document: Document = {
        **HEAD,
        "hosts": HOSTS,
        "projects": {
            "blue": {
                "networks": {"n": {"subnets": {"v4": SUBNETS["v4"]}, "dhcp_servers": 0}},
                "ports": {
                    "p": {"network": "n", "host": "h0", "fixed_ips": [{"subnet": "v4"}, {"subnet": "v4"}]},
                    "none": {"network": "n", "host": "h0", "fixed_ips": []},
                },
            }
        },
    }
    before = bench.build(document, keep_lock=False)
    addresses = before.topology.projects["blue"].ports["p"].addresses
    assert len(set(addresses)) == 2
    assert before.topology.projects["blue"].ports["none"].addresses == []
    assert bench.build(document).topology.projects["blue"].ports["p"].addresses == addresses
