# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server's config drive says: OpenStack's config-drive-2, which cloud-init and its like read."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import (
    FixedIp,
    Network,
    Port,
    Subnet,
    Topology,
    resource_id,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model_bare_metal import Server

Item = dict[str, t.Any]


def compile_config_drive(topology: Topology, server: Server, ports: list[Port]) -> Item:
    """Return meta_data, network_data and user_data. ports are the server's."""
    return {
        "meta_data": _meta_data(server),
        "network_data": _network_data(topology, ports),
        "user_data": server.user_data,
    }


def _meta_data(server: Server) -> Item:
    return {
        "uuid": resource_id(server.project, "servers", server.name),
        "name": server.name,
        "hostname": server.hostname,
        "project_id": resource_id("projects", server.project),
        "public_keys": {f"key-{number}": key for number, key in enumerate(server.keys)},
        "launch_index": 0,
    }


def _network_data(topology: Topology, ports: list[Port]) -> Item:
    found: Item = {"links": [], "networks": [], "services": []}
    services: dict[str, None] = {}
    for port in ports:
        network = topology.network((port.project, port.network))
        link = port.nic[1] if port.nic is not None else port.name
        found["links"].append(
            {
                "id": link,
                "type": "phy",
                "ethernet_mac_address": port.mac_address,
                "mtu": network.mtu,
                "vif_id": port.id,
            }
        )
        for fixed in port.fixed_ips:
            subnet = network.subnets[fixed.subnet]
            # The first network of the file is the one that leads out.
            entry = _entry(network, subnet, fixed, leads_out=port is ports[0])
            found["networks"].append({"id": f"network{len(found['networks'])}", "link": link, **entry})
            if not subnet.enable_dhcp:
                services.update(dict.fromkeys(str(address) for address in subnet.dns_nameservers))
    found["services"] = [{"type": "dns", "address": address} for address in services]
    return found


def _entry(network: Network, subnet: Subnet, fixed: FixedIp, leads_out: bool) -> Item:
    """Return how one address is configured: by asking DHCP, or by hand."""
    version = f"ipv{subnet.ip_version}"
    if subnet.ipv6_mode in ("slaac", "dhcpv6-stateless"):
        return {"type": f"{version}_{subnet.ipv6_mode}", "network_id": network.id}
    if subnet.enable_dhcp:
        kind = f"{version}_dhcp" if subnet.ip_version == 4 else f"{version}_dhcpv6-stateful"
        return {"type": kind, "network_id": network.id}
    netmask = str(subnet.cidr.netmask)
    routes = [_route(str(to.network_address), str(to.netmask), str(via)) for to, via in subnet.host_routes]
    if leads_out and subnet.gateway_ip is not None:
        anywhere = str(type(subnet.gateway_ip)(0))
        routes.insert(0, _route(anywhere, anywhere, str(subnet.gateway_ip)))
    return {
        "type": version,
        "ip_address": str(fixed.address),
        "netmask": netmask,
        "routes": routes,
        "network_id": network.id,
    }


def _route(network: str, netmask: str, gateway: str) -> Item:
    return {"network": network, "netmask": netmask, "gateway": gateway}
