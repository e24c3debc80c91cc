# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_scope
short_description: Look up the bare-metal nodes that an operator means
version_added: 0.1.0
description:
  - Returns which nodes a verb is about, among those of the running play.
  - Runs on the controller only and touches no node. A name that the topology does not know is refused, with the one
    that was probably meant.
options:
  verb:
    description:
      - What is to be done. V(status) is about all nodes when none is named, V(deploy) about all with a server.
      - All others want a server, a node, or a limited run.
    type: str
    choices: [status, deploy, rebuild, delete, rescue, unrescue, inspect, adopt, power]
    required: true
  servers:
    description: Names of servers, as V(PROJECT/SERVER).
    type: list
    elements: str
    default: []
  nodes:
    description: Names of nodes.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
attributes:
  action:
    description: Has a corresponding action plugin, so that it runs on the controller.
    support: full
author:
  - weft.fabric contributors (@weft-fabric)
seealso:
  - module: weft.fabric.node_state
"""

EXAMPLES = r"""
- name: Find the node of a server
  weft.fabric.node_scope:
    verb: rebuild
    servers: [blue/db-1]
  run_once: true
  register: scope
"""

RETURN = r"""
nodes:
  description: Names of the nodes, in the order of the topology.
  type: list
  elements: str
  returned: success
  sample: [n1]
servers:
  description: The server of each of them that has one.
  type: dict
  returned: success
  sample: {n1: blue/db-1}
first:
  description: One of them for each boot server.
  type: list
  elements: str
  returned: success
  sample: [n1]
boot_servers:
  description: The boot servers of these nodes, and the images that their servers want.
  type: dict
  returned: success
  sample: {net1: [{name: tiny, url: "https://images.example/tiny.raw", format: raw, served: 9f86d081.raw}]}
"""
