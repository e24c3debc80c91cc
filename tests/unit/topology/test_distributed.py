# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Distributed routers: where they are, which numbers they get, and which floating IPs are with their ports."""

from __future__ import annotations

import json
import typing as t
from collections import Counter
from ipaddress import ip_address
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology import allocate_distributed
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import Built, build_all
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.lockfile import lock_path, write_lock
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    FLOATING_IP_AGENT_OWNER,
    ROUTER_DISTRIBUTED_OWNER,
    ROUTER_GATEWAY_OWNER,
    ROUTER_HA_OWNER,
    ROUTER_SNAT_OWNER,
    Port,
    Router,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError

Document = dict[str, t.Any]
OUT: Document = {"external_gateway": {"network": "admin/public"}}


class Fabric:
    """Two network nodes, three compute nodes, of which one does not reach outside, and some networks."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "topology.yml"
        self.hosts: Document = {}
        for number, name in enumerate(("net1", "net2", "cmp1", "cmp2", "cmp3"), 1):
            role = "network_node" if name.startswith("net") else "compute_node"
            self.hosts[name] = {"roles": [role], "underlay": {"address": f"198.51.100.{number}"}}
            if name != "cmp3":
                self.hosts[name]["physical_networks"] = {"physnet1": {"interface": "eth2"}}
        self.blue: Document = {"networks": {}, "ports": {}, "routers": {}, "floating_ips": {}}
        for number, name in enumerate(("web", "db", "core", "lonely")):
            self.blue["networks"][name] = {"subnets": {f"{name}-v4": {"cidr": f"10.0.{number}.0/24"}}}
        self.blue["networks"]["web"]["subnets"]["web-v6"] = {"cidr": "2001:db8::/64"}
        self.port("web-1", "web", "cmp1")
        self.port("db-1", "db", "cmp2")
        self.public: Document = {
            "type": "flat",
            "physical_network": "physnet1",
            "external": True,
            "subnets": {"v4": {"cidr": "203.0.113.0/24"}},
        }
        self.admin: Document = {"networks": {"public": self.public}}

    def port(self, name: str, network: str, host: str | None, **options: t.Any) -> None:
        self.blue["ports"][name] = {"network": network, **({"host": host} if host else {}), **options}

    def router(self, name: str, *networks: str, **options: t.Any) -> None:
        interfaces = [{"network": network} for network in networks]
        self.blue["routers"][name] = {"distributed": True, "interfaces": interfaces, **options}

    def floating_ip(self, port: str, **options: t.Any) -> None:
        self.blue["floating_ips"][port] = {"network": "admin/public", "port": port, **options}

    def build(self, lock: bool = False) -> Built:
        document = {
            "plugin": "weft.fabric.topology",
            "physical_networks": {"physnet1": {}, "physnet2": {}},
            "hosts": self.hosts,
            "projects": {"admin": self.admin, "blue": self.blue},
        }
        self.path.write_text(json.dumps(document), encoding="utf-8")
        built = build_all(str(self.path))
        if lock:
            write_lock(lock_path(str(self.path)), built.wanted.dump())
        return built

    def refuse(self) -> str:
        with pytest.raises(TopologyError) as caught:
            self.build()
        return str(caught.value)


@pytest.fixture
def fabric(tmp_path: Path) -> Fabric:
    return Fabric(tmp_path)


def router(built: Built, name: str = "r1") -> Router:
    return built.topology.projects["blue"].routers[name]


def ports(built: Built, owner: str, name: str | None = None) -> list[Port]:
    return [
        port
        for found in built.topology.router_ports.values()
        for port in found
        if port.device_owner == owner and (name is None or port.router == ("blue", name))
    ]


# Where it is


def test_a_router_is_where_its_ports_are(fabric: Fabric) -> None:
    fabric.router("r1", "web", "db", **OUT)
    built = fabric.build()
    assert router(built).places == ("cmp1", "cmp2")
    assert len(router(built).nodes) == 1
    assert built.topology.router_hosts == {"cmp1", "cmp2", *router(built).nodes}
    legs = ports(built, ROUTER_DISTRIBUTED_OWNER)
    assert Counter((leg.network, leg.host) for leg in legs) == {
        (network, host): 1 for network in ("web", "db") for host in ("cmp1", "cmp2")
    }
    for network, gateways in (("web", ["10.0.0.1", "2001:db8::1"]), ("db", ["10.0.1.1"])):
        assert {tuple(leg.addresses) for leg in legs if leg.network == network} == {tuple(map(ip_address, gateways))}
    assert {leg.binding.namespace for leg in legs} == {f"qrouter-{router(built).id}"}


def test_neither_its_own_ports_nor_a_dhcp_server_s_are_served(fabric: Fabric) -> None:
    fabric.router("r1", "web", "lonely", **OUT)
    built = fabric.build()
    assert built.topology.dhcp_ports
    assert router(built).places == ("cmp1",)


def test_a_port_that_is_nowhere_calls_for_no_router(fabric: Fabric) -> None:
    fabric.port("away", "lonely", None)
    fabric.router("r1", "lonely", **OUT)
    built = fabric.build()
    assert router(built).places == ()
    assert len(ports(built, ROUTER_SNAT_OWNER)) == 1


def test_a_leg_of_another_router_is_served_too(fabric: Fabric) -> None:
    """r1 is on cmp1 because of web; so r2, beyond core, must be there, and then r3 as well."""
    fabric.router("r1", "web", "core")
    fabric.blue["networks"]["far"] = {"subnets": {"far-v4": {"cidr": "10.0.9.0/24"}}}
    second = [{"network": "core", "address": "10.0.2.2"}, {"network": "lonely"}]
    fabric.router("r2", interfaces=second)
    third = [{"network": "lonely", "address": "10.0.3.3"}, {"network": "far"}]
    fabric.router("r3", interfaces=third)
    built = fabric.build()
    assert [router(built, name).places for name in ("r1", "r2", "r3")] == [("cmp1",)] * 3


def test_a_centralised_router_s_leg_is_served_on_its_node(fabric: Fabric) -> None:
    fabric.router("r1", "web", "core")
    legs = [{"network": "core", "address": "10.0.2.2"}]
    fabric.blue["routers"]["r2"] = {"interfaces": legs, "hosts": ["net2"]}
    assert router(fabric.build()).places == ("cmp1", "net2")


def test_without_a_gateway_nothing_is_on_network_nodes(fabric: Fabric) -> None:
    fabric.router("r1", "web", ha=True)
    built = fabric.build()
    assert (router(built).nodes, router(built).places) == ((), ("cmp1",))
    assert not ports(built, ROUTER_HA_OWNER)
    assert not ports(built, ROUTER_SNAT_OWNER)
    assert "projects/blue/routers/r1" not in built.wanted.entries


def test_what_leads_out_has_addresses_of_its_own(fabric: Fabric) -> None:
    fabric.router("r1", "web", "db", ha=True, **OUT)
    built = fabric.build()
    legs = ports(built, ROUTER_SNAT_OWNER)
    nodes = router(built).nodes
    assert sorted(nodes) == ["net1", "net2"]
    assert Counter(leg.name for leg in legs) == {f"snat:blue:r1:blue:{network}": 2 for network in ("web", "db")}
    gateways = {address for leg in ports(built, ROUTER_DISTRIBUTED_OWNER) for address in leg.addresses}
    for network, number in (("web", 2), ("db", 1)):
        found = {tuple(leg.addresses) for leg in legs if leg.network == network}
        assert len(found) == 1
        assert len(next(iter(found))) == number
        assert gateways.isdisjoint(*found)
    for owner in (ROUTER_SNAT_OWNER, ROUTER_GATEWAY_OWNER, ROUTER_HA_OWNER):
        assert {port.binding.namespace for port in ports(built, owner)} == {f"snat-{router(built).id}"}
        assert {port.host for port in ports(built, owner)} == set(nodes)
    assert {leg.binding.interface[:3] for leg in legs} == {"sg-"}


# Numbers


def test_a_conversion_changes_no_number_that_a_machine_knows(fabric: Fabric) -> None:
    kinds = [(ha, distributed) for ha in (False, True) for distributed in (False, True)]
    found = []
    fabric.router("r1", "web", "db", hosts=["net1"], **OUT)
    for ha, distributed in (*kinds, *reversed(kinds)):
        nodes = ["net1", "net2"] if ha else ["net1"]
        fabric.blue["routers"]["r1"].update(ha=ha, distributed=distributed, hosts=nodes)
        built = fabric.build(lock=True)
        legs = {port.name: port for found in built.topology.router_ports.values() for port in found}
        found.append(
            [
                (name, legs[name].mac_address, legs[name].addresses, legs[name].binding.interface)
                for name in ("router:blue:r1:blue:web", "router:blue:r1:blue:db", "gateway:blue:r1")
            ]
        )
    assert all(one == found[0] for one in found)


def test_each_host_of_a_distributed_router_has_a_mac(fabric: Fabric) -> None:
    fabric.router("r1", "web", "db", **OUT)
    built = fabric.build(lock=True)
    macs = {name: host.dvr_mac_address for name, host in built.topology.hosts.items()}
    assert {name for name, mac in macs.items() if mac} == {"cmp1", "cmp2"}
    assert all(mac.startswith("fa:16:3f:") for mac in macs.values() if mac)
    assert built.wanted.entries["hosts/cmp1"] == {"dvr_mac_address": macs["cmp1"]}
    fabric.port("more", "web", "cmp3")
    again = fabric.build().topology.hosts
    assert {name: again[name].dvr_mac_address for name in ("cmp1", "cmp2")} == {
        name: macs[name] for name in ("cmp1", "cmp2")
    }
    assert again["cmp3"].dvr_mac_address not in ("", *macs.values())


def test_a_topology_without_distributed_routers_has_no_such_numbers(fabric: Fabric) -> None:
    fabric.router("r1", "web", distributed=False, **OUT)
    built = fabric.build()
    assert not any(path.startswith("hosts/") for path in built.wanted.entries)
    assert not any("transit" in entry for entry in built.wanted.entries.values())


def test_a_pinned_mac_is_not_given_to_a_host(fabric: Fabric) -> None:
    fabric.router("r1", "web")
    taken = fabric.build().topology.hosts["cmp1"].dvr_mac_address
    fabric.port("pinned", "web", "cmp1", mac_address=taken)
    assert fabric.build().topology.hosts["cmp1"].dvr_mac_address not in ("", taken)


@pytest.mark.parametrize("with_lock", [False, True])
def test_a_distributed_router_more_changes_nobody_else_s_numbers(fabric: Fabric, with_lock: bool) -> None:
    fabric.router("r1", "web", **OUT)
    fabric.floating_ip("web-1")
    before = fabric.build(lock=with_lock).wanted.entries
    fabric.router("r0", "db", **OUT)
    fabric.floating_ip("db-1")
    after = fabric.build().wanted.entries
    if not with_lock:
        # Where r1 leads outside is held by the lock alone: without it primaries are spread anew.
        for entries in (before, after):
            del entries["projects/blue/routers/r1"]["hosts"]
    assert {path: after[path] for path in before} == before
    assert set(after) - set(before) == {
        "hosts/cmp2",
        "projects/admin/networks/public/fip/cmp2",
        "projects/blue/floating_ips/db-1",
        "projects/blue/routers/r0",
        "projects/blue/routers/r0/gateway",
        "projects/blue/routers/r0/interfaces/blue/db",
        "projects/blue/routers/r0/snat/blue/db",
    }


def test_a_number_in_the_lock_that_can_not_be_is_refused(fabric: Fabric) -> None:
    fabric.router("r1", "web", **OUT)
    fabric.floating_ip("web-1")
    text = fabric.build(lock=True).wanted.dump()
    lock = lock_path(str(fabric.path))
    for right, wrong, message in (
        ("transit: ", "transit: 9", "transit must be a number from 0 to 8191"),
        ('dvr_mac_address: "fa:16', 'dvr_mac_address: "fa-16', "dvr_mac_address is not a MAC address"),
    ):
        write_lock(lock, text.replace(right, wrong + "9999" if wrong == "transit: 9" else wrong))
        assert message in fabric.refuse()


def test_two_holders_of_one_mac_in_the_lock_are_refused(fabric: Fabric) -> None:
    fabric.router("r1", "web", "db")
    built = fabric.build()
    first, second = (built.topology.hosts[name].dvr_mac_address for name in ("cmp1", "cmp2"))
    write_lock(lock_path(str(fabric.path)), built.wanted.dump().replace(second, first))
    assert f"MAC address {first} is also held by hosts/cmp1" in fabric.refuse()


@pytest.mark.parametrize("wrong", ["fa:16:3e:00:00:01", "fa:16:3f:00:00:00", "fa:16:40:00:00:00"])
def test_a_mac_in_the_lock_that_is_outside_its_range_is_refused(fabric: Fabric, wrong: str) -> None:
    fabric.router("r1", "web")
    built = fabric.build()
    text = built.wanted.dump().replace(built.topology.hosts["cmp1"].dvr_mac_address, wrong)
    lock = lock_path(str(fabric.path))
    write_lock(lock, text)
    line = next(number for number, line in enumerate(text.splitlines(), 1) if "hosts/cmp1" in line or "cmp1:" in line)
    told = fabric.refuse()
    assert "dvr_mac_address must be a MAC address from fa:16:3f:00:00:01 to fa:16:3f:ff:ff:ff" in told
    assert f"{Path(lock).name}:{line}" in told


def test_a_mac_in_the_lock_that_is_a_port_s_too_is_refused(fabric: Fabric) -> None:
    fabric.router("r1", "web")
    built = fabric.build(lock=True)
    fabric.port("pinned", "web", "cmp1", mac_address=built.topology.hosts["cmp1"].dvr_mac_address)
    assert "is also held by projects/blue/ports/pinned" in fabric.refuse()


def test_transit_addresses_are_finite(fabric: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocate_distributed, "TRANSIT_PAIRS", 2)
    for number in range(3):
        fabric.blue["networks"][f"n{number}"] = {"subnets": {f"s{number}": {"cidr": "10.1.0.0/24"}}}
        fabric.port(f"p{number}", f"n{number}", "cmp1")
        fabric.router(f"r{number}", f"n{number}", **OUT)
        fabric.floating_ip(f"p{number}")
        if number == 1:
            built = fabric.build()
            assert {router(built, name).transit for name in ("r0", "r1")} == {0, 1}
    assert "no transit addresses are left: 2 distributed routers have floating IPs" in fabric.refuse()


# Floating IPs


def test_a_floating_ip_is_with_its_port(fabric: Fabric) -> None:
    fabric.router("r1", "web", **OUT)
    fabric.floating_ip("web-1")
    built = fabric.build()
    assert built.topology.projects["blue"].floating_ips["web-1"].host == "cmp1"
    (agent,) = ports(built, FLOATING_IP_AGENT_OWNER)
    network = built.topology.network(("admin", "public"))
    assert (agent.name, agent.host, agent.addresses) == ("fip:public:cmp1", "cmp1", [])
    assert agent.binding.namespace == f"fip-{network.id}"
    assert built.wanted.entries["projects/admin/networks/public/fip/cmp1"] == {"mac_address": agent.mac_address}


def test_one_host_has_floating_ips_of_several_external_networks(fabric: Fabric) -> None:
    fabric.admin["networks"]["metro"] = {
        "type": "vlan",
        "physical_network": "physnet1",
        "segmentation_id": 300,
        "external": True,
        "subnets": {"metro-v4": {"cidr": "198.18.0.0/24"}},
    }
    fabric.router("r1", "web", **OUT)
    fabric.router("r2", "db", external_gateway={"network": "admin/metro"})
    fabric.floating_ip("web-1")
    fabric.port("db-9", "db", "cmp1")
    fabric.blue["floating_ips"]["db-9"] = {"network": "admin/metro", "port": "db-9"}
    built = fabric.build()
    agents = ports(built, FLOATING_IP_AGENT_OWNER)
    assert {(agent.network, agent.host) for agent in agents} == {("public", "cmp1"), ("metro", "cmp1")}
    for what in ("device", "mac_address", "id"):
        assert len({getattr(agent, what) for agent in agents}) == 2
    assert len({agent.binding.namespace for agent in agents}) == 2


def test_a_floating_ip_that_can_not_be_with_its_port_is_on_the_network_node(fabric: Fabric) -> None:
    fabric.router("r1", "web", "db", **OUT)
    fabric.port("away", "web", None)
    fabric.port("inland", "web", "cmp3")
    fabric.port("first", "web", "cmp1", fixed_ips=[{"address": "10.0.0.99"}])
    fabric.port("second", "web", "cmp2", allowed_address_pairs=[{"ip_address": "10.0.0.99"}])
    for port in ("away", "inland", "first"):
        fabric.floating_ip(port)
    built = fabric.build()
    floating_ips = built.topology.projects["blue"].floating_ips
    assert {name: found.host for name, found in floating_ips.items()} == dict.fromkeys(floating_ips)


def test_the_floating_ips_of_other_routers_are_not_with_their_ports(fabric: Fabric) -> None:
    fabric.router("r1", "web", distributed=False, **OUT)
    fabric.router("r2", "db", **OUT)
    fabric.floating_ip("web-1")
    built = fabric.build()
    assert built.topology.projects["blue"].floating_ips["web-1"].host is None
    assert not ports(built, FLOATING_IP_AGENT_OWNER)
    assert router(built, "r2").transit is None


def test_forwarded_ports_are_the_network_node_s(fabric: Fabric) -> None:
    fabric.router("r1", "web", **OUT)
    forwarding = {"protocol": "tcp", "external_port": 2222, "port": "web-1", "internal_port": 22}
    fabric.blue["floating_ips"]["ssh"] = {"network": "admin/public", "port_forwardings": [forwarding]}
    built = fabric.build()
    assert built.topology.projects["blue"].floating_ips["ssh"].host is None
    assert not ports(built, FLOATING_IP_AGENT_OWNER)


# What can not be


def test_a_host_that_does_not_reach_a_network_of_the_router_is_refused(fabric: Fabric) -> None:
    rack = {"type": "vlan", "physical_network": "physnet1", "segmentation_id": 7}
    fabric.blue["networks"]["rack"] = {**rack, "subnets": {"rack-v4": {"cidr": "10.0.7.0/24"}}}
    fabric.router("r1", "web", "rack")
    assert router(fabric.build()).places == ("cmp1",)
    fabric.port("inland", "web", "cmp3")
    assert (
        "projects.blue.routers.r1: host cmp3 has ports in the networks of this distributed router, so it routes there, "
        "and does not reach physical network physnet1 of network rack. "
        "Remedy: add physnet1 to the physical_networks of cmp3, or set distributed: false"
    ) in fabric.refuse()
