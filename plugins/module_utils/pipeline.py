# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OpenFlow pipeline: one table of tables, shared by the compiler, the traces and the docs.

Where Neutron has a table for the same job, the number is Neutron's. Numbers with a reserved purpose
are listed too, so that nothing else moves in.
"""

from __future__ import annotations

from collections import namedtuple

Table = namedtuple("Table", "bridge number name job reserved")

# Registers of br-int. They do not survive a patch port: the local VLAN tag carries the network across.
REG_NETWORK = "reg6"  # local VLAN of the frame's network; also the conntrack zone a firewall uses
REG_OUTPUT = "reg7"  # OpenFlow port the frame is about to be delivered to

# cookie = mark (32 bits) | resource (32 bits). Only flows under the mark are ours.
COOKIE_MARK = 0x77656674  # "weft"
COOKIE_MARK_LEARNED = 0x77656C72  # "welr": made by learn(); they come and go by themselves
COOKIE_MASK = 0xFFFFFFFF00000000

_TABLES = (
    ("br-int", 0, "classify", "which network a frame belongs to, by the port it came in through", False),
    ("br-int", 1, "dvr_from_tunnel", "host DVR MAC back to the gateway's MAC, from tunnels", False),
    ("br-int", 2, "dvr_from_provider", "host DVR MAC back to the gateway's MAC, from provider networks", False),
    ("br-int", 24, "port_security", "what a port says in ARP and ND must be its own; no DHCP server, no router", False),
    ("br-int", 25, "source_address", "source MAC and IP address of a port must be its own", False),
    ("br-int", 30, "arp_nd", "ARP and ND questions about known addresses are answered on the spot", False),
    ("br-int", 31, "nd_answer", "the second half of an ND answer: the target's MAC, which only answers hold", False),
    ("br-int", 60, "egress", "entry of the egress firewall", False),
    ("br-int", 71, "base_egress", "firewall: what a port may always or never send", True),
    ("br-int", 72, "rules_egress", "firewall: security group rules for what a port sends", True),
    ("br-int", 73, "accept_egress", "firewall: commit and hand over", True),
    ("br-int", 75, "forward", "unicast: to the local port, or towards the hosts that have it", False),
    ("br-int", 76, "learned", "unicast of networks with unknown MACs: what learn() has seen", False),
    ("br-int", 77, "flood", "broadcast and multicast: to every port of the network", False),
    ("br-int", 81, "ingress", "entry of the ingress firewall: what a port may always receive", False),
    ("br-int", 82, "rules_ingress", "firewall: security group rules for what a port receives", True),
    ("br-int", 94, "output", "delivery to the port chosen before", False),
    ("br-tun", 0, "classify", "from br-int, or from a tunnel of which type", False),
    ("br-tun", 1, "dvr_process", "gateway MAC to the host's DVR MAC", False),
    ("br-tun", 2, "from_int", "unicast or not", False),
    ("br-tun", 3, "from_gre", "GRE key to local VLAN", False),
    ("br-tun", 4, "from_vxlan", "VNI to local VLAN", False),
    ("br-tun", 6, "from_geneve", "VNI to local VLAN", False),
    ("br-tun", 9, "dvr_not_learn", "frames of other hosts' DVR MACs are not learned from", False),
    ("br-tun", 10, "to_int", "to br-int, learning first where the network asks for it", False),
    ("br-tun", 20, "unicast", "known MAC to the tunnel of its host", False),
    ("br-tun", 21, "learned", "unicast of networks with unknown MACs: what learn() has seen", False),
    ("br-tun", 22, "flood", "to every host that has a port of the network", False),
)

TABLES = tuple(Table(*row) for row in _TABLES)
_NUMBERS = {(table.bridge, table.name): table.number for table in TABLES}


def table(bridge, name):
    """Return the number of a table; a name nobody registered is a programming error (KeyError)."""
    return _NUMBERS[(bridge, name)]
