#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_clean
short_description: Clean the disks of a node before somebody else gets it
version_added: 0.1.0
description:
  - Wipes what disks and their partitions are recognised by, so that nothing of them boots, is mounted or assembled.
  - Then it erases their content, by the first of the chosen methods that a disk has.
  - Disks are cleaned at the same time. What goes wrong with one does not stop the others, and the module fails then.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
  - weft.fabric.root_device
attributes:
  idempotent:
    support: partial
    details: A disk does not tell that its content was erased. All methods but V(metadata) are used each time.
options:
  method:
    description:
      - V(metadata) is what is always done first. Alone, it leaves the content on the disk.
      - V(discard) tells a disk that nothing on it is of use any more. What it does then is its own affair.
      - V(secure_erase) is NVMe's format, with cryptographic erase where the disk has that, or ATA's security erase.
      - V(overwrite) writes zeros to the whole disk, which takes as long as that takes.
      - Of several, each disk gets the first one that it has.
    type: list
    elements: str
    choices: [metadata, discard, secure_erase, overwrite]
    default: [metadata]
  disks:
    description:
      - V(all) disks, the hints of one disk, or a list of hints.
      - Disks that are read-only or removable are left out, unless a hint says their name.
    type: raw
    default: all
  skip:
    description: Hints of disks that stay as they are.
    type: list
    elements: dict
    default: []
  parallel:
    description: How many disks to work on at the same time.
    type: int
    default: 8
  timeout:
    description: Seconds for all of it.
    type: float
    default: 86400.0
seealso:
  - module: weft.fabric.disk_image
  - module: weft.fabric.disk_info
"""

EXAMPLES = r"""
- name: Let nothing be recognised any more
  weft.fabric.disk_clean:

- name: Erase what is on the disks, but not on the one for scratch
  weft.fabric.disk_clean:
    method: [secure_erase, overwrite]
    skip:
      - serial: s== scratch-1
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode.
  type: list
  elements: str
  returned: success or failure
  sample: ["/dev/sda: metadata wiped", "/dev/sda: erased by secure_erase"]
changes_total:
  description: Number of changes.
  type: int
  returned: success or failure
  sample: 2
changes_digest:
  description: SHA-256 of all changes, the same in check mode and for real.
  type: str
  returned: success or failure
  sample: 86f11a07c08528dd5d12d6113b3181ea40e282d5b9fec2a6c9a1a904cac08657
disks:
  description: What became of each disk.
  type: list
  elements: dict
  returned: success or failure
  contains:
    name:
      description: The disk.
      type: str
    method:
      description: The method that was used.
      type: str
    samples:
      description: How many blocks were looked at that had content before, and none of which has it any more.
      type: int
    seconds:
      description: How long it took.
      type: float
    error:
      description: What went wrong, if anything did.
      type: str
  sample:
    - {name: /dev/sda, method: secure_erase, samples: 64, seconds: 12.5, error: }
left_out:
  description: Disks that stayed as they were, and why.
  type: list
  elements: dict
  returned: success or failure
  contains:
    name:
      description: The disk.
      type: str
    why:
      description: The reason.
      type: str
  sample:
    - {name: /dev/sdb, why: is read-only}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.disk_cleaning import DiskCleaner
from ansible_collections.weft.fabric.plugins.module_utils.disk_erase import METHODS
from ansible_collections.weft.fabric.plugins.module_utils.disk_module import run_module


def main():
    module = AnsibleModule(
        argument_spec=dict(
            method=dict(type="list", elements="str", choices=list(METHODS), default=["metadata"]),
            disks=dict(type="raw", default="all"),
            skip=dict(type="list", elements="dict", default=[]),
            parallel=dict(type="int", default=8),
            timeout=dict(type="float", default=86400.0),
        ),
        supports_check_mode=True,
    )
    run_module(module, DiskCleaner, ("method", "disks", "skip"))


if __name__ == "__main__":
    main()
