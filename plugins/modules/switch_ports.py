#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: switch_ports
short_description: Set VLANs and aggregates on ports of a physical switch over NETCONF
version_added: 0.1.0
description:
  - Makes all listed ports of one switch what the arguments say, in one edit and one commit.
  - What was committed is read back and compared before it is confirmed. When it is not what was asked for, the switch
    is brought back to what it was, and the module fails with both values.
  - The VLANs of a port are exact. What is not listed is removed from it.
  - Ports are refused when they are uplinks, members of an aggregate, where LLDP sees another bridge, or in a VLAN of
    somebody else. VLANs are refused when they are outside of O(policy.allowed_vlans) or not in the VLAN database.
  - Nothing is written, locked or committed when nothing differs.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
  - weft.fabric.attributes.controller
  - weft.fabric.switch
  - weft.fabric.switch.writing
options:
  ports:
    description:
      - The ports, each listed once, by any of the names that people use for them on such switches.
      - A field that is not given is left as it is.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the port or aggregate.
        type: str
        required: true
      state:
        description:
          - With V(absent), a port is released. It is in no VLAN, has no description, and is disabled.
          - An aggregate is removed, and its members are released.
        type: str
        choices: [present, absent]
        default: present
      mode:
        description: Whether it is in one VLAN, without tags, or in several.
        type: str
        choices: [access, trunk]
      vlan:
        description: The VLAN of an access port.
        type: int
      native_vlan:
        description: The VLAN of a trunk's frames without tags.
        type: int
      allowed_vlans:
        description:
          - The VLANs of a trunk's frames with tags, as numbers and ranges, the native one aside.
          - A trunk without any must have O(ports[].native_vlan), as most switches take an empty list for all VLANs.
        type: list
        elements: str
      description:
        description: Description of the port. An empty one removes it.
        type: str
      enabled:
        description: Whether the port is in service.
        type: bool
      edge:
        description: Whether spanning tree takes it for the port of a host, which may send at once.
        type: bool
      aggregate:
        description:
          - Makes it an aggregate.
          - Members have no VLANs of their own, and are enabled with the aggregate. A port that is no longer a member is
            released, unless it is listed by itself.
        type: dict
        suboptions:
          members:
            description: The ports in it, all of them.
            type: list
            elements: str
            required: true
          lacp:
            description: How it negotiates.
            type: str
            choices: [active, passive, static]
            default: active
          min_links:
            description: How many members must be up.
            type: int
            default: 1
      expected_current:
        description:
          - The VLANs that the port should be in before the change. It fails when they are others.
          - Allows to take a port that is in a VLAN which is not in O(policy.owned_vlans).
        type: dict
        suboptions:
          mode:
            description: The mode. A port in no VLAN has none.
            type: str
            choices: [access, trunk]
          vlan:
            description: The VLAN of an access port.
            type: int
          native_vlan:
            description: The VLAN of a trunk's frames without tags.
            type: int
          allowed_vlans:
            description: The VLANs of a trunk's frames with tags.
            type: list
            elements: str
      neighbour:
        description:
          - System name of the host at the other end, as LLDP tells it. With it, a host that bridges is no reason to
            refuse the port, or the members of the aggregate.
        type: str
  vlans:
    description: VLANs that must be in the VLAN database before ports use them. They are made in the same edit.
    type: list
    elements: dict
    default: []
    suboptions:
      vlan_id:
        description: Number of the VLAN.
        type: int
        required: true
      name:
        description:
          - Name of the VLAN. The mark of the collection, C(weft-), is put before it when it is not there.
          - A VLAN whose name does not begin so is somebody else's, and keeps its name.
        type: str
      state:
        description: With V(absent), it is removed if it bears the mark and no port is in it any more.
        type: str
        choices: [present, absent]
        default: present
  create_vlans:
    description: Whether VLANs that are missing are made. Otherwise one that is missing is an error.
    type: bool
    default: false
  purge_vlans:
    description:
      - Whether to remove VLANs of O(policy.allowed_vlans) that bear the mark and are neither listed nor used by a
        listed port. One that another port is still in stays.
    type: bool
    default: false
seealso:
  - module: weft.fabric.switch_ports_info
  - module: weft.fabric.switch_vlans
"""

EXAMPLES = r"""
- name: Put a host into its VLAN, and another one behind a trunk
  weft.fabric.switch_ports:
    switch:
      name: leaf1
      driver: openconfig
      address: 198.51.100.2
      username: weft
      password: "{{ vault_leaf1_password }}"
      host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHzAVEKNb1xvhLoZBUDrvWe1VDkdOVGLVkQFdIM2Xqpc
    ports:
      - {name: Ethernet1, mode: access, vlan: 120, description: web-1, enabled: true, edge: true}
      - {name: Ethernet3, mode: trunk, native_vlan: 100, allowed_vlans: [110, 120-130], enabled: true}
      - name: Port-Channel1
        mode: trunk
        allowed_vlans: [120]
        aggregate: {members: [Ethernet5, Ethernet6], lacp: active}
      - {name: Ethernet9, state: absent}
    policy:
      allowed_vlans: [100-199]
      uplinks: [Ethernet49, Ethernet50]
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, one text for each port and VLAN; at most 1000.
  type: list
  elements: str
  returned: success
  sample: ["change Ethernet1: access VLAN 110 -> access VLAN 120"]
changes_total:
  description: Number of ports and VLANs that were changed.
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

from ansible_collections.weft.fabric.plugins.module_utils.switch_module import PORTS, run_switch
from ansible_collections.weft.fabric.plugins.module_utils.switch_ports import SwitchRun


def main():
    module = AnsibleModule(argument_spec=PORTS, supports_check_mode=True)
    run_switch(module, lambda: SwitchRun(module.params).run(module.check_mode))


if __name__ == "__main__":
    main()
