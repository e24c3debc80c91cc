# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the lab's switch share: who hangs on which port, and in which VLANs the example puts them."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from .frames import Vlans
from .lab import Host, wait_for
from .leaf import Leaf
from .tenant import Tenant

EXAMPLE = Path(__file__).parents[2] / "examples/switches/topology.yml"
NOTHING: frozenset[int] = frozenset()
# Who hangs on a port, and what the example says about it; beside it the port's name.
PORTS: dict[str, Vlans] = {
    "cmp1:eth2": (0, frozenset({110, 120})),  # Ethernet1: red and blue have a machine there
    "cmp2:eth2": (0, frozenset({110})),  # Ethernet2: red has
    "rack1:eth3": (110, NOTHING),  # Ethernet3
    "rack1:eth4": (120, frozenset({110, 120, 130})),  # Ethernet4
    "rack1:eth5": (0, NOTHING),  # Ethernet5, which is shut
    "world:eth2": (1, frozenset({1, 110, 120, 130})),  # Ethernet49, the uplink: what there is
}
TAGS = (0, 110, 120, 130, 140)
SENT = dict.fromkeys(PORTS, TAGS)
# The aggregate Port-Channel1 is made of these, and hangs in VLAN 120.
MEMBERS = ("eth6", "eth7")
ADDRESS = "10.0.0.250"

BOND_UP = f"""
ovs-vsctl --may-exist add-br weft-t-bond -- set Bridge weft-t-bond datapath_type=netdev \
  -- --may-exist add-bond weft-t-bond bond0 {" ".join(MEMBERS)} lacp=active bond_mode=balance-tcp \
     other_config:lacp-time=fast
ip link add weft-t-veth type veth peer name eth0 address 02:57:54:00:00:01 netns weft-t-blue
ip -n weft-t-blue address add {ADDRESS}/24 dev eth0
ip -n weft-t-blue link set eth0 up
ip netns exec weft-t-blue ethtool -K eth0 tx off
ip link set weft-t-veth up
ovs-vsctl add-port weft-t-bond weft-t-veth
"""
BOND_DOWN = "ovs-vsctl --if-exists del-br weft-t-bond; ip netns del weft-t-blue"


@pytest.fixture(scope="session")
def topology_source() -> Path:
    return EXAMPLE


@pytest.fixture(scope="session")
def leaf(lab: t.Callable[[str], Host]) -> Leaf:
    return Leaf(lab("leaf1-shell"))


@pytest.fixture(scope="session")
def bonded(lab: t.Callable[[str], Host]) -> t.Iterator[Tenant]:
    """A machine in the rack whose two cables are one aggregate."""
    rack = lab("rack1")
    rack.run(f"set -e; ip netns add weft-t-blue; {BOND_UP}")
    wait_for("LACP", lambda: rack.run("ovs-appctl lacp/show bond0").count("current attached") == len(MEMBERS), 20)
    yield Tenant(rack, "weft-t-blue")
    rack.run(BOND_DOWN)


@pytest.fixture(scope="session")
def blue(lab: t.Callable[[str], Host]) -> Tenant:
    """A tenant's machine in the same VLAN, on a host."""
    machine = Tenant(lab("cmp1"), "blue-web-1")
    machine.dhcp()
    return machine
