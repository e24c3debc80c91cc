#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_tunnel_routes
short_description: Manage the routes of Open vSwitch's userspace tunnels
version_added: 0.1.0
description:
  - Tells C(ovs-vswitchd) how tunnels of the userspace datapath reach other hosts, as C(ovs-appctl ovs/route/add) does.
  - Without such routes it copies those of the kernel, and copies all of them anew whenever any device of the host comes
    or goes. A frame that looks for its tunnel in between is lost. With C(--disable-system-route) on its command line it
    uses these alone.
  - Tunnels of the kernel's datapath do not need them.
  - C(ovs-vswitchd) forgets them when it ends. M(weft.fabric.boot_replay) brings them back.
  - A route through a bridge that bears the collection's mark is the collection's own.
  - Whenever it changes a route it tells C(ovs-vswitchd) the MACs of O(neighbours), and the neighbours the MAC of this
    host.
options:
  routes:
    description: The routes, each destination listed once.
    type: list
    elements: dict
    required: true
    suboptions:
      to:
        description: Destination as a CIDR.
        type: str
        required: true
      bridge:
        description: Bridge it goes out through. Required unless it is to be absent.
        type: str
      via:
        description: Gateway.
        type: str
      source:
        description:
          - Address of the bridge that frames are sent from. C(ovs-vswitchd) chooses it when the route is added; when it
            has chosen another one, the route is added anew.
        type: str
      state:
        description: Whether the route exists.
        type: str
        choices: [present, absent]
        default: present
  neighbours:
    description:
      - Hosts at the other ends of tunnels that are on the link of one of the bridges.
      - C(ovs-vswitchd) asks for a MAC only once for as long as there is traffic. What is told here needs no question.
        It is forgotten after 15 minutes without traffic, and asked for when there is some again.
    type: list
    elements: dict
    default: []
    suboptions:
      bridge:
        description: Bridge whose link it is.
        type: str
        required: true
      address:
        description: IP address of the other host's end of the tunnel.
        type: str
        required: true
      mac:
        description: MAC of that address. When it is not known, the host is only told of this one.
        type: str
  socket:
    description: Path of the Unix socket of C(ovsdb-server). That of C(ovs-vswitchd) is beside it.
    type: path
    default: /var/run/openvswitch/db.sock
extends_documentation_fragment:
  - weft.fabric.common
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
seealso:
  - module: weft.fabric.ovs_tunnel_routes_info
  - module: weft.fabric.ovs_bridges
author:
  - weft.fabric contributors (@weft-fabric)
"""

EXAMPLES = r"""
- name: Reach the tunnel end points of this rack, and those of the others through a router
  weft.fabric.ovs_tunnel_routes:
    routes:
      - to: 198.51.100.0/24
        bridge: br-underlay
      - to: 203.0.113.0/24
        bridge: br-underlay
        via: 198.51.100.1
    neighbours:
      - bridge: br-underlay
        address: 198.51.100.12
        mac: "02:3c:8c:f4:5e:70"
    purge: true
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, one text for each step; at most 1000.
  returned: success
  type: list
  elements: str
  sample: ["tunnel route 198.51.100.0/24 dev br-underlay: add"]
changes_total:
  description: How many steps there were.
  returned: success
  type: int
  sample: 1
changes_digest:
  description: SHA-256 of all steps. Equal digests in check mode and in a real run mean that the same was done.
  returned: success
  type: str
  sample: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.ovs_tunnel_routes import OvsTunnelRoutesEngine
from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import DEFAULT_SOCKET
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_module

ROUTE = {
    "to": {"type": "str", "required": True},
    "bridge": {"type": "str"},
    "via": {"type": "str"},
    "source": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}

NEIGHBOUR = {
    "bridge": {"type": "str", "required": True},
    "address": {"type": "str", "required": True},
    "mac": {"type": "str"},
}


def main():
    module = AnsibleModule(
        argument_spec={
            "routes": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": ROUTE,
                "required_if": [("state", "present", ("bridge",))],
            },
            "neighbours": {"type": "list", "elements": "dict", "options": NEIGHBOUR, "default": []},
            "socket": {"type": "path", "default": DEFAULT_SOCKET},
            "purge": {"type": "bool", "default": False},
            "save": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run_module(module, OvsTunnelRoutesEngine)


if __name__ == "__main__":
    main()
