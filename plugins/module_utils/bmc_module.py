# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules for BMCs share: arguments, results of several nodes, and the one place for errors."""

from __future__ import annotations

import hashlib
import math
import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.weft.fabric.plugins.module_utils import bmc_ipmi, bmc_redfish_session
from ansible_collections.weft.fabric.plugins.module_utils.bmc_link import Item, Task, session
from ansible_collections.weft.fabric.plugins.module_utils.bmc_model import PROTOCOLS, BmcError, way
from ansible_collections.weft.fabric.plugins.module_utils.bmc_processes import run_all
from ansible_collections.weft.fabric.plugins.module_utils.bmc_watch import Overdue, Report, Watch
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

BMC = dict(
    protocol=dict(type="str", choices=list(PROTOCOLS), required=True),
    address=dict(type="str", required=True),
    port=dict(type="int"),
    username=dict(type="str", required=True),
    password=dict(type="str", required=True, no_log=True),
    kg=dict(type="str", no_log=True),
    privilege=dict(type="str", choices=["operator", "administrator"], default="operator"),
    system=dict(type="str"),
    validate_certs=dict(type="bool", default=True),
    certificate_fingerprint=dict(type="str"),
    connect_timeout=dict(type="float", default=10.0),
    timeout=dict(type="float", default=30.0),
    retry_timeout=dict(type="float", default=60.0),
    lock_timeout=dict(type="float", default=120.0),
)

NODE = dict(
    name=dict(type="str", required=True),
    bmc=dict(type="dict", required=True, options=BMC),
)


def arguments(**node: t.Any) -> t.Dict[str, t.Any]:
    """Return the argument specification of a module whose nodes have these options besides the common ones."""
    return dict(
        nodes=dict(type="list", elements="dict", required=True, options=dict(NODE, **node)),
        parallel=dict(type="int", default=16),
    )


def run_nodes(module: AnsibleModule, task: Task) -> None:
    """Run a module: every node's work, and then one result for all."""
    absent = missing()
    if absent:
        module.fail_json(msg=missing_required_lib("pyghmi"), exception=absent)
    result = outcome(module.params, task, module._diff)
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def missing() -> t.Optional[str]:
    """Return why BMCs cannot be spoken to with this Python, if they cannot."""
    return bmc_ipmi.MISSING or bmc_redfish_session.MISSING


def outcome(params: t.Mapping[str, t.Any], task: Task, diff: bool) -> t.Dict[str, t.Any]:
    """Do every node's work, and return what a task of Ansible returns."""
    nodes = params["nodes"]
    # Forty nodes sent back are forty nodes in a log.
    told = {"invocation": {"module_args": {"nodes": [node["name"] for node in nodes]}}}
    problems = check_nodes(nodes, params["parallel"])
    if problems:
        return dict(told, failed=True, msg="%s. No BMC was asked." % "; ".join(problems))
    found = summarise(run_all(nodes, lambda item, watch: work(item, watch, task), params["parallel"]))
    if not diff:
        found.pop("diff")
    failure = found.pop("failure")
    return dict(found, **told, **({"failed": True, "msg": failure} if failure else {}))


def title(item: Item) -> str:
    """Return what a node's messages begin with."""
    return "node %s, BMC %s" % (item["name"], way(item["bmc"]))


def work(item: Item, watch: Watch, task: Task) -> None:
    """Do one node's work; what goes wrong is in its report."""
    name = title(item)
    try:
        with session(name, way(item["bmc"]), watch) as link:
            task(item, link, watch)
    except BmcError as error:
        watch.report["error"] = "%s: %s" % (name, error)
    except Overdue as error:
        watch.report["error"] = (
            "%s: %s, and was given up. Run again: it reads first what has become of it, or raise that bound."
            % (name, error)
        )
    except FabricError as error:
        # It names the node itself.
        watch.report["error"] = str(error)


_SECONDS = ("connect_timeout", "timeout", "retry_timeout", "lock_timeout")
_NODE_SECONDS = ("soft_timeout", "power_timeout")
_MAY_BE_NOTHING = ("retry_timeout", "lock_timeout", "soft_timeout")


def check_nodes(nodes: t.Sequence[Item], parallel: int) -> t.List[str]:
    """Return what is wrong with the arguments though each of them has the right type."""
    problems = []
    names = [node["name"] for node in nodes]
    for name in sorted(set(names)):
        if names.count(name) > 1:
            problems.append("node %s is listed %d times" % (name, names.count(name)))
    if parallel < 1:
        problems.append("parallel must be at least 1")
    for node in nodes:
        seconds = [(key, node["bmc"][key]) for key in _SECONDS]
        seconds += [(key, node[key]) for key in _NODE_SECONDS if key in node]
        for key, value in seconds:
            if not math.isfinite(value) or value < (0 if key in _MAY_BE_NOTHING else 1):
                problems.append("node %s: %s cannot be %g s" % (node["name"], key, value))
        problems += _check_bmc(node)
    return problems


def _check_bmc(node: Item) -> t.List[str]:
    bmc, found = node["bmc"], []
    fingerprint = bmc.get("certificate_fingerprint")
    if fingerprint:
        plain = bmc_redfish_session.plain_fingerprint(fingerprint)
        if len(plain) != 64 or set(plain) - set("0123456789abcdef"):
            found.append("node %s: certificate_fingerprint is no SHA-256 fingerprint" % node["name"])
    if bmc["protocol"] == "ipmi" and node.get("device") == "http":
        found.append("node %s: IPMI has no boot device http; use pxe, or reach the BMC by Redfish" % node["name"])
    if node.get("http_boot_uri") and node.get("device") != "http":
        found.append("node %s: http_boot_uri is of use with device http only" % node["name"])
    if node.get("device") == "http" and node.get("boot_mode") == "bios":
        found.append("node %s: HTTP boot is UEFI's, and not to be had with boot_mode bios" % node["name"])
    return found


def summarise(reports: t.Sequence[Report]) -> t.Dict[str, t.Any]:
    """Turn the nodes' reports into return values."""
    changes = ["%s: %s" % (report["name"], text) for report in reports for text in report["changes"]]
    diffs = [(report["name"], *report.pop("diff", ("", ""))) for report in reports]
    errors = [report["error"] for report in reports if report["error"]]
    return {
        "changed": any(report["changed"] for report in reports),
        "changes": changes,
        "changes_total": len(changes),
        "changes_digest": hashlib.sha256("".join(text + "\n" for text in sorted(changes)).encode("utf-8")).hexdigest(),
        "diff": {
            "before": "".join("%s: %s\n" % (name, before) for name, before, _after in diffs if before),
            "after": "".join("%s: %s\n" % (name, after) for name, _before, after in diffs if after),
        },
        "nodes": list(reports),
        "warnings": ["node %s: %s" % (report["name"], text) for report in reports for text in report["warnings"]],
        "failure": "%d of %d nodes failed. %s" % (len(errors), len(reports), " ".join(errors)) if errors else None,
    }
