#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_tunnel_routes_info
short_description: Read the routes of Open vSwitch's userspace tunnels
version_added: 0.1.0
description:
  - Returns the routes that were added by hand or by M(weft.fabric.ovs_tunnel_routes), in the very shape that module
    takes. Given to it, they change nothing. Routes that C(ovs-vswitchd) has copied from the kernel are left out.
options:
  all:
    description: Whether to return routes through bridges that do not bear the collection's mark, too.
    type: bool
    default: false
  socket:
    description: Path of the Unix socket of C(ovsdb-server). That of C(ovs-vswitchd) is beside it.
    type: path
    default: /var/run/openvswitch/db.sock
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
seealso:
  - module: weft.fabric.ovs_tunnel_routes
author:
  - weft.fabric contributors (@weft-fabric)
"""

EXAMPLES = r"""
- name: Read how tunnels reach other hosts
  weft.fabric.ovs_tunnel_routes_info:
  register: found
"""

RETURN = r"""
routes:
  description: The routes, by destination.
  returned: success
  type: list
  elements: dict
  sample:
    - {to: 198.51.100.0/24, bridge: br-underlay, via: null, source: 198.51.100.11, state: present}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.ovs_tunnel_routes import route_items
from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import DEFAULT_SOCKET
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_info


def main():
    module = AnsibleModule(
        argument_spec={
            "all": {"type": "bool", "default": False},
            "socket": {"type": "path", "default": DEFAULT_SOCKET},
        },
        supports_check_mode=True,
    )
    run_info(module, lambda: {"routes": route_items(module.params["socket"], module.params["all"])})


if __name__ == "__main__":
    main()
