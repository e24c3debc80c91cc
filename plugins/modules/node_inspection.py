# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_inspection
short_description: Compare what a bare-metal node is made of with the topology
version_added: 0.1.0
description:
  - Compares what M(weft.fabric.hardware_info) found in a node, and whom it heard by LLDP, with what the topology says.
  - Proposes what the topology could say. Writes nothing.
  - Runs on the controller only.
options:
  node:
    description: The node as P(weft.fabric.host_state#lookup) returns it for V(bare_metal).
    type: dict
    required: true
  hardware:
    description: What M(weft.fabric.hardware_info) returned in its ramdisk.
    type: dict
    required: true
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
  - module: weft.fabric.hardware_info
"""

EXAMPLES = r"""
- name: Compare
  weft.fabric.node_inspection:
    node: "{{ lookup('weft.fabric.host_state', 'bare_metal') }}"
    hardware: "{{ hardware }}"
"""

RETURN = r"""
differences:
  description: What is not as the topology says.
  type: list
  elements: str
  returned: success
  sample: ["nic0: LLDP hears leaf2 Ethernet7, and the topology says leaf1 Ethernet10: recabled?"]
proposal:
  description: What could stand below C(nodes).
  type: dict
  returned: success
  sample: {n1: {boot_mode: uefi, nics: {}, properties: {cpus: 32}, root_device: {serial: 0042}}}
"""
