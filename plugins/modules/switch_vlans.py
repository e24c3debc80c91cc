#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: switch_vlans
short_description: Manage the VLAN database of a physical switch over NETCONF
version_added: 0.1.0
description:
  - Makes and removes VLANs of one switch, in one edit and one commit, as carefully as M(weft.fabric.switch_ports) does
    with ports, which can make VLANs in the same edit as well.
  - VLANs bear the mark of the collection, C(weft-), at the beginning of their names. Others are never renamed or
    removed, and neither is one that a port is still in.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
  - weft.fabric.attributes.controller
  - weft.fabric.switch
  - weft.fabric.switch.writing
options:
  vlans:
    description: The VLANs, each listed once.
    type: list
    elements: dict
    required: true
    suboptions:
      vlan_id:
        description: Number of the VLAN.
        type: int
        required: true
      name:
        description: Name of the VLAN. The mark of the collection is put before it when it is not there.
        type: str
      state:
        description: Whether the VLAN exists.
        type: str
        choices: [present, absent]
        default: present
  purge:
    description: Whether to remove VLANs of O(policy.allowed_vlans) that bear the mark and are not listed.
    type: bool
    default: false
seealso:
  - module: weft.fabric.switch_vlans_info
  - module: weft.fabric.switch_ports
"""

EXAMPLES = r"""
- name: Make a VLAN
  weft.fabric.switch_vlans:
    switch:
      name: leaf1
      driver: openconfig
      address: 198.51.100.2
      username: weft
      ssh_key_file: ~/.ssh/switches
    vlans:
      - {vlan_id: 120, name: web}
    policy:
      allowed_vlans: [100-199]
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, one text for each VLAN; at most 1000.
  type: list
  elements: str
  returned: success
  sample: ["make VLAN 120 weft-web"]
changes_total:
  description: Number of VLANs that were changed.
  type: int
  returned: success
  sample: 1
changes_digest:
  description: SHA-256 of all changes, the same in check mode and for real.
  type: str
  returned: success
  sample: 86f11a07c08528dd5d12d6113b3181ea40e282d5b9fec2a6c9a1a904cac08657
saved:
  description: Whether running was saved to startup by this call.
  type: bool
  returned: success
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.switch_module import VLANS, of_vlans, run_switch
from ansible_collections.weft.fabric.plugins.module_utils.switch_ports import SwitchRun


def main():
    module = AnsibleModule(argument_spec=VLANS, supports_check_mode=True)
    run_switch(module, lambda: SwitchRun(of_vlans(module.params)).run(module.check_mode))


if __name__ == "__main__":
    main()
