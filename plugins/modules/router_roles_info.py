#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: router_roles_info
short_description: Read what the routers of a host do now
version_added: 0.1.0
description:
  - Returns which of a host's routers are primary and since when, the addresses they hold, how their sessions are
    synchronised, and whether what they say of themselves agrees with the addresses they hold.
  - A router that is about to change its role is looked at again, for a second at most.
options:
  names:
    description:
      - Ids of routers. All HA routers of this host when not given.
      - The only way to see routers that are not HA.
    type: list
    elements: str
  parts:
    description: Ids of distributed routers of which this host routes its own ports' traffic.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
seealso:
  - module: weft.fabric.router_roles
  - module: weft.fabric.vrrp_routers_info
author:
  - weft.fabric contributors (@weft-fabric)
"""

EXAMPLES = r"""
- name: Look at all HA routers of this host
  weft.fabric.router_roles_info:
  register: found

- name: Show which of them are primary here
  ansible.builtin.debug:
    msg: "{{ found.status | dict2items | selectattr('value.state', 'eq', 'primary') | map(attribute='key') }}"
"""

RETURN = r"""
routers:
  description: The HA routers, in the shape of O(weft.fabric.router_roles#module:routers).
  type: list
  elements: dict
  returned: success
  sample: [{name: 1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d, handicap: 0}]
drained:
  description: Whether this host is drained.
  type: bool
  returned: success
  sample: false
status:
  description:
    - What each router does, by its id.
    - C(missing) are addresses that it should hold as primary and does not, C(surplus) such that it holds without being
      primary. C(seconds) is how long it has been what it is.
  type: dict
  returned: success
  sample:
    1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d:
      ha: true
      active: true
      state: primary
      since: 1790000000.123
      seconds: 86400.5
      priority: 100
      handicap: 0
      addresses: [10.0.0.1/24, 169.254.0.7/24, 169.254.193.4/18]
      missing: []
      surplus: []
      interface: ha-1a2b3c4d-5e
      sessions: {current: 12, received: 40, failed: 0, lost_messages: 0, errors: 0}
parts:
  description: Whether the namespaces of O(parts) are there, and which addresses they hold.
  type: dict
  returned: success
  sample:
    1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d: {active: true, addresses: [10.0.0.1/24]}
health:
  description: What each link of the host that routers need is worth; 0 is good.
  type: dict
  returned: success
  sample: {uplink-physnet1: 0, underlay: 0}
now:
  description: The host's clock, in seconds since 1970.
  type: float
  returned: success
  sample: 1790086400.623
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_info
from ansible_collections.weft.fabric.plugins.module_utils.router_roles_info import describe


def main():
    module = AnsibleModule(
        argument_spec=dict(
            names=dict(type="list", elements="str"),
            parts=dict(type="list", elements="str", default=[]),
        ),
        supports_check_mode=True,
    )
    run_info(module, lambda: describe(module.params["names"], parts=module.params["parts"]))


if __name__ == "__main__":
    main()
