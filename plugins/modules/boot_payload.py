# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_payload
short_description: Give a boot server the ramdisk and images that nodes fetch from it
version_added: 0.1.0
description:
  - Copies from the controller what is not there yet, and asks for no more than a listing where all of it is.
  - The name of an image says what is in it, and the manifest of a ramdisk what is in the ramdisk. What is there already
    is not read again.
  - Each file appears whole or not at all. The manifest of the ramdisk goes before the ramdisk is exchanged, and comes
    last.
  - The task's host is the boot server.
options:
  directory:
    description: Where the boot server has what it serves by HTTP.
    type: str
    required: true
  ramdisk:
    description: Where the ramdisk is on the controller, as M(weft.fabric.deploy_ramdisk) makes it.
    type: path
    required: true
  images:
    description:
      - The images, as P(weft.fabric.host_state#lookup) returns them for V(bare_metal).
      - Those whose URL begins with C(file://) are copied, unless the file is not what its C(checksum) says. The others
        are returned in RV(elsewhere) if they are missing.
    type: list
    elements: dict
    default: []
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
attributes:
  action:
    description: Has a corresponding action plugin, as files are copied from the controller.
    support: full
  diff_mode:
    description: Returns what differs between the current and the desired state.
    support: none
author:
  - weft.fabric contributors (@weft-fabric)
seealso:
  - module: weft.fabric.boot_servers
  - module: weft.fabric.boot_files
"""

EXAMPLES = r"""
- name: Have the ramdisk served, and an image
  weft.fabric.boot_payload:
    directory: /var/lib/weft-fabric/boot/http
    ramdisk: /var/cache/weft-fabric/ramdisk
    images:
      - name: tiny
        url: file:///srv/images/tiny.raw.zst
        checksum: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
        served: 9f86d081.raw.zst
"""

RETURN = r"""
changes:
  description: What was copied, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: ["copy /srv/images/tiny.raw.zst to images/9f86d081.raw.zst"]
elsewhere:
  description: Images that are not there, and that this machine does not have.
  type: list
  elements: dict
  returned: success
  sample: []
"""
