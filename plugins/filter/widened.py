# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: widened
short_description: Ports of a switch that lose nothing they have now
version_added: 0.1.0
description:
  - Takes what a switch is to be like, as P(weft.fabric.host_state#lookup) returns it for V(switch_ports), and returns
    its ports with the VLANs that they have now added to those that they are to have.
  - The playbook C(weft.fabric.site) makes switches so before it goes to the hosts, and takes away what nobody needs any
    more when the hosts are done.
  - Only VLANs that the switch's policy allows are kept. A port that moves from one access VLAN to another can't be in
    both; it moves at once.
positional: _input, current
author:
  - weft.fabric contributors (@weft-fabric)
options:
  _input:
    description: The arguments of M(weft.fabric.switch_ports), as compiled.
    type: dict
    required: true
  current:
    description: The ports as M(weft.fabric.switch_ports_info) returns them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Read what the switch has
  weft.fabric.switch_ports_info:
    switch: "{{ login }}"
  register: now

- name: Add what the hosts will need
  weft.fabric.switch_ports:
    switch: "{{ login }}"
    ports: "{{ lookup('weft.fabric.host_state', 'switch_ports') | weft.fabric.widened(now.ports) }}"
    vlans: "{{ lookup('weft.fabric.host_state', 'switch_ports').vlans }}"
    create_vlans: true
"""

RETURN = r"""
_value:
  description: The ports, for O(weft.fabric.switch_ports#module:ports).
  type: list
  elements: dict
"""

from ansible_collections.weft.fabric.plugins.plugin_utils.switch_steps import widened


class FilterModule:
    """The filter."""

    def filters(self):
        return {"widened": widened}
