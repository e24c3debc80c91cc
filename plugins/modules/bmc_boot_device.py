#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bmc_boot_device
short_description: Say from what nodes boot, through their BMCs, by IPMI or Redfish
version_added: 0.1.0
description:
  - Reads the boot device of all listed nodes, and sets it where it is not as it should be.
  - What was set is read back. Some BMCs accept a boot device and do not store it, which is an error.
  - Nodes are worked on at the same time. No command is sent to one that is as it should be.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
  - weft.fabric.attributes.controller
  - weft.fabric.bmc
attributes:
  idempotent:
    support: partial
    details:
      - A device that is for one boot only is gone after that boot, and is set again then.
      - With O(nodes[].verify=warn), a BMC that does not tell its boot device is told it each time.
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
      device:
        description:
          - What to boot from. V(bios) is the setup of the firmware, V(http) is UEFI's boot over HTTP.
          - V(none) leaves it to the order that the firmware has.
          - IPMI has no V(http).
        type: str
        choices: [bios, cdrom, disk, http, none, pxe, usb]
        required: true
      persistent:
        description: Whether this is for all boots, and not for the next one only.
        type: bool
        default: false
      boot_mode:
        description:
          - Whether to boot by UEFI, or as a BIOS does.
          - When not given, it is left as it is. IPMI cannot say that, so that what was told last is said again, and
            V(bios) when nothing was. It is better given.
        type: str
        choices: [bios, uefi]
      http_boot_uri:
        description:
          - What to load with O(nodes[].device=http) (Redfish).
          - What DHCP says when not given.
        type: str
      verify:
        description:
          - What to do when the BMC does not tell the device that it was given.
          - With V(warn), a warning is all there is. It is for BMCs that are known to boot right all the same.
        type: str
        choices: [strict, warn]
        default: strict
seealso:
  - module: weft.fabric.bmc_power
  - module: weft.fabric.bmc_info
"""

EXAMPLES = r"""
- name: Boot a node from the network, once
  weft.fabric.bmc_boot_device:
    nodes:
      - name: node1
        bmc: {protocol: ipmi, address: 198.51.100.11, username: weft, password: "{{ vault_bmc_password }}"}
        device: pxe
        boot_mode: uefi

- name: Boot it from its disk from now on
  weft.fabric.bmc_boot_device:
    nodes:
      - name: node1
        bmc: {protocol: ipmi, address: 198.51.100.11, username: weft, password: "{{ vault_bmc_password }}"}
        device: disk
        persistent: true
        boot_mode: uefi
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, one text for each node.
  type: list
  elements: str
  returned: success or failure
  sample: ["node1: boot device none -> pxe once uefi"]
changes_total:
  description: Number of nodes that were changed.
  type: int
  returned: success or failure
  sample: 1
changes_digest:
  description: SHA-256 of all changes, the same in check mode and for real.
  type: str
  returned: success or failure
  sample: 86f11a07c08528dd5d12d6113b3181ea40e282d5b9fec2a6c9a1a904cac08657
nodes:
  description: What became of each node, in the order in which they were listed; also returned on failure.
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
    changed:
      description: Whether it was changed. Where something went wrong, whether it may have been.
      type: bool
    changes:
      description: What was changed, or would be in check mode.
      type: list
      elements: str
    commands:
      description: Commands that change something, in the order in which they were sent to the BMC. None in check mode.
      type: list
      elements: str
    warnings:
      description: What was not as it should be, though it was no failure.
      type: list
      elements: str
    before:
      description: What was found.
      type: str
    device:
      description: Boot device that was told last, or would be set in check mode. None when the BMC does not tell.
      type: str
    persistent:
      description: Whether it is for all boots.
      type: bool
    boot_mode:
      description: How it boots, where that is told.
      type: str
    http_boot_uri:
      description: What is loaded over HTTP, where that is told.
      type: str
  sample:
    - name: node1
      error:
      changed: true
      changes: [boot device none -> pxe once uefi]
      commands: [boot device pxe once uefi]
      warnings: []
      before: none
      device: pxe
      persistent: false
      boot_mode: uefi
      http_boot_uri:
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.bmc_boot_device import OPTIONS, task
from ansible_collections.weft.fabric.plugins.module_utils.bmc_module import arguments, run_nodes


def main():
    module = AnsibleModule(argument_spec=arguments(**OPTIONS), supports_check_mode=True)
    run_nodes(module, task(module.check_mode))


if __name__ == "__main__":
    main()
