#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: iscsi_image
short_description: Write an image to the disk that a node has exported by iSCSI
version_added: 0.1.0
description:
  - Runs on the boot server. It reads a file, unpacks it on the way, and writes it to the disk that
    M(weft.fabric.disk_export) has exported. All of this happens at the same time, and nothing is stored in between.
  - The checksum is computed on the way. Only when it was right, the beginning of the image is sent.
    M(weft.fabric.disk_image) with O(weft.fabric.disk_image#module:exported_size) then puts that in its place.
  - The protocol is spoken by libiscsi. The kernel needs no iSCSI, and there is no session that could be left behind.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
attributes:
  diff_mode:
    support: none
  idempotent:
    support: none
    details: It writes each time. M(weft.fabric.disk_export) tells whether that is needed.
requirements:
  - libiscsi
  - zstd, for images that it has packed
options:
  image:
    description: The image of a whole disk.
    type: dict
    required: true
    suboptions:
      path:
        description: The file.
        type: path
        required: true
      checksum:
        description: Of the file, C(sha256:) and 64 hexadecimal digits, or C(sha512:) and 128.
        type: str
        required: true
      format:
        description: What the file is.
        type: str
        choices: [raw, raw.gz, raw.zst]
        required: true
      size:
        description: Bytes when it is unpacked, if that is known. Nothing is written when the disk is smaller.
        type: int
  address:
    description: Where the target listens.
    type: str
    required: true
  port:
    description: Its TCP port.
    type: int
    default: 3260
  username:
    description: User name for CHAP.
    type: str
    required: true
  password:
    description: Secret for CHAP.
    type: str
    required: true
  namespace:
    description: The network namespace from which the target is reached. The host's own when not given.
    type: str
  minimum_size:
    description: The least bytes that the file must have. Smaller ones are no images.
    type: int
    default: 1048576
  timeout:
    description: Seconds for all of it. A single command of iSCSI has a minute.
    type: float
    default: 3600.0
seealso:
  - module: weft.fabric.disk_export
  - module: weft.fabric.disk_image
"""

EXAMPLES = r"""
- name: Write an image
  weft.fabric.iscsi_image:
    image:
      path: /var/lib/weft-fabric/boot/http/images/2f1a.raw.zst
      checksum: sha256:0f3bbf2e0b1c7b5d6e3a4f5968778695a4b3c2d1e0f00112233445566778899aa
      format: raw.zst
    address: 10.66.100.11
    namespace: qboot-1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
    username: weft
    password: "{{ one_time_password }}"
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample:
    - image sha256:0f3bbf2e0b1c7b5d6e3a4f5968778695a4b3c2d1e0f00112233445566778899aa written to 10.66.100.11
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
bytes:
  description: Bytes of the file.
  type: int
  returned: success
  sample: 18874368
size:
  description: Bytes of the image when it is unpacked.
  type: int
  returned: success
  sample: 100663296
written:
  description: Bytes that were sent. Less than O(ignore:size) where the disk can make zeros itself.
  type: int
  returned: success
  sample: 61865984
seconds:
  description: How long it took, with what a disk needs to keep it without power.
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

from ansible_collections.weft.fabric.plugins.module_utils.disk_module import run_module
from ansible_collections.weft.fabric.plugins.module_utils.image_remote import FORMATS, RemoteWriter

IMAGE = dict(
    path=dict(type="path", required=True),
    checksum=dict(type="str", required=True),
    format=dict(type="str", choices=list(FORMATS), required=True),
    size=dict(type="int"),
)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            image=dict(type="dict", required=True, options=IMAGE),
            address=dict(type="str", required=True),
            port=dict(type="int", default=3260),
            username=dict(type="str", required=True),
            password=dict(type="str", required=True, no_log=True),
            namespace=dict(type="str"),
            minimum_size=dict(type="int", default=1 << 20),
            timeout=dict(type="float", default=3600.0),
        ),
        supports_check_mode=True,
    )
    run_module(module, RemoteWriter, ("image", "address", "port", "namespace"))


if __name__ == "__main__":
    main()
