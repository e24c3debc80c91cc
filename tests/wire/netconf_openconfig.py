# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenConfig for the scripted NETCONF server: trees made from switch_ports' arguments, and the rules of the models."""

from __future__ import annotations

import re
import typing as t
from xml.sax.saxutils import escape

from .netconf_datastore import RpcError, child_of, leaf, local, path_of

BASE = "http://openconfig.net/yang"
INTERFACES, ETHERNET, AGGREGATE = f"{BASE}/interfaces", f"{BASE}/interfaces/ethernet", f"{BASE}/interfaces/aggregate"
VLAN, NETWORK_INSTANCE, LACP, LLDP = f"{BASE}/vlan", f"{BASE}/network-instance", f"{BASE}/lacp", f"{BASE}/lldp"
IANA = "urn:ietf:params:xml:ns:yang:iana-if-type"
TYPES = {"ethernetCsmacd": "ethernet", "ieee8023adLag": "aggregation"}
MODULES = {
    "openconfig-interfaces": INTERFACES,
    "openconfig-if-ethernet": ETHERNET,
    "openconfig-if-aggregate": AGGREGATE,
    "openconfig-vlan": VLAN,
    "openconfig-network-instance": NETWORK_INSTANCE,
    "openconfig-lacp": LACP,
    "openconfig-lldp": LLDP,
}

Port = t.Mapping[str, t.Any]


def ports(*items: Port, vlans: t.Iterable[t.Mapping[str, t.Any]] = ()) -> str:
    """Return a running configuration: items as switch_ports takes them, each at least with a name."""
    members = {member: item["name"] for item in items for member in item.get("aggregate", {}).get("members", [])}
    entries = "".join(_interface(item, members.get(item["name"])) for item in items)
    return f'<interfaces xmlns="{INTERFACES}">{entries}</interfaces>{_lacp(items)}{_vlan_database(vlans)}'


def _interface(item: Port, aggregate: str | None) -> str:
    name, own = item["name"], item.get("aggregate")
    kind = "ieee8023adLag" if own else "ethernetCsmacd"
    described = f"<description>{escape(item['description'])}</description>" if item.get("description") else ""
    enabled = "true" if item.get("enabled", True) else "false"
    switched = _switched_vlan(item)
    if own:
        lag = "STATIC" if own.get("lacp") == "static" else "LACP"
        config = f"<config><lag-type>{lag}</lag-type><min-links>{own.get('min_links', 1)}</min-links></config>"
        inner = f'<aggregation xmlns="{AGGREGATE}">{config}{switched}</aggregation>'
    elif aggregate:
        inner = (
            f'<ethernet xmlns="{ETHERNET}"><config><aggregate-id xmlns="{AGGREGATE}">{aggregate}</aggregate-id>'
            "</config></ethernet>"
        )
    else:
        inner = f'<ethernet xmlns="{ETHERNET}">{switched}</ethernet>' if switched else ""
    return (
        f'<interface><name>{name}</name><config><name>{name}</name><type xmlns:ianaift="{IANA}">ianaift:{kind}</type>'
        f"{described}<enabled>{enabled}</enabled></config>{inner}</interface>"
    )


def _switched_vlan(item: Port) -> str:
    mode = item.get("mode")
    if mode == "access":
        leaves = f"<interface-mode>ACCESS</interface-mode><access-vlan>{item['vlan']}</access-vlan>"
    elif mode == "trunk":
        native = f"<native-vlan>{item['native_vlan']}</native-vlan>" if item.get("native_vlan") else ""
        allowed = "".join(f"<trunk-vlans>{vlan}</trunk-vlans>" for vlan in item.get("allowed_vlans", []))
        leaves = f"<interface-mode>TRUNK</interface-mode>{native}{allowed}"
    else:
        return ""
    return f'<switched-vlan xmlns="{VLAN}"><config>{leaves}</config></switched-vlan>'


def _lacp(items: t.Iterable[Port]) -> str:
    entries = "".join(
        f"<interface><name>{item['name']}</name><config><name>{item['name']}</name><interval>FAST</interval>"
        f"<lacp-mode>{item['aggregate'].get('lacp', 'active').upper()}</lacp-mode></config></interface>"
        for item in items
        if item.get("aggregate") and item["aggregate"].get("lacp") != "static"
    )
    return f'<lacp xmlns="{LACP}"><interfaces>{entries}</interfaces></lacp>' if entries else ""


def _vlan_database(vlans: t.Iterable[t.Mapping[str, t.Any]]) -> str:
    entries = "".join(
        f"<vlan><vlan-id>{vlan['vlan_id']}</vlan-id><config><vlan-id>{vlan['vlan_id']}</vlan-id>"
        f"<name>{escape(vlan.get('name', 'VLAN'))}</name><status>ACTIVE</status></config></vlan>"
        for vlan in vlans
    )
    return (
        f'<network-instances xmlns="{NETWORK_INSTANCE}"><network-instance><name>default</name>'
        f"<config><name>default</name></config><vlans>{entries}</vlans></network-instance></network-instances>"
    )


def neighbours(**by_port: t.Mapping[str, t.Any]) -> str:
    """Return LLDP's state: of each port its neighbour, with chassis_id, port_id, system_name and capabilities."""
    entries = ""
    for port, seen in by_port.items():
        capabilities = "".join(
            f'<capability><name xmlns:ll="{LLDP}/types">ll:{name}</name><state><name xmlns:ll="{LLDP}/types">ll:{name}'
            "</name><enabled>true</enabled></state></capability>"
            for name in seen.get("capabilities", [])
        )
        entries += (
            f"<interface><name>{port}</name><neighbors><neighbor><id>1</id><state><id>1</id>"
            f"<chassis-id>{seen.get('chassis_id', '02:00:00:00:00:01')}</chassis-id>"
            f"<port-id>{seen.get('port_id', 'eth0')}</port-id>"
            f"<system-name>{seen.get('system_name', 'peer')}</system-name></state>"
            f"<capabilities>{capabilities}</capabilities></neighbor></neighbors></interface>"
        )
    return f'<lldp xmlns="{LLDP}"><interfaces>{entries}</interfaces></lldp>'


def interfaces(datastore: t.Any) -> dict[str, t.Any]:
    """Return the interface entries of a tree by name."""
    top = next(datastore.iterchildren(f"{{{INTERFACES}}}interfaces"), None)
    entries = [] if top is None else list(top.iterchildren(f"{{{INTERFACES}}}interface"))
    return {leaf(entry, "name") or "": entry for entry in entries}


def port(datastore: t.Any, name: str) -> dict[str, t.Any]:
    """Return what a port is now, as switch_ports would be told; its aggregate's name where it is a member."""
    entry = interfaces(datastore).get(name)
    if entry is None:
        return {}
    found: dict[str, t.Any] = {"name": name, "enabled": leaf(entry, "config", "enabled") != "false"}
    if leaf(entry, "config", "description"):
        found["description"] = leaf(entry, "config", "description")
    if leaf(entry, "ethernet", "config", "aggregate-id"):
        found["aggregate_id"] = leaf(entry, "ethernet", "config", "aggregate-id")
    for config in entry.iterfind(f".//{{{VLAN}}}switched-vlan/{{{VLAN}}}config"):
        mode = (leaf(config, "interface-mode") or "").lower()
        allowed = [item.text for item in config.iterchildren(f"{{{VLAN}}}trunk-vlans")]
        native, access = leaf(config, "native-vlan"), leaf(config, "access-vlan")
        found["mode"] = mode
        if access:
            found["vlan"] = int(access)
        if native:
            found["native_vlan"] = int(native)
        if allowed:
            found["allowed_vlans"] = sorted(number for text in allowed for number in numbers(text))
    return found


def vlans(datastore: t.Any) -> dict[int, str]:
    """Return the VLAN database: names by number."""
    entries = datastore.iterfind(f".//{{{NETWORK_INSTANCE}}}vlan")
    return {int(leaf(entry, "vlan-id") or 0): leaf(entry, "config", "name") or "" for entry in entries}


def numbers(text: str) -> list[int]:
    first, _dots, last = text.replace("..", "-").partition("-")
    return list(range(int(first), int(last or first) + 1))


def check(datastore: t.Any) -> None:
    """Do what the models demand of a whole datastore: refuse what is wrong, drop what a `when` rules out."""
    entries = interfaces(datastore)
    for name, entry in entries.items():
        _drop_by_when(entry)
        if leaf(entry, "config", "name") not in {None, name}:
            raise RpcError("invalid-value", f"config/name of {name} must be its key", path=path_of(entry))
        aggregate = leaf(entry, "ethernet", "config", "aggregate-id")
        if aggregate is not None and aggregate not in entries:
            raise RpcError(
                "data-missing", f"aggregate-id of {name}: no instance of interface {aggregate}", path=path_of(entry)
            )


def _drop_by_when(entry: t.Any) -> None:
    """Take away what a `when` does not allow: servers do that, and say nothing."""
    kind = (leaf(entry, "config", "type") or "").rpartition(":")[2]
    for name in TYPES.values():
        container = child_of(entry, name)
        if container is not None and TYPES.get(kind) != name:
            entry.remove(container)
    for config in entry.iterfind(f".//{{{VLAN}}}switched-vlan/{{{VLAN}}}config"):
        mode = leaf(config, "interface-mode")
        wrong = {"access-vlan": "TRUNK", "native-vlan": "ACCESS", "trunk-vlans": "ACCESS"}
        for item in list(config):
            if wrong.get(local(item)) == mode:
                config.remove(item)


def check_edit(edit: t.Any) -> None:
    """Refuse values that no YANG type lets through."""
    for item in edit.iter():
        if local(item) not in {"access-vlan", "native-vlan", "trunk-vlans", "vlan-id"} or item.text is None:
            continue
        text = item.text.strip()
        if not re.fullmatch(r"\d+(\.\.\d+)?", text) or not all(1 <= number <= 4094 for number in numbers(text)):
            raise RpcError("invalid-value", f"{text!r} is no VLAN", path=path_of(item))
