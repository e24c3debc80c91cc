#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_image
short_description: Write an image to a disk of a node, as it comes over the network
version_added: 0.1.0
description:
  - Loads an image over HTTP, unpacks it on the way, and writes it to the disk that the hints mean. All of this
    happens at the same time, and nothing is stored in between.
  - Then the partition table is fitted to the disk, the last partition of the image is grown, and a config drive is
    added at the end.
  - The partition table is written last, after the checksum was compared. Whatever goes wrong before, nothing boots.
  - The config drive carries a mark that tells image and server. A disk that has the right one is not written again.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
  - weft.fabric.root_device
options:
  root_device:
    description: Hints for the disk that is written. Without any, the node must have one disk only.
    type: dict
    default: {}
  image:
    description: The image of a whole disk.
    type: dict
    required: true
    suboptions:
      url:
        description: Where it is, with C(http://) or C(https://).
        type: str
        required: true
      checksum:
        description: Of the file as it is served, C(sha256:) and 64 hexadecimal digits, or C(sha512:) and 128.
        type: str
        required: true
      format:
        description: V(qcow2) must fit into the node's memory. All others are written as they come.
        type: str
        choices: [raw, raw.gz, raw.zst, qcow2]
        required: true
      size:
        description: Bytes when it is unpacked, if that is known. Nothing is written when the disk is smaller.
        type: int
      name:
        description: What it is called elsewhere. Of no consequence here.
        type: str
  server_id:
    description: Which server the disk is for.
    type: str
    required: true
  deployment:
    description:
      - A name for this deployment, which is stored in the mark.
      - With another one than the last time, the image is written again, though image and server are the same.
      - Without one, what was written under any name, or under none, is not written again.
    type: str
  config_drive:
    description:
      - What the server reads at its first boot, as OpenStack has it, in a partition with the label C(config-2).
      - Without it, there is only a partition with the mark.
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
  exported_size:
    description:
      - Bytes of the image, if M(weft.fabric.iscsi_image) has written it to the disk that M(weft.fabric.disk_export) has
        exported. Nothing is loaded then, and what follows the image is done.
    type: int
  grow:
    description:
      - Whether to let the image's last partition reach to the end of the disk, and its file system where that is ext4.
      - Other file systems grow when they are mounted first, by cloud-init.
    type: bool
    default: true
  boot_mode:
    description: With V(uefi) the firmware gets a boot entry for the disk, the first one. Others stay as they are.
    type: str
    choices: [bios, uefi]
    default: bios
  discard:
    description: Whether to tell the disk first that all its old content is of no use any more, if it can be told so.
    type: bool
    default: true
  minimum_size:
    description: The least bytes that the file must have. Smaller ones are no images, but what a server sends instead.
    type: int
    default: 1048576
  stall_timeout:
    description: For how many seconds the server may send nothing to speak of (less than 64 KiB), over all attempts.
    type: float
    default: 60.0
  timeout:
    description:
      - Seconds for all of it, and for waiting for an earlier run that still writes the disk, though its playbook ended.
    type: float
    default: 3600.0
  validate_certs:
    description: Whether a server's certificate must be one that the node trusts. The checksum is compared in any case.
    type: bool
    default: true
seealso:
  - module: weft.fabric.disk_clean
  - module: weft.fabric.disk_export
  - module: weft.fabric.disk_info
"""

EXAMPLES = r"""
- name: Write an image
  weft.fabric.disk_image:
    root_device: {serial: s== weft-n1-a}
    image:
      url: http://10.66.100.2/images/2f1a.raw.zst
      checksum: sha256:0f3bbf2e0b1c7b5d6e3a4f5968778695a4b3c2d1e0f00112233445566778899aa
      format: raw.zst
    server_id: 5d0a8f3e-0f3c-4f0e-9a53-0d6b3f6f0c11
    config_drive:
      meta_data: {uuid: 5d0a8f3e-0f3c-4f0e-9a53-0d6b3f6f0c11, hostname: db-1}
      user_data: "{{ vault_user_data }}"
    boot_mode: uefi
"""

RETURN = r"""
device:
  description: The disk that was meant.
  type: str
  returned: success
  sample: /dev/vda
changes:
  description: What was changed, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample:
    - "/dev/vda: image sha256:0f3bbf2e0b1c7b5d6e3a4f5968778695a4b3c2d1e0f00112233445566778899aa written"
    - "/dev/vda: config drive of server 5d0a8f3e-0f3c-4f0e-9a53-0d6b3f6f0c11 written"
changes_total:
  description: Number of changes.
  type: int
  returned: success
  sample: 2
changes_digest:
  description: SHA-256 of all changes, the same in check mode and for real.
  type: str
  returned: success
  sample: 86f11a07c08528dd5d12d6113b3181ea40e282d5b9fec2a6c9a1a904cac08657
bytes:
  description: Bytes of the file that was loaded. 0 when none was.
  type: int
  returned: success
  sample: 18874368
size:
  description: Bytes of the image when it is unpacked.
  type: int
  returned: success
  sample: 100663296
written:
  description: Bytes that were sent to the disk. Less than O(ignore:size) where the disk can make zeros itself.
  type: int
  returned: success
  sample: 61865984
seconds:
  description: How long loading and writing took, with what a disk needs to keep it without power.
  type: float
  returned: success
  sample: 7.1
rate:
  description: Bytes of the unpacked image per second.
  type: int
  returned: success
  sample: 14178000
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.disk_module import CONFIG_DRIVE, run_module
from ansible_collections.weft.fabric.plugins.module_utils.image_formats import FORMATS
from ansible_collections.weft.fabric.plugins.module_utils.image_write import ImageWriter

IMAGE = dict(
    url=dict(type="str", required=True),
    checksum=dict(type="str", required=True),
    format=dict(type="str", choices=list(FORMATS), required=True),
    size=dict(type="int"),
    name=dict(type="str"),
)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            root_device=dict(type="dict", default={}),
            image=dict(type="dict", required=True, options=IMAGE),
            server_id=dict(type="str", required=True),
            deployment=dict(type="str"),
            config_drive=dict(type="dict", options=CONFIG_DRIVE),
            exported_size=dict(type="int"),
            grow=dict(type="bool", default=True),
            boot_mode=dict(type="str", choices=["bios", "uefi"], default="bios"),
            discard=dict(type="bool", default=True),
            minimum_size=dict(type="int", default=1 << 20),
            stall_timeout=dict(type="float", default=60.0),
            timeout=dict(type="float", default=3600.0),
            validate_certs=dict(type="bool", default=True),
        ),
        supports_check_mode=True,
    )
    run_module(module, ImageWriter, ("image", "root_device", "server_id"))


if __name__ == "__main__":
    main()
