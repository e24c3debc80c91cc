#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vrrp_routers_info
short_description: Read highly available routers and which of them are primary here
version_added: 0.1.0
description:
  - Returns what M(weft.fabric.vrrp_routers) made, in the shape that module takes, and what each router does now.
  - All routers under C(/var/lib/weft-fabric/vrrp) belong to the collection, so there are no others to ask for.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
options:
  names:
    description: Only these routers.
    type: list
    elements: str
seealso:
  - module: weft.fabric.vrrp_routers
"""

EXAMPLES = r"""
- name: Read all highly available routers of this host
  weft.fabric.vrrp_routers_info:
  register: found

- name: Show for which of them this host is primary
  ansible.builtin.debug:
    msg: "{{ found.status | dict2items | selectattr('value.state', 'eq', 'primary') | map(attribute='key') }}"
"""

RETURN = r"""
routers:
  description: The routers, in the shape of O(weft.fabric.vrrp_routers#module:routers).
  type: list
  elements: dict
  returned: success
  sample:
    - name: 1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
      namespace: qrouter-1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
      interface: ha-1a2b3c4d-5e
      peers: [169.254.192.9]
      forwarding: [all]
      config: "global_defs {\n}\n"
      conntrackd: null
status:
  description: What each router does now, by its name.
  type: dict
  returned: success
  contains:
    active:
      description: Whether its keepalived runs.
      type: bool
    state:
      description: V(primary), V(backup) or V(fault); nothing while it does not run.
      type: str
    since:
      description: Since when, in seconds since 1970.
      type: float
    handicap:
      description: What an operator has put on it; 0 or less.
      type: int
    priority:
      description: Its priority with the handicap and the health of the host's links; 0 when it gives up.
      type: int
    addresses:
      description: The addresses in its namespace, without those of link scope.
      type: list
      elements: str
    sessions:
      description:
        - What its conntrackd counts. C(current) sessions of its own, those C(received) from its peers and those that
          C(failed) to be put into the kernel, C(lost_messages) and C(errors) in sending.
        - Nothing while conntrackd does not run.
      type: dict
  sample:
    1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d:
      active: true
      state: primary
      since: 1790000000.123
      handicap: 0
      priority: 100
      addresses: [10.0.0.1/24, 169.254.0.7/24, 169.254.192.4/18]
      sessions: {current: 210, received: 4, failed: 0, lost_messages: 0, errors: 0}
health:
  description: The links that are watched, in the shape of O(weft.fabric.vrrp_routers#module:health).
  type: list
  elements: dict
  returned: success
  sample: [{name: underlay, device: eth1, weight: -254}]
health_status:
  description: What each link is worth now, by the name of the check; 0 is well.
  type: dict
  returned: success
  sample: {underlay: 0}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_info
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd
from ansible_collections.weft.fabric.plugins.module_utils.vrrp_info import describe
from ansible_collections.weft.fabric.plugins.module_utils.vrrp_program import Paths
from ansible_collections.weft.fabric.plugins.module_utils.vrrp_routers import DIRECTORY


def main():
    module = AnsibleModule(argument_spec=dict(names=dict(type="list", elements="str")), supports_check_mode=True)
    run_info(module, lambda: describe(module.params["names"], Paths(DIRECTORY), Systemd()))


if __name__ == "__main__":
    main()
