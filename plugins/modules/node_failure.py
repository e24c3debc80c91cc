# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_failure
short_description: Tell what went wrong with a bare-metal node, and fail
version_added: 0.1.0
description:
  - Fails with one text that names the node, what was being done, the cause, how the node was left, and what to do.
  - Runs on the controller only.
options:
  node:
    description: The node as P(weft.fabric.host_state#lookup) returns it for V(bare_metal).
    type: dict
    required: true
  verb:
    description: The verb of which this is a part.
    type: str
    required: true
  task:
    description: Name of the task that failed.
    type: str
    required: true
  message:
    description: What it said.
    type: str
    required: true
  fetches:
    description:
      - What the node has fetched from the boot server, as M(weft.fabric.boot_files_info) returns it.
      - Where the ramdisk was waited for in vain, this tells how far the node came.
    type: list
    elements: dict
  power:
    description: What its BMC said in the end.
    type: str
    default: unknown
  in_tenant:
    description: Whether its ports are in its server's networks, or some of them may be.
    type: bool
    default: false
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
  - module: weft.fabric.node_state
"""

EXAMPLES = r"""
- name: Tell what went wrong
  weft.fabric.node_failure:
    node: "{{ lookup('weft.fabric.host_state', 'bare_metal') }}"
    verb: deploy
    task: "{{ ansible_failed_task.name }}"
    message: "{{ ansible_failed_result.msg }}"
    power: "off"
"""

RETURN = r"""
msg:
  description: The text.
  type: str
  returned: always
  sample: "n1: write its image failed: nothing came for 60 s. It is off, and in no network of a tenant."
"""
