#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: router_advertisements_info
short_description: Read IPv6 router advertisements
version_added: 0.1.0
description:
  - Returns what M(weft.fabric.router_advertisements) made, in the shape that module takes.
  - All under C(/var/lib/weft-fabric/ra) belong to the collection, so there are no others to ask for.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
options:
  names:
    description: Only these routers.
    type: list
    elements: str
seealso:
  - module: weft.fabric.router_advertisements
"""

EXAMPLES = r"""
- name: Read all router advertisements of this host
  weft.fabric.router_advertisements_info:
  register: found

- name: Show which routers advertise now
  ansible.builtin.debug:
    var: found.active
"""

RETURN = r"""
routers:
  description: The routers, in the shape of O(weft.fabric.router_advertisements#module:routers).
  type: list
  elements: dict
  returned: success
  sample:
    - name: 1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
      namespace: qrouter-1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
      config: "interface qr-1a2b3c4d-5e {\n    AdvSendAdvert on;\n};\n"
      start: false
active:
  description: Whether each router advertises now, by its name.
  type: dict
  returned: success
  sample: {1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d: true}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.ra_info import describe
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_info
from ansible_collections.weft.fabric.plugins.module_utils.router_advertisements import DIRECTORY
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd


def main():
    module = AnsibleModule(argument_spec=dict(names=dict(type="list", elements="str")), supports_check_mode=True)
    run_info(module, lambda: describe(module.params["names"], DIRECTORY, Systemd()))


if __name__ == "__main__":
    main()
