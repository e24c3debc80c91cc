# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Open vSwitch cannot make, or does not answer: told with a remedy, and mended by the next run."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import ovs_bridges
from ansible_collections.weft.fabric.plugins.module_utils.ovs_snapshot import Snapshot, read_snapshot
from ansible_collections.weft.fabric.plugins.module_utils.ovsdb import OvsdbClient
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError, reconcile
from ansible_collections.weft.fabric.tests.unit.ovs.helpers import (
    FULL,
    bridge,
    bridges_engine,
    column,
    cycle,
    port,
    ports_of,
)
from ansible_collections.weft.fabric.tests.unit.ovs_sandbox import OvsSandbox


def test_what_open_vswitch_cannot_make_is_taken_back(box: OvsSandbox) -> None:
    wanted = bridge("br-int", port("good", 3), port("bad", 4, type="patch"))
    with pytest.raises(FabricError, match=r"port bad: .*requires valid 'peer'.*was removed again") as failure:
        reconcile(bridges_engine(box, [wanted]))
    assert "good" not in str(failure.value)
    assert ports_of(box, "br-int") == ["good"]
    assert column(box, "Interface", "br-int", "ofport") == 65534


def test_what_was_there_before_is_not_taken_back(box: OvsSandbox) -> None:
    wanted = bridge("br-int", port("patch1", type="patch", options={"peer": "patch2"}))
    reconcile(bridges_engine(box, [wanted]))
    wanted["ports"][0]["interface"]["options"] = {}
    with pytest.raises(FabricError, match="port patch1: ") as failure:
        reconcile(bridges_engine(box, [wanted]))
    assert "removed again" not in str(failure.value)
    assert ports_of(box, "br-int") == ["patch1"]


def test_a_port_that_is_broken_is_told_of_every_time(box: OvsSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ovs_bridges, "SETTLE_SECONDS", 0.1)
    box.vsctl("add-br", "br-int", "--", "set", "Bridge", "br-int", "external_ids:weft-fabric=1")
    box.vsctl("--no-wait", "add-port", "br-int", "patch1", "--", "set", "Interface", "patch1", "type=patch")
    box.vsctl("set", "Port", "patch1", "external_ids:weft-fabric=1")
    engine = bridges_engine(box, [{"name": "br-int", "ports": [port("patch1", type="patch")]}])
    reason = "patch1: patch type requires valid 'peer' argument"
    assert reconcile(engine, check_mode=True)["changes"] == [f"interface patch1 on br-int: open again ({reason})"]
    for _attempt in range(2):
        with pytest.raises(FabricError, match=f"port patch1: {reason}"):
            reconcile(engine)
    assert ports_of(box, "br-int") == ["patch1"]


def test_a_device_that_has_just_come_up_is_waited_for(box: OvsSandbox) -> None:
    engine = bridges_engine(box, [bridge("br-int", port("tap1"))])
    reconcile(engine)
    box.kill_vswitchd()
    box.vsctl("--no-wait", "set", "Interface", "tap1", "ofport=-1", 'error="could not open network device"')
    starter = threading.Thread(target=box.start_vswitchd)
    starter.start()
    try:
        assert not reconcile(engine)["changed"]
    finally:
        starter.join()


def test_a_bridge_without_datapath_is_no_success(box: OvsSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it can't make a datapath Open vSwitch records the bridge, and ovs-vsctl exits with 0."""
    wanted = [bridge("br-good"), bridge("br-lost", port("tap1"), datapath_type="system")]

    def without_datapath(client: OvsdbClient) -> Snapshot:
        snapshot = read_snapshot(client)
        if "br-lost" in snapshot.bridges:
            snapshot.bridges["br-lost"]["datapath_id"] = None
        return snapshot

    monkeypatch.setattr(ovs_bridges, "read_snapshot", without_datapath)
    with pytest.raises(FabricError, match=r"bridge br-lost: no datapath of type system .*was removed again"):
        reconcile(bridges_engine(box, wanted))
    assert box.vsctl("list-br").split() == ["br-good"]
    assert "tap1" not in box.ofports()


def test_a_bridge_that_lost_its_datapath_is_opened_again(box: OvsSandbox) -> None:
    box.kill_vswitchd()
    box.vsctl("--no-wait", "add-br", "br-late", "--", "set", "Bridge", "br-late", "external_ids:weft-fabric=1")
    engine = bridges_engine(box, [{"name": "br-late"}])
    foretold = reconcile(engine, check_mode=True)
    assert foretold["changes"] == ["bridge br-late: open again (Open vSwitch did not make its datapath)"]
    box.start_vswitchd()
    assert not reconcile(engine)["changed"]


def test_a_patch_between_unlike_datapaths_is_refused(box: OvsSandbox) -> None:
    box.vsctl("add-br", "br-ex")
    wanted = [
        bridge("br-int", port("int", type="patch", options={"peer": "phy"})),
        {"name": "br-ex", "managed": False, "ports": [port("phy", type="patch", options={"peer": "int"})]},
    ]
    with pytest.raises(FabricError, match=r"\(datapath_type netdev\) to its peer phy on bridge br-ex \(system\)"):
        reconcile(bridges_engine(box, wanted), check_mode=True)
    wanted[0]["datapath_type"] = "system"
    cycle(bridges_engine(box, wanted))


def test_a_dead_switch_is_told_of_and_the_next_run_converges(box: OvsSandbox) -> None:
    box.kill_vswitchd()
    with pytest.raises(FabricError, match="Is ovs-vswitchd running"):
        reconcile(bridges_engine(box, [FULL], timeout=1))
    box.start_vswitchd()
    assert not reconcile(bridges_engine(box, [FULL]))["changed"]
    assert ports_of(box, "br-int") == ["int1", "patch1", "patch2", "tap1", "vxlan1"]


def test_no_database_comes_with_a_remedy(box: OvsSandbox) -> None:
    engine = bridges_engine(box, [FULL])
    box.stop()
    with pytest.raises(FabricError, match=r"does not answer.*systemctl start openvswitch-switch"):
        reconcile(engine)
