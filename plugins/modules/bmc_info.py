#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bmc_info
short_description: Read power and boot device of nodes from their BMCs, by IPMI or Redfish
version_added: 0.1.0
description:
  - Returns, for each node, what M(weft.fabric.bmc_power) and M(weft.fabric.bmc_boot_device) take, under the same names.
  - Reads only what is cheap to read, in one session for each BMC.
  - When a BMC fails, the module does too, but what the others told is in its result all the same.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
  - weft.fabric.attributes.controller
  - weft.fabric.bmc
options:
  nodes:
    description:
      - The nodes, each listed once. What goes wrong with one of them does not stop the others.
      - When something went wrong, the module fails at the end, and names all nodes it went wrong with.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the node in results and messages.
        type: str
        required: true
      bmc:
        description:
          - The node's BMC, and how it is reached. There is one session with it at a time, and one per node and call.
          - One attempt is made to log in with a password, so that a wrong one locks no account.
        type: dict
        required: true
        suboptions:
          protocol:
            description: What it is spoken to in. IPMI is version 2.0, over LAN.
            type: str
            choices: [ipmi, redfish]
            required: true
          address:
            description: IP address or name of the BMC.
            type: str
            required: true
          port:
            description: Its port. 623 for IPMI and 443 for Redfish when not given.
            type: int
          username:
            description: User to log in as.
            type: str
            required: true
          password:
            description: Password of the user.
            type: str
            required: true
          kg:
            description: Key of the BMC, where it has one besides the passwords (IPMI).
            type: str
          privilege:
            description: What the session may do (IPMI). Nothing here needs more than V(operator).
            type: str
            choices: [operator, administrator]
            default: operator
          system:
            description: Which computer system the node is, where a BMC has several, by identifier or path (Redfish).
            type: str
          validate_certs:
            description:
              - Whether its certificate must be one that this machine trusts (Redfish).
              - O(nodes[].bmc.certificate_fingerprint) is the better way for certificates that nobody has signed.
            type: bool
            default: true
          certificate_fingerprint:
            description:
              - SHA-256 fingerprint of its certificate, with or without colons (Redfish).
              - With it the certificate must be that one, whoever has signed it. Nothing is sent before.
            type: str
          connect_timeout:
            description: Seconds until the session must stand.
            type: float
            default: 10.0
          timeout:
            description: Seconds until a request must be answered.
            type: float
            default: 30.0
          retry_timeout:
            description:
              - For how many seconds to try again when the BMC says that it is busy, or has no session left.
              - Nothing else is tried again, wrong credentials least of all.
            type: float
            default: 60.0
          lock_timeout:
            description: Seconds to wait for other runs of this user on this machine that are at the same BMC.
            type: float
            default: 120.0
seealso:
  - module: weft.fabric.bmc_power
  - module: weft.fabric.bmc_boot_device
"""

EXAMPLES = r"""
- name: Look at a node
  weft.fabric.bmc_info:
    nodes:
      - name: node1
        bmc: {protocol: ipmi, address: 198.51.100.11, username: weft, password: "{{ vault_bmc_password }}"}
  register: found

- name: Show it
  ansible.builtin.debug:
    msg: "{{ item.name }}: power {{ item.state }}, boots from {{ item.device }}"
  loop: "{{ found.nodes }}"
"""

RETURN = r"""
nodes:
  description: What each BMC tells, in the order in which the nodes were listed; also returned on failure.
  type: list
  elements: dict
  returned: success or failure
  contains:
    name:
      description: Name of the node.
      type: str
    error:
      description: What went wrong with it, if anything did.
      type: str
    warnings:
      description: What the BMC cannot tell.
      type: list
      elements: str
    state:
      description: Power, V(on) or V(off); with Redfish also V(starting) and V(stopping).
      type: str
    device:
      description: Boot device. V(none) is the order that the firmware has. None when the BMC does not tell.
      type: str
    persistent:
      description: Whether the device is for all boots.
      type: bool
    boot_mode:
      description: V(uefi) or V(bios), where that is told.
      type: str
    http_boot_uri:
      description: What is loaded over HTTP, where that is told.
      type: str
    identity:
      description: What the machine says that it is, as far as it does. With IPMI, numbers for makers and products.
      type: dict
  sample:
    - name: node1
      error:
      warnings: []
      state: "on"
      device: disk
      persistent: true
      boot_mode: uefi
      http_boot_uri:
      identity: {manufacturer: Contoso, model: R1, serial_number: "0042", firmware: 1.7.2}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.bmc_module import arguments, run_nodes
from ansible_collections.weft.fabric.plugins.module_utils.bmc_read import task


def main():
    module = AnsibleModule(argument_spec=arguments(), supports_check_mode=True)
    run_nodes(module, task)


if __name__ == "__main__":
    main()
