#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_files
short_description: Say what nodes boot over the network
version_added: 0.1.0
description:
  - Says what nodes of a boot server on this host boot next time they ask it. No daemon is restarted for that.
  - A node that boots the ramdisk gets a deployment, which is two pairs of keys. With the one it lets its deployer in,
    by the other it is known to be the node. What it needs of them lies where only its address finds it, and only who
    knows a random name. All else of them is for root.
  - A node that boots anything else has no deployment. Its keys are removed.
  - Nobody can be kept from taking the address of a node on a network that both are on. But what was fetched is counted,
    and an identity that was fetched twice is known to somebody else. Do not go on with such a node, and renew its keys.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
requirements:
  - ssh-keygen
options:
  nodes:
    description: The nodes, each listed once. Others stay as they are.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the node.
        type: str
        required: true
      boot:
        description:
          - What it boots. V(local) is its disk, V(ramdisk) the deploy ramdisk, V(iscsi) a volume.
          - V(absent) removes all there is of it. Its firmware then goes on with the next boot device.
        type: str
        choices: [local, ramdisk, iscsi, absent]
        required: true
      server:
        description: Name of its boot server on this host. Required unless it is to be absent.
        type: str
      address:
        description: Its address on the network of the boot server. Required unless it is to be absent.
        type: str
      mac_addresses:
        description:
          - MAC addresses of the NICs it may boot from; the first is in the identity.
          - Required unless it is to be absent.
        type: list
        elements: str
      kernel_arguments:
        description: Words for the kernel of the ramdisk. C(BOOTIF) and C(initrd) are told anyway.
        type: list
        elements: str
        default: []
      iscsi:
        description: The volume. Required if O(nodes[].boot=iscsi).
        type: dict
        suboptions:
          portal:
            description: IPv4 address of the target.
            type: str
            required: true
          port:
            description: Its TCP port.
            type: int
            default: 3260
          lun:
            description: Number of the logical unit.
            type: int
            default: 0
          target:
            description: Name of the target.
            type: str
            required: true
          initiator:
            description: Name the node gives itself.
            type: str
            required: true
          username:
            description: User name for CHAP.
            type: str
          password:
            description: Secret for CHAP. It stands in a file that only the node's address gets.
            type: str
      renew:
        description: Whether a node that boots the ramdisk gets a new deployment in any case.
        type: bool
        default: false
      record:
        description:
          - What the caller wants to find here again, as M(weft.fabric.boot_files_info) returns it. Nothing here is made
            of it.
          - What was written down before stays when not given, and goes with the node.
        type: dict
seealso:
  - module: weft.fabric.boot_files_info
  - module: weft.fabric.boot_servers
notes:
  - The result holds private keys, so set C(no_log) on the task.
"""

EXAMPLES = r"""
- name: Let a node boot the deploy ramdisk
  weft.fabric.boot_files:
    nodes:
      - name: n1
        boot: ramdisk
        server: 1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
        address: 10.66.100.11
        mac_addresses: ["52:54:00:11:22:33"]
        kernel_arguments: [console=ttyS0]
  register: booted
  no_log: true

- name: Let it boot from its disk
  weft.fabric.boot_files:
    nodes:
      - name: n1
        boot: local
        server: 1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
        address: 10.66.100.11
        mac_addresses: ["52:54:00:11:22:33"]
"""

RETURN = r"""
nodes:
  description:
    - The nodes, in the order given, as M(weft.fabric.boot_files_info) returns them with secrets.
    - In check mode a deployment that is not there yet has no keys.
  type: list
  elements: dict
  returned: success
  sample:
    - name: n1
      boot: ramdisk
      url: http://10.66.100.2
      deployment: 5a0d0a6a2f0b4a3c8a8d6a1f2b3c4d5e
      private_key: VALUE_SPECIFIED_IN_NO_LOG_PARAMETER
      host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
      fetches: [{time: "2026-01-01T00:00:00+00:00", address: 10.66.100.11, file: identity.cpio}]
      identity_fetches: 1
changes:
  description: What was changed, or would be in check mode, one text for each operation; at most 1000.
  type: list
  elements: str
  returned: success
  sample: ["let node n1 boot the ramdisk"]
changes_total:
  description: Number of operations.
  type: int
  returned: success
  sample: 1
changes_digest:
  description: SHA-256 of all operations, the same in check mode and for real.
  type: str
  returned: success
  sample: 86f11a07c08528dd5d12d6113b3181ea40e282d5b9fec2a6c9a1a904cac08657
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.netboot_files import BootFilesEngine
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_module

ISCSI = dict(
    portal=dict(type="str", required=True),
    port=dict(type="int", default=3260),
    lun=dict(type="int", default=0),
    target=dict(type="str", required=True),
    initiator=dict(type="str", required=True),
    username=dict(type="str"),
    password=dict(type="str", no_log=True),
)

NODE = dict(
    name=dict(type="str", required=True),
    boot=dict(type="str", choices=["local", "ramdisk", "iscsi", "absent"], required=True),
    server=dict(type="str"),
    address=dict(type="str"),
    mac_addresses=dict(type="list", elements="str"),
    kernel_arguments=dict(type="list", elements="str", default=[]),
    iscsi=dict(type="dict", options=ISCSI, required_together=[("username", "password")]),
    renew=dict(type="bool", default=False),
    record=dict(type="dict"),
)

PLACE = ("server", "address", "mac_addresses")


def main():
    module = AnsibleModule(
        argument_spec=dict(
            nodes=dict(
                type="list",
                elements="dict",
                required=True,
                options=NODE,
                required_if=[
                    ("boot", "local", PLACE),
                    ("boot", "ramdisk", PLACE),
                    ("boot", "iscsi", (*PLACE, "iscsi")),
                ],
            ),
        ),
        supports_check_mode=True,
    )
    run_module(module, BootFilesEngine)


if __name__ == "__main__":
    main()
