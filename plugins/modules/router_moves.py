# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: router_moves
short_description: Plan which routers' roles move where
version_added: 0.1.0
description:
  - Decides from what M(weft.fabric.router_roles_info) found on all nodes which node takes each role, and what
    M(weft.fabric.router_roles) has to do on each host for it.
  - Refuses the whole when a role would have nowhere to go, or when a router has not exactly one primary to begin with.
  - Runs on the controller only and touches no host.
options:
  verb:
    description: What is to be done.
    type: str
    choices: [failover, drain, undrain, rebalance]
    required: true
  routers:
    description: The routers, as M(weft.fabric.router_scope) returns them.
    type: list
    elements: dict
    required: true
  hosts:
    description: Hosts whose answers are looked at.
    type: list
    elements: str
    required: true
  variable:
    description: Name of the variable in which the answer of M(weft.fabric.router_roles_info) was registered.
    type: str
    required: true
  host:
    description: The host that roles leave.
    type: str
  to:
    description: The host that roles go to. The best of the others when not given.
    type: str
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
attributes:
  action:
    description: Has a corresponding action plugin, so that it runs on the controller.
    support: full
seealso:
  - module: weft.fabric.router_scope
  - module: weft.fabric.router_roles
author:
  - weft.fabric contributors (@weft-fabric)
"""

EXAMPLES = r"""
- name: Plan to move all roles off a host
  weft.fabric.router_moves:
    verb: failover
    routers: "{{ scope.routers }}"
    hosts: "{{ scope.hosts }}"
    variable: router_found
    host: net1
  run_once: true
  register: plan
"""

RETURN = r"""
moves:
  description: Which role moves from where to where.
  type: list
  elements: str
  returned: success
  sample: ["blue/r1: net1 -> net2"]
kept:
  description: Which routers stay where they are, and why.
  type: list
  elements: str
  returned: success
  sample: ["blue/r2 is not HA and stays on net1: it goes down with that host"]
steps:
  description: For each step and host, the items of O(weft.fabric.router_roles#module:routers).
  type: dict
  returned: success
  sample: {aside: {}, give_up: {net1: []}, take: {net2: []}, lift: {net1: [], net2: []}}
"""
