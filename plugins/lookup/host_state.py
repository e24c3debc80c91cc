# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: host_state
short_description: What one host must look like, compiled from the topology
version_added: 0.1.0
description:
  - Compiles the topology for the host of the running task and returns the arguments of the module that is named.
  - Compiles one host at a time, in the worker that serves that host, from a model that the inventory plugin
    P(weft.fabric.topology#inventory) has parsed once. Where it has not, as with an inventory imported into AWX,
    the topology is read again from the project.
  - Reads the topology, its lock file and templates only. Needs no host.
author:
  - weft.fabric contributors (@weft-fabric)
options:
  _terms:
    description:
      - Names of concerns, which are names of modules, or V(requirements) and V(underlay).
      - For a switch, V(switch_ports), or V(switch_release) for the arguments of the same module that take everything
        off the switch again. How to log in is not among them, see P(weft.fabric.topology#inventory).
      - For a node of bare metal, V(bare_metal), which is what the playbooks of its life need to know. It holds what
        each switch is told in each phase, and the server that the node is.
    type: list
    elements: str
    required: true
  topology:
    description:
      - Path of the topology file or directory.
      - Where it does not exist, as with an inventory imported on another machine, the file of the same name is
        looked for beside the playbook and beside the inventory.
    type: str
    vars:
      - name: weft_topology
  templates:
    description:
      - Templates that replace the collection's own, as the name of a file in its C(templates) and a path.
    type: dict
    default: {}
seealso:
  - plugin: weft.fabric.topology
    plugin_type: inventory
"""

EXAMPLES = r"""
- name: Make the bridges of this host
  weft.fabric.ovs_bridges:
    bridges: "{{ lookup('weft.fabric.host_state', 'ovs_bridges').bridges }}"
    purge: true
"""

RETURN = r"""
_raw:
  description: The module's arguments, one dictionary for each term.
  type: list
  elements: dict
"""

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.weft.fabric.plugins.plugin_utils.host_state import read_template, topology_of
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.bare_metal import (
    CONCERNS as NODE_CONCERNS,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.bare_metal import compile_node
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import (
    CONCERNS,
    PREPARATIONS,
    compile_host,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.switch import (
    CONCERNS as SWITCH_CONCERNS,
)
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.switch import compile_switch
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        host = variables["inventory_hostname"]
        try:
            topology = topology_of(host, self.get_option("topology"), variables)
            return [self._compile(topology, host, str(term)) for term in terms]
        except TopologyError as error:
            raise AnsibleLookupError(str(error)) from error

    def _compile(self, topology, host, concern):
        # Asked beforehand: a KeyError from inside the compiler must not look like a misspelt name.
        if concern not in known_concerns(topology, host):
            known = ", ".join(known_concerns(topology, host))
            raise AnsibleLookupError(f"there is no concern {concern}: use one of {known}")
        if host in topology.switches:
            return compile_switch(topology, host, concern)
        if host in topology.nodes:
            return compile_node(topology, host, concern)
        templates = {name: read_template(path) for name, path in self.get_option("templates").items() if path}
        return compile_host(topology, host, concern, templates)[concern]


def known_concerns(topology, host):
    """Return the names of the concerns of a host, a switch or a node."""
    if host in topology.switches:
        return list(SWITCH_CONCERNS)
    return list(NODE_CONCERNS if host in topology.nodes else {**CONCERNS, **PREPARATIONS})
