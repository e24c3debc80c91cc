#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: router_advertisements
short_description: Manage IPv6 router advertisements, one radvd for each router
version_added: 0.1.0
description:
  - Runs one radvd for each router in the router's namespace, as unit C(weft-fabric-ra@NAME.service) of systemd.
  - When its configuration changes, radvd reads it again. It is restarted only when it is not in the namespace it
    should be.
  - A configuration that replaces another is first shown to radvd. If it refuses it, nothing is changed.
  - Files are under C(/var/lib/weft-fabric/ra). The units are not enabled; M(weft.fabric.boot_replay) starts them
    at boot, after the namespaces are there.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
  - weft.fabric.common
requirements:
  - radvd 2.17 or newer
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
        description: Whether the router advertises. When it ceases to, it tells its hosts.
        type: str
        choices: [present, absent]
        default: present
      namespace:
        description: Namespace it runs in. It can only be C(qrouter-) and O(routers[].name), which is also the default.
        type: str
      config:
        description: Text of C(radvd.conf). Required unless the router is to be absent.
        type: str
      start:
        description:
          - Whether radvd runs always.
          - With V(false) it runs while this host has the role of the router. See M(weft.fabric.vrrp_routers).
        type: bool
        default: true
seealso:
  - module: weft.fabric.router_advertisements_info
  - module: weft.fabric.vrrp_routers
  - module: weft.fabric.namespaces
"""

EXAMPLES = r"""
- name: Advertise a router
  weft.fabric.router_advertisements:
    routers:
      - name: 1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
        config: |
          interface qr-1a2b3c4d-5e {
              AdvSendAdvert on;
              prefix 2001:db8:1::/64 {};
          };

- name: Remove all router advertisements of the collection
  weft.fabric.router_advertisements:
    routers: []
    purge: true
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, one text for each operation; at most 1000.
  type: list
  elements: str
  returned: always
  sample: ["change radvd.conf of router advertisements of 1a2b3c4d", "reload router advertisements of 1a2b3c4d"]
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
from ansible_collections.weft.fabric.plugins.module_utils.router_advertisements import RouterAdvertisementsEngine

ROUTER = dict(
    name=dict(type="str", required=True),
    state=dict(type="str", choices=["present", "absent"], default="present"),
    namespace=dict(type="str"),
    config=dict(type="str"),
    start=dict(type="bool", default=True),
)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            routers=dict(
                type="list",
                elements="dict",
                required=True,
                options=ROUTER,
                required_if=[("state", "present", ("config",))],
            ),
            purge=dict(type="bool", default=False),
            save=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )
    run_module(module, RouterAdvertisementsEngine)


if __name__ == "__main__":
    main()
