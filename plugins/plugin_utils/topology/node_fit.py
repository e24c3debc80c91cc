# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a node can be a server, and if not, why."""

from __future__ import annotations

from .model import Network, Topology
from .model_bare_metal import Flavor, Link, Node, Server

_UNITS = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def misfit(topology: Topology, server: Server, node: Node) -> str | None:
    """Return why a node can't be a server, in a few words; None when it can."""
    flavor = topology.flavors.get(server.flavor or "")
    if flavor is not None:
        reason = _lacks(flavor, node)
        if reason is not None:
            return reason
    image = topology.images.get(server.image or "")
    if image is not None and image.size is not None and node.disk is not None and image.size > node.disk:
        return f"its disk has {size_text(node.disk)}, and image {image.name} {size_text(image.size)}"
    if image is not None and image.format == "qcow2" and node.deploy_interface == "iscsi":
        return f"its deploy_interface is iscsi, which does not write qcow2, and that is what image {image.name} is"
    plugged = plug_plan(topology, server, node)
    if isinstance(plugged, str):
        return plugged
    link = node.links.get(plugged.get(server.boot_network or "", ""))
    if link is not None and not link.first.pxe:
        return f"it would boot from its volume in network {server.boot_network}, and {link.name} does not boot (pxe)"
    return None


def _lacks(flavor: Flavor, node: Node) -> str | None:
    """Return what a node has too little of for a flavor."""
    if flavor.architecture is not None and flavor.architecture != node.architecture:
        return f"its architecture is {node.architecture}, not {flavor.architecture}"
    for name, least, has in (
        ("cpus", flavor.cpus, node.cpus),
        ("memory", flavor.memory, node.memory),
        ("disk", flavor.disk, node.disk),
    ):
        show = str if name == "cpus" else size_text
        if least is not None and has is None:
            return f"its properties say nothing of {name}"
        if least is not None and has is not None and has < least:
            return f"{name} {show(has)}, not {show(least)}"
    missing = [trait for trait in flavor.traits if trait not in node.traits]
    return f"no trait {', '.join(missing)}" if missing else None


def plug_plan(topology: Topology, server: Server, node: Node) -> dict[str, str] | str:
    """Return the interface or bond for each network of a server, or why there is none."""
    project, links = topology.projects[server.project], node.links
    found: dict[str, str] = {}
    # Those that the file names first: the others get what is left.
    for wanted in sorted(server.networks, key=lambda wanted: wanted.nic is None):
        network = project.networks.get(wanted.network)
        if network is None:
            continue
        if wanted.nic is not None and wanted.nic not in links:
            member = node.nics.get(wanted.nic)
            return f"no interface {wanted.nic}" if member is None else f"{wanted.nic} is in bond {member.bond}"
        names = list(links) if wanted.nic is None else [wanted.nic]
        reaching = [name for name in names if reaches(topology, links[name], network)]
        free = [name for name in reaching if name not in found.values()]
        if not free:
            what = f"network {network.name} on {network.physical_network}"
            return f"no interface is left for {what}" if reaching else f"no switch of its interfaces carries {what}"
        found[network.name] = free[0]
    return {wanted.network: found[wanted.network] for wanted in server.networks if wanted.network in found}


def reaches(topology: Topology, link: Link, network: Network) -> bool:
    """Tell whether the switch of an interface carries a network. Those of a bond's members carry the same."""
    switch = topology.switches.get(link.first.switch)
    return switch is not None and network.physical_network in switch.physical_networks


def surplus(flavor: Flavor | None, node: Node) -> tuple[int, int, int, int]:
    """Return how much more a node has than is asked for: who needs little leaves the large ones to others."""
    traits = len(set(node.traits) - set(flavor.traits if flavor is not None else ()))
    return traits, node.memory or 0, node.cpus or 0, node.disk or 0


def size_text(size: int) -> str:
    """Return a size as a person would write it."""
    for unit, name in _UNITS:
        if size >= unit:
            whole, rest = divmod(size, unit)
            return f"{whole} {name}" if not rest else f"{size / unit:.1f} {name}"
    return f"{size} B"
