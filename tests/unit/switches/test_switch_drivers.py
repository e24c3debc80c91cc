# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The payloads of each driver: as they were looked at by people, and doing to a datastore what they are to do.

That the fixtures are what the published models allow is another gate's matter (tools/switch-models).
WEFT_WRITE_FIXTURES=1 writes them anew.
"""

from __future__ import annotations

import os
import typing as t

import pytest
from lxml import etree

from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.switch_drivers import driver_of
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import (
    ALL,
    Aggregate,
    Plan,
    Port,
    PortChange,
    State,
)
from ansible_collections.weft.fabric.plugins.module_utils.switch_names import DRIVERS
from ansible_collections.weft.fabric.plugins.module_utils.switch_xml import NETCONF, Maker
from ansible_collections.weft.fabric.tests.unit.switches.payloads import FIXTURES, NAMES, payload, steps
from ansible_collections.weft.fabric.tests.wire import netconf_datastore as datastore

STEPS = list(steps(NAMES["openconfig"]))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", DRIVERS)
def test_payloads_are_what_was_looked_at(name: str, step: str) -> None:
    path = FIXTURES / f"{name}-{step}.xml"
    text = payload(driver_of(name), steps(NAMES[name])[step])
    if os.environ.get("WEFT_WRITE_FIXTURES"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def read(name: str, store: t.Any, ports: t.Collection[str] | None = None) -> State:
    """Read a datastore as a session does: through the driver's filter."""
    driver = driver_of(name)
    wanted = etree.fromstring(
        f'<filter xmlns="{NETCONF}">'
        + "".join(node.render(NETCONF) for node in driver.read_filter(None if ports is None else list(ports)))
        + "</filter>"
    )
    return driver.parse(datastore.select(store, wanted))


def begin(name: str) -> t.Any:
    """Return a datastore of a switch with its ports and nothing on them."""
    store = datastore.tree()
    driver = driver_of(name)
    if driver.lists_ports:
        # What makes a port known is least visible when it is a description, which is taken away again.
        for described in ("x", ""):
            other = "" if described else "x"
            changes = [
                PortChange(Port(one, description=other), Port(one, description=described)) for one in NAMES[name][:7]
            ]
            datastore.edit(store, datastore.parse(payload(driver, Plan((), tuple(changes)))))
    return store


@pytest.mark.parametrize("name", DRIVERS)
def test_payloads_do_what_they_are_to_do(name: str) -> None:
    store = begin(name)
    for step, plan in steps(NAMES[name]).items():
        datastore.edit(store, datastore.parse(payload(driver_of(name), plan)))
        found = read(name, store)
        for change in plan.ports:
            port = found.ports.get(driver_of(name).key(change.name))
            if port is None and not driver_of(name).lists_ports:
                port = None if change.after is None else Port(change.name)
            assert port == change.after, (step, change.name)
        for vlan in plan.vlans:
            assert found.vlans.get(vlan.vlan_id) == vlan.after, (step, vlan)


@pytest.mark.parametrize("name", DRIVERS)
def test_undone_it_is_as_it_was(name: str) -> None:
    store, driver = begin(name), driver_of(name)
    plans = list(steps(NAMES[name]).values())
    before = []
    for plan in plans:
        before.append(read(name, store))
        datastore.edit(store, datastore.parse(payload(driver, plan)))
    for plan, state in zip(reversed(plans), reversed(before), strict=True):
        datastore.edit(store, datastore.parse(payload(driver, plan.reversed())))
        found = read(name, store)
        # A port of Junos that has nothing any more may still have its name there.
        bare = {key: port for key, port in found.ports.items() if key in state.ports or port != Port(port.name)}
        assert bare == state.ports
        assert found.vlans == state.vlans


@pytest.mark.parametrize("name", DRIVERS)
def test_one_port_can_be_read_alone(name: str) -> None:
    store = begin(name)
    datastore.edit(store, datastore.parse(payload(driver_of(name), steps(NAMES[name])["set"])))
    one = NAMES[name].one
    key = driver_of(name).key(one)
    assert read(name, store, [one]).ports[key] == read(name, store).ports[key]
    assert driver_of(name).key(NAMES[name].two) not in read(name, store, [one]).ports
    assert read(name, store, []).vlans.keys() == {100, 110, 120, 130, 131}


@pytest.mark.parametrize("name", DRIVERS)
def test_a_description_is_text_and_nothing_else(name: str) -> None:
    plan = Plan((), (PortChange(Port(NAMES[name].one), Port(NAMES[name].one, description='</x> & "y"')),))
    assert "</x>" not in payload(driver_of(name), plan)


# What is found on switches that others configured


def found(name: str, text: str) -> State:
    return driver_of(name).parse(datastore.tree(text))


def test_an_openconfig_trunk_without_a_list_carries_everything() -> None:
    text = """<interfaces xmlns="http://openconfig.net/yang/interfaces"><interface><name>Ethernet1</name>
      <ethernet xmlns="http://openconfig.net/yang/interfaces/ethernet"><switched-vlan xmlns="http://openconfig.net/yang/vlan">
      <config><interface-mode>TRUNK</interface-mode><native-vlan>5</native-vlan></config></switched-vlan></ethernet>
      </interface></interfaces>"""
    assert found("openconfig", text).ports["ethernet1"].vlans() == ALL


def test_an_ios_trunk_of_a_newer_train() -> None:
    text = """<native xmlns="http://cisco.com/ns/yang/Cisco-IOS-XE-native"><interface><GigabitEthernet>
      <name>1/0/1</name><shutdown/><switchport-config><switchport>
      <mode xmlns="http://cisco.com/ns/yang/Cisco-IOS-XE-switch"><trunk/></mode>
      <trunk xmlns="http://cisco.com/ns/yang/Cisco-IOS-XE-switch"><native><vlan><vlan-id>100</vlan-id></vlan></native>
      <allowed><vlan><vlans>100,110-111</vlans></vlan></allowed></trunk></switchport></switchport-config>
      </GigabitEthernet><Vlan><name>1</name></Vlan></interface></native>"""
    driver = driver_of("iosxe")
    [port] = driver.parse(datastore.tree(text)).ports.values()
    assert (port.native_vlan, port.allowed_vlans, port.enabled) == (100, frozenset({110, 111}), False)
    # What was read decides how it is written.
    [node] = driver.edit(Plan((), (PortChange(port, port._replace(native_vlan=110)),)))
    assert "<switchport-config>" in node.render()
    assert "<vlan-id>110</vlan-id>" in node.render()


def test_an_ios_member_that_negotiates_otherwise_is_written_too() -> None:
    """Its aggregate changes, and it does not: on IOS-XE it is the member that says how."""
    members = ("GigabitEthernet1/0/5", "GigabitEthernet1/0/6")
    before, after = (Port("Port-channel1", aggregate=Aggregate(members, lacp)) for lacp in ("active", "static"))
    [node] = driver_of("iosxe").edit(Plan((), (PortChange(before, after),)))
    assert node.render().count(">on</mode>") == 2


def test_routed_ports() -> None:
    nexus = """<System xmlns="http://cisco.com/ns/yang/cisco-nx-os-device"><intf-items><phys-items><PhysIf-list>
      <id>eth1/1</id><layer>Layer3</layer></PhysIf-list></phys-items></intf-items></System>"""
    catalyst = """<native xmlns="http://cisco.com/ns/yang/Cisco-IOS-XE-native"><interface><GigabitEthernet>
      <name>1/0/1</name><switchport-conf><switchport>false</switchport></switchport-conf></GigabitEthernet></interface>
      </native>"""
    juniper = """<configuration xmlns="http://xml.juniper.net/xnm/1.1/xnm"><interfaces><interface><name>ge-0/0/1</name>
      <unit><name>0</name><family><inet/></family></unit></interface></interfaces></configuration>"""
    for name, text in (("nxos", nexus), ("iosxe", catalyst), ("junos", juniper)):
        [port] = found(name, text).ports.values()
        assert port.routed, name


def test_junos_vlans_may_be_named_numbered_or_all() -> None:
    text = """<configuration xmlns="http://xml.juniper.net/xnm/1.1/xnm"><interfaces>
      <interface><name>ge-0/0/1</name><native-vlan-id>5</native-vlan-id><unit><name>0</name><family><ethernet-switching>
        <interface-mode>trunk</interface-mode><vlan><members>web</members><members>130-131</members><members>5</members>
        </vlan></ethernet-switching></family></unit></interface>
      <interface><name>ge-0/0/2</name><unit><name>0</name><family><ethernet-switching>
        <interface-mode>trunk</interface-mode><vlan><members>all</members></vlan></ethernet-switching></family></unit>
      </interface></interfaces><vlans><vlan><name>web</name><vlan-id>120</vlan-id></vlan></vlans></configuration>"""
    ports = found("junos", text).ports
    assert ports["ge-0/0/1"].allowed_vlans == {120, 130, 131}
    assert ports["ge-0/0/2"].vlans() == ALL


def test_nexus_vlan_1_is_no_vlan() -> None:
    wanted = Plan((), (PortChange(Port("Ethernet1/1"), Port("Ethernet1/1", mode="access", vlan=1)),))
    with pytest.raises(FabricError, match="a port in VLAN 1 is one in no VLAN"):
        driver_of("nxos").edit(wanted)


def test_neighbours_of_nexus_and_catalyst() -> None:
    nexus = """<System xmlns="http://cisco.com/ns/yang/cisco-nx-os-device"><lldp-items><inst-items><if-items><If-list>
      <id>eth1/1</id><adj-items><AdjEp-list><id>1</id><sysName>spine1</sysName><enCap>bridge,router</enCap></AdjEp-list>
      </adj-items></If-list></if-items></inst-items></lldp-items></System>"""
    catalyst = """<lldp-entries xmlns="http://cisco.com/ns/yang/Cisco-IOS-XE-lldp-oper"><lldp-entry>
      <device-id>spine1</device-id><local-interface>Gi1/0/1</local-interface><connecting-interface>et1</connecting-interface>
      <capabilities><bridge/></capabilities></lldp-entry></lldp-entries>"""
    for name, text, port in (("nxos", nexus, "Ethernet1/1"), ("iosxe", catalyst, "GigabitEthernet1/0/1")):
        driver = driver_of(name)
        [one] = driver.neighbours(datastore.tree(text))
        assert (one.system_name, one.bridge) == ("spine1", True)
        assert driver.key(one.port) == driver.key(port)
        assert driver.neighbour_filter([port])


def test_how_what_is_written_is_kept() -> None:
    for name, own in (("iosxe", "save-config"), ("eos", "write memory")):
        driver = driver_of(name)
        node = driver.save_request() or driver.save_edit()
        assert node is not None
        assert own in node.render()
    assert driver_of("junos").keeps_commits


def test_rendering() -> None:
    make = Maker("urn:a")
    node = make("x", make("y", 1), make.named("z", "kind", "p", "urn:b"), make("e", operation="remove"))
    assert datastore.leaf(datastore.parse(node.render()), "z") == "p:kind"
    assert 'nc:operation="remove"/>' in node.render()
