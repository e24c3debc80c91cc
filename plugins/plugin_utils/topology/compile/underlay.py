# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tunnel end point of a host with the userspace datapath.

There, Open vSwitch encapsulates by itself and sends through a bridge that holds the address: the underlay interface
is plugged into that bridge and the address moves over. With the kernel's datapath nothing needs to be done, and
addresses and interfaces stay whose they are.
"""

from __future__ import annotations

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import names
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.ovs_items import Item, bridge, device
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import HostView
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Underlay


def compile_release(view: HostView) -> dict[str, list[Item]]:
    """Return what gives the interface its addresses back, once the underlay bridge is gone: arguments of namespaces."""
    underlay = _moved(view)
    if underlay is None:
        return {"namespaces": []}
    link = {"name": underlay.interface, "kind": "existing", "addresses": _addresses(underlay)}
    return {"namespaces": [{"links": [link]}]}


def compile_bridges(view: HostView) -> list[Item]:
    """Return the underlay bridge, if this host has one."""
    underlay = _moved(view)
    if underlay is None:
        return []
    name = _bridge_name(underlay)
    ports = [device(underlay.interface or "", f"hosts/{view.host.name}")]
    # The one bridge that has to work without flows: this host may be managed through it.
    return [bridge(name, "netdev", ports, fail_mode="standalone")]


def compile_namespace(view: HostView) -> Item | None:
    """Return what the host's own namespace must hold for the underlay, or None.

    Only the tunnel end point moves, in one step; takes_addresses_from refuses to go on when the interface has any other
    address or the default route, so that a host is not cut off from who manages it.
    """
    underlay = view.host.underlay
    if underlay is None:
        return None
    interface = underlay.interface
    links: list[Item] = []
    if _moved(view) is not None:
        interface = _bridge_name(underlay)
        links.append(
            {
                "name": interface,
                "kind": "existing",
                # No MTU: the bridge has its interface's, which requirements_info has compared with the topology.
                "addresses": _addresses(underlay),
                "takes_addresses_from": underlay.interface,
                "resource": f"hosts/{view.host.name}",
            }
        )
    device = {"dev": interface} if interface else {}
    routes = [{"to": str(to), "via": str(via), **device} for to, via in underlay.routes]
    return {"links": links, "routes": routes} if links or routes else None


def _moved(view: HostView) -> Underlay | None:
    """Return the underlay of a host whose tunnel end point sits on a bridge of ours."""
    underlay = view.host.underlay
    wanted = underlay is not None and underlay.interface is not None and view.host.datapath_type == "netdev"
    return underlay if wanted else None


def _bridge_name(underlay: Underlay) -> str:
    return underlay.bridge or names.UNDERLAY_BRIDGE


def _addresses(underlay: Underlay) -> list[str]:
    given = [(underlay.address, underlay.prefix_length), *underlay.other_addresses]
    return [f"{address}/{address.max_prefixlen if length is None else length}" for address, length in given]
