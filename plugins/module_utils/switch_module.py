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


def run_switch(module: AnsibleModule, work: t.Callable[[], t.Dict[str, t.Any]]) -> None:
    """Run a module's work, which returns its return values, and among them `warnings`."""
    if netconf_ssh.MISSING:
        module.fail_json(msg=missing_required_lib("ncclient"), exception=netconf_ssh.MISSING)
    switch = module.params["switch"]
    # Forty-eight ports sent back are forty-eight ports in a log.
    invocation = {"module_args": {"switch": switch.get("name") or switch["address"]}}
    try:
        result = work()
    except FabricError as error:
        module.fail_json(msg=str(error), invocation=invocation)
    except OSError as error:
        module.fail_json(msg="switch %s: %s" % (switch.get("name") or switch["address"], error), invocation=invocation)
    else:
        for warning in result.pop("warnings", ()):
            module.warn(warning)
        if not module._diff:
            result.pop("diff", None)
        module.exit_json(invocation=invocation, **result)
