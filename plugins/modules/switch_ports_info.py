#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: switch_ports_info
short_description: Read ports, VLANs and LLDP neighbours of a physical switch over NETCONF
version_added: 0.1.0
description:
  - Returns ports in the shape M(weft.fabric.switch_ports) takes, so that what was read can be fed back.
  - Reads the running configuration, locks nothing, and makes one session.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
  - weft.fabric.attributes.controller
  - weft.fabric.switch
options:
  ports:
    description: Names of ports. All ports when not given.
    type: list
    elements: str
seealso:
  - module: weft.fabric.switch_ports
  - module: weft.fabric.switch_vlans_info
"""

EXAMPLES = r"""
- name: Read a switch
  weft.fabric.switch_ports_info:
    switch:
      name: leaf1
      driver: openconfig
      address: 198.51.100.2
      username: weft
      password: "{{ vault_leaf1_password }}"
  register: found

- name: Show what is cabled where
  ansible.builtin.debug:
    msg: "{{ item.port }} - {{ item.system_name }} {{ item.port_id }}"
  loop: "{{ found.neighbours }}"
"""

RETURN = r"""
ports:
  description:
    - The ports, in the shape of O(weft.fabric.switch_ports#module:ports), without members of aggregates.
    - A trunk that carries all VLANs has one range.
  type: list
  elements: dict
  returned: success
  sample:
    - {name: Ethernet1, state: present, mode: access, vlan: 120, description: web-1, enabled: true, edge: true}
members:
  description: The aggregate of each port that is in one.
  type: dict
  returned: success
  sample: {Ethernet5: Port-Channel1, Ethernet6: Port-Channel1}
vlans:
  description: The VLAN database, in the shape of O(weft.fabric.switch_vlans#module:vlans).
  type: list
  elements: dict
  returned: success
  sample: [{vlan_id: 120, name: weft-web, state: present}]
neighbours:
  description: Whom LLDP sees at which port; C(bridge) is whether it says that it bridges.
  type: list
  elements: dict
  returned: success
  sample: [{port: Ethernet1, system_name: cmp1, chassis_id: "02:00:00:00:00:01", port_id: eth1, bridge: false}]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.switch_info import describe_ports
from ansible_collections.weft.fabric.plugins.module_utils.switch_module import PORTS_INFO, run_switch


def main():
    module = AnsibleModule(argument_spec=PORTS_INFO, supports_check_mode=True)
    run_switch(module, lambda: describe_ports(module.params["switch"], module.params["ports"]))


if __name__ == "__main__":
    main()
