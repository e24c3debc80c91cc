#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_ramdisk
short_description: Build the kernel and ramdisk that bare-metal nodes boot to be deployed
version_added: 0.1.0
description:
  - Builds, from Debian's own packages, what a node boots from the network while it is inspected, written, cleaned or
    rescued. Its sshd lets in one key, the deployer's, and answers with one host key; both come with the node's
    identity, a second archive that the boot server gives out.
  - The packages are fetched from the machine's own mirror if it runs Debian, or else from Debian's.
  - They are unpacked and not installed, so that nothing is mounted and no script of a package runs.
  - It is built anew when what it is made of changes, or a file is damaged. It is not when packages have been
    updated; that is what O(force) is for.
  - Makes C(vmlinuz), C(initrd) and C(manifest.json); a log is in C(build.log). The manifest is written last.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
requirements:
  - a machine of architecture x86_64 that runs Debian or Ubuntu, with 2 GiB of free disk
  - mmdebstrap 1.3 or newer, debian-archive-keyring, kmod, lz4
options:
  directory:
    description: Where the files go. It is made if it is missing.
    type: path
    required: true
  release:
    description: Release of Debian.
    type: str
    default: bookworm
  kernel:
    description:
      - Package of the kernel.
      - V(linux-image-amd64) knows the hardware of servers. V(linux-image-cloud-amd64) is smaller and starts
        sooner, but knows only virtual machines.
    type: str
    default: linux-image-amd64
  packages:
    description: Further packages, such as firmware of network cards.
    type: list
    elements: str
    default: []
  components:
    description: Components of the archive, V(non-free-firmware) if a package in O(packages) is from there.
    type: list
    elements: str
    default: [main]
  force:
    description: Whether to build it although nothing has changed, to have newer packages in it.
    type: bool
    default: false
notes:
  - Needs no root if the directory is the user's own.
"""

EXAMPLES = r"""
- name: Build the ramdisk on this machine
  weft.fabric.deploy_ramdisk:
    directory: /var/cache/weft-fabric/ramdisk
  delegate_to: localhost

- name: Build one for servers whose network cards need firmware
  weft.fabric.deploy_ramdisk:
    directory: /var/cache/weft-fabric/ramdisk
    packages: [firmware-bnx2x]
    components: [main, non-free-firmware]
  delegate_to: localhost
"""

RETURN = r"""
directory:
  description: Where the files are.
  type: str
  returned: success
  sample: /var/cache/weft-fabric/ramdisk
version:
  description: Names what the ramdisk is made of. Another recipe has another version.
  type: str
  returned: success
  sample: 5f0c1a9d6f3b2e47
manifest:
  description: What was built, as in C(manifest.json). Empty in check mode when there is none yet.
  type: dict
  returned: success
  contains:
    version:
      description: The version.
      type: str
    release:
      description: Release of Debian.
      type: str
    kernel:
      description: Version of the kernel.
      type: str
    packages:
      description: The packages in it, with their versions.
      type: dict
    unpacked:
      description: Memory that it takes when it has been unpacked, in bytes.
      type: int
    files:
      description: The C(size) in bytes and C(sha256) of C(vmlinuz) and C(initrd).
      type: dict
changes:
  description: What was done, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: ["build the deploy ramdisk 5f0c1a9d6f3b2e47 in /var/cache/weft-fabric/ramdisk (there is none)"]
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

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils import command, ramdisk_build
from ansible_collections.weft.fabric.plugins.module_utils.deploy_ramdisk import DeployRamdiskEngine
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, host_lock, reconcile

# Somebody else's build of the same directory; this one then finds it done.
LOCK_SECONDS = 3600


def main():
    module = AnsibleModule(
        argument_spec=dict(
            directory=dict(type="path", required=True),
            release=dict(type="str", default="bookworm"),
            kernel=dict(type="str", default="linux-image-amd64"),
            packages=dict(type="list", elements="str", default=[]),
            components=dict(type="list", elements="str", default=["main"]),
            force=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )
    # depmod is where users seldom look.
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
    command.use(command.module_runner(module, ramdisk_build.LIMIT))
    engine = DeployRamdiskEngine(module.params)
    try:
        if module.check_mode:
            result = reconcile(engine, True)
        else:
            os.makedirs(engine.directory, mode=0o755, exist_ok=True)
            # Not the host's lock: a build takes minutes, and changes nothing that others look at.
            with host_lock(os.path.join(engine.directory, ".lock"), LOCK_SECONDS):
                result = reconcile(engine)
    except (FabricError, OSError) as error:
        module.fail_json(msg="deploy_ramdisk: %s" % error)
    else:
        if not module._diff:
            result.pop("diff", None)
        module.exit_json(**result)


if __name__ == "__main__":
    main()
