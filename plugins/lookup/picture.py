# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: picture
short_description: Draw a topology as text
version_added: 0.1.0
description:
  - Draws the hosts of a topology side by side, the networks as bands across them, and the ports with their addresses.
  - Reads the topology only; no host is needed.
author:
  - weft.fabric contributors (@weft-fabric)
options:
  _terms:
    description: Paths of topology files.
    type: list
    elements: path
    required: true
"""

EXAMPLES = r"""
- name: Show what the topology makes
  ansible.builtin.debug:
    msg: "{{ lookup('weft.fabric.picture', inventory_file) }}"
"""

RETURN = r"""
_raw:
  description: One picture for each topology.
  type: list
  elements: str
"""

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.picture import draw
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.problems import TopologyError


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        try:
            return [draw(build(term)) for term in terms]
        except TopologyError as error:
            raise AnsibleLookupError(str(error)) from error
