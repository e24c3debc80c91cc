#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: openflow_flows_info
short_description: Read the OpenFlow flows of bridges
version_added: 0.1.0
description:
  - Returns flows in the very shape that M(weft.fabric.openflow_flows) takes, with names for ports. Given to it, they
    change nothing.
options:
  names:
    description: Names of bridges to return. All that have flows of the collection, when not given.
    type: list
    elements: str
  all:
    description:
      - Whether to return flows with other cookies than the collection's, too. These are refused by
        M(weft.fabric.openflow_flows).
    type: bool
    default: false
  socket:
    description: Path of the Unix socket of C(ovsdb-server).
    type: path
    default: /var/run/openvswitch/db.sock
  rundir:
    description: Directory with the management sockets of the bridges. The default is C(/var/run/openvswitch).
    type: path
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
seealso:
  - module: weft.fabric.openflow_flows
author:
  - weft.fabric contributors (@weft-fabric)
"""

EXAMPLES = r"""
- name: Read the collection's flows of one bridge
  weft.fabric.openflow_flows_info:
    names: [br-int]
  register: found
"""

RETURN = r"""
bridges:
  description: The bridges with their flows. Bridges that do not speak OpenFlow 1.4 are left out.
  returned: success
  type: list
  elements: dict
  sample:
    - name: br-int
      state: present
      flows:
        - cookie=0x7765667400000001,priority=100,in_port="tap1" actions=output:"tap2"
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.ofctl import OfctlClient
from ansible_collections.weft.fabric.plugins.module_utils.openflow_flows import flow_items
from ansible_collections.weft.fabric.plugins.module_utils.ovs_snapshot import read_snapshot
from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import DEFAULT_SOCKET, OvsdbClient
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_info


def main():
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str"},
            "all": {"type": "bool", "default": False},
            "socket": {"type": "path", "default": DEFAULT_SOCKET},
            "rundir": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params = module.params

    def read():
        with OvsdbClient(params["socket"]) as client:
            snapshot = read_snapshot(client)
        ofctl = OfctlClient(params["rundir"])
        return {"bridges": flow_items(snapshot, ofctl, params["names"], everything=params["all"])}

    run_info(module, read)


if __name__ == "__main__":
    main()
