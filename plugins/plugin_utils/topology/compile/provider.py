# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows of the provider bridges: local VLANs on br-int's side, the physical network's own VLANs on the other."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import names
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.flows import (
    COOKIE_SHARED,
    Flows,
    in_port,
    set_vlan,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.view import HostView, NetworkView


def compile_providers(view: HostView) -> t.Iterator[Flows]:
    """Return the flows of each provider bridge that a host uses."""
    for bridge, (attachment, networks) in view.providers.items():
        flows = Flows(bridge)
        patch = names.provider_patches(bridge)[1]
        # What br-int sends with a local VLAN that isn't of this physical network must not reach the wire.
        flows.add(COOKIE_SHARED, 0, 2, in_port(patch), "drop")
        for network in networks:
            flows.add(network.cookie, 0, 4, f"{in_port(patch)},dl_vlan={network.vlan}", _to_wire(network))
        if attachment.interface is not None:
            flows.add(COOKIE_SHARED, 0, 0, "", "NORMAL")
        yield flows


def _to_wire(network: NetworkView) -> str:
    if network.network.type == "flat":
        return "pop_vlan,NORMAL"
    return f"{set_vlan(network.network.segmentation_id or 0)},NORMAL"
