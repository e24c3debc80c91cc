# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands on the lab's switch: its log, its configuration as an independent client reads it, and its bridge."""

from __future__ import annotations

import contextlib
import json
import re
import typing as t
from pathlib import Path

from ncclient import manager

from . import netconf_openconfig as openconfig
from .lab import Host
from .netconf_datastore import parse

PORT, USER = 8830, "root"
KEY = Path("/run/weft-lab/id_ed25519")
READING = {"get", "get-config", "close-session"}
UPLINK = "Ethernet49"


@contextlib.contextmanager
def session(port: int = PORT) -> t.Iterator[manager.Manager]:
    """A session of nothing but ncclient."""
    with manager.connect_ssh(
        host="127.0.0.1", port=port, username=USER, key_filename=str(KEY), hostkey_verify=False,
        allow_agent=False, look_for_keys=False, timeout=20,
    ) as client:  # fmt: skip
        yield client


class Leaf:
    """The machine leaf1."""

    def __init__(self, shell: Host) -> None:
        self.shell = shell

    def requests(self, since: int = 0) -> list[str]:
        """Return what clients have asked for, by the server's own log, but not the lab's bridge, which only reads."""
        text = self.shell.run("journalctl -u lab-netconfd -o cat --no-pager")
        bridge = set(re.findall(r"<create-subscription> for (\d+)=", text))
        found = re.findall(r"agt_rpc: <([\w-]+)> for (\d+)=", text)
        return [name for name, number in found if number not in bridge][since:]

    def mark(self) -> int:
        return len(self.requests())

    def configuration(self, datastore: str = "running") -> t.Any:
        with session() as client:
            return parse(client.get_config(datastore).data_xml)

    def port(self, name: str, datastore: str = "running") -> dict[str, t.Any]:
        return openconfig.port(self.configuration(datastore), name)

    def set_vlan(self, name: str, vlan: int) -> None:
        """Put an access port into another VLAN, as somebody at the switch would."""
        base = "http://openconfig.net/yang"
        config = f"<config><access-vlan>{vlan}</access-vlan></config>"
        ethernet = f'<switched-vlan xmlns="{base}/vlan">{config}</switched-vlan>'
        inside = f'<name>{name}</name><ethernet xmlns="{base}/interfaces/ethernet">{ethernet}</ethernet>'
        edit = f'<interfaces xmlns="{base}/interfaces"><interface>{inside}</interface></interfaces>'
        with session() as client:
            client.edit_config(target="candidate", config=f"<config>{edit}</config>")
            client.commit()

    def vlans(self) -> dict[int, str]:
        return openconfig.vlans(self.configuration())

    def bridge_port(self, name: str) -> dict[str, t.Any]:
        """Return what the bridge does with a port, as Open vSwitch tells it."""
        columns = "tag,trunks,vlan_mode,lacp,bond_mode"
        text = self.shell.run(f"ovs-vsctl --format=json --columns={columns} list Port {name}")
        table = json.loads(text)
        return dict(zip(table["headings"], table["data"][0], strict=True))
