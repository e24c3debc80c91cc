#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_replay
short_description: Let a host bring its network back by itself
version_added: 0.1.0
description:
  - Installs a systemd service that applies again, at boot and after C(ovs-vswitchd) was restarted, what the other
    modules have applied with O(weft.fabric.ovs_bridges#module:save=true). It needs neither Ansible nor a controller.
  - The service runs the very code of the modules, which this module puts into C(/usr/local/lib/weft-fabric/replay.pyz).
    Nothing of it stays running.
  - It adds and mends. It removes nothing, except flows of the collection that the saved flows do not know, if these
    were saved with O(weft.fabric.openflow_flows#module:purge=true).
  - Where ports are found by C(iface-id), a second service watches Open vSwitch for such a port to come or to change,
    and has its flows made. It consists of C(ovsdb-client) and a shell.
  - What the services did, and how long each step took, is in the journal of C(weft-fabric-replay.service).
options:
  state:
    description:
      - Whether the host brings its network back.
      - With V(absent) the saved state in C(/var/lib/weft-fabric/state) is removed too. The network itself stays.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment:
  - weft.fabric.attributes
  - weft.fabric.attributes.actiongroup
notes:
  - The host needs systemd.
  - When it is installed, the service is started once, without waiting for it. On a host in its desired state that
    changes nothing.
seealso:
  - module: weft.fabric.namespaces
  - module: weft.fabric.ovs_bridges
  - module: weft.fabric.openflow_flows
  - module: weft.fabric.dhcp_servers
author:
  - weft.fabric contributors (@weft-fabric)
"""

EXAMPLES = r"""
- name: Let the host come back by itself
  weft.fabric.boot_replay:
    state: present

- name: Forget what was applied
  weft.fabric.boot_replay:
    state: absent
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - write /etc/systemd/system/weft-fabric-replay.service
    - enable weft-fabric-replay.service
changes_total:
  description: How many steps there were.
  returned: success
  type: int
  sample: 2
changes_digest:
  description: SHA-256 of all steps. Equal digests in check mode and in a real run mean that the same was done.
  returned: success
  type: str
  sample: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils.boot_replay import BootReplayEngine
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_module


def main():
    module = AnsibleModule(
        argument_spec={"state": {"type": "str", "choices": ["present", "absent"], "default": "present"}},
        supports_check_mode=True,
    )
    run_module(module, BootReplayEngine)


if __name__ == "__main__":
    main()
