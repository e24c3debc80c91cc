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


def compile_underlay(view: HostView) -> dict[str, Item]:
    """Return what a host needs before any tunnel: arguments of ovs_bridges and of namespaces."""
    item = compile_namespace(view)
    return {
        "ovs_bridges": {"bridges": compile_bridges(view)},
        "namespaces": {"namespaces": [item] if item else []},
    }


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

    release_addresses_to is the guard against cutting a host off: the module takes away from the interface only
    what the other link has in its list, and refuses when the interface has any other address or carries
    the default route.
    """
    underlay = view.host.underlay
    if underlay is None:
        return None
    interface = underlay.interface
    links: list[Item] = []
    if _moved(view) is not None:
        interface = _bridge_name(underlay)
        links = [
            {"name": interface, "kind": "existing", "mtu": underlay.mtu, "addresses": [_address(underlay)]},
            {"name": underlay.interface, "kind": "existing", "release_addresses_to": interface},
        ]
    routes: list[Item] = []
    for destination, gateway in underlay.routes:
        routes.append({"to": str(destination), "via": str(gateway), **({"dev": interface} if interface else {})})
    return {"links": links, "routes": routes} if links or routes else None


def _moved(view: HostView) -> Underlay | None:
    """Return the underlay of a host whose tunnel end point sits on a bridge of ours."""
    underlay = view.host.underlay
    wanted = underlay is not None and underlay.interface is not None and view.host.datapath_type == "netdev"
    return underlay if wanted else None


def _bridge_name(underlay: Underlay) -> str:
    return underlay.bridge or names.UNDERLAY_BRIDGE


def _address(underlay: Underlay) -> str:
    length = underlay.address.max_prefixlen if underlay.prefix_length is None else underlay.prefix_length
    return f"{underlay.address}/{length}"
