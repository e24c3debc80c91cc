#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: namespaces_info
short_description: Read network namespaces and the links, addresses and routes in them
version_added: 0.1.0
description:
  - Returns what M(weft.fabric.namespaces) made, in the shape that module takes.
  - Sysctls are not returned, because the kernel does not say which of them were set.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
options:
  names:
    description: Only these namespaces, and not the host's own.
    type: list
    elements: str
  all:
    description:
      - Whether to return what does not bear the mark of the collection too.
      - Links of somebody else are returned as kind V(existing), with their addresses.
    type: bool
    default: false
seealso:
  - module: weft.fabric.namespaces
"""

EXAMPLES = r"""
- name: Read what the collection made
  weft.fabric.namespaces_info:
  register: found

- name: Make the same on another host
  weft.fabric.namespaces:
    namespaces: "{{ found.namespaces }}"
"""

RETURN = r"""
namespaces:
  description: The namespaces, in the shape of O(weft.fabric.namespaces#module:namespaces).
  type: list
  elements: dict
  returned: success
  sample:
    - name: blue-web-1
      links:
        - name: eth0
          kind: veth
          peer: tap6f7a8b9c-0d
          mac: fa:16:3e:11:22:33
          mtu: 1450
          addresses: [10.0.0.9/24]
          up: true
      routes:
        - {to: default, via: 10.0.0.1, dev: eth0}
      neighbours: []
      rules: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.namespaces_info import describe
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_info


def main():
    module = AnsibleModule(
        argument_spec=dict(
            names=dict(type="list", elements="str"),
            all=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )
    run_info(module, lambda: {"namespaces": describe(module.params["names"], module.params["all"])})


if __name__ == "__main__":
    main()
