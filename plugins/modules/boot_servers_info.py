#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_servers_info
short_description: Read boot servers and the leases they have given
version_added: 0.1.0
description:
  - Returns what M(weft.fabric.boot_servers) made, in the shape that module takes, and who has a lease. A node that has
    none has not asked by DHCP, or has not been heard.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
options:
  names:
    description: Only these servers.
    type: list
    elements: str
seealso:
  - module: weft.fabric.boot_servers
  - module: weft.fabric.boot_files_info
"""

EXAMPLES = r"""
- name: Read all boot servers of this host
  weft.fabric.boot_servers_info:
  register: found

- name: Show who has asked by DHCP
  ansible.builtin.debug:
    var: found.leases
"""

RETURN = r"""
servers:
  description: The servers, in the shape of O(weft.fabric.boot_servers#module:servers).
  type: list
  elements: dict
  returned: success
  sample:
    - name: 1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
      namespace: qboot-1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
      interface: tap1a2b3c4d-5e
      address: 10.66.100.2
      cidr: 10.66.100.0/24
      http_port: 80
      ra_prefix: null
      lease_time: 3600
      nodes: [{name: n1, address: 10.66.100.11, mac_addresses: ["52:54:00:11:22:33"]}]
leases:
  description: The leases each server has given, by its name. C(expires) is in seconds since 1970.
  type: dict
  returned: success
  sample:
    1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d:
      - {address: 10.66.100.11, client: "52:54:00:11:22:33", expires: 1790000000}
active:
  description: Whether the daemons of each server run, by its name.
  type: dict
  returned: success
  sample: {1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d: {dhcp: true, http: true}}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.netboot_info import describe
from ansible_collections.weft.fabric.plugins.module_utils.netboot_paths import Paths
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_info
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd


def main():
    module = AnsibleModule(argument_spec=dict(names=dict(type="list", elements="str")), supports_check_mode=True)
    run_info(module, lambda: describe(module.params["names"], Paths(), Systemd()))


if __name__ == "__main__":
    main()
