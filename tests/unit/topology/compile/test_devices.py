# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices, namespaces and bridges of a host: what golden files show, and why it is so."""

from __future__ import annotations

import typing as t
from ipaddress import ip_address

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import names
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import MAX_LOCAL_PORTS
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import FixedIp, Topology
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError
from ansible_collections.weft.fabric.tests.unit.topology.compile import topologies
from ansible_collections.weft.fabric.tests.unit.topology.compile.builder import Builder

Item = dict[str, t.Any]


def namespaces(topology: Topology, host: str) -> dict[str | None, Item]:
    items = compile_host(topology, host, "namespaces")["namespaces"]["namespaces"]
    return {item.get("name"): item for item in items}


def bridges(topology: Topology, host: str) -> dict[str, Item]:
    return {item["name"]: item for item in compile_host(topology, host, "ovs_bridges")["ovs_bridges"]["bridges"]}


@pytest.mark.parametrize(("datapath_type", "expected"), [("netdev", False), ("system", None)])
def test_checksums_are_left_to_nobody_with_the_userspace_datapath(datapath_type: str, expected: bool | None) -> None:
    build = Builder().host("h1", "198.51.100.1/24", datapath_type=datapath_type)
    web = build.network("blue", "web")
    build.subnet(web, "10.0.0.0/24")
    build.port(web, "web-1", "h1", "veth", binding={"namespace": "web-1", "interface": "eth0"})
    build.dhcp(web, "h1")
    items = namespaces(build.topology, "h1")
    assert {name: item["links"][0].get("tx_checksum") for name, item in items.items()} == {
        "web-1": expected,
        "qdhcp-" + web.id: expected,
    }


def test_a_dhcp_server_has_its_addresses_at_once_and_takes_none_from_tenants() -> None:
    topology = topologies.dhcp()
    web = topology.network(("blue", "web"))
    item = namespaces(topology, "net1")["qdhcp-" + web.id]
    (link,) = item["links"]
    assert link["addresses"] == ["10.0.0.13/24", "10.0.1.13/24", "2001:db8:100::d/64"]
    assert [(route["to"], route["via"]) for route in item["routes"]] == [
        ("0.0.0.0/0", "10.0.0.1"),
        ("::/0", "2001:db8:100::1"),
    ]
    for scope in ("default", link["name"]):
        assert item["sysctls"][f"net.ipv6.conf.{scope}.accept_ra"] == "0"
        assert item["sysctls"][f"net.ipv6.conf.{scope}.accept_dad"] == "0"


def test_a_dhcp_server_has_no_route_by_a_gateway_that_it_can_not_reach() -> None:
    """It has addresses in the subnets that it serves only, and the kernel refuses a gateway that is nowhere near."""
    build = Builder().host("h1", "198.51.100.1/24")
    web = build.network("blue", "web")
    served, by_hand = build.subnet(web, "10.0.0.0/24"), build.subnet(web, "2001:db8::/64", enable_dhcp=False)
    build.dhcp(web, "h1")
    (port,) = build.topology.dhcp_ports[web.key]
    port.fixed_ips = [fixed for fixed in port.fixed_ips if fixed.subnet == served.name]
    (item,) = compile_host(build.topology, "h1", "namespaces")["namespaces"]["namespaces"]
    assert [route["via"] for route in item["routes"]] == [str(served.gateway_ip)]
    port.fixed_ips.append(FixedIp(by_hand.name, by_hand.cidr[9]))
    (item,) = compile_host(build.topology, "h1", "namespaces")["namespaces"]["namespaces"]
    assert [route["via"] for route in item["routes"]] == [str(served.gateway_ip), str(by_hand.gateway_ip)]


def test_tenants_get_their_addresses_by_dhcp_and_not_from_us() -> None:
    (link,) = namespaces(topologies.vxlan(), "h1")["blue-1"]["links"]
    assert link["mac"] == "fa:16:3e:00:00:01"
    assert "addresses" not in link


def test_ports_of_one_namespace_are_in_one_item() -> None:
    build = Builder().host("h1", "198.51.100.1/24")
    for number in (0, 1):
        network = build.network("blue", f"net{number}")
        build.port(network, f"nic{number}", "h1", "veth", binding={"namespace": "box", "interface": f"eth{number}"})
    (item,) = compile_host(build.topology, "h1", "namespaces")["namespaces"]["namespaces"]
    assert [link["name"] for link in item["links"]] == ["eth0", "eth1"]


def test_a_port_that_somebody_else_plugs_in_bears_no_mark_and_has_no_link() -> None:
    topology = topologies.bindings()
    foreign = [port for port in bridges(topology, "h1")["br-int"]["ports"] if "iface_id" in port]
    own_id = topology.projects["blue"].ports["plugged"].id
    assert foreign == [
        {"iface_id": own_id, "tag": 1},
        {"iface_id": "11111111-2222-4333-8444-555555555555", "tag": 1},
    ]
    assert len(namespaces(topology, "h1")[None]["links"]) == 3


def test_the_underlay_address_moves_to_its_bridge_with_the_userspace_datapath_only() -> None:
    for datapath_type in ("netdev", "system"):
        build = Builder().host("h1", "198.51.100.1/24", datapath_type=datapath_type, interface="eth1")
        web = build.network("blue", "web")
        build.port(web, "web-1", "h1", "iface_id")
        state = compile_host(build.topology, "h1", "underlay")["underlay"]
        if datapath_type == "system":
            assert state == {"ovs_bridges": {"bridges": []}, "namespaces": {"namespaces": []}}
            assert "br-underlay" not in bridges(build.topology, "h1")
            continue
        link, interface = state["namespaces"]["namespaces"][0]["links"]
        assert interface == {"name": "eth1", "kind": "existing", "host_stack": False}
        assert link["name"] == "br-underlay"
        assert link["addresses"] == ["198.51.100.1/24"]
        assert link["takes_addresses_from"] == "eth1"
        (bridge,) = state["ovs_bridges"]["bridges"]
        assert bridge["fail_mode"] == "standalone"
        assert [port["name"] for port in bridge["ports"]] == ["eth1"]
        # The later, whole lists have the same, so that purging does not undo it.
        assert bridges(build.topology, "h1")["br-underlay"] == bridge
        assert namespaces(build.topology, "h1")[None]["links"] == [link, interface]


def test_the_tunnel_end_point_has_the_same_mac_at_every_boot_and_no_other_hosts() -> None:
    macs = set()
    for name in ("h1", "h2"):
        build = Builder().host(name, "198.51.100.1/24", datapath_type="netdev", interface="eth1")
        found = [bridges(build.topology, name)["br-underlay"]["other_config"]["hwaddr"] for _turn in range(2)]
        assert found[0] == found[1]
        assert found[0].startswith("02:")
        macs.add(found[0])
    assert len(macs) == 2


def test_what_the_underlay_bridge_took_is_given_back() -> None:
    topology = topologies.vxlan()
    taken, _interface = compile_host(topology, "h1", "underlay")["underlay"]["namespaces"]["namespaces"][0]["links"]
    (given,) = compile_host(topology, "h1", "underlay_release")["underlay_release"]["namespaces"][0]["links"]
    assert given == {
        "name": taken["takes_addresses_from"],
        "kind": "existing",
        "addresses": taken["addresses"],
        "host_stack": True,
    }
    kernel = compile_host(topologies.bindings(), "h1", "underlay_release")["underlay_release"]
    assert kernel == {"namespaces": []}


def test_internal_ports_are_made_before_links_are_set_up() -> None:
    topology = topologies.bindings()
    (first,) = compile_host(topology, "h1", "underlay")["underlay"]["ovs_bridges"]["bridges"]
    whole = bridges(topology, "h1")["br-int"]
    assert {**first, "ports": None} == {**whole, "ports": None}
    assert [port["interface"]["type"] for port in first["ports"]] == ["internal"]
    assert first["ports"][0] in whole["ports"]
    internal = [link for link in namespaces(topology, "h1")[None]["links"] if link["kind"] == "existing"]
    assert [link["name"] for link in internal] == [first["ports"][0]["name"]]
    assert first["ports"][0]["interface"]["mac"] == "fa:16:3e:00:00:03"


def test_a_bridge_that_is_not_ours_gets_a_patch_and_nothing_else() -> None:
    topology = topologies.provider()
    assert bridges(topology, "h2")["br-physnet1"] == {
        "name": "br-physnet1",
        "managed": False,
        "ports": [
            {
                "name": "phy-br-physnet1",
                "external_ids": {"weft-fabric": "patches/phy-br-physnet1"},
                "interface": {"type": "patch", "options": {"peer": "int-br-physnet1"}},
            }
        ],
    }
    flows = {item["name"]: item["flows"] for item in compile_host(topology, "h2")["openflow_flows"]["bridges"]}
    assert [flow for flow in flows["br-physnet1"] if "in_port" not in flow] == []


def test_a_host_without_tunnel_networks_has_no_tunnel_bridge() -> None:
    assert list(bridges(topologies.provider(), "h1")) == ["br-int", "br-a-long-name", "br-physnet1"]


def test_requirements_name_what_a_host_needs() -> None:
    topology = topologies.provider()
    assert compile_host(topology, "h1", "requirements")["requirements"] == {
        "programs": ["ip", "ovs-vsctl", "ovs-ofctl"],
        "interfaces": [{"name": "eth3", "mtu": 1500}, {"name": "eth2", "mtu": 1500}],
    }
    assert "dnsmasq" in compile_host(topologies.dhcp(), "net1", "requirements")["requirements"]["programs"]
    underlay = compile_host(topologies.vxlan(), "h1", "requirements")["requirements"]["interfaces"]
    assert underlay == [{"name": "eth1", "mtu": 1550}]


def test_names_fit_into_what_linux_allows() -> None:
    assert names.provider_patches("br-ex") == ("int-br-ex", "phy-br-ex")
    first, second = names.provider_patches("br-a-very-long-name")
    assert len(first) == len(second) == 12
    assert first[:4] == "int-"
    assert second == "phy-" + first[4:]
    for kind in ("gre", "vxlan", "geneve"):
        for address in ("198.51.100.2", "2001:db8::2"):
            assert len(names.tunnel_name(kind, ip_address(address))) <= names.DEVICE_NAME_MAX
    assert names.tunnel_name("vxlan", ip_address("198.51.100.2")) == "vxlan-c6336402"


def test_two_tunnels_of_one_name_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "tunnel_name", lambda kind, _address: kind + "-same")
    build = Builder()
    web = build.network("blue", "web")
    for number in (1, 2, 3):
        build.host(f"h{number}", f"198.51.100.{number}/24")
        build.port(web, f"web-{number}", f"h{number}")
    with pytest.raises(TopologyError, match=r"to h2 and to h3 are both named vxlan-same. Remedy: give one"):
        compile_host(build.topology, "h1", "ovs_bridges")


def test_a_host_that_cannot_have_a_network_is_an_error_that_names_both() -> None:
    build = Builder().physnet("physnet1").host("h1")
    lan = build.network("blue", "lan", "vlan", physical_network="physnet1")
    build.port(lan, "lan-1", "h1")
    with pytest.raises(TopologyError, match="blue/lan has a port on host h1, which does not reach physical network"):
        compile_host(build.topology, "h1")
    build = Builder().host("h1")
    build.port(build.network("red", "web"), "web-1", "h1")
    with pytest.raises(TopologyError, match="host h1 has a tunnel network, but no tunnel end point"):
        compile_host(build.topology, "h1")


def test_more_ports_than_a_flood_can_reach_are_an_error() -> None:
    build = Builder().host("h1", "198.51.100.1/24")
    web = build.network("blue", "web")
    for number in range(MAX_LOCAL_PORTS):
        build.port(web, f"web-{number}", "h1")
    assert compile_host(build.topology, "h1", "ovs_bridges")
    build.port(web, "one-more", "h1")
    more = Builder()
    more.topology.hosts, more.topology.projects = build.topology.hosts, build.topology.projects
    with pytest.raises(TopologyError, match=r"blue/web has 1001 ports on host h1. Remedy: spread them"):
        compile_host(more.topology, "h1", "ovs_bridges")


def test_the_hosts_own_stack_is_kept_off_what_is_plugged_into_the_userspace_datapath() -> None:
    for datapath_type, expected in (("netdev", False), ("system", None)):
        build = Builder().host("h1", "198.51.100.1/24", datapath_type=datapath_type, interface="eth1")
        web = build.network("blue", "web")
        build.port(web, "web-1", "h1", "tap")
        build.port(web, "web-2", "h1", "veth")
        links = [link for item in namespaces(build.topology, "h1").values() for link in item["links"]]
        assert {link.get("host_stack") for link in links if link["kind"] != "existing"} == {expected}
