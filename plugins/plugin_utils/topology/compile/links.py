# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces, links and addresses: the arguments of namespaces."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import (
    boot_servers,
    distributed,
    fip,
    names,
    router,
    underlay,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.bridges import resource_path
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.veth import addresses_of, veth
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import (
    HostView,
    LocalPort,
    NetworkView,
)

Item = dict[str, t.Any]


def compile_namespaces(view: HostView) -> Item:
    """Return the arguments of namespaces: the host's own first (without a name), then the others by name."""
    own: list[Item] = []
    others = {item["name"]: item for item in _own_namespaces(view)}
    for network, local in view.local_ports:
        link = None if local.own else _link(view, network, local)
        if link is None:
            continue
        namespace = local.port.binding.namespace if local.port.binding.kind == "veth" else None
        if namespace is None:
            own.append(link)
        else:
            others.setdefault(namespace, {"name": namespace, "links": []})["links"].append(link)
    items = [others[name] for name in sorted(others)]
    moved = underlay.compile_namespace(view)
    if moved is not None:
        items.insert(0, {**moved, "links": moved["links"] + own})
    elif own:
        items.insert(0, {"links": own})
    return {"namespaces": items}


def _own_namespaces(view: HostView) -> t.Iterator[Item]:
    """Return the namespaces of DHCP servers, boot servers, routers and floating IPs."""
    for network in view.networks:
        if network.dhcp_server is not None:
            yield _dhcp_namespace(view, network, network.dhcp_server)
        if network.boot_server is not None:
            yield _boot_namespace(view, network, network.boot_server)
    for router_view in view.routers:
        yield router.compile_namespace(view, router_view)
    for router_view in view.distributed_routers:
        yield distributed.compile_namespace(view, router_view)
    yield from fip.compile_namespaces(view)


def _dhcp_namespace(view: HostView, network: NetworkView, local: LocalPort) -> Item:
    link = veth(view, network, local, addresses_of(network, local))
    return {
        "name": names.dhcp_namespace(network.network.id),
        "links": [link],
        "routes": _default_routes(network, local),
        "sysctls": _server_sysctls(link["name"]),
    }


def _boot_namespace(view: HostView, network: NetworkView, local: LocalPort) -> Item:
    """What nodes boot from reaches them and nobody else: it has no default route."""
    addresses = addresses_of(network, local)
    prefix = boot_servers.ra_prefix(network)
    if prefix is not None:
        addresses.append(f"{prefix[1]}/{prefix.prefixlen}")
    link = veth(view, network, local, addresses)
    return {
        "name": names.boot_namespace(network.network.id),
        "links": [link],
        "sysctls": _server_sysctls(link["name"]),
    }


def _link(view: HostView, network: NetworkView, local: LocalPort) -> Item | None:
    """Return the link of a tenant's port; None when somebody else takes care of it."""
    binding = local.port.binding
    mark = {"resource": resource_path(local)}
    if binding.kind == "veth":
        # No address: the network gives it by DHCP, or whoever uses the namespace does.
        return veth(view, network, local)
    if binding.kind == "tap":
        owner = {"owner": binding.owner} if binding.owner else {}
        # No MAC: the port's belongs to the machine behind the tap, and the host's end must not have the same.
        tap = {"name": local.device, "kind": "tap", "mtu": network.network.mtu, **owner, **mark}
        return {**tap, **underlay.plugged(view)}
    if binding.kind == "internal":
        # Open vSwitch makes the device, with its MAC and MTU; it is made down.
        return {"name": local.device, "kind": "existing", **mark}
    return None


def _default_routes(network: NetworkView, local: LocalPort) -> list[Item]:
    """Return a default route for each IP version that has a gateway: a name server may have to be reached.

    Where DHCP serves nobody the server has no address, and could not reach the gateway.
    """
    routes: dict[int, Item] = {}
    device, own = local.interface, {fixed.subnet for fixed in local.port.fixed_ips}
    for subnet in network.network.subnets.values():
        if subnet.gateway_ip is not None and subnet.name in own:
            destination = "0.0.0.0/0" if subnet.ip_version == 4 else "::/0"
            routes.setdefault(subnet.ip_version, {"to": destination, "via": str(subnet.gateway_ip), "dev": device})
    return [routes[version] for version in sorted(routes)]


def _server_sysctls(device: str) -> Item:
    """Return what keeps tenants from configuring our server, and its addresses usable at once."""
    return {
        f"net.ipv6.conf.{scope}.{setting}": "0"
        for scope in ("default", device)
        for setting in ("accept_ra", "accept_dad")
    }
