#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: openflow_flows
short_description: Make the OpenFlow flows of bridges
version_added: 0.1.0
description:
  - Makes the flows of bridges what the list says, with one comparison and at most one atomic bundle for each bridge.
  - The flows of the collection bear a mark, the cookie C(0x77656674) in the upper 32 bits. Flows with other cookies are
    never touched, and a flow that would overwrite one of them is refused.
  - Flows that do not change keep their counters, and no frame of theirs is lost. New flows stand before old ones go.
  - Flows that were made by a C(learn) action of the collection (cookie C(0x77656c72) in the upper 32 bits) come and go
    by themselves. They are left alone as long as a bridge has flows.
options:
  bridges:
    description: The bridges whose flows are meant. Each bridge needs OpenFlow 1.4.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the bridge.
        type: str
        required: true
      state:
        description:
          - With V(absent) all flows of the collection go from the bridge, learned ones too, whatever O(purge) says.
        type: str
        choices: [present, absent]
        default: present
      flows:
        description:
          - Flows in the syntax of C(ovs-ofctl(8\)), C(MATCH actions=ACTIONS), one in each item.
          - A port is always a name in double quotes, such as C(in_port="tap1") or C(output:"tap1") or
            C(set_field:"tap1"->reg7). The name V("iface-id:ID") means the port whose interface somebody else has marked
            so (C(external_ids:iface-id)).
          - While nobody has plugged that port in, flows that match it wait, see RV(pending). In the actions of other
            flows a port number stands for it that no port has, so that the rest of such a flow works.
          - A cookie must lie under the mark. Without one, it is the bare mark.
        type: list
        elements: str
        default: []
  purge:
    description:
      - Whether to remove flows that bear the mark and are not listed.
      - Also from bridges that are not listed, except those that the collection has made itself.
        M(weft.fabric.ovs_bridges) removes these, with their flows.
  socket:
    description: Path of the Unix socket of C(ovsdb-server).
    type: path
    default: /var/run/openvswitch/db.sock
  rundir:
    description: Directory with the management sockets of the bridges. The default is C(/var/run/openvswitch).
    type: path
extends_documentation_fragment:
  - weft.fabric.common
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
notes:
  - Actions are compared as Open vSwitch writes them for OpenFlow 1.4. Write C(pop_vlan), and C(set_field) instead of
    the C(mod_) actions of OpenFlow 1.0.
  - A text in RV(changes) that tells of a flow that goes has names where Open vSwitch has numbers, as the ports were
    named when the flow was made. They are kept in C(/run/weft-fabric/ofports), because a flow can outlive its port.
seealso:
  - module: weft.fabric.openflow_flows_info
  - module: weft.fabric.ovs_bridges
author:
  - weft.fabric contributors (@weft-fabric)
"""

EXAMPLES = r"""
- name: Two ports that reach each other
  weft.fabric.openflow_flows:
    bridges:
      - name: br-int
        flows:
          - cookie=0x7765667400000001,table=0,priority=100,in_port="tap1" actions=output:"tap2"
          - cookie=0x7765667400000002,table=0,priority=100,in_port="tap2" actions=output:"tap1"
    purge: true

- name: Remove all flows of the collection
  weft.fabric.openflow_flows:
    bridges:
      - name: br-int
        state: absent
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, one text for each flow; at most 1000.
  returned: success
  type: list
  elements: str
  sample:
    - 'br-int: add table=0,priority=100,in_port="tap1" actions=output:"tap2"'
changes_total:
  description: How many flows were added, changed and deleted.
  returned: success
  type: int
  sample: 1
changes_digest:
  description: SHA-256 of all changes. Equal digests in check mode and in a real run mean that the same was done.
  returned: success
  type: str
  sample: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
pending:
  description: The iface-ids that flows name and that nobody has plugged in yet.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.openflow_flows import OpenflowFlowsEngine
from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import DEFAULT_SOCKET
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_module

BRIDGE = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "flows": {"type": "list", "elements": "str", "default": []},
}


def main():
    module = AnsibleModule(
        argument_spec={
            "bridges": {"type": "list", "elements": "dict", "required": True, "options": BRIDGE},
            "socket": {"type": "path", "default": DEFAULT_SOCKET},
            "rundir": {"type": "path"},
            "purge": {"type": "bool", "default": False},
            "save": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run_module(module, OpenflowFlowsEngine)


if __name__ == "__main__":
    main()
