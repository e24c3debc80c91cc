# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the Open vSwitch engines share."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.openflow_flows import OpenflowFlowsEngine
from ansible_collections.weft.fabric.plugins.module_utils.ovs_bridges import OvsBridgesEngine
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Engine, reconcile
from ansible_collections.weft.fabric.tests.unit.ovs_sandbox import OvsSandbox

Result = dict[str, t.Any]
MARK = 0x77656674 << 32


def bridges_engine(box: OvsSandbox, bridges: list[dict[str, t.Any]], **options: t.Any) -> OvsBridgesEngine:
    return OvsBridgesEngine({"bridges": bridges, "socket": box.socket_path, "timeout": 20, **options})


def flows_engine(box: OvsSandbox, flows: dict[str, list[str]], **options: t.Any) -> OpenflowFlowsEngine:
    bridges = [{"name": name, "flows": lines} for name, lines in flows.items()]
    return OpenflowFlowsEngine(
        {"bridges": bridges, "socket": box.socket_path, "rundir": str(box.directory), "purge": True, **options}
    )


def cycle(engine: Engine) -> Result:
    """Foretell, do, foretell, do: what was foretold is done, and the second time nothing is left to do."""
    foretold = reconcile(engine, check_mode=True)
    done = reconcile(engine)
    assert done["changes"] == foretold["changes"]
    assert done["changes_digest"] == foretold["changes_digest"]
    assert done["diff"] == foretold["diff"]
    for check_mode in (True, False):
        again = reconcile(engine, check_mode=check_mode)
        assert not again["changed"], again["changes"]
    return done


def bridge(name: str = "br-int", *ports: dict[str, t.Any], **settings: t.Any) -> dict[str, t.Any]:
    return {"name": name, "datapath_type": "netdev", "fail_mode": "secure", "ports": list(ports), **settings}


def port(name: str, tag: int | None = None, **interface: t.Any) -> dict[str, t.Any]:
    return {"name": name, "tag": tag, "interface": interface}


def column(box: OvsSandbox, table: str, record: str, name: str) -> t.Any:
    """Read one column through ovs-vsctl: a reader that knows nothing of our client."""
    output = box.vsctl("--format=json", f"--columns={name}", "list", table, record)
    return decoded(json.loads(output)["data"][0][0])


def decoded(value: t.Any) -> t.Any:
    if isinstance(value, list):
        kind, content = value
        return dict(content) if kind == "map" else [decoded(item) for item in content] if kind == "set" else content
    return value


def ports_of(box: OvsSandbox, name: str) -> list[str]:
    return sorted(box.vsctl("list-ports", name).split())


def dump(box: OvsSandbox, name: str, *match: str) -> list[str]:
    output = box.ofctl("--no-stats", "--no-names", "dump-flows", name, *match)
    return sorted(line.strip() for line in output.splitlines() if "actions=" in line)


FULL = bridge(
    "br-int",
    port("tap1", 5, external_ids={"iface-id": "one", "attached-mac": "fa:16:3e:00:00:01"}),
    port("int1", None, type="internal", mtu_request=1450),
    port("vxlan1", None, type="vxlan", options={"remote_ip": "192.0.2.2", "key": "flow"}),
    port("patch1", None, type="patch", options={"peer": "patch2"}),
    port("patch2", None, type="patch", options={"peer": "patch1"}),
    protocols=["OpenFlow10", "OpenFlow13", "OpenFlow14"],
    other_config={"disable-in-band": True, "mac-table-size": 50000},
    external_ids={"owner": "blue"},
)
