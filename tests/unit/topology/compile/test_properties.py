# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for the states of all hosts, whatever the topology."""

from __future__ import annotations

import copy
import json
import random
import re
import typing as t
from collections import Counter

from hypothesis import given

from ansible_collections.weft.fabric.plugins.module_utils import pipeline
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import LocalPort, pair_macs, view_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import TUNNEL_TYPES, Topology
from ansible_collections.weft.fabric.tests.unit.topology.compile.strategies import topologies

State = dict[str, t.Any]


def states(topology: Topology) -> dict[str, State]:
    return {host: compile_host(topology, host) for host in topology.hosts}


def flows(state: State, bridge: str) -> list[str]:
    return [flow for table in state["openflow_flows"]["bridges"] if table["name"] == bridge for flow in table["flows"]]


def bridge_ports(state: State, bridge: str) -> list[dict[str, t.Any]]:
    return [port for item in state["ovs_bridges"]["bridges"] if item["name"] == bridge for port in item["ports"]]


def local_ports(topology: Topology, host: str) -> list[LocalPort]:
    return [local for _network, local in view_host(topology, host).local_ports]


@given(topologies())
def test_tunnels_are_symmetric(topology: Topology) -> None:
    ends = set()
    for host, state in states(topology).items():
        own = str(topology.hosts[host].underlay.address)
        for port in bridge_ports(state, "br-tun"):
            options = port["interface"]["options"]
            if port["interface"]["type"] != "patch":
                assert options.get("local_ip", own) == own
                ends.add((port["interface"]["type"], own, options["remote_ip"]))
    assert ends == {(kind, remote, local) for kind, local, remote in ends}
    assert not [end for end in ends if end[1] == end[2]]


@given(topologies())
def test_hosts_have_a_tunnel_if_and_only_if_they_share_a_network(topology: Topology) -> None:
    for host, state in states(topology).items():
        wanted = set()
        for network in topology.networks_by_host[host]:
            others = {port.host for port in topology.ports_by_network[network.key]} - {host, None}
            if network.type in TUNNEL_TYPES:
                wanted |= {(network.type, str(topology.hosts[other].underlay.address)) for other in others}
        tunnels = [port["interface"] for port in bridge_ports(state, "br-tun") if port["interface"]["type"] != "patch"]
        assert {(tunnel["type"], tunnel["options"]["remote_ip"]) for tunnel in tunnels} == wanted


@given(topologies())
def test_every_port_is_plugged_in_and_has_its_flows(topology: Topology) -> None:
    for host, state in states(topology).items():
        integration = flows(state, "br-int")
        plugged = [port.get("name") or "iface-id:" + port["iface_id"] for port in bridge_ports(state, "br-int")]
        for local in local_ports(topology, host):
            name = local.reference.strip('"')
            assert plugged.count(name) == 1
            for table, what in (
                ("classify", f'in_port="{name}"'),
                ("port_security", f'in_port="{name}"'),
                ("forward", f'"{name}"'),
                ("flood", f'"{name}"'),
            ):
                number = f",table={pipeline.table('br-int', table)},"
                assert any(number in flow and what in flow for flow in integration), (table, name)


@given(topologies())
def test_flows_speak_only_of_ports_that_are_there(topology: Topology) -> None:
    for state in states(topology).values():
        for table in state["openflow_flows"]["bridges"]:
            there = {port.get("name") or "iface-id:" + port["iface_id"] for port in bridge_ports(state, table["name"])}
            named = {name for flow in table["flows"] for name in re.findall(r'"([^"]+)"', flow)}
            assert named <= there


@given(topologies())
def test_a_host_knows_nothing_of_networks_that_are_not_on_it(topology: Topology) -> None:
    shared_macs = {mac for ports in topology.ports_by_network.values() for port in ports for mac in pair_macs(port)}
    for host, state in states(topology).items():
        text = json.dumps(state)
        all_flows = "\n".join(flow for table in state["openflow_flows"]["bridges"] for flow in table["flows"])
        for network in topology.networks():
            if network in topology.networks_by_host[host]:
                continue
            ports = topology.ports_by_network[network.key]
            assert network.id not in text
            assert not any(port.mac_address in text for port in ports if port.mac_address not in shared_macs)
            vlan, segment = network.local_vlan, network.segmentation_id
            traces = (
                rf"dl_vlan=({vlan}|{segment})\b",
                rf"set_field:0x{vlan:x}->reg6\b",
                rf"\breg6=0x{vlan:x}\b",
                rf"set_field:0x{segment:x}->tun_id",
                rf"tun_id=0x{segment:x}\b",
            )
            assert not [trace for trace in traces if re.search(trace, all_flows)]
            assert f"set_field:{4096 | vlan}->vlan_vid" not in all_flows
            assert f"set_field:{4096 | segment}->vlan_vid" not in all_flows or network.type in TUNNEL_TYPES


@given(topologies())
def test_no_network_is_in_another_networks_flows(topology: Topology) -> None:
    for host, state in states(topology).items():
        owner = {network.vlan: network for network in view_host(topology, host).networks}
        for flow in flows(state, "br-int"):
            match = re.search(rf"{pipeline.REG_NETWORK}=0x(\w+)", flow)
            if match is None:
                continue
            network = owner[int(match.group(1), 16)]
            own = {local.reference for local in network.local} | {'"patch-tun"', '"int-br-physnet1"'}
            assert set(re.findall(r'"[^"]+"', flow)) <= own
            own_macs = {mac for port in network.ports for mac in (port.mac_address, *pair_macs(port))} | {
                "ff:ff:ff:ff:ff:ff"
            }
            assert set(re.findall(r"dl_dst=((?:\w\w:){5}\w\w)(?!/)", flow)) <= own_macs | {"33:33:00:00:00:00"}
            tags = {int(tag) - 4096 for tag in re.findall(r"set_field:(\d+)->vlan_vid", flow)}
            assert tags <= {network.vlan}


@given(topologies())
def test_no_two_flows_have_one_match(topology: Topology) -> None:
    # Open vSwitch would silently keep the last.
    for state in states(topology).values():
        for table in state["openflow_flows"]["bridges"]:
            matches = Counter(flow.partition(",")[2].partition(" actions=")[0] for flow in table["flows"])
            assert [match for match, number in matches.items() if number > 1] == []


@given(topologies())
def test_every_flow_bears_the_mark_and_a_registered_table(topology: Topology) -> None:
    known = {
        bridge: {table.number for table in pipeline.TABLES if table.bridge == bridge} for bridge in ("br-int", "br-tun")
    }
    for state in states(topology).values():
        for table in state["openflow_flows"]["bridges"]:
            for flow in table["flows"]:
                cookie, number = re.match(r"cookie=(0x\w+),table=(\d+),priority=\d+[, ]", flow).groups()
                assert int(cookie, 16) & pipeline.COOKIE_MASK == pipeline.COOKIE_MARK << 32
                assert int(number) in known.get(table["name"], {0})
                assert "\n" not in flow


@given(topologies())
def test_the_order_of_the_file_does_not_matter(topology: Topology) -> None:
    shuffled = copy.deepcopy(topology)
    order = random.Random(1)

    def shuffle(mapping: dict[t.Any, t.Any]) -> dict[t.Any, t.Any]:
        items = list(mapping.items())
        order.shuffle(items)
        return dict(items)

    shuffled.hosts = shuffle(shuffled.hosts)
    shuffled.projects = shuffle(shuffled.projects)
    for project in shuffled.projects.values():
        project.networks = shuffle(project.networks)
        project.ports = shuffle(project.ports)
        project.routers = shuffle(project.routers)
        project.floating_ips = shuffle(project.floating_ips)
    shuffled.dhcp_ports = shuffle(shuffled.dhcp_ports)
    shuffled.router_ports = shuffle(shuffled.router_ports)
    for ports in shuffled.router_ports.values():
        order.shuffle(ports)
    for host in topology.hosts:
        assert compile_host(shuffled, host) == compile_host(topology, host) == compile_host(topology, host)


@given(topologies())
def test_a_port_more_changes_nothing_on_hosts_without_its_network(topology: Topology) -> None:
    before = states(topology)
    for project in topology.projects.values():
        for name, port in list(project.ports.items()):
            fewer = copy.deepcopy(topology)
            for key in ("ports_by_network", "networks_by_host"):
                fewer.__dict__.pop(key, None)
            del fewer.projects[project.name].ports[name]
            network = (project.name, port.network)
            touched = {other.host for other in topology.ports_by_network[network]}
            for host in set(topology.hosts) - touched:
                assert compile_host(fewer, host) == before[host]


@given(topologies())
def test_all_dhcp_servers_of_a_network_answer_alike(topology: Topology) -> None:
    servers: dict[str, list[dict[str, t.Any]]] = {}
    for state in states(topology).values():
        for server in state["dhcp_servers"]["servers"]:
            config = server["config"].replace(server["interface"], "INTERFACE")
            config = re.sub("chosen-here,54,.*", "", config)
            servers.setdefault(server["name"], []).append({**server, "config": config, "interface": ""})
    for alike in servers.values():
        assert all(server == alike[0] for server in alike)
    assert set(servers) == {topology.network(key).id for key, ports in topology.dhcp_ports.items() if ports}


@given(topologies())
def test_all_nodes_of_a_router_take_over_the_same(topology: Topology) -> None:
    """The same addresses, routes and translation, wherever the role may be: what differs is who they speak to."""
    held: dict[str, list[tuple[t.Any, ...]]] = {}
    for state in states(topology).values():
        tables = {table["namespace"]: table for table in state["nftables"]["tables"]}
        # What is sent whoever has the role is another part's: that of a distributed router.
        advertising = [item for item in state["router_advertisements"]["routers"] if not item["start"]]
        sent = {item["name"]: item["config"] for item in advertising}
        for router in state["vrrp_routers"]["routers"]:
            if router.get("state") != "absent":
                taken = router["config"].partition("virtual_ipaddress_excluded {")[2]
                # Each node has its own device there.
                table = json.dumps(tables[router["namespace"]]).replace(router["interface"], "")
                held.setdefault(router["name"], []).append((taken, table, sent.get(router["name"])))
    for router in topology.routers():
        if router.ha:
            nodes = held.pop(router.id, [])
            assert len(nodes) == len(router.nodes)
            assert all(node == nodes[0] for node in nodes)
    assert not held


@given(topologies())
def test_nobody_but_a_primary_has_addresses(topology: Topology) -> None:
    for state in states(topology).values():
        standing_by = {
            router["namespace"] for router in state["vrrp_routers"]["routers"] if router.get("state") != "absent"
        }
        for namespace in state["namespaces"]["namespaces"]:
            if (namespace.get("name") or "").startswith(("qrouter-", "snat-")):
                mute = namespace["name"] in standing_by
                legs = [link for link in namespace["links"] if not link["name"].startswith("ha-")]
                assert [link["name"] for link in legs if ("addresses" in link) == mute] == []
                assert ("routes" in namespace) != mute
                assert ("net.ipv6.conf.all.forwarding" in namespace["sysctls"]) != mute


@given(topologies())
def test_links_and_bridge_ports_meet(topology: Topology) -> None:
    """Every device that somebody has to make is made, with the MTU of its network, and nothing else is."""
    for host, state in states(topology).items():
        made = {}
        for namespace in state["namespaces"]["namespaces"]:
            for link in namespace["links"]:
                # A pair between two namespaces is no business of bridges.
                if "peer_namespace" not in link and ("host_stack" not in link or link["kind"] != "existing"):
                    made[link.get("peer") or link["name"]] = link
        made.pop("br-underlay", None)
        devices = {port["name"]: port for port in bridge_ports(state, "br-int") if "tag" in port and "name" in port}
        assert set(made) == set(devices)
        for network, local in view_host(topology, host).local_ports:
            if local.device:
                mtu = devices[local.device]["interface"].get("mtu_request") or made[local.device]["mtu"]
                assert mtu == network.network.mtu
                assert devices[local.device]["tag"] == network.vlan
                assert len(local.device) <= 15


@given(topologies())
def test_tunnels_carry_a_mac_to_its_hosts_and_a_flood_to_all(topology: Topology) -> None:
    for host, state in states(topology).items():
        tunnels = {
            port["name"]: port["interface"]["options"]["remote_ip"]
            for port in bridge_ports(state, "br-tun")
            if port["interface"]["type"] != "patch"
        }
        remote = {str(other.underlay.address): other.name for other in topology.hosts.values()}
        wanted, alone = {}, set()
        for network in view_host(topology, host).tunnel_networks:
            places: dict[str, set[str]] = {}
            # Whoever has no leg of a distributed router speaks to one that has: each would route it.
            legs = {port.mac_address for port in network.distributed_ports} - {
                local.port.mac_address for local in network.distributed
            }
            alone |= {(network.vlan, f",dl_dst={mac}") for mac in legs}
            for port in topology.ports_by_network[network.network.key]:
                if port.host not in (host, None):
                    for what in (f",dl_dst={port.mac_address}", *(f",dl_dst={mac}" for mac in pair_macs(port)), ""):
                        places.setdefault(what, set()).add(port.host)
            wanted |= {(network.vlan, what): hosts for what, hosts in places.items()}
        found = {}
        for flow in flows(state, "br-tun"):
            match = re.search(r"table=2[02],priority=10,dl_vlan=(\d+)(,dl_dst=\S+)? actions=(.*)", flow)
            if match:
                vlan, what, actions = match.groups()
                outputs = re.findall(r'output:"([^"]+)"', actions)
                assert len(outputs) == len(set(outputs))
                found[int(vlan), what or ""] = {remote[tunnels[name]] for name in outputs}
        for key in alone.intersection(wanted):
            assert len(found[key]) == 1
            assert found[key] <= wanted.pop(key)
            del found[key]
        assert found == wanted


@given(topologies())
def test_a_port_that_is_nowhere_is_in_no_state(topology: Topology) -> None:
    text = json.dumps([state["openflow_flows"] for state in states(topology).values()])
    ports = [port for ports in topology.ports_by_network.values() for port in ports]
    paired = {mac for port in ports for mac in pair_macs(port)}
    for port in ports:
        if port.host is None and port.mac_address not in paired:
            assert port.mac_address not in text
            assert port.id[:11] not in text
