#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_export
short_description: Export a disk of a node by iSCSI, so that the boot server writes an image to it
version_added: 0.1.0
description:
  - Runs in the deploy ramdisk. It looks whether the disk that the hints mean has the image already. If not, it exports
    the disk to one initiator, which has to know the password.
  - M(weft.fabric.iscsi_image) then writes the image from the boot server, and M(weft.fabric.disk_image) with
    O(weft.fabric.disk_image#module:exported_size) takes the disk back and finishes it.
  - The beginning of the image goes to memory, and comes to the disk last. Nothing boots from a disk that is not done.
  - An export that an earlier run has left is ended first, whoever uses it.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
  - weft.fabric.root_device
attributes:
  diff_mode:
    support: none
  idempotent:
    support: partial
    details: A disk that has the image is not exported. One that has not is exported anew each time.
requirements:
  - tgtd
options:
  root_device:
    description: Hints for the disk. Without any, the node must have one disk only.
    type: dict
    default: {}
  image:
    description: The image that is to be written.
    type: dict
    required: true
    suboptions:
      checksum:
        description: Of the file as it is served, C(sha256:) and 64 hexadecimal digits, or C(sha512:) and 128.
        type: str
        required: true
      size:
        description: Bytes when it is unpacked, if that is known. Nothing is exported when the disk is smaller.
        type: int
  server_id:
    description: Which server the disk is for.
    type: str
    required: true
  deployment:
    description: As M(weft.fabric.disk_image) takes it.
    type: str
  config_drive:
    description: As M(weft.fabric.disk_image) takes it. It decides how much place there has to be.
    type: dict
    suboptions:
      meta_data:
        description: The file C(meta_data.json).
        type: dict
      network_data:
        description: The file C(network_data.json).
        type: dict
      user_data:
        description: The file C(user_data).
        type: str
      vendor_data:
        description: The file C(vendor_data.json).
        type: dict
  boot_mode:
    description: As M(weft.fabric.disk_image) takes it.
    type: str
    choices: [bios, uefi]
    default: bios
  address:
    description: The node's address, on which it listens.
    type: str
    required: true
  port:
    description: TCP port.
    type: int
    default: 3260
  initiator_address:
    description: The only address that may log in.
    type: str
    required: true
  username:
    description: User name for CHAP.
    type: str
    required: true
  password:
    description: Secret for CHAP. Make one for each deployment.
    type: str
    required: true
  timeout:
    description: Seconds to wait for an earlier run that still writes the disk, though its playbook ended.
    type: float
    default: 3600.0
seealso:
  - module: weft.fabric.iscsi_image
  - module: weft.fabric.disk_image
"""

EXAMPLES = r"""
- name: Have the disk written by the boot server
  weft.fabric.disk_export:
    root_device: {serial: s== weft-n1-a}
    image: {checksum: sha256:0f3bbf2e0b1c7b5d6e3a4f5968778695a4b3c2d1e0f00112233445566778899aa}
    server_id: 5d0a8f3e-0f3c-4f0e-9a53-0d6b3f6f0c11
    address: 10.66.100.11
    initiator_address: 10.66.100.2
    username: weft
    password: "{{ one_time_password }}"
"""

RETURN = r"""
device:
  description: The disk that was meant.
  type: str
  returned: success
  sample: /dev/vda
needed:
  description: Whether the image is to be written, and the disk was exported for that.
  type: bool
  returned: success
  sample: true
port:
  description: TCP port.
  type: int
  returned: success
  sample: 3260
changes:
  description: What was changed, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: ["/dev/vda: exported to 10.66.100.2"]
changes_total:
  description: Number of changes.
  type: int
  returned: success
  sample: 1
changes_digest:
  description: SHA-256 of all changes, the same in check mode and for real.
  type: str
  returned: success
  sample: 86f11a07c08528dd5d12d6113b3181ea40e282d5b9fec2a6c9a1a904cac08657
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.disk_module import CONFIG_DRIVE, run_module
from ansible_collections.weft.fabric.plugins.module_utils.image_export import DiskExporter

IMAGE = dict(
    checksum=dict(type="str", required=True),
    size=dict(type="int"),
)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            root_device=dict(type="dict", default={}),
            image=dict(type="dict", required=True, options=IMAGE),
            server_id=dict(type="str", required=True),
            deployment=dict(type="str"),
            config_drive=dict(type="dict", options=CONFIG_DRIVE),
            boot_mode=dict(type="str", choices=["bios", "uefi"], default="bios"),
            address=dict(type="str", required=True),
            port=dict(type="int", default=3260),
            initiator_address=dict(type="str", required=True),
            username=dict(type="str", required=True),
            password=dict(type="str", required=True, no_log=True),
            timeout=dict(type="float", default=3600.0),
        ),
        supports_check_mode=True,
    )
    run_module(module, DiskExporter, ("image", "root_device", "server_id", "address", "initiator_address"))


if __name__ == "__main__":
    main()
