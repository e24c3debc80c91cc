# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges and ports of Open vSwitch: the arguments of ovs_bridges."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import names, underlay
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.ovs_items import (
    MARK,
    Item,
    bridge,
    device,
    patch,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import (
    HostView,
    LocalPort,
    NetworkView,
    vtep,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Host, HostPhysicalNetwork
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import Problem, TopologyError


def compile_bridges(view: HostView) -> Item:
    """Return the arguments of ovs_bridges."""
    datapath = view.host.datapath_type
    bridges = [bridge(names.INTEGRATION_BRIDGE, datapath, list(_integration_ports(view)))]
    if view.tunnel_networks:
        bridges.append(bridge(names.TUNNEL_BRIDGE, datapath, list(_tunnel_ports(view))))
    for name, (attachment, _networks) in view.providers.items():
        bridges.append(_provider_bridge(view, name, attachment))
    bridges.extend(underlay.compile_bridges(view))
    return {"bridges": bridges}


def compile_devices(view: HostView) -> list[Item]:
    """Return the bridges that must be there before links are set up, with only what makes a device of the host.

    namespaces comes before ovs_bridges, which wants taps and veths to be there. What is the other way round (the
    bridge with the tunnel end point, internal ports) has to be made first of all.
    """
    internal = [
        _tenant_port(network, local) for network, local in view.local_ports if local.port.binding.kind == "internal"
    ]
    first = [bridge(names.INTEGRATION_BRIDGE, view.host.datapath_type, internal)] if internal else []
    return [*first, *underlay.compile_bridges(view)]


def _provider_bridge(view: HostView, name: str, attachment: HostPhysicalNetwork) -> Item:
    to_integration, to_provider = names.provider_patches(name)
    ports = [patch(to_provider, to_integration)]
    if attachment.interface is None:
        return {"name": name, "managed": False, "ports": ports}
    ports.insert(0, device(attachment.interface, f"physical_networks/{attachment.physical_network}"))
    return bridge(name, view.host.datapath_type, ports)


def _integration_ports(view: HostView) -> t.Iterator[Item]:
    if view.tunnel_networks:
        yield patch(names.PATCH_TO_TUNNEL, names.PATCH_TO_INTEGRATION)
    for name in view.providers:
        yield patch(*names.provider_patches(name))
    for network, local in view.local_ports:
        yield _tenant_port(network, local)


def _tunnel_ports(view: HostView) -> t.Iterator[Item]:
    yield patch(names.PATCH_TO_INTEGRATION, names.PATCH_TO_TUNNEL)
    source = underlay.tunnel_source(view)
    taken: dict[str, Host] = {}
    for tunnel_type, host in view.peers:
        name = names.tunnel_name(tunnel_type, vtep(host))
        other = taken.setdefault(name, host)
        if other is not host:
            message = f"the tunnels of host {view.host.name} to {other.name} and to {host.name} are both named {name}"
            raise TopologyError([Problem(host.where, message, "give one of them another underlay address")])
        yield {
            "name": name,
            "external_ids": {MARK: f"hosts/{host.name}"},
            "interface": {
                "type": tunnel_type,
                "options": {
                    "key": "flow",
                    **source,
                    "remote_ip": str(vtep(host)),
                    "df_default": "true",
                },
            },
        }


def _tenant_port(network: NetworkView, local: LocalPort) -> Item:
    if not local.device:
        # Somebody else's port: it bears no mark, so that it is never removed as one of ours.
        return {"iface_id": local.iface_id, "tag": network.vlan}
    interface: Item = {
        "type": "",
        "external_ids": {"iface-id": local.id, "attached-mac": local.port.mac_address},
    }
    if local.port.binding.kind == "internal":
        # Open vSwitch makes the device anew when it is restarted: what it is told here it keeps.
        interface.update(type="internal", mtu_request=network.network.mtu, mac=local.port.mac_address)
    return {
        "name": local.device,
        # No flow reads the tag (the pipeline goes by in_port); it tells a person which network a port is on.
        "tag": network.vlan,
        "external_ids": {MARK: resource_path(local)},
        "interface": interface,
    }


def resource_path(local: LocalPort) -> str:
    """Return how marks name a port; a router's by the router, since a mark is short."""
    if local.port.router is not None:
        return "routers/" + "/".join(local.port.router)
    return f"ports/{local.port.project}/{local.port.name}"
