# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_state
short_description: Derive where a bare-metal node stands, and what is to be done with it
version_added: 0.1.0
description:
  - Derives from what a node's BMC, switches and boot server say where it stands, which of that does not fit together,
    and which steps a verb has to take from there.
  - Runs on the controller only, and reads nothing by itself. Where a verb must not do anything, it fails and says why.
options:
  verb:
    description: What is to be done.
    type: str
    choices: [status, deploy, rebuild, delete, rescue, unrescue, inspect, adopt, power]
    required: true
  node:
    description: The node as P(weft.fabric.host_state#lookup) returns it for V(bare_metal).
    type: dict
    required: true
  bmc:
    description: What M(weft.fabric.bmc_info) returned for it.
    type: dict
    required: true
  switches:
    description: What M(weft.fabric.switch_ports_info) returned for each of its switches, as results of a loop.
    type: list
    elements: dict
    required: true
  boot:
    description: What M(weft.fabric.boot_files_info) returned for it.
    type: dict
    required: true
  force:
    description: Whether the verb is done where it would be refused, or where there is nothing to do.
    type: bool
    default: false
  power:
    description: With O(verb=power), what is to be reached.
    type: str
    choices: ["on", "off", restarted]
    default: "on"
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
attributes:
  action:
    description: Has a corresponding action plugin, so that it runs on the controller.
    support: full
author:
  - weft.fabric contributors (@weft-fabric)
seealso:
  - module: weft.fabric.node_scope
"""

EXAMPLES = r"""
- name: Find out where a node stands
  weft.fabric.node_state:
    verb: status
    node: "{{ lookup('weft.fabric.host_state', 'bare_metal') }}"
    bmc: "{{ bmc.nodes | first }}"
    switches: "{{ switches.results }}"
    boot: "{{ boot.nodes | first }}"
  register: state
"""

RETURN = r"""
standing:
  description: Where it stands.
  type: str
  returned: success
  sample: active
phase:
  description: The phase of the ramdisk that the steps lead through, if they do.
  type: str
  returned: success
  sample: deployment
steps:
  description: What is to be done, in order.
  type: list
  elements: str
  returned: success
  sample: []
resumed:
  description: What is to be done if its ramdisk is still there from an earlier run.
  type: list
  elements: str
  returned: success
  sample: []
softly:
  description: Whether its operating system is asked to power off first.
  type: bool
  returned: success
  sample: true
again:
  description:
    - The name of a writing that is done though the disk carries that image already, and which the disk bears then.
    - Empty where the disk is not written when it carries the image.
  type: str
  returned: success
  sample: ""
contradictions:
  description: What does not fit together, each with what to do about it.
  type: list
  elements: str
  returned: success
  sample: []
record:
  description: What the last run wrote down on the boot server.
  type: dict
  returned: success
  sample: {phase: tenant, server: 1b9f2a44-8ab7-5b0f-a1f1-5ea5e5c0f0c7, name: blue/db-1, image: "sha256:9f86d081884c"}
line:
  description: All of it in one line of a table.
  type: str
  returned: success
  sample: "n1  blue/db-1  power on  active  leaf1 Ethernet10: VLAN 120  boot local  image sha256:9f86d081884c"
"""
