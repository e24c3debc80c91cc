#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: root_device_info
short_description: Find out which disk of a node is meant by root device hints
version_added: 0.1.0
description:
  - Returns the one disk that the hints mean. When none is meant, or several are, it fails, and tells of each disk why.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
  - weft.fabric.root_device
options:
  hints:
    description: What the disk is known by. Without any, the node must have one disk only.
    type: dict
    default: {}
seealso:
  - module: weft.fabric.disk_image
  - module: weft.fabric.disk_info
"""

EXAMPLES = r"""
- name: Which disk would be written?
  weft.fabric.root_device_info:
    hints:
      rotational: false
      size: ">= 100 GiB"
      model: <or> fast one <or> faster one
  register: root
"""

RETURN = r"""
device:
  description: The disk.
  type: str
  returned: success
  sample: /dev/sda
candidates:
  description: All disks, each with the reasons for which it is not meant.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The disk.
      type: str
    why_not:
      description: Reasons. None for the disk that is meant.
      type: list
      elements: str
  sample:
    - {name: /dev/sda, why_not: []}
    - {name: /dev/sdb, why_not: ["serial is S2, not s== S1"]}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils import disk_hints, disk_list
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError


def main():
    module = AnsibleModule(argument_spec=dict(hints=dict(type="dict", default={})), supports_check_mode=True)
    hints = module.params["hints"]
    try:
        found = disk_list.disks(disk_list.Places())
        device = disk_hints.choose(hints, found)["name"]
    except FabricError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, device=device, candidates=disk_hints.candidates(hints, found))


if __name__ == "__main__":
    main()
