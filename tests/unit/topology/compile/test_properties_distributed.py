# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for distributed routers, whatever the topology."""

from __future__ import annotations

import re
import typing as t
from collections import Counter
from ipaddress import ip_address

from hypothesis import given

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import TRANSIT_CIDR, Router, Topology
from ansible_collections.weft.fabric.tests.unit.topology.compile.strategies import topologies

State = dict[str, t.Any]


def states(topology: Topology) -> dict[str, State]:
    return {host: compile_host(topology, host) for host in topology.hosts}


def namespaces(state: State) -> dict[str, State]:
    return {item["name"]: item for item in state["namespaces"]["namespaces"] if "name" in item}


def distributed(topology: Topology) -> list[Router]:
    return [router for router in topology.routers() if router.distributed]


def networks(router: Router) -> set[tuple[str, str]]:
    return {interface.network for interface in router.interfaces}


@given(topologies())
def test_a_router_is_on_every_host_that_has_somebody_whom_it_serves(topology: Topology) -> None:
    for router in distributed(topology):
        served = {
            port.host
            for key in networks(router)
            for port in topology.ports_by_network[key]
            if port.host is not None and port.router != router.key and port.device_owner != "network:dhcp"
        }
        assert set(router.places) == served
        for key in networks(router):
            legs = [port for port in topology.router_ports[key] if port.distributed and port.router == router.key]
            assert sorted(str(leg.host) for leg in legs) == sorted(served)
            assert len({(leg.mac_address, tuple(leg.addresses)) for leg in legs}) <= 1


@given(topologies())
def test_the_part_that_routes_is_the_same_everywhere(topology: Topology) -> None:
    """Apart from floating IPs: a machine that moves finds the same gateway."""
    found: dict[str, list[t.Any]] = {}
    for host, state in states(topology).items():
        here = namespaces(state)
        for router in distributed(topology):
            namespace = here.get(f"qrouter-{router.id}")
            assert (namespace is not None) == (host in router.places)
            if namespace is not None:
                legs = [link for link in namespace["links"] if link["name"].startswith("qr-")]
                known = [entry for entry in namespace["neighbours"] if entry["dev"].startswith("qr-")]
                ways = [route for route in namespace["routes"] if route["dev"].startswith("qr-")]
                found.setdefault(router.id, []).append((legs, known, ways))
    for alike in found.values():
        assert all(one == alike[0] for one in alike)


@given(topologies())
def test_a_floating_ip_is_translated_at_one_place(topology: Topology) -> None:
    places: dict[str, set[tuple[str, str]]] = {}
    ways: dict[str, set[str]] = {}
    for host, state in states(topology).items():
        for table in state["nftables"]["tables"]:
            for item in table["content"]:
                if item.get("map", {}).get("name") == "fip_dnat":
                    for outside, _inside in item["map"].get("elem", []):
                        places.setdefault(outside, set()).add((host, table["namespace"]))
        for name, namespace in namespaces(state).items():
            for route in namespace.get("routes", []) if name.startswith("fip-") else ():
                if "announce_on" in route:
                    ways.setdefault(route["to"].removesuffix("/32"), set()).add(host)
    for floating_ip in topology.floating_ips():
        router = topology.router(floating_ip.router or ("", ""))
        if floating_ip.port is None or not router.distributed:
            continue
        address = str(floating_ip.address)
        if floating_ip.host is not None:
            assert places[address] == {(floating_ip.host, f"qrouter-{router.id}")}
            assert ways[address] == {floating_ip.host}
        else:
            assert places[address] == {(node, f"snat-{router.id}") for node in router.nodes}
            assert address not in ways


@given(topologies())
def test_both_ends_of_a_pair_agree_and_no_two_have_one_address(topology: Topology) -> None:
    for state in states(topology).values():
        pairs = {
            (name, link["name"]): (link["peer_namespace"], link["peer"])
            for name, namespace in namespaces(state).items()
            for link in namespace["links"]
            if "peer_namespace" in link
        }
        assert all(pairs[there] == here for here, there in pairs.items())
        addresses = Counter(
            address
            for namespace in namespaces(state).values()
            for link in namespace["links"]
            if "peer_namespace" in link
            for address in link["addresses"]
        )
        assert set(addresses.values()) <= {1}
        assert all(ip_address(address.partition("/")[0]) in TRANSIT_CIDR for address in addresses)


@given(topologies())
def test_what_leaves_bears_the_mac_of_its_host(topology: Topology) -> None:
    """On every way out of a host, each leg's MAC is replaced, and each host that hears it knows whose it is."""
    legs = {port.mac_address for ports in topology.router_ports.values() for port in ports if port.distributed}
    assert {host.dvr_mac_address for host in topology.hosts.values()}.isdisjoint(legs)
    for host, state in states(topology).items():
        own = topology.hosts[host].dvr_mac_address
        for table in state["openflow_flows"]["bridges"]:
            for flow in table["flows"]:
                source = re.search(r"dl_src=((?:\w\w:){5}\w\w)", flow)
                if table["name"] != "br-int" and source is not None and source.group(1) in legs:
                    assert f"set_field:{own}->eth_src" in flow or flow.endswith("actions=drop")
                if table["name"] == "br-int" and source is not None and source.group(1).startswith("fa:16:3f"):
                    assert source.group(1) != own
                    assert re.search(r"set_field:(\S+)->eth_src", flow).group(1) in legs
