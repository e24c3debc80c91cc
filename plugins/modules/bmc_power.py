#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bmc_power
short_description: Power nodes on and off through their BMCs, by IPMI or Redfish
version_added: 0.1.0
description:
  - Reads the power of all listed nodes, and changes that of those where it is not as it should be.
  - A change counts when the BMC tells the new state. That a node is off it has to tell twice, as some BMCs say so for
    a moment while a machine is reset.
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
    details: With O(nodes[].state=restarted) a node that is on is restarted each time.
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
      state:
        description:
          - The state to reach.
          - V(restarted) is off and then on, each of them read back. A node that is off is powered on.
        type: str
        choices: ["on", "off", restarted]
        required: true
      soft_timeout:
        description:
          - Seconds that the operating system has to power off by itself once it was asked to.
          - With V(0) it is not asked, and the power is cut at once.
        type: float
        default: 120.0
      hard:
        description:
          - Whether the power is cut when the operating system did not power off in time.
          - Otherwise that is an error, and the node stays on.
        type: bool
        default: true
      power_timeout:
        description: Seconds until the BMC must tell the new state after power was switched.
        type: float
        default: 60.0
seealso:
  - module: weft.fabric.bmc_boot_device
  - module: weft.fabric.bmc_info
"""

EXAMPLES = r"""
- name: Power two nodes off, give their systems a minute, and cut the power of whichever is still on
  weft.fabric.bmc_power:
    nodes:
      - name: node1
        bmc: {protocol: ipmi, address: 198.51.100.11, username: weft, password: "{{ vault_bmc_password }}"}
        state: "off"
        soft_timeout: 60
      - name: node2
        bmc:
          protocol: redfish
          address: 198.51.100.12
          username: weft
          password: "{{ vault_bmc_password }}"
          certificate_fingerprint: 3f9a0d5c7721b8e46a10c29e5483fb07dd6831ae924c0b75e61fa853c0972dbe
        state: "off"
        soft_timeout: 60
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, one text for each node.
  type: list
  elements: str
  returned: success or failure
  sample: ["node1: power on -> off"]
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
    state:
      description: Power that was told last, or would be reached in check mode.
      type: str
    forced:
      description: Whether power was cut because the operating system did not power off in time.
      type: bool
  sample:
    - name: node1
      error:
      changed: true
      changes: [power on -> off]
      commands: [soft off, power off]
      warnings: []
      before: "on"
      state: "off"
      forced: true
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.bmc_module import arguments, run_nodes
from ansible_collections.weft.fabric.plugins.module_utils.bmc_power import OPTIONS, task


def main():
    module = AnsibleModule(argument_spec=arguments(**OPTIONS), supports_check_mode=True)
    run_nodes(module, task(module.check_mode))


if __name__ == "__main__":
    main()
