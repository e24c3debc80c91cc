# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows of the provider bridges: local VLANs on br-int's side, the physical network's own VLANs on the other."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile import dvr, names
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.flows import (
    COOKIE_SHARED,
    UNTAGGED,
    Flows,
    in_port,
    output,
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
            match = f"{in_port(patch)},dl_vlan={network.vlan}"
            flows.add(network.cookie, 0, 4, match, f"{_retag(network)},NORMAL")
            dvr.add_provider(flows, view, network, patch, _retag(network), attachment.interface)
            if attachment.interface is not None:
                _add_replicas(flows, network, patch, attachment.interface)
        if attachment.interface is not None:
            flows.add(COOKIE_SHARED, 0, 0, "", "NORMAL")
        yield flows


def _add_replicas(flows: Flows, network: NetworkView, patch: str, interface: str) -> None:
    """Let frames to a router's leg through in both directions, whether it has the role here or elsewhere.

    NORMAL remembers where the MAC was last seen, and keeps back a frame to where it came from.
    """
    untagged = network.network.type == "flat"
    outside = f"{in_port(interface)},{UNTAGGED if untagged else f'dl_vlan={network.network.segmentation_id}'}"
    inside = f"{in_port(patch)},dl_vlan={network.vlan}"
    for local in network.replicas:
        mac = f"dl_dst={local.port.mac_address}"
        flows.add(local.cookie, 0, 5, f"{inside},{mac}", f"{_retag(network)},{output(interface)}")
        flows.add(local.cookie, 0, 5, f"{outside},{mac}", output(patch))


def _retag(network: NetworkView) -> str:
    """Return the action that takes a frame from its local VLAN to the physical network's own."""
    return "pop_vlan" if network.network.type == "flat" else set_vlan(network.network.segmentation_id or 0)
