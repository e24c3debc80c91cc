# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: router_scope
short_description: Look up the routers that an operator means
version_added: 0.1.0
description:
  - Returns which routers a verb is about, on which hosts they are, and from where what is lost on the way through them
    can be measured.
  - Runs on the controller only and touches no host. A name that the topology does not know is refused, with the one
    that was probably meant.
options:
  routers:
    description: Names of routers, as V(PROJECT/ROUTER). Those on O(host), or all, when not given.
    type: list
    elements: str
    default: []
  host:
    description: Name of a network node.
    type: str
  to:
    description: Name of the network node that a role is to move to.
    type: str
  verb:
    description: What is to be done. V(failover) wants routers or a host, V(drain) and V(undrain) a host.
    type: str
    choices: [status, failover, drain, undrain, rebalance]
    default: status
  topology:
    description: Path of the topology. The inventory's own when not given.
    type: str
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
attributes:
  action:
    description: Has a corresponding action plugin, so that it runs on the controller.
    support: full
seealso:
  - module: weft.fabric.router_status
  - module: weft.fabric.router_moves
author:
  - weft.fabric contributors (@weft-fabric)
"""

EXAMPLES = r"""
- name: Find out where a router is
  weft.fabric.router_scope:
    routers: [blue/r1]
  run_once: true
  register: scope
"""

RETURN = r"""
routers:
  description:
    - The routers, with their nodes, the preferred primary first.
    - With O(verb=status), C(parts) are the hosts on which a distributed router routes for their own ports.
  type: list
  elements: dict
  returned: success
  sample:
    - name: blue/r1
      id: 1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
      kind: HA, distributed
      ha: true
      nodes: [net1, net2]
      parts: [cmp1, cmp2]
hosts:
  description: All hosts that are to be asked about these routers.
  type: list
  elements: str
  returned: success
  sample: [net1, net2]
ways:
  description:
    - For each host from where something can be measured, the ways in the shape of
      O(weft.fabric.router_probe#module:ways).
    - A host that is none of a router's nodes comes first, as it has no part in a move.
  type: dict
  returned: success
  sample: {cmp1: []}
"""
