#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dhcp_servers_info
short_description: Read DHCP servers and the leases they hold
version_added: 0.1.0
description:
  - Returns what M(weft.fabric.dhcp_servers) made, in the shape that module takes, and the leases that are held now.
  - All servers under C(/var/lib/weft-fabric/dhcp) belong to the collection, so there are no others to ask for.
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
  - module: weft.fabric.dhcp_servers
"""

EXAMPLES = r"""
- name: Read all DHCP servers of this host
  weft.fabric.dhcp_servers_info:
  register: found

- name: Show who has a lease
  ansible.builtin.debug:
    var: found.leases
"""

RETURN = r"""
servers:
  description: The servers, in the shape of O(weft.fabric.dhcp_servers#module:servers).
  type: list
  elements: dict
  returned: success
  sample:
    - name: 1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
      interface: ns-1a2b3c4d-5e
      config: "interface=ns-1a2b3c4d-5e\n"
      hosts: [{mac: "fa:16:3e:11:22:33", hostname: web-1, addresses: [10.0.0.9], tags: [], client_id: null}]
      options: []
      names: []
leases:
  description: The leases each server holds, by its name. C(expires) is in seconds since 1970; 0 is without end.
  type: dict
  returned: success
  sample:
    1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d:
      - {address: 10.0.0.9, client: "fa:16:3e:11:22:33", hostname: web-1, expires: 1790000000}
active:
  description: Whether each server runs, by its name.
  type: dict
  returned: success
  sample: {1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d: true}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.dhcp_info import describe
from ansible_collections.weft.fabric.plugins.module_utils.dhcp_servers import DIRECTORY
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_info
from ansible_collections.weft.fabric.plugins.module_utils.systemd import Systemd


def main():
    module = AnsibleModule(argument_spec=dict(names=dict(type="list", elements="str")), supports_check_mode=True)
    run_info(module, lambda: describe(module.params["names"], DIRECTORY, Systemd()))


if __name__ == "__main__":
    main()
