# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: router_status
short_description: Judge the state of routers
version_added: 0.1.0
description:
  - Puts together what M(weft.fabric.router_roles_info) found on all nodes of routers, and says what is wrong.
  - A router without exactly one primary is a problem, and so is a node that does not answer, one that holds addresses
    it should not have or lacks some it should have, one without keepalived or conntrackd, and a primary whose uplink
    is down. So is a host that lacks its part of a distributed router.
  - Runs on the controller only and touches no host.
options:
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
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
attributes:
  action:
    description: Has a corresponding action plugin, so that it runs on the controller.
    support: full
seealso:
  - module: weft.fabric.router_scope
  - module: weft.fabric.router_roles_info
author:
  - weft.fabric contributors (@weft-fabric)
"""

EXAMPLES = r"""
- name: Judge what the hosts have answered
  weft.fabric.router_status:
    routers: "{{ scope.routers }}"
    hosts: "{{ scope.hosts }}"
    variable: router_found
  run_once: true
  register: status
"""

RETURN = r"""
routers:
  description: What is known of each router and each of its nodes, with problems and warnings.
  type: list
  elements: dict
  returned: success
  sample: [{name: blue/r1, primary: net1, preferred: net1, problems: [], warnings: []}]
lines:
  description: The same for people.
  type: list
  elements: str
  returned: success
  sample: ["blue/r1 (HA): net1 primary since 2026-01-02 03:04:05 UTC (3 d), 12 sessions; net2 backup"]
problems:
  description: All problems, each with its router.
  type: list
  elements: str
  returned: success
  sample: ["blue/r1: no node is primary: nobody routes"]
"""
