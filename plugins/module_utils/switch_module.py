# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules for switches share: arguments, and the one place where errors become fail_json."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.weft.fabric.plugins.module_utils import netconf_ssh, switch_names
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError

SWITCH = dict(
    name=dict(type="str"),
    driver=dict(type="str", choices=list(switch_names.DRIVERS), required=True),
    address=dict(type="str", required=True),
    port=dict(type="int", default=830),
    username=dict(type="str", required=True),
    password=dict(type="str", no_log=True),
    ssh_key_file=dict(type="path", no_log=False),
    host_key=dict(type="str", no_log=False),
    known_hosts=dict(type="path"),
    host_key_checking=dict(type="bool", default=True),
    timeout=dict(type="int", default=30),
    connect_timeout=dict(type="int", default=8),
)

POLICY = dict(
    allowed_vlans=dict(type="list", elements="str", required=True),
    allowed_ports=dict(type="list", elements="str"),
    uplinks=dict(type="list", elements="str", default=[]),
    owned_vlans=dict(type="list", elements="str"),
)

READING = dict(
    switch=dict(type="dict", required=True, options=SWITCH, required_one_of=[("password", "ssh_key_file")]),
)

WRITING = dict(
    READING,
    policy=dict(type="dict", required=True, options=POLICY),
    confirmed_commit=dict(type="int"),
    lock_timeout=dict(type="int", default=60),
    discard_foreign=dict(type="bool", default=False),
    persist=dict(type="str", choices=["driver", "none", "startup"], default="driver"),
    audit_file=dict(type="path"),
    who=dict(type="str"),
)

CURRENT = dict(
    mode=dict(type="str", choices=["access", "trunk"]),
    vlan=dict(type="int"),
    native_vlan=dict(type="int"),
    allowed_vlans=dict(type="list", elements="str"),
)

AGGREGATE = dict(
    members=dict(type="list", elements="str", required=True),
    lacp=dict(type="str", choices=["active", "passive", "static"], default="active"),
    min_links=dict(type="int", default=1),
)

PORT = dict(
    CURRENT,
    name=dict(type="str", required=True),
    state=dict(type="str", choices=["present", "absent"], default="present"),
    description=dict(type="str"),
    enabled=dict(type="bool"),
    edge=dict(type="bool"),
    aggregate=dict(type="dict", options=AGGREGATE),
    expected_current=dict(type="dict", options=CURRENT),
    neighbour=dict(type="str"),
)

VLAN = dict(
    vlan_id=dict(type="int", required=True),
    name=dict(type="str"),
    state=dict(type="str", choices=["present", "absent"], default="present"),
)

PORTS = dict(
    WRITING,
    ports=dict(type="list", elements="dict", default=[], options=PORT),
    vlans=dict(type="list", elements="dict", default=[], options=VLAN),
    create_vlans=dict(type="bool", default=False),
    purge_vlans=dict(type="bool", default=False),
)

PORTS_INFO = dict(READING, ports=dict(type="list", elements="str"))

VLANS = dict(
    WRITING,
    vlans=dict(type="list", elements="dict", required=True, options=VLAN),
    purge=dict(type="bool", default=False),
)

VLANS_INFO = dict(READING, all=dict(type="bool", default=False))


def of_vlans(params: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Return what VLANS asks for as PORTS asks for it. Listed there, a VLAN is wanted."""
    return dict(params, create_vlans=True, purge_vlans=params["purge"])


def run_switch(module: AnsibleModule, work: t.Callable[[], t.Dict[str, t.Any]]) -> None:
    """Run a module's work, which returns its return values, and among them `warnings`."""
    absent = missing()
    if absent:
        module.fail_json(msg=missing_required_lib("ncclient"), exception=absent)
    result = outcome(module.params["switch"], work, module._diff)
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def missing() -> t.Optional[str]:
    """Return why switches cannot be spoken to with this Python, if they cannot."""
    return netconf_ssh.MISSING


def outcome(switch: t.Mapping[str, t.Any], work: t.Callable[[], t.Dict[str, t.Any]], diff: bool) -> t.Dict[str, t.Any]:
    """Do the work at a switch, and return what a task of Ansible returns."""
    name = switch.get("name") or switch["address"]
    # Forty-eight ports sent back are forty-eight ports in a log.
    told = {"invocation": {"module_args": {"switch": name}}}
    try:
        found = work()
    except FabricError as error:
        return dict(told, failed=True, msg=str(error))
    except OSError as error:
        return dict(told, failed=True, msg="switch %s: %s" % (name, error))
    if not diff:
        found.pop("diff", None)
    return dict(told, **found)
