# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fixtures of the drivers' payloads are payloads of: a rack in use, seen by each family of switches."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.weft.fabric.plugins.module_utils.switch_driver import Driver
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import (
    Aggregate,
    Plan,
    Port,
    PortChange,
    VlanChange,
)
from ansible_collections.weft.fabric.plugins.module_utils.switch_xml import NETCONF

FIXTURES = Path(__file__).parent / "fixtures"


class Names(t.NamedTuple):
    """How a family of switches calls seven ports and an aggregate."""

    one: str
    two: str
    three: str
    four: str
    five: str
    six: str
    seven: str
    bundle: str


NAMES = {
    "openconfig": Names(*(f"Ethernet{number}" for number in range(1, 8)), "Port-Channel1"),
    "eos": Names(*(f"Ethernet{number}" for number in range(1, 8)), "Port-Channel1"),
    "nxos": Names(*(f"Ethernet1/{number}" for number in range(1, 8)), "port-channel1"),
    "iosxe": Names(*(f"GigabitEthernet1/0/{number}" for number in range(1, 8)), "Port-channel1"),
    "junos": Names(*(f"ge-0/0/{number}" for number in range(1, 8)), "ae1"),
}


def trunk(port: Port, native: int | None, *allowed: int) -> Port:
    return port.without_vlans()._replace(mode="trunk", native_vlan=native, allowed_vlans=frozenset(allowed))


def access(port: Port, vlan: int) -> Port:
    return port.without_vlans()._replace(mode="access", vlan=vlan)


def steps(names: Names) -> dict[str, Plan]:
    """Return plans in the order in which they are made; each begins where the one before it ended."""
    one, two, three, four, five, six, seven = (Port(name) for name in names[:7])
    web = access(one, 120)._replace(description="web-1 <left & right>", edge=True)
    voice = trunk(two, 100, 110, 120, 130, 131)._replace(edge=True)
    native_only = trunk(three, 100)
    lag = trunk(Port(names.bundle), None, 120)._replace(aggregate=Aggregate((five.name, six.name), "active", 1))
    in_lag = [port._replace(member_of=names.bundle) for port in (five, six)]
    lag_after = access(lag, 110)._replace(aggregate=Aggregate((five.name, seven.name), "passive", 2), enabled=False)
    off = four._replace(enabled=False)
    return {
        "set": Plan(
            tuple(VlanChange(vlan, None, f"weft-{vlan}") for vlan in (100, 110, 120, 130, 131)),
            (
                PortChange(None, lag),
                PortChange(one, web),
                PortChange(two, voice),
                PortChange(three, native_only),
                PortChange(four, off),
                PortChange(five, in_lag[0]),
                PortChange(six, in_lag[1]),
            ),
        ),
        "change": Plan(
            (VlanChange(130, "weft-130", "weft-db"),),
            (
                PortChange(lag, lag_after),
                PortChange(web, trunk(web, None, 130)._replace(description="")),
                PortChange(voice, access(voice, 110)._replace(edge=False)),
                PortChange(off, access(four, 120)),
                PortChange(in_lag[1], six._replace(enabled=False)),
                PortChange(seven, seven._replace(member_of=names.bundle)),
            ),
        ),
        "release": Plan(
            (VlanChange(131, "weft-131", None),),
            (
                PortChange(lag_after, None),
                PortChange(trunk(web, None, 130)._replace(description=""), one._replace(enabled=False)),
                PortChange(access(voice, 110)._replace(edge=False), two._replace(enabled=False)),
                PortChange(native_only, three),
                PortChange(in_lag[0], five._replace(enabled=False)),
                PortChange(seven._replace(member_of=names.bundle), seven._replace(enabled=False)),
            ),
        ),
    }


def payload(driver: Driver, plan: Plan) -> str:
    """Return what edit-config gets, as it goes out."""
    inner = "\n".join(node.render(NETCONF, 1) for node in driver.edit(plan))
    return f'<config xmlns="{NETCONF}">\n{inner}\n</config>\n'
