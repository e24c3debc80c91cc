#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_bridges_info
short_description: Read the bridges, ports and interfaces of Open vSwitch
version_added: 0.1.0
description:
  - Returns bridges and ports in the very shape that M(weft.fabric.ovs_bridges) takes. Given to it, they change nothing.
options:
  names:
    description: Names of bridges to return. All, when not given.
    type: list
    elements: str
  all:
    description: Whether to return what does not bear the collection's mark, too.
    type: bool
    default: false
  socket:
    description: Path of the Unix socket of C(ovsdb-server).
    type: path
    default: /var/run/openvswitch/db.sock
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
seealso:
  - module: weft.fabric.ovs_bridges
author:
  - weft.fabric contributors (@weft-fabric)
"""

EXAMPLES = r"""
- name: Read what the collection has made
  weft.fabric.ovs_bridges_info:
  register: found

- name: Read one bridge, and what others have plugged into it
  weft.fabric.ovs_bridges_info:
    names: [br-int]
    all: true
"""

RETURN = r"""
bridges:
  description:
    - Bridges that bear the mark, and bridges of others (C(managed) is false) that have ports which do;
      with O(all) all bridges.
    - Their ports are those that bear the mark.
  returned: success
  type: list
  elements: dict
  sample:
    - name: br-int
      managed: true
      datapath_type: netdev
      fail_mode: secure
      protocols: [OpenFlow10, OpenFlow13, OpenFlow14]
      other_config: {disable-in-band: "true"}
      external_ids: {weft-fabric: "1"}
      ports:
        - name: tap1a2b3c4d-5e
          tag: 5
          external_ids: {weft-fabric: ports/blue/web-1}
          interface: {type: "", options: {}, mtu_request: null, mac: null, external_ids: {}}
          state: present
      state: present
foreign_ports:
  description: The ports that do not bear the mark, with the name of their bridge, when O(all) is set.
  returned: success
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.ovs_bridges import bridge_items
from ansible_collections.weft.fabric.plugins.module_utils.ovs_snapshot import read_snapshot
from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import DEFAULT_SOCKET, OvsdbClient
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_info


def main():
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str"},
            "all": {"type": "bool", "default": False},
            "socket": {"type": "path", "default": DEFAULT_SOCKET},
        },
        supports_check_mode=True,
    )
    params = module.params

    def read():
        with OvsdbClient(params["socket"]) as client:
            bridges, foreign = bridge_items(read_snapshot(client), everything=params["all"])
        names = params["names"]
        return {
            "bridges": [bridge for bridge in bridges if names is None or bridge["name"] in names],
            "foreign_ports": [port for port in foreign if names is None or port["bridge"] in names],
        }

    run_info(module, read)


if __name__ == "__main__":
    main()
