# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a topology file may say of switches. Part of schema.py."""

from __future__ import annotations

from . import kinds
from . import kinds_switches as switch_kinds
from .kinds import Choice, Free, Whole
from .model_switches import DRIVERS, LACP, PERSIST
from .shapes import Attribute, ListOf, Named, Resource

A = Attribute

_MODE = Choice("access", "trunk")

CREDENTIALS = Resource(
    "switch credentials",
    (
        A("username", switch_kinds.USERNAME, "Who logs in. A Jinja reference or !vault is allowed.", required=True),
        A("password", switch_kinds.PASSWORD, "A Jinja reference to a variable, or !vault. A literal one is refused."),
        A("ssh_key_file", switch_kinds.KEY_FILE, "Path of a private key on the controller, instead of a password."),
    ),
)

EXPECTED_CURRENT = Resource(
    "expected configuration",
    (
        A("mode", _MODE, "Of which mode the port is now.", required=True),
        A("vlan", switch_kinds.VLAN, "access: its VLAN now."),
        A("native", switch_kinds.VLAN, "trunk: its native VLAN now."),
        A("allowed", ListOf(switch_kinds.VLANS), "trunk: its other VLANs now."),
    ),
)

SWITCH_PORT = Resource(
    "switch port",
    (
        A("host", kinds.NAME, "The host of the topology it leads to: a trunk with the VLANs that the host needs."),
        A(
            "physical_network",
            kinds.NAME,
            "host: which physical network it carries to the host. The switch's only one when not given.",
        ),
        A("mode", _MODE, "access or trunk. Follows from the attributes when not given."),
        A("network", switch_kinds.NETWORK, "access: a vlan network, as PROJECT/NAME, whose VLAN it is in."),
        A("vlan", switch_kinds.VLAN, "access: the VLAN, where no network of the file has it."),
        A("native", switch_kinds.NETWORK_OR_VLAN, "trunk, host: the VLAN of frames without a tag."),
        A(
            "allowed",
            ListOf(switch_kinds.NETWORK_OR_VLANS),
            "trunk: all VLANs with a tag. host: further ones besides those that the host needs.",
        ),
        A("description", switch_kinds.DESCRIPTION, "What the switch calls it. With host, the host when not given."),
        A(
            "enabled",
            kinds.BOOLEAN,
            "Whether it is up. Alone and false: the port is shut and in no VLAN.",
            default=True,
        ),
        A("edge", kinds.BOOLEAN, "Whether it is an edge port of the spanning tree. Left alone when not given."),
        A("members", ListOf(switch_kinds.INTERFACE), "Makes it an aggregate (LAG) of these ports."),
        A("lacp", Choice(*LACP), "members: how they agree. active when not given."),
        A("min_links", Whole(1, 64), "members: how many must be up for the aggregate to be. The switch's default."),
        A(
            "neighbour",
            kinds.NAME,
            "The name by which LLDP knows a host there that bridges; other bridges are refused. With host, its name.",
        ),
        A(
            "expected_current",
            EXPECTED_CURRENT,
            "What it has now, where that is somebody else's VLANs: for the first run. Remove it after that.",
        ),
    ),
)

SWITCH = Resource(
    "switch",
    (
        A("driver", Choice(*DRIVERS), "Whose models it speaks over NETCONF.", required=True),
        A("address", switch_kinds.ADDRESS, "Where its NETCONF server is.", required=True),
        A("port", Whole(1, 65_535), "The TCP port there.", default=830),
        A("credentials", CREDENTIALS, "How to log in.", required=True),
        A("host_key", switch_kinds.HOST_KEY, "Its public SSH key."),
        A("known_hosts", switch_kinds.PATH, "A known_hosts file, instead of host_key. The user's own when neither is."),
        A("host_key_checking", kinds.BOOLEAN, "Whether the key is checked. Say false in a lab only.", default=True),
        A(
            "allowed_vlans",
            ListOf(switch_kinds.VLANS),
            "The only VLANs that are ever set on ports, made or removed.",
            required=True,
        ),
        A(
            "owned_vlans",
            ListOf(switch_kinds.VLANS),
            "VLANs that a port may be taken out of, besides allowed_vlans: [1] for ports that are from the factory.",
        ),
        A(
            "allowed_ports",
            ListOf(switch_kinds.INTERFACE),
            "The only ports that are ever set. Those below ports, with their members, when not given.",
        ),
        A("uplinks", ListOf(switch_kinds.INTERFACE), "Ports that are never touched."),
        A("manage_vlans", kinds.BOOLEAN, "Whether VLANs are made and removed, not only set on ports.", default=True),
        A("persist", Choice(*PERSIST), "What happens to the startup configuration.", default="driver"),
        A("physical_networks", ListOf(kinds.NAME), "Of which physical networks it carries the VLANs."),
        A("timeout", Whole(1, 3600), "Seconds an answer may take. The module's default when not given."),
        A("connect_timeout", Whole(1, 600), "Seconds the connection may take. The module's default when not given."),
        A("lock_timeout", Whole(1, 3600), "Seconds to wait for its lock. The module's default when not given."),
        A(
            "confirmed_commit",
            Whole(0, 600),
            "Seconds after which it takes a change back by itself unless confirmed; 0 for none. The driver's default.",
        ),
        A("ports", Named(SWITCH_PORT, switch_kinds.INTERFACE), "Its ports, by the switch's own names."),
        A("vars", Free(dict), "Any Ansible variables of the switch; Jinja and !vault are allowed."),
    ),
    free_prefix="ansible_",
)
