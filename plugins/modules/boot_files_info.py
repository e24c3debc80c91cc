#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_files_info
short_description: Read what nodes boot over the network, and what they have fetched
version_added: 0.1.0
description:
  - Returns what M(weft.fabric.boot_files) made, in the shape that module takes, and what was fetched since.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
options:
  names:
    description: Only these nodes.
    type: list
    elements: str
  secrets:
    description: Whether to return private keys and passwords too. Set C(no_log) on such a task.
    type: bool
    default: false
seealso:
  - module: weft.fabric.boot_files
  - module: weft.fabric.boot_servers_info
"""

EXAMPLES = r"""
- name: Look whether nodes have fetched their ramdisk
  weft.fabric.boot_files_info:
    names: [n1, n2]
  register: found

- name: Go on only with a node whose identity nobody else has
  ansible.builtin.assert:
    that: item.identity_fetches == 1
  loop: "{{ found.nodes }}"
  loop_control:
    label: "{{ item.name }}"
"""

RETURN = r"""
nodes:
  description:
    - The nodes, in the shape of O(weft.fabric.boot_files#module:nodes).
    - RV(nodes[].boot) is V(mixed) when a run was killed that changed it; the next run makes it whole.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Name of the node.
      type: str
      returned: success
    boot:
      description: What it boots.
      type: str
      returned: success
    server:
      description: Its boot server.
      type: str
      returned: success
    address:
      description: Its address.
      type: str
      returned: success
    mac_addresses:
      description: MAC addresses it may boot from.
      type: list
      elements: str
      returned: success
    kernel_arguments:
      description: Words for its kernel.
      type: list
      elements: str
      returned: success
    iscsi:
      description: The volume it boots from.
      type: dict
      returned: success
    record:
      description: What was written down of it.
      type: dict
      returned: success
    url:
      description: Where the boot server serves.
      type: str
      returned: success
    deployment:
      description: Random name of its deployment, when it boots the ramdisk.
      type: str
      returned: success
    host_key:
      description: Public key of the ramdisk's sshd, as C(known_hosts) has it after the host.
      type: str
      returned: success
    fetches:
      description:
        - What the node's address has fetched since the node was told what to boot.
        - The node's identity is named C(identity.cpio), and stands here whoever fetched it.
      type: list
      elements: dict
      returned: success
    identity_fetches:
      description: How often the identity was fetched. More than once means that somebody else has it too.
      type: int
      returned: success
    private_key:
      description: The key with which the ramdisk lets its deployer in.
      type: str
      returned: if O(secrets=true)
  sample:
    - name: n1
      boot: ramdisk
      server: 1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
      address: 10.66.100.11
      mac_addresses: ["52:54:00:11:22:33"]
      kernel_arguments: [console=ttyS0]
      iscsi: null
      url: http://10.66.100.2
      deployment: 5a0d0a6a2f0b4a3c8a8d6a1f2b3c4d5e
      host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
      fetches: [{time: "2026-01-01T00:00:00+00:00", address: 10.66.100.11, file: identity.cpio}]
      identity_fetches: 1
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.netboot_files_info import describe
from ansible_collections.weft.fabric.plugins.module_utils.netboot_paths import Paths
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_info


def main():
    module = AnsibleModule(
        argument_spec=dict(
            names=dict(type="list", elements="str"),
            secrets=dict(type="bool", default=False, no_log=False),
        ),
        supports_check_mode=True,
    )
    run_info(module, lambda: describe(module.params["names"], module.params["secrets"], Paths()))


if __name__ == "__main__":
    main()
