# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's cables and bridges: one namespace for the fabric, one per host, nothing outside of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from weft_lab.definition import WIRE_MTU, Host, Lab, Network, Nic
from weft_lab.node_definition import Node
from weft_lab.system import run

# No spanning tree, or a plugged cable would carry nothing for half a minute; no snooping, or multicast
# (VRRP, neighbour discovery) would reach only who was heard to ask for it.
BRIDGE_OPTIONS = "stp_state 0 forward_delay 0 mcast_snooping 0"
# All group addresses that a bridge may be told to pass on; it refuses to do so for pause frames, the second.
CABLE_PASSES = 0xFFFD
NAMESPACES = Path("/run/netns")


def exists(namespace: str) -> bool:
    return (NAMESPACES / namespace).exists()


def inode(namespace: str) -> int | None:
    try:
        return (NAMESPACES / namespace).stat().st_ino
    except FileNotFoundError:
        return None


def processes_in(inodes: set[int]) -> Iterator[int]:
    """Processes that stand in the given namespaces, whoever started them."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "ns/net").stat().st_ino in inodes:
                    yield int(entry.name)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue


def batch(namespace: str, lines: list[str]) -> None:
    run(["ip", "-n", namespace, "-batch", "-"], stdin="\n".join(lines) + "\n")


def inside(namespace: str, argv: list[str], *, check: bool = True) -> str:
    return run(["nsenter", f"--net={NAMESPACES / namespace}", *argv], check=check).stdout


def fabric_lines(lab: Lab) -> list[str]:
    lines = ["link set lo up"]
    for network in lab.networks:
        lines += bridge_lines(network)
    return lines


def bridge_lines(network: Network) -> list[str]:
    """One bridge, silent by itself: it must never be the one that sends a frame which a capture then finds."""
    address = f"02:57:46:e0:00:{network.index:02x}"
    lines = [
        f"link add {network.name} address {address} mtu {network.mtu} type bridge {BRIDGE_OPTIONS}",
        f"link set {network.name} addrgenmode none",
        f"link set {network.name} up",
    ]
    return lines + [
        f"address add {one} dev {network.name}{' nodad' if ':' in one else ''}" for one in network.controller
    ]


def cable_lines(lab: Lab, host: Host, pulled: set[str]) -> list[str]:
    lines = []
    for nic in host.nics:
        near = f"name {nic.name} address {nic.mac} mtu {nic.mtu} netns {lab.machine(host)}"
        lines += [
            f"link add {nic.far_end} address {nic.far_mac} mtu {nic.mtu} type veth peer {near}",
            f"link set {nic.far_end} addrgenmode none",
            f"link set {nic.far_end} master {lab.bridge_of(host, nic)} {'down' if nic.name in pulled else 'up'}",
            *member_lines(lab, host, nic),
        ]
    return lines


def member_lines(lab: Lab, host: Host, nic: Nic) -> list[str]:
    """On a wire, everything passes as through a cable: what bridges keep to themselves (LACP, LLDP) too."""
    if lab.bridge_of(host, nic) not in lab.wires:
        return []
    return [f"link set {nic.far_end} type bridge_slave group_fwd_mask {CABLE_PASSES}"]


def wire_lines(name: str) -> list[str]:
    # Two ports and no memory: what comes in at one goes out at the other.
    return [
        f"link add {name} type bridge {BRIDGE_OPTIONS} ageing_time 0",
        f"link set {name} addrgenmode none",
        f"link set {name} up",
    ]


def ensure_wires(lab: Lab) -> None:
    present = links(lab)
    lines = [line for name in lab.wires if name not in present for line in wire_lines(name)]
    if lines:
        batch(lab.fabric, lines)


def tap_lines(lab: Lab, node: Node) -> list[str]:
    """The cables of a node, which QEMU opens when the node is powered on; without a carrier until then."""
    lines = []
    for nic in node.nics:
        bridge = lab.tap_bridge(node, nic.tap)
        lines += [
            f"tuntap add dev {nic.tap} mode tap",
            f"link set {nic.tap} address {nic.tap_mac} mtu {WIRE_MTU}",
            f"link set {nic.tap} addrgenmode none",
            f"link set {nic.tap} master {bridge} up",
        ]
        if bridge in lab.wires:
            lines.append(f"link set {nic.tap} type bridge_slave group_fwd_mask {CABLE_PASSES}")
    return lines


def missing_taps(lab: Lab) -> list[Node]:
    present = links(lab)
    return [node for node in lab.nodes if any(nic.tap not in present for nic in node.nics)]


def ensure_taps(lab: Lab) -> None:
    for node in missing_taps(lab):
        remove_taps(lab, node)
        batch(lab.fabric, tap_lines(lab, node))


def remove_taps(lab: Lab, node: Node) -> None:
    present = links(lab)
    lines = [f"link del {nic.tap}" for nic in node.nics if nic.tap in present]
    if lines:
        batch(lab.fabric, lines)


def misplugged(lab: Lab) -> list[tuple[Host, Nic]]:
    """NICs of standing hosts whose far end is in another bridge than it belongs in."""
    masters = {name: link.get("master") for name, link in link_table(lab).items()}
    return [
        (host, nic)
        for host in lab.hosts
        for nic in host.nics
        if nic.far_end in masters and masters[nic.far_end] != lab.bridge_of(host, nic)
    ]


def replug(lab: Lab) -> None:
    """Bring cables to where they belong now, and take away wires that nothing needs any more."""
    lines = []
    for host, nic in misplugged(lab):
        lines += [f"link set {nic.far_end} master {lab.bridge_of(host, nic)}", *member_lines(lab, host, nic)]
    needed = {lab.bridge_of(host, nic) for host in lab.hosts for nic in host.nics} | set(lab.wires)
    names = {network.name for network in lab.networks}
    bridges = [name for name, link in link_table(lab).items() if link.get("linkinfo", {}).get("info_kind") == "bridge"]
    lines += [f"link del {name}" for name in bridges if name not in needed | names]
    if lines:
        batch(lab.fabric, lines)


def boot_lines(host: Host) -> list[str]:
    """What a host itself does at boot, from its own disk: it has to work with no lab tool in reach."""
    lines = []
    for nic in host.nics:
        lines += [f"address replace {one} dev {nic.name}{' nodad' if ':' in one else ''}" for one in nic.addresses]
        lines.append(f"link set {nic.name} up")
    return lines


def create_fabric(lab: Lab) -> bool:
    if exists(lab.fabric):
        return False
    run(["ip", "netns", "add", lab.fabric])
    batch(lab.fabric, fabric_lines(lab))
    # Where br_netfilter is loaded, the machine's own firewall would see, and drop, the lab's frames.
    settings = [f"net.bridge.bridge-nf-call-{table}=0" for table in ("iptables", "ip6tables", "arptables")]
    inside(lab.fabric, ["sysctl", "-q", "-e", "-w", *settings], check=False)
    for network in lab.networks:
        if network.controller:
            inside(lab.fabric, ["ethtool", "-K", network.name, "tx", "off"], check=False)
    return True


def create_host(lab: Lab, host: Host, pulled: set[str]) -> None:
    """Make the host's namespace and cables anew; what a machine left in an old one is gone with it."""
    remove_host(lab, host)
    run(["ip", "netns", "add", lab.machine(host)])
    batch(lab.fabric, cable_lines(lab, host, pulled))
    for nic in host.nics:
        # A kernel leaves checksums to the receiver on a veth; a userspace switch on the way does not fill
        # them in, and TCP and UDP stall while ping works.
        inside(lab.machine(host), ["ethtool", "-K", nic.name, "tx", "off"])


def remove_host(lab: Lab, host: Host) -> bool:
    removed = exists(lab.machine(host))
    if exists(lab.fabric):
        # By the far ends, because the kernel takes down a namespace's devices later, in the background.
        present = links(lab)
        ours = [f"link del {nic.far_end}" for nic in host.nics if nic.far_end in present]
        if ours:
            batch(lab.fabric, ours)
    if removed:
        run(["ip", "netns", "del", lab.machine(host)])
    return removed


def links(lab: Lab) -> dict[str, bool]:
    """The fabric's interfaces, and whether each is up."""
    return {name: "UP" in link["flags"] for name, link in link_table(lab).items()}


def link_table(lab: Lab) -> dict[str, dict[str, Any]]:
    if not exists(lab.fabric):
        return {}
    table = json.loads(run(["ip", "-n", lab.fabric, "-j", "-details", "link", "show"]).stdout)
    return {link["ifname"]: link for link in table}


def set_link(lab: Lab, host: Host, nic: str, up: bool) -> None:
    """Pull or plug a cable: on a wire between two machines, both see it."""
    set_cable(lab, lab.bridge_of(host, host.nic(nic)), host.nic(nic).far_end, up)


def set_tap(lab: Lab, node: Node, nic: str, up: bool) -> None:
    tap = node.nic(nic).tap
    set_cable(lab, lab.tap_bridge(node, tap), tap, up)


def set_cable(lab: Lab, wire: str, own_end: str, up: bool) -> None:
    table = link_table(lab)
    ends = {name for name, link in table.items() if wire in lab.wires and link.get("master") == wire}
    for end in sorted(ends | {own_end}):
        run(["ip", "-n", lab.fabric, "link", "set", end, "up" if up else "down"])


def forget_connections(lab: Lab, host: Host) -> None:
    """End the controller's connections to a host that has booted anew: the host knows nothing of them."""
    inside(lab.fabric, ["ss", "-K", "dst", lab.management_address(host)], check=False)
