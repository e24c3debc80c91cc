#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_state
short_description: Make a host look as the topology says
version_added: 0.1.0
description:
  - Compiles the topology for the host of the running task, as P(weft.fabric.host_state#lookup) does, and makes the host
    so with the engines of M(weft.fabric.namespaces), M(weft.fabric.nftables), M(weft.fabric.ovs_bridges),
    M(weft.fabric.ovs_tunnel_routes), M(weft.fabric.openflow_flows), M(weft.fabric.dhcp_servers),
    M(weft.fabric.router_advertisements), M(weft.fabric.vrrp_routers), M(weft.fabric.boot_servers) and
    M(weft.fabric.boot_replay), one after the other in one call.
  - It does what those modules do, in the order in which a host wants it. One call costs the controller a third of a
    second for each host, whatever it does, and a thousand hosts feel the difference.
  - Before anything is changed it looks for the programs and network cards that are needed. When a program is missing,
    nothing is done and RV(packages) says what to install.
  - The action part runs on the controller, where the topology is.
author:
  - weft.fabric contributors (@weft-fabric)
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
requirements:
  - what those modules require
options:
  concerns:
    description:
      - What to make. All of it when not given.
      - V(underlay) is what tunnels need. V(boot_replay) brings all of it back after a reboot.
    type: list
    elements: str
    choices:
      - underlay
      - namespaces
      - nftables
      - ovs_bridges
      - ovs_tunnel_routes
      - openflow_flows
      - dhcp_servers
      - router_advertisements
      - vrrp_routers
      - boot_servers
      - boot_replay
  keep:
    description:
      - Concerns of which nothing is removed that the collection made before and the topology no longer names.
    type: list
    elements: str
    default: []
  topology:
    description: Path of the topology on the controller. The inventory's own when not given.
    type: str
  templates:
    description:
      - Templates on the controller that replace the collection's own, as the name of a file in its C(templates) and
        a path. An empty path means the collection's own.
    type: dict
    default: {}
  save:
    description:
      - Whether to keep the state on the host, for the replay at boot.
    type: bool
    default: true
  state:
    description: The compiled state. The action part fills it in; what stands in a playbook is refused.
    type: str
seealso:
  - plugin: weft.fabric.host_state
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Make the host as the topology says
  weft.fabric.host_state:

- name: Make its bridges and flows only, and remove nothing
  weft.fabric.host_state:
    concerns: [ovs_bridges, openflow_flows]
    keep: [ovs_bridges, openflow_flows]
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, one text for each operation; at most 1000 of each concern.
  returned: success
  type: list
  elements: str
  sample: ["create namespace blue-web-1", "add bridge br-int"]
changes_total:
  description: Number of operations.
  returned: success
  type: int
  sample: 2
changes_digest:
  description: SHA-256 of all operations, the same in check mode and for real.
  returned: success
  type: str
  sample: 86f11a07c08528dd5d12d6113b3181ea40e282d5b9fec2a6c9a1a904cac08657
packages:
  description: What has to be installed first. When there is anything, nothing else was done.
  returned: success
  type: list
  elements: str
  sample: [openvswitch-switch]
pending:
  description: Interface ids and ports that the topology names and nobody has plugged in yet.
  returned: success
  type: list
  elements: str
  sample: []
milliseconds:
  description: How long each concern took on the host.
  returned: success
  type: dict
  sample: {"namespaces": 12, "ovs_bridges": 95}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.host_state import CONCERNS, HostRun
from ansible_collections.weft.fabric.plugins.module_utils.packing import unpack
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_writing
from ansible_collections.weft.fabric.plugins.module_utils.requirements import missing_packages

CHOICES = ["underlay", *(concern.name for concern in CONCERNS)]


def main():
    module = AnsibleModule(
        argument_spec=dict(
            concerns=dict(type="list", elements="str", choices=CHOICES),
            keep=dict(type="list", elements="str", default=[]),
            topology=dict(type="str"),
            templates=dict(type="dict", default={}),
            save=dict(type="bool", default=True),
            # No secret, but each run would leave the whole state in the host's log, and send it back.
            state=dict(type="str", no_log=True),
        ),
        supports_check_mode=True,
    )
    if not module.params["state"]:
        module.fail_json(msg="host_state: there is no state: the action part of this module did not run")

    def work():
        state = unpack(module.params["state"])
        needed = state.pop("requirements", {})
        packages = missing_packages(module, needed.get("programs", []), needed.get("interfaces", []))[1]
        if packages:
            return {"changed": False, "changes": [], "changes_total": 0, "packages": packages}
        return dict(HostRun(state, module.check_mode, module.params["save"]).run(), packages=[])

    run_writing(module, "host_state", work)


if __name__ == "__main__":
    main()
