# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of one switch: the arguments of module switch_ports.

A port gets its VLANs from one of a few sources: the host it leads to, or the file itself. To add another, let _item()
ask it for PortVlans before the others: everything below works from those. The ports of nodes are not among them: their
VLANs change by phase, and whoever changes the phase asks bare_metal.py.

What is not said is left out, and the module's or the driver's default holds. How to log in is not here: it may hold
Jinja, which Ansible renders when the switch's play asks (see inventory/topology.py).
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model import Network, Topology
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.model_switches import (
    ExpectedCurrent,
    Switch,
    SwitchPort,
    VlanRange,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.node_vlans import nics_at, node_vlans
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.switch_vlans import (
    PortVlans,
    access_vlan,
    all_vlans,
    port_vlans,
)

Arguments = dict[str, t.Any]

# The collection's mark: a VLAN whose name begins so is ours to remove.
VLAN_MARK = "weft-"
_VLAN_NAME_MAX = 32  # of IOS, NX-OS and EOS
_DEFAULT_VLAN = 1  # is always there, and can be neither made, named nor removed

_LOGIN_SETTINGS = ("timeout", "connect_timeout")
_CALL_SETTINGS = ("lock_timeout", "confirmed_commit")


def compile_switch(topology: Topology, name: str, concern: str) -> Arguments:
    """Return one of CONCERNS for a switch. The model must have been scheduled and allocated."""
    return CONCERNS[concern](topology, topology.switches[name])


def compile_ports(topology: Topology, switch: Switch) -> Arguments:
    """Return the arguments of switch_ports that make the switch as the topology says."""
    vlans = dict.fromkeys(node_vlans(topology, switch)) | all_vlans(topology, switch)
    items = vlan_items(vlans)
    ports = [_item(topology, port) for port in switch.ports.values()]
    return {
        **common_arguments(switch, _own_ports(topology, switch)),
        "ports": ports,
        "vlans": items if switch.manage_vlans else [],
    }


def compile_release(topology: Topology, switch: Switch) -> Arguments:
    """Return the arguments of switch_ports that take off the switch what the topology put there."""
    ports = [_absent(port) for port in switch.ports.values()]
    return {**common_arguments(switch, _own_ports(topology, switch)), "ports": ports, "vlans": []}


def vlan_name(vlan: int, network: Network | None) -> str:
    """Return the name of a VLAN: unique by its number, since some switches know their VLANs by name."""
    words = [str(vlan)] if network is None else [str(vlan), network.project, network.name]
    return (VLAN_MARK + re.sub(r"[^A-Za-z0-9_-]", "-", "-".join(words)))[:_VLAN_NAME_MAX]


def vlan_items(vlans: t.Mapping[int, Network | None]) -> list[Arguments]:
    """Return the VLANs that a switch must have, ascending."""
    return [
        {"vlan_id": vlan, "name": vlan_name(vlan, network)}
        for vlan, network in sorted(vlans.items())
        if vlan != _DEFAULT_VLAN
    ]


def common_arguments(switch: Switch, allowed_ports: t.Iterable[str]) -> Arguments:
    """Return what is the same whichever ports are set: how the switch is reached, and what may be done to it."""
    return {
        "switch": _login(switch),
        "create_vlans": switch.manage_vlans,
        "purge_vlans": switch.manage_vlans,
        "policy": {
            "allowed_vlans": _ranges(switch.allowed_vlans),
            "allowed_ports": list(allowed_ports),
            "uplinks": list(switch.uplinks),
            # What the file no longer names was once ours, if it is among the VLANs that the file gives us.
            "owned_vlans": _ranges((*switch.allowed_vlans, *switch.owned_vlans)),
        },
        "persist": switch.persist,
        **{name: switch.settings[name] for name in _CALL_SETTINGS if name in switch.settings},
    }


def _login(switch: Switch) -> Arguments:
    login: Arguments = {
        "name": switch.name,
        "driver": switch.driver,
        "address": switch.address,
        "port": switch.port,
        "host_key_checking": switch.host_key_checking,
    }
    for name in ("host_key", "known_hosts"):
        if getattr(switch, name) is not None:
            login[name] = getattr(switch, name)
    return {**login, **{name: switch.settings[name] for name in _LOGIN_SETTINGS if name in switch.settings}}


def _own_ports(topology: Topology, switch: Switch) -> t.Iterator[str]:
    """Yield the ports that may be set."""
    if switch.allowed_ports is not None:
        yield from switch.allowed_ports
        return
    for port in switch.ports.values():
        yield port.interface
        if port.aggregate is not None:
            yield from port.aggregate.members
    for _node, nic in nics_at(topology, switch):
        yield nic.interface


def _item(topology: Topology, port: SwitchPort) -> Arguments:
    if port.mode == "access":
        return _with_attributes(port, {"mode": "access", "vlan": access_vlan(topology, port)})
    vlans = port_vlans(topology, port)
    return _trunk(port, vlans) if vlans.native is not None or vlans.tagged else _absent(port)


def _trunk(port: SwitchPort, vlans: PortVlans) -> Arguments:
    native = {} if vlans.native is None else {"native_vlan": vlans.native}
    return _with_attributes(port, {"mode": "trunk", **native, "allowed_vlans": list(vlans.tagged)})


def _absent(port: SwitchPort) -> Arguments:
    """A port that carries nothing is shut: without VLANs of its own it would be in the switch's default VLAN."""
    return {"name": port.interface, "state": "absent", **_neighbour(port), **_expected(port.expected_current)}


def _with_attributes(port: SwitchPort, vlans: Arguments) -> Arguments:
    item = {"name": port.interface, **vlans, "enabled": port.enabled}
    description = port.description
    if description is None and port.host is not None:
        description = f"{port.host} {port.physical_network}"
    if description is not None:
        item["description"] = description
    if port.edge is not None:
        item["edge"] = port.edge
    if port.aggregate is not None:
        item["aggregate"] = {"members": list(port.aggregate.members), "lacp": port.aggregate.lacp}
        if port.aggregate.min_links is not None:
            item["aggregate"]["min_links"] = port.aggregate.min_links
    return {**item, **_neighbour(port), **_expected(port.expected_current)}


def _neighbour(port: SwitchPort) -> Arguments:
    """A host with Open vSwitch may tell LLDP that it is a bridge, and so look like another switch."""
    name = port.neighbour or port.host
    return {} if name is None else {"neighbour": name}


def _expected(expected: ExpectedCurrent | None) -> Arguments:
    if expected is None:
        return {}
    if expected.mode == "access":
        return {"expected_current": {"mode": "access", "vlan": expected.vlan}}
    native = {} if expected.native is None else {"native_vlan": expected.native}
    allowed = sorted({vlan for first, last in expected.allowed for vlan in range(first, last + 1)})
    return {"expected_current": {"mode": "trunk", **native, "allowed_vlans": allowed}}


def _ranges(ranges: tuple[VlanRange, ...]) -> list[str]:
    return [str(first) if first == last else f"{first}-{last}" for first, last in ranges]


#: By the name of the module that takes them; the second takes everything off the switch again.
CONCERNS: dict[str, t.Callable[[Topology, Switch], Arguments]] = {
    "switch_ports": compile_ports,
    "switch_release": compile_release,
}
