#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_info
short_description: Read what is on the disks of a node
version_added: 0.1.0
description:
  - Returns all disks with what they are known by, their partitions, and the mark that M(weft.fabric.disk_image) left.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
  - weft.fabric.root_device
options:
  root_device:
    description: Hints for the root device. With them, the module also returns which one it is, and its mark.
    type: dict
seealso:
  - module: weft.fabric.disk_image
  - module: weft.fabric.disk_clean
  - module: weft.fabric.root_device_info
"""

EXAMPLES = r"""
- name: See what is on the disks
  weft.fabric.disk_info:
    root_device: {serial: s== weft-n1-a}
  register: found

- name: Show it
  ansible.builtin.debug:
    msg: "{{ found.device }} has the image of server {{ found.mark.server | default('nobody') }}"
"""

RETURN = r"""
device:
  description: The disk that the hints mean, if there are hints and they mean one.
  type: str
  returned: success
  sample: /dev/vda
mark:
  description: The mark on that disk, if there is one. It is there when everything else was written, and not before.
  type: dict
  returned: success
  contains:
    image:
      description: Checksum of the image's file.
      type: str
    server:
      description: Which server the disk was written for.
      type: str
    deployment:
      description: Name of the deployment, if it was given one.
      type: str
  sample:
    image: sha256:0f3bbf2e0b1c7b5d6e3a4f5968778695a4b3c2d1e0f00112233445566778899aa
    server: 5d0a8f3e-0f3c-4f0e-9a53-0d6b3f6f0c11
    deployment:
problem:
  description: Why the hints do not mean one disk, if they do not.
  type: str
  returned: success
disks:
  description: All disks.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The disk.
      type: str
    size:
      description: Its bytes.
      type: int
    sector_size:
      description: Bytes of a sector.
      type: int
    model:
      description: Model.
      type: str
    vendor:
      description: Vendor.
      type: str
    serial:
      description: Serial number.
      type: str
    wwn:
      description: World wide name.
      type: str
    by_path:
      description: Its names by the place where it is plugged in.
      type: list
      elements: str
    rotational:
      description: Whether it turns.
      type: bool
    removable:
      description: Whether it is made to be taken out.
      type: bool
    read_only:
      description: Whether it cannot be written.
      type: bool
    table:
      description: The kind of its partition table, V(gpt) or V(dos), if it has one.
      type: str
    partitions:
      description: Its partitions, with number, start and size in bytes, type, name and what can be recognised in them.
      type: list
      elements: dict
    mark:
      description: The mark on it, as above.
      type: dict
    signatures:
      description: What can be recognised at its beginning.
      type: list
      elements: str
    clean:
      description: Whether its first and its last MiB are all zeros. None if it could not be read.
      type: bool
    error:
      description: Why it could not be read, if it could not.
      type: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils import disk_reading
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError


def main():
    module = AnsibleModule(argument_spec=dict(root_device=dict(type="dict")), supports_check_mode=True)
    try:
        found = disk_reading.read(module.params["root_device"])
    except FabricError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
