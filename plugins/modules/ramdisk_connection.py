# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ramdisk_connection
short_description: Lay the way into a bare-metal node's ramdisk, or remove it
version_added: 0.1.0
description:
  - Waits until the ramdisk of a node lets the deployer in, by SSH through the boot server, and returns what Ansible's
    own connection has to be told to get there too.
  - The ramdisk has to show the host key that was made for this deployment, and the deployer logs in with the key that
    was. Keys and configuration are in a directory of this user alone, which is there until it is removed. The next run
    removes those that killed runs have left.
  - Runs on the controller only. The boot server is reached as Ansible reaches it, with the same options.
options:
  state:
    description: Whether to lay the way, or to remove it.
    type: str
    choices: [present, absent]
    default: present
  node:
    description: Name of the node.
    type: str
  address:
    description: Its address on the network of its phase.
    type: str
  boot_server:
    description: The host of the inventory that is its boot server.
    type: str
  namespace:
    description: The network namespace there in which the node is reached.
    type: str
  host_key:
    description: Public host key of the ramdisk.
    type: str
  private_key:
    description: Private key of the deployer.
    type: str
  authorized_keys:
    description: Public keys that may log in as well.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds until somebody must be able to log in.
    type: float
    default: 600.0
  required:
    description: Whether it is an error when nobody can.
    type: bool
    default: true
  directory:
    description: With O(state=absent), the directory that was returned.
    type: path
  power_off:
    description: With O(state=absent), whether the ramdisk is told to power the node off.
    type: bool
    default: false
  relay:
    description: The program on the boot server that leads into the namespace.
    type: str
    default: /usr/libexec/weft-fabric-relay
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
  - module: weft.fabric.boot_files
"""

EXAMPLES = r"""
- name: Wait for a ramdisk
  weft.fabric.ramdisk_connection:
    node: n1
    address: 198.51.100.21
    boot_server: net1
    namespace: qboot-6f1a0f2e
    host_key: "{{ files.nodes[0].host_key }}"
    private_key: "{{ files.nodes[0].private_key }}"
  register: way

- name: Look around in it
  weft.fabric.hardware_info:
  vars:
    ansible_ssh_args: "{{ way.ssh_arguments }}"

- name: Remove the way
  weft.fabric.ramdisk_connection:
    state: absent
    directory: "{{ way.directory }}"
"""

RETURN = r"""
reached:
  description: Whether somebody can log in.
  type: bool
  returned: when O(state=present)
  sample: true
seconds:
  description: How long that took.
  type: float
  returned: when O(state=present)
  sample: 21.4
directory:
  description: The directory with keys and configuration.
  type: str
  returned: when O(state=present)
  sample: /tmp/weft-ssh-4711-abcdefgh
ssh_arguments:
  description: What ssh has to be given to get there; for the variable C(ansible_ssh_args).
  type: str
  returned: when it was reached
  sample: -F /tmp/weft-ssh-4711-abcdefgh/config
problem:
  description: What happened at the last attempt.
  type: str
  returned: when it was not reached
  sample: "ssh: connect to host 198.51.100.21 port 22: Connection timed out"
"""
