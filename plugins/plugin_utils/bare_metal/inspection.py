# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node was found to be, beside what the topology says of it: differences, and lines to put there. Pure."""

from __future__ import annotations

import typing as t

Item = t.Mapping[str, t.Any]


def differences(node: Item, hardware: Item) -> list[str]:
    """Return what of a node is not as the topology says, each with both values."""
    found = []
    by_mac = {nic["mac_address"].lower(): nic for nic in hardware.get("nics") or () if nic.get("mac_address")}
    for nic in node["nics"]:
        real = by_mac.get(nic["mac_address"].lower())
        if real is None:
            has = ", ".join(sorted(by_mac)) or "none"
            found.append(f"{nic['name']}: no interface has MAC address {nic['mac_address']}; there are {has}")
        else:
            found += _cabling(nic, real)
    known = {nic["mac_address"].lower() for nic in node["nics"]}
    found += [
        f"{nic['name']} ({mac}) is not in the topology" for mac, nic in sorted(by_mac.items()) if mac not in known
    ]
    mode = hardware.get("boot_mode")
    if mode and mode != node["boot_mode"]:
        found.append(f"boot_mode: it was booted by {mode}, and the topology says {node['boot_mode']}")
    return found


def _cabling(nic: Item, real: Item) -> list[str]:
    """Compare where a cable ends with who is heard there. Nobody being heard proves nothing."""
    heard = list(real.get("lldp") or ())
    if not heard:
        return []
    ends = [(str(one.get("system_name") or ""), str(one.get("port_id") or "")) for one in heard]
    if any(_is_switch(nic["switch"], name) and _is_port(nic["interface"], port) for name, port in ends):
        return []
    told = ", ".join(f"{name or 'a switch without a name'} {port}" for name, port in ends)
    return [f"{nic['name']}: LLDP hears {told}, and the topology says {nic['switch']} {nic['interface']}: recabled?"]


def _is_switch(name: str, heard: str) -> bool:
    return heard.partition(".")[0].lower() == name.partition(".")[0].lower()


def _is_port(name: str, heard: str) -> bool:
    return heard.replace(" ", "").lower() == name.replace(" ", "").lower()


def proposal(node: Item, hardware: Item) -> dict[str, t.Any]:
    """Return what the topology could say of the node, as it would stand below nodes."""
    switches = {nic["mac_address"].lower(): nic for nic in node["nics"]}
    nics = {}
    for number, nic in enumerate(hardware.get("nics") or ()):
        mac = str(nic.get("mac_address") or "").lower()
        known = switches.get(mac)
        bond = (known or {}).get("bond")
        heard: Item = next(iter(nic.get("lldp") or ()), {})
        nics[known["name"] if known else f"nic{number}"] = {
            "mac_address": mac,
            "switch": heard.get("system_name") or (known or {}).get("switch"),
            "port": heard.get("port_id") or (known or {}).get("interface"),
            "pxe": bool((known or {}).get("pxe")),
            **({"bond": bond} if bond else {}),
        }
    disks = [disk for disk in hardware.get("disks") or () if disk.get("serial")]
    hints = {"root_device": {"serial": disks[0]["serial"]}} if len(disks) == 1 else {}
    found = {"boot_mode": hardware.get("boot_mode"), "nics": nics, "properties": hardware.get("properties"), **hints}
    return {str(node["name"]): found}
