#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vrrp_routers
short_description: Manage highly available routers, one keepalived for each
version_added: 0.1.0
description:
  - Runs one keepalived for each router in the router's namespace, as unit C(weft-fabric-vrrp@NAME.service) of systemd,
    and one conntrackd next to it, as C(weft-fabric-conntrackd@NAME.service), so that sessions live on when the role
    moves.
  - keepalived puts in the router's addresses and routes where it has the role, and takes them away where it has not.
    When it ends for whatever reason, systemd takes away what is left.
  - However much has changed of a router, its keepalived reads its configuration once in a run, and keeps its role. It
    is restarted only when it is not in the namespace or on the device it should be, or when a device was made anew.
  - A configuration that replaces another is first shown to keepalived. If it refuses it, nothing is changed.
  - Files are under C(/var/lib/weft-fabric/vrrp). The units are not enabled; M(weft.fabric.boot_replay) starts them
    at boot, last of all.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
  - weft.fabric.common
requirements:
  - keepalived 2.2 or newer
  - conntrackd 1.4 or newer, for routers with O(routers[].conntrackd)
  - systemd 243 or newer
options:
  routers:
    description: The routers, each listed once.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the router; its id.
        type: str
        required: true
      state:
        description: Whether the router exists here.
        type: str
        choices: [present, absent]
        default: present
      keep_addresses:
        description:
          - With O(routers[].state=absent), keepalived ends without taking its addresses and routes away.
          - For a router that goes on here without VRRP.
        type: bool
        default: false
      namespace:
        description:
          - Namespace it runs in. It can only be C(qrouter-) and O(routers[].name), which is also the default, or
            C(snat-) and O(routers[].name), for what a distributed router has on its network nodes.
          - A router that goes on in the other one ends in the old, where its addresses stay, and starts in the new one.
        type: str
      interface:
        description: Device of the HA link. Required unless the router is to be absent.
        type: str
      peers:
        description:
          - Addresses of the other nodes on the HA link.
          - When keepalived starts, it waits some seconds for one of them to answer.
        type: list
        elements: str
      forwarding:
        description:
          - Devices, or V(all), whose C(net.ipv6.conf.DEVICE.forwarding) is 1 while the router is primary and 0 while it
            is not. A backup that forwards IPv6 says so on its links.
        type: list
        elements: str
      config:
        description:
          - Text of C(keepalived.conf). Required unless the router is to be absent.
          - It has C(notify "/etc/weft-fabric/vrrp notify NAME"), tracks the file
            C(/run/weft-fabric-vrrp/NAME/handicap), and holds in C(virtual_ipaddress) one address of 169.254.0.0/24 and
            no other.
        type: str
      conntrackd:
        description:
          - Text of C(conntrackd.conf). Without it, sessions are not synchronised.
          - Its socket is C(/run/weft-fabric-vrrp/NAME/conntrackd.ctl), its lock C(conntrackd.lock) next to it.
          - It has C(DisableExternalCache yes), as nothing commits an external cache.
        type: str
  health:
    description:
      - Links of this host that its routers need. A watcher, C(weft-fabric-health.service), follows their carriers and
        writes what they are worth into C(/run/weft-fabric-health/NAME), for the routers' keepalived to track.
      - Without any, the watcher is removed if O(purge=true).
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the check.
        type: str
        required: true
      device:
        description: Device of the host.
        type: str
        required: true
      weight:
        description:
          - What is added to the priority of the host's routers while the device has no carrier, from -254 to -1.
          - With V(-254) they give up, whatever their peers are worth.
        type: int
        required: true
notes:
  - Each keepalived takes one of the host's C(fs.inotify.max_user_instances). The limit is raised when it is too low.
  - To move a router to a peer, write a negative number into C(/run/weft-fabric-vrrp/NAME/handicap) on the node that has
    it. Writing 0 there later moves nothing back.
seealso:
  - module: weft.fabric.vrrp_routers_info
  - module: weft.fabric.router_advertisements
  - module: weft.fabric.namespaces
"""

EXAMPLES = r"""
- name: Take part in a highly available router
  weft.fabric.vrrp_routers:
    routers:
      - name: 1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
        interface: ha-1a2b3c4d-5e
        peers: [169.254.192.9]
        forwarding: [all]
        config: "{{ lookup('ansible.builtin.template', 'keepalived.conf.j2') }}"
        conntrackd: "{{ lookup('ansible.builtin.template', 'conntrackd.conf.j2') }}"
    health:
      - name: uplink-physnet1
        device: eth2
        weight: -50
      - name: underlay
        device: eth1
        weight: -254

- name: Go on with a router without VRRP
  weft.fabric.vrrp_routers:
    routers:
      - name: 1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
        state: absent
        keep_addresses: true

- name: Remove all highly available routers of the collection from this host
  weft.fabric.vrrp_routers:
    routers: []
    purge: true
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, one text for each operation; at most 1000.
  type: list
  elements: str
  returned: always
  sample: ["change keepalived.conf of VRRP router 1a2b3c4d", "reload VRRP router 1a2b3c4d"]
changes_total:
  description: Number of operations.
  type: int
  returned: always
  sample: 2
changes_digest:
  description: SHA-256 of all operations, the same in check mode and for real.
  type: str
  returned: always
  sample: 86f11a07c08528dd5d12d6113b3181ea40e282d5b9fec2a6c9a1a904cac08657
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_module
from ansible_collections.weft.fabric.plugins.module_utils.vrrp_routers import VrrpRoutersEngine

ROUTER = dict(
    name=dict(type="str", required=True),
    state=dict(type="str", choices=["present", "absent"], default="present"),
    keep_addresses=dict(type="bool", default=False),
    namespace=dict(type="str"),
    interface=dict(type="str"),
    peers=dict(type="list", elements="str"),
    forwarding=dict(type="list", elements="str"),
    config=dict(type="str"),
    conntrackd=dict(type="str"),
)

CHECK = dict(
    name=dict(type="str", required=True),
    device=dict(type="str", required=True),
    weight=dict(type="int", required=True),
)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            routers=dict(
                type="list",
                elements="dict",
                required=True,
                options=ROUTER,
                required_if=[("state", "present", ("interface", "config"))],
            ),
            health=dict(type="list", elements="dict", options=CHECK),
            purge=dict(type="bool", default=False),
            save=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )
    run_module(module, VrrpRoutersEngine)


if __name__ == "__main__":
    main()
