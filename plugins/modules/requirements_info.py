#!/usr/bin/python
# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: requirements_info
short_description: Tell what a host lacks before it can join the fabric
version_added: 0.1.0
description:
  - Looks for the programs that the other modules call and tells which packages bring them.
  - Compares the MTU of the underlay interface with what the topology says, so that tunnels do not
    drop full-sized frames silently.
  - Reads only. A host that can't work is an error here, before anything is changed.
options:
  programs:
    description:
      - Programs that must be there.
    type: list
    elements: str
    choices: [ip, ovs-vsctl, ovs-ofctl, ovsdb-client, dnsmasq]
    required: true
  interfaces:
    description:
      - Interfaces that must exist, with the least MTU each must have.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the interface.
        type: str
        required: true
      mtu:
        description: Least MTU of the interface, in bytes.
        type: int
extends_documentation_fragment:
  - weft.fabric.attributes.info
  - weft.fabric.attributes.actiongroup
author:
  - weft.fabric contributors (@weft-fabric)
seealso:
  - module: weft.fabric.ovs_bridges
"""

EXAMPLES = r"""
- name: See what is missing for a network node
  weft.fabric.requirements_info:
    programs: [ip, ovs-vsctl, ovs-ofctl, dnsmasq]
    interfaces:
      - name: eth1
        mtu: 1550
"""

RETURN = r"""
missing_programs:
  description: Programs that were not found.
  returned: success
  type: list
  elements: str
  sample: [ovs-vsctl]
packages:
  description: Packages that bring the missing programs on this distribution.
  returned: success
  type: list
  elements: str
  sample: [openvswitch-switch]
"""

import os

from ansible.module_utils.basic import AnsibleModule

# Debian's names first; the second column is Fedora's, RHEL's and their kin's.
PACKAGES = {
    "ip": ("iproute2", "iproute"),
    "ovs-vsctl": ("openvswitch-switch", "openvswitch"),
    "ovs-ofctl": ("openvswitch-switch", "openvswitch"),
    "ovsdb-client": ("openvswitch-switch", "openvswitch"),
    "dnsmasq": ("dnsmasq-base", "dnsmasq"),
}


def packages_for(programs, rpm):
    """Return the sorted names of the packages that bring some programs."""
    return sorted({PACKAGES[program][1 if rpm else 0] for program in programs})


def read_mtu(name, root="/sys/class/net"):
    """Return the MTU of an interface in bytes, or None when there is no such interface."""
    try:
        with open(os.path.join(root, name, "mtu"), "r", encoding="ascii") as stream:
            return int(stream.read())
    except FileNotFoundError:
        return None


def interface_problem(name, wanted, actual):
    """Return what is wrong with an interface, or None."""
    if actual is None:
        return "interface %s does not exist on this host: correct its name in the topology" % name
    if wanted and actual < wanted:
        return (
            "interface %s has an MTU of %d bytes, the topology counts on %d: full-sized frames would be lost "
            "without a trace. Raise the interface's MTU or lower underlay_mtu" % (name, actual, wanted)
        )
    return None


def main():
    module = AnsibleModule(
        argument_spec={
            "programs": {"type": "list", "elements": "str", "choices": sorted(PACKAGES), "required": True},
            "interfaces": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {"name": {"type": "str", "required": True}, "mtu": {"type": "int"}},
            },
        },
        supports_check_mode=True,
    )
    missing = [program for program in module.params["programs"] if module.get_bin_path(program) is None]
    problems = []
    for interface in module.params["interfaces"]:
        problem = interface_problem(interface["name"], interface["mtu"], read_mtu(interface["name"]))
        if problem:
            problems.append(problem)
    if problems:
        module.fail_json(msg="; ".join(problems))
    module.exit_json(
        changed=False,
        missing_programs=missing,
        packages=packages_for(missing, os.path.exists("/etc/redhat-release")),
    )


if __name__ == "__main__":
    main()
