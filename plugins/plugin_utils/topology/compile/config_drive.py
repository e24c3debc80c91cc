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

# One member carries all, and the others stand by: what needs nothing of the switches.
_BOND = {"bond_mode": "active-backup", "bond_miimon": 100}


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
        links = _links(topology, port, network.mtu)
        found["links"] += links
        for fixed in port.fixed_ips:
            subnet = network.subnets[fixed.subnet]
            # The first network of the file is the one that leads out.
            entry = _entry(network, subnet, fixed, leads_out=port is ports[0])
            found["networks"].append({"id": f"network{len(found['networks'])}", "link": links[0]["id"], **entry})
            if not subnet.enable_dhcp:
                services.update(dict.fromkeys(str(address) for address in subnet.dns_nameservers))
    found["services"] = [{"type": "dns", "address": address} for address in services]
    return found


def _links(topology: Topology, port: Port, mtu: int) -> list[Item]:
    """Return how a port is plugged in: by an interface, or by a bond, which stands before its members.

    A bond names its members by their ids, has the settings of Linux' bonding behind bond_, and its own MAC address.
    cloud-init (convert_net_json in sources/helpers/openstack.py) calls it bond0, bond1 and so on, whatever its id is,
    finds members by their MAC addresses, and takes them from anywhere in the list. But older versions give the bond's
    MAC address to all members that they have read before it (handle_bond in net/network_state.py): its issue 3856.
    Of members that stand behind the bond each keeps its own.
    """
    if port.nic is None:
        raise ValueError(f"port {port.name} of a server that has no node yet")
    node = topology.nodes[port.nic[0]]
    link = node.links[node.nics[port.nic[1]].link]
    if not link.bonded:
        return [_link(link.name, "phy", port.mac_address, mtu, vif_id=port.id)]
    bond = _link(link.name, "bond", port.mac_address, mtu, vif_id=port.id)
    bond.update(bond_links=[nic.name for nic in link.nics], **_BOND)
    return [bond, *(_link(nic.name, "phy", nic.mac_address, mtu) for nic in link.nics)]


def _link(name: str, kind: str, mac_address: str, mtu: int, **more: str) -> Item:
    return {"id": name, "type": kind, "ethernet_mac_address": mac_address, "mtu": mtu, **more}


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
