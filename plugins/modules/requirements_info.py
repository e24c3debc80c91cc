#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: requirements_info
short_description: Tell what a host lacks before it can join the fabric
version_added: 0.1.0
description:
  - Looks for the programs that the other modules call and tells which packages bring them.
  - Compares the MTU of the underlay interface with what the topology says, so that tunnels do not
    drop full-sized frames silently.
  - Reads only. A host that can't work is an error here, before anything is changed.
options:
  programs:
    description:
      - Programs that must be there.
    type: list
    elements: str
    choices:
      - arping
      - conntrack
      - conntrackd
      - dnsmasq
      - ip
      - ipxe
      - iscsi-ls
      - keepalived
      - nft
      - nginx
      - ovs-ofctl
      - ovs-vsctl
      - ovsdb-client
      - ping
      - radvd
      - ssh-keygen
      - zstd
    required: true
  interfaces:
    description:
      - Interfaces that must exist, with the least MTU each must have.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the interface.
        type: str
        required: true
      mtu:
        description: Least MTU of the interface, in bytes.
        type: int
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
author:
  - weft.fabric contributors (@weft-fabric)
seealso:
  - module: weft.fabric.ovs_bridges
"""

EXAMPLES = r"""
- name: See what is missing for a network node
  weft.fabric.requirements_info:
    programs: [ip, ovs-vsctl, ovs-ofctl, dnsmasq]
    interfaces:
      - name: eth1
        mtu: 1550
"""

RETURN = r"""
missing_programs:
  description: Programs that were not found.
  returned: success
  type: list
  elements: str
  sample: [ovs-vsctl]
packages:
  description: Packages that bring the missing programs on this distribution.
  returned: success
  type: list
  elements: str
  sample: [openvswitch-switch]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_info
from ansible_collections.weft.fabric.plugins.module_utils.requirements import PACKAGES, missing_packages


def main():
    module = AnsibleModule(
        argument_spec={
            "programs": {"type": "list", "elements": "str", "choices": sorted(PACKAGES), "required": True},
            "interfaces": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"name": {"type": "str", "required": True}, "mtu": {"type": "int"}},
            },
        },
        supports_check_mode=True,
    )

    def read():
        missing, packages = missing_packages(module, module.params["programs"], module.params["interfaces"])
        return {"missing_programs": missing, "packages": packages}

    run_info(module, read)


if __name__ == "__main__":
    main()
