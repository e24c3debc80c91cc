# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of one host: what each module is to make of it.

To add a technology, write a file that takes a HostView and returns a module's arguments, and name it in CONCERNS.
"""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import (
    boot_servers,
    br_int,
    br_tun,
    bridges,
    dhcp,
    links,
    nat,
    provider,
    ra,
    requirements,
    underlay,
    vrrp,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import HostView, view_host
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Topology

Arguments = dict[str, t.Any]
Templates = t.Mapping[str, str]


def compile_host(
    topology: Topology, host: str, concern: str | None = None, templates: Templates | None = None
) -> dict[str, Arguments]:
    """Return the state of a host: the arguments of each module, by the module's name.

    concern limits the answer (and the work) to one of CONCERNS or PREPARATIONS. templates replaces the
    collection's own templates: file name to text. The model must have been scheduled and allocated.
    """
    view = view_host(topology, host)
    if concern is None:
        return {name: compiler(view, templates or {}) for name, compiler in CONCERNS.items()}
    return {concern: {**CONCERNS, **PREPARATIONS}[concern](view, templates or {})}


def compile_flows(view: HostView) -> Arguments:
    """Return the arguments of openflow_flows."""
    tunnel = br_tun.compile_br_tun(view)
    tables = [br_int.compile_br_int(view), *([tunnel] if tunnel else []), *provider.compile_providers(view)]
    return {"bridges": [table.as_arguments() for table in tables]}


def compile_underlay(view: HostView) -> Arguments:
    """Return what a host needs before its links: arguments of ovs_bridges and of namespaces."""
    item = underlay.compile_namespace(view)
    return {
        "ovs_bridges": {"bridges": bridges.compile_devices(view)},
        "namespaces": {"namespaces": [item] if item else []},
    }


#: In the order in which a host wants them.
CONCERNS: dict[str, t.Callable[[HostView, Templates], Arguments]] = {
    "namespaces": lambda view, _templates: links.compile_namespaces(view),
    "nftables": lambda view, _templates: nat.compile_nftables(view),
    "ovs_bridges": lambda view, _templates: bridges.compile_bridges(view),
    "ovs_tunnel_routes": lambda view, _templates: underlay.compile_tunnel_routes(view),
    "openflow_flows": lambda view, _templates: compile_flows(view),
    "dhcp_servers": dhcp.compile_dhcp,
    "router_advertisements": ra.compile_advertisements,
    "vrrp_routers": vrrp.compile_vrrp,
    "boot_servers": boot_servers.compile_boot_servers,
}

#: What a host needs before, and after; not part of its state.
PREPARATIONS: dict[str, t.Callable[[HostView, Templates], Arguments]] = {
    "requirements": lambda view, _templates: requirements.compile_requirements(view),
    "underlay": lambda view, _templates: compile_underlay(view),
    "underlay_release": lambda view, _templates: underlay.compile_release(view),
}
