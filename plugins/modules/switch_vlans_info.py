#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: switch_vlans_info
short_description: Read the VLAN database of a physical switch over NETCONF
version_added: 0.1.0
description:
  - Returns VLANs in the shape M(weft.fabric.switch_vlans) takes, so that what was read can be fed back.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
  - weft.fabric.attributes.controller
  - weft.fabric.switch
options:
  all:
    description: Whether to return the VLANs that do not bear the mark of the collection too.
    type: bool
    default: false
seealso:
  - module: weft.fabric.switch_vlans
  - module: weft.fabric.switch_ports_info
"""

EXAMPLES = r"""
- name: Read the VLANs that the collection made
  weft.fabric.switch_vlans_info:
    switch:
      name: leaf1
      driver: openconfig
      address: 198.51.100.2
      username: weft
      password: "{{ vault_leaf1_password }}"
  register: found
"""

RETURN = r"""
vlans:
  description: The VLANs, in the shape of O(weft.fabric.switch_vlans#module:vlans).
  type: list
  elements: dict
  returned: success
  sample: [{vlan_id: 120, name: weft-web, state: present}]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.switch_info import describe_vlans
from ansible_collections.weft.fabric.plugins.module_utils.switch_module import VLANS_INFO, run_switch


def main():
    module = AnsibleModule(argument_spec=VLANS_INFO, supports_check_mode=True)
    run_switch(module, lambda: describe_vlans(module.params["switch"], module.params["all"]))


if __name__ == "__main__":
    main()
