# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a switch for the info modules: ports and VLANs in the shapes in which they can be fed back."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.netconf_session import Session
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.switch_access import Access
from ansible_collections.weft.fabric.plugins.module_utils.switch_desired import natural, port_name
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import MARK, Neighbour, State
from ansible_collections.weft.fabric.plugins.module_utils.switch_text import port_item

Found = t.Dict[str, t.Any]


@contextlib.contextmanager
def _session(access: Access) -> t.Iterator[Session]:
    try:
        session = access.open()
        try:
            yield session
        finally:
            session.close()
    except FabricError as error:
        name = access.way.name
        raise error if str(error).startswith("switch ") else FabricError("switch %s: %s" % (name, error)) from error


def describe_ports(switch: t.Mapping[str, t.Any], names: t.Optional[t.Sequence[str]]) -> Found:
    """Return ports (all of them when no names are given), the VLAN database, and who LLDP sees."""
    access = Access(switch, None)
    wanted = None if names is None else {access.driver.key(port_name(switch["driver"], name)) for name in names}
    with _session(access) as session:
        state = access.read(session)
        ports = sorted(
            (port for key, port in state.ports.items() if wanted is None or key in wanted),
            key=lambda port: natural(port.name),
        )
        seen = access.neighbours(session, [port.name for port in ports]) if ports else []
    shown = {access.driver.key(port.name) for port in ports}
    return {
        # A member has no VLANs of its own, and is told with its aggregate.
        "ports": [port_item(port) for port in ports if not port.member_of],
        "members": {port.name: port.member_of for port in ports if port.member_of},
        "vlans": vlan_items(state, everything=True),
        "neighbours": [_neighbour(one) for one in seen if access.driver.key(one.port) in shown],
        "warnings": list(access.warnings),
    }


def describe_vlans(switch: t.Mapping[str, t.Any], everything: bool) -> Found:
    """Return the VLAN database, and with `everything` what is not ours in it."""
    access = Access(switch, [])
    with _session(access) as session:
        state = access.read(session)
    return {"vlans": vlan_items(state, everything), "warnings": list(access.warnings)}


def vlan_items(state: State, everything: bool) -> t.List[Found]:
    return [
        {"vlan_id": number, "name": name, "state": "present"}
        for number, name in sorted(state.vlans.items())
        if everything or name.startswith(MARK)
    ]


def _neighbour(found: Neighbour) -> Found:
    return found._asdict()
