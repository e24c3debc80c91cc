#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: router_roles
short_description: Move the role of highly available routers, and drain a network node
version_added: 0.1.0
description:
  - Sets the handicaps of a host's HA routers, and waits until the roles have followed.
  - A router with a handicap gives its role to a node that is better, and keeps it when there is none. Taking the
    handicap away moves nothing, as the role stays where it is among equals.
  - A host that is drained puts a handicap on all its routers, also on those that come later, and also after a reboot.
    It still takes a role when all other nodes have lost their uplink.
  - The playbooks C(weft.fabric.router_failover), C(weft.fabric.drain), C(weft.fabric.undrain) and
    C(weft.fabric.rebalance) use it, and know all nodes of a router.
options:
  routers:
    description: HA routers of this host, one moved after the other.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The router's id.
        type: str
        required: true
      label:
        description: What messages call it. Its id when not given.
        type: str
      handicap:
        description: How much worse this node is than its peers, beside what being drained costs it.
        type: int
        default: 0
      expect:
        description:
          - What the router is to become on this host.
          - Nothing is waited for when not given.
        type: str
        choices: [primary, backup]
  drained:
    description:
      - Whether all roles are to leave this host and stay away. When not given, it is as it was.
      - With V(true) the module waits until no router is primary here.
    type: bool
  timeout:
    description: How many seconds to wait for each role.
    type: int
    default: 10
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
requirements:
  - keepalived, as M(weft.fabric.vrrp_routers) runs it
seealso:
  - module: weft.fabric.router_roles_info
  - module: weft.fabric.vrrp_routers
author:
  - weft.fabric contributors (@weft-fabric)
"""

EXAMPLES = r"""
- name: Let a router give up its role here
  weft.fabric.router_roles:
    routers:
      - name: 1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
        label: blue/r1
        handicap: -10
        expect: backup

- name: Take the handicap away; the role stays where it is now
  weft.fabric.router_roles:
    routers:
      - name: 1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
        label: blue/r1

- name: Drain this host
  weft.fabric.router_roles:
    drained: true
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - set the handicap of router blue/r1 to -10
    - router blue/r1 gives up the role
changes_total:
  description: How many changes there were.
  returned: success
  type: int
  sample: 2
changes_digest:
  description: SHA-256 of all changes, the same in check mode and for real.
  returned: success
  type: str
  sample: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_module
from ansible_collections.weft.fabric.plugins.module_utils.router_roles import RouterRolesEngine

ROUTER = dict(
    name=dict(type="str", required=True),
    label=dict(type="str"),
    handicap=dict(type="int", default=0),
    expect=dict(type="str", choices=["primary", "backup"]),
)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            routers=dict(type="list", elements="dict", default=[], options=ROUTER),
            drained=dict(type="bool"),
            timeout=dict(type="int", default=10),
        ),
        supports_check_mode=True,
    )
    run_module(module, RouterRolesEngine)


if __name__ == "__main__":
    main()
