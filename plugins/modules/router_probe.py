#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: router_probe
short_description: Measure what is lost on the way through routers
version_added: 0.1.0
description:
  - Sends an echo request every 10 milliseconds from inside a network through a router, for as long as something else
    is done, and counts what is not answered.
  - Requests are sent from a namespace of the collection on this host, straight to the router's MAC address. Nothing is
    configured there for it.
  - Of several targets the first that answers is taken, so that what is measured is as much of the way as there is. Of
    several ways through a router the first on which anybody answers.
  - The module returns when requests are on their way. They end with O(state=stopped), or after O(seconds).
options:
  state:
    description: Whether to begin, or to end and tell the result.
    type: str
    choices: [started, stopped]
    required: true
  ways:
    description: From where to where.
    type: list
    elements: dict
    default: []
    suboptions:
      router:
        description: Name of the router.
        type: str
        required: true
      namespace:
        description: Where requests come from.
        type: str
        required: true
      interface:
        description: Device there.
        type: str
        required: true
      source:
        description: IPv4 address of that port.
        type: str
        required: true
      mac:
        description: The router's MAC address in that network.
        type: str
        required: true
      targets:
        description: Who may answer, the farthest first, as C(address) and C(what) in words.
        type: list
        elements: dict
        required: true
  seconds:
    description: When to stop in any case.
    type: int
    default: 120
extends_documentation_fragment:
  - weft.fabric.attributes.actiongroup
attributes:
  check_mode:
    description: Can run in check mode; nothing is sent then.
    support: full
  diff_mode:
    description: Returns what differs between the current and the desired state.
    support: N/A
    details: The module changes nothing.
  idempotent:
    description: A second run with the same arguments changes nothing.
    support: N/A
    details: It measures.
  platform:
    description: Target operating systems.
    platforms: linux
    support: full
seealso:
  - module: weft.fabric.router_roles
author:
  - weft.fabric contributors (@weft-fabric)
"""

EXAMPLES = r"""
- name: Begin to measure
  weft.fabric.router_probe:
    state: started
    ways:
      - router: blue/r1
        namespace: qdhcp-1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
        interface: ns-1a2b3c4d-5e
        source: 10.0.0.2
        mac: fa:16:3e:11:22:33
        targets:
          - {address: 203.0.113.1, what: gateway of admin/public}
          - {address: 10.0.0.1, what: the router itself}

- name: End it
  weft.fabric.router_probe:
    state: stopped
  register: measured
"""

RETURN = r"""
measuring:
  description: With O(state=started), which ways are measured.
  type: list
  elements: dict
  returned: when started
  sample: [{router: blue/r1, source: 10.0.0.2, target: 203.0.113.1, what: gateway of admin/public}]
silent:
  description: With O(state=started), the routers that can't be measured from here, as nobody answers.
  type: list
  elements: str
  returned: when started
  sample: []
results:
  description: With O(state=stopped), what was lost. C(longest_gap_ms) is the longest time without an answer.
  type: list
  elements: dict
  returned: when stopped
  sample:
    - router: blue/r1
      namespace: qdhcp-1a2b3c4d-5e6f-5a7b-8c9d-0e1f2a3b4c5d
      source: 10.0.0.2
      target: 203.0.113.1
      what: gateway of admin/public
      sent: 412
      lost: 0
      longest_gap_ms: 0
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.weft.fabric.plugins.module_utils import router_probe
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import run_info

WAY = dict(
    router=dict(type="str", required=True),
    namespace=dict(type="str", required=True),
    interface=dict(type="str", required=True),
    source=dict(type="str", required=True),
    mac=dict(type="str", required=True),
    targets=dict(type="list", elements="dict", required=True),
)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            state=dict(type="str", choices=["started", "stopped"], required=True),
            ways=dict(type="list", elements="dict", default=[], options=WAY),
            seconds=dict(type="int", default=120),
        ),
        supports_check_mode=True,
    )

    def work():
        if module.params["state"] == "stopped":
            return {"results": [] if module.check_mode else router_probe.stop()}
        ways = router_probe.parse(module.params["ways"])
        return router_probe.start([] if module.check_mode else ways, module.params["seconds"])

    run_info(module, work)


if __name__ == "__main__":
    main()
