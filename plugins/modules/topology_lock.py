# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: topology_lock
short_description: Write the lock file of a topology
version_added: 0.1.0
description:
  - Writes down which numbers, MAC addresses, IP addresses and places were allocated to the resources of a topology,
    in the lock file beside it.
  - Runs on the controller only and touches no host. Commit the lock file together with the topology.
  - Adding or removing a resource never changes what another one has. What is gone from the topology leaves the lock.
  - A topology with mistakes is refused, and the lock file stays as it is.
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
attributes:
  action:
    description: Has a corresponding action plugin, so that it runs on the controller.
    support: full
options:
  path:
    description:
      - The topology file, or a directory with a C(topology.yml).
      - The one that the inventory was made from when not given.
    type: path
seealso:
  - plugin: weft.fabric.topology
    plugin_type: inventory
author:
  - weft.fabric contributors (@weft-fabric)
"""

EXAMPLES = r"""
- name: Write the lock file of the inventory's topology
  weft.fabric.topology_lock:

- name: Write the lock file of another topology
  weft.fabric.topology_lock:
    path: fabrics/north/topology.yml
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: The lock file.
  type: str
  returned: always
  sample: /srv/fabric/topology.lock.yml
changes:
  description: What was added, changed or removed, one line for each resource, at most 1000.
  type: list
  elements: str
  returned: always
  sample: ["add projects/blue/networks/web"]
changes_total:
  description: How many resources were added, changed or removed.
  type: int
  returned: always
  sample: 1
"""
