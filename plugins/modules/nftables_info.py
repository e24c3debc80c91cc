#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nftables_info
short_description: Read tables of nftables from a host and from its network namespaces
version_added: 0.1.0
description:
  - Returns tables in the shape M(weft.fabric.nftables) takes, so that what was read can be fed back.
  - O(weft.fabric.nftables#module:tables[].conntrack) is not part of a table and is not returned.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
requirements:
  - nftables 1.0.6 or newer, with its library C(libnftables.so.1)
options:
  names:
    description: Only tables with these names.
    type: list
    elements: str
  namespaces:
    description: Only tables in these network namespaces, and none of the host itself.
    type: list
    elements: str
  all:
    description:
      - Whether to return the tables that do not bear the mark of the collection too, and those in namespaces that it
        did not make.
      - M(weft.fabric.nftables) does not take these.
    type: bool
    default: false
seealso:
  - module: weft.fabric.nftables
"""

EXAMPLES = r"""
- name: Read all tables of the collection
  weft.fabric.nftables_info:
  register: found

- name: Show the floating IPs of a router
  ansible.builtin.debug:
    msg: "{{ item.map.elem | default([]) }}"
  loop: "{{ found.tables | map(attribute='content') | flatten | selectattr('map', 'defined') }}"
  loop_control:
    label: "{{ item.map.name }}"
"""

RETURN = r"""
tables:
  description: The tables, in the shape of O(weft.fabric.nftables#module:tables).
  type: list
  elements: dict
  returned: success
  sample:
    - namespace: qrouter-1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
      family: inet
      name: weft_fabric
      content:
        - map: {name: fip_dnat, type: ipv4_addr, map: ipv4_addr, elem: [["203.0.113.120", "10.0.0.9"]]}
        - chain: {name: prerouting, type: nat, hook: prerouting, prio: -100, policy: accept}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.nftables_info import describe
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_info


def main():
    module = AnsibleModule(
        argument_spec=dict(
            names=dict(type="list", elements="str"),
            namespaces=dict(type="list", elements="str"),
            all=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )
    params = module.params
    run_info(module, lambda: {"tables": describe(params["names"], params["namespaces"], params["all"])})


if __name__ == "__main__":
    main()
