#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hardware_info
short_description: Read what a node consists of, and to which switch ports it is cabled
version_added: 0.1.0
description:
  - Returns processors, memory, disks, NICs and what the firmware tells of the machine.
  - Listens for LLDP on all NICs, and returns what the switches at the other ends tell of themselves.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
options:
  lldp_timeout:
    description:
      - For how many seconds to listen. It ends early when somebody was heard on each NIC that has a carrier.
      - Switches speak every 30 seconds, most of them. V(0) is not to listen at all.
      - NICs that are down are up while it listens.
    type: float
    default: 35.0
seealso:
  - module: weft.fabric.disk_info
"""

EXAMPLES = r"""
- name: Look at the hardware
  weft.fabric.hardware_info:
  register: hardware

- name: Tell where the cables end
  ansible.builtin.debug:
    msg: "{{ item.name }} {{ item.mac_address }}: {{ item.lldp | map(attribute='port_id') | join(', ') }}"
  loop: "{{ hardware.nics }}"
"""

RETURN = r"""
architecture:
  description: Of the processors.
  type: str
  returned: success
  sample: x86_64
boot_mode:
  description: How the running system was started, V(bios) or V(uefi).
  type: str
  returned: success
  sample: uefi
cpus:
  description: Processors, with their threads, cores, sockets and model.
  type: dict
  returned: success
  sample: {threads: 32, cores: 16, sockets: 2, model: Fast One}
memory:
  description: Bytes.
  type: int
  returned: success
  sample: 137438953472
disks:
  description: Disks, with what they are known by.
  type: list
  elements: dict
  returned: success
  sample: []
nics:
  description: Network interfaces.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Name in the running system.
      type: str
    mac_address:
      description: Its address.
      type: str
    carrier:
      description: Whether something is at the other end, once it is up.
      type: bool
    speed:
      description: Mbit/s, if it is up.
      type: int
    driver:
      description: Kernel's driver.
      type: str
    bus_address:
      description: Where it is plugged in.
      type: str
    lldp:
      description:
        - Who was heard, each with C(chassis_id), C(chassis_id_type), C(port_id), C(port_id_type), C(ttl),
          C(system_name), C(system_description), C(port_description), C(management_addresses), C(vlan) (its
          untagged one), C(vlans), C(aggregated), C(mtu) and C(source). What was not told is none.
      type: list
      elements: dict
  sample: []
system:
  description: What the firmware tells, C(manufacturer), C(model), C(serial_number), C(uuid) and C(firmware).
  type: dict
  returned: success
  sample: {manufacturer: Contoso, model: R1, serial_number: "0042", uuid: , firmware: 1.7.2}
properties:
  description: The same as a node's properties in a topology. The disk is the smallest.
  type: dict
  returned: success
  sample: {cpus: 32, memory: 128 GiB, disk: 447.1 GiB, architecture: x86_64}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils import hardware_read, lldp_listen
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError


def main():
    module = AnsibleModule(argument_spec=dict(lldp_timeout=dict(type="float", default=35.0)), supports_check_mode=True)
    try:
        facts = hardware_read.read()
        heard = {}
        if module.params["lldp_timeout"] > 0:
            names = [nic["name"] for nic in facts["nics"]]
            # Speed and carrier can be read while they are up.
            heard, facts["nics"] = lldp_listen.listen(names, module.params["lldp_timeout"], hardware_read.nics)
    except FabricError as error:
        module.fail_json(msg=str(error))
    for nic in facts["nics"]:
        nic["lldp"] = heard.get(nic["name"], [])
    module.exit_json(changed=False, properties=hardware_read.properties(facts), **facts)


if __name__ == "__main__":
    main()
