#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_bridges
short_description: Make the bridges, ports and interfaces of Open vSwitch
version_added: 0.1.0
description:
  - Makes the bridges of a host and the ports on them what the list says, in one OVSDB transaction.
  - Speaks to C(ovsdb-server) over its Unix socket in its own protocol. No C(ovs-vsctl) is run.
  - What this module makes bears a mark (C(external_ids:weft-fabric)). What does not bear it is never changed or
    removed, and a name that somebody else already uses is an error before anything is written.
  - After the transaction it waits for C(ovs-vswitchd) and proves that each bridge has its datapath and each port its
    OpenFlow port. What this very run has made and Open vSwitch cannot carry out is removed again.
  - A new port gets its O(bridges[].ports[].tag) at once. What keeps a port of a bridge with
    O(bridges[].fail_mode=secure) apart until its flows stand are the bridge's flows, which drop what comes from a
    port they don't know.
options:
  bridges:
    description: The bridges.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the bridge.
        type: str
        required: true
      state:
        description: Whether the bridge is there. An absent bridge must not have ports of somebody else.
        type: str
        choices: [present, absent]
        default: present
      managed:
        description:
          - Whether the bridge itself is the collection's.
          - With V(false) the bridge must exist and stays as it is; only the ports listed are made on it.
            The other settings of the bridge are ignored then.
        type: bool
        default: true
      datapath_type:
        description: Type of the datapath. Left as it is when not given.
        type: str
        choices: [system, netdev]
      fail_mode:
        description: What the bridge does without a controller. Left as it is when not given.
        type: str
        choices: [secure, standalone]
      protocols:
        description: OpenFlow versions the bridge speaks. Left as they are when not given.
        type: list
        elements: str
      other_config:
        description: Settings of the bridge. Only the keys listed are changed.
        type: dict
      external_ids:
        description:
          - Notes on the bridge. Only the keys listed are changed.
          - The key C(weft-fabric) is the mark. Its value can name the resource and is V(1) unless given.
        type: dict
      ports:
        description:
          - Ports on the bridge.
          - An item has either O(bridges[].ports[].name), which is made, or O(bridges[].ports[].iface_id), which
            somebody else plugs in.
          - An item with the bridge's own name stands for its local port.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: Name of the port and of its interface.
            type: str
          iface_id:
            description:
              - The C(external_ids:iface-id) by which libvirt, Proxmox or Incus marks the interface it plugs in.
              - Only the tag of that port is set. While it is not there it is listed in RV(pending).
            type: str
          state:
            description: Whether the port is there.
            type: str
            choices: [present, absent]
            default: present
          tag:
            description: VLAN of an access port. Without it the port has none.
            type: int
          external_ids:
            description:
              - Notes on the port. Only the keys listed are changed.
              - The key C(weft-fabric) is the mark. Its value can name the resource and is V(1) unless given.
            type: dict
          interface:
            description: The interface behind the port.
            type: dict
            suboptions:
              type:
                description:
                  - Type of the interface, such as V(internal), V(patch), V(vxlan), V(gre) or V(geneve).
                    The default is a network device of the host.
                type: str
              options:
                description: Options of the interface, all of them; what is not listed goes.
                type: dict
              mtu_request:
                description: MTU in bytes. Left as it is when not given.
                type: int
              mac:
                description:
                  - MAC address of an interface of type V(internal). Open vSwitch gives it to the device whenever it
                    makes the device anew. Left as it is when not given.
                type: str
              external_ids:
                description: Notes on the interface. Only the keys listed are changed.
                type: dict
  socket:
    description: Path of the Unix socket of C(ovsdb-server).
    type: path
    default: /var/run/openvswitch/db.sock
  timeout:
    description: Seconds that C(ovs-vswitchd) may take to carry out the changes.
    type: int
    default: 60
extends_documentation_fragment:
  - weft.fabric.common
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
seealso:
  - module: weft.fabric.ovs_bridges_info
  - module: weft.fabric.openflow_flows
author:
  - weft.fabric contributors (@weft-fabric)
"""

EXAMPLES = r"""
- name: An integration bridge with one tap, and a machine that libvirt plugs in
  weft.fabric.ovs_bridges:
    bridges:
      - name: br-int
        datapath_type: netdev
        fail_mode: secure
        protocols: [OpenFlow10, OpenFlow13, OpenFlow14]
        other_config:
          disable-in-band: "true"
        ports:
          - name: tap1a2b3c4d-5e
            tag: 5
            external_ids:
              weft-fabric: ports/blue/web-1
          - iface_id: 3c1f4c1a-51a5-5f0e-9a55-0d6b3f0b1c11
            tag: 5

- name: A patch to a bridge that somebody else manages
  weft.fabric.ovs_bridges:
    bridges:
      - name: br-ex
        managed: false
        ports:
          - name: phy-br-ex
            interface:
              type: patch
              options:
                peer: int-br-ex

- name: Remove every bridge and port that the collection has made
  weft.fabric.ovs_bridges:
    bridges: []
    purge: true
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, one text for each step; at most 1000.
  returned: success
  type: list
  elements: str
  sample:
    - "bridge br-int: create"
    - "port tap1a2b3c4d-5e on br-int: tag: 3 -> 5"
changes_total:
  description: How many steps there were.
  returned: success
  type: int
  sample: 2
changes_digest:
  description: SHA-256 of all steps. Equal digests in check mode and in a real run mean that the same was done.
  returned: success
  type: str
  sample: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
pending:
  description: The O(bridges[].ports[].iface_id) of the ports that nobody has plugged in yet.
  returned: success
  type: list
  elements: str
  sample: [3c1f4c1a-51a5-5f0e-9a55-0d6b3f0b1c11]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.ovs_bridges import OvsBridgesEngine
from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import APPLY_TIMEOUT, DEFAULT_SOCKET
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_module

STATE = {"type": "str", "choices": ["present", "absent"], "default": "present"}
INTERFACE = {
    "type": {"type": "str"},
    "options": {"type": "dict"},
    "mtu_request": {"type": "int"},
    "mac": {"type": "str"},
    "external_ids": {"type": "dict"},
}
PORT = {
    "name": {"type": "str"},
    "iface_id": {"type": "str"},
    "state": STATE,
    "tag": {"type": "int"},
    "external_ids": {"type": "dict"},
    "interface": {"type": "dict", "options": INTERFACE},
}
BRIDGE = {
    "name": {"type": "str", "required": True},
    "state": STATE,
    "managed": {"type": "bool", "default": True},
    "datapath_type": {"type": "str", "choices": ["system", "netdev"]},
    "fail_mode": {"type": "str", "choices": ["secure", "standalone"]},
    "protocols": {"type": "list", "elements": "str"},
    "other_config": {"type": "dict"},
    "external_ids": {"type": "dict"},
    "ports": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": PORT,
        "mutually_exclusive": [("name", "iface_id")],
        "required_one_of": [("name", "iface_id")],
    },
}


def main():
    module = AnsibleModule(
        argument_spec={
            "bridges": {"type": "list", "elements": "dict", "required": True, "options": BRIDGE},
            "socket": {"type": "path", "default": DEFAULT_SOCKET},
            "timeout": {"type": "int", "default": APPLY_TIMEOUT},
            "purge": {"type": "bool", "default": False},
            "save": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run_module(module, OvsBridgesEngine)


if __name__ == "__main__":
    main()
