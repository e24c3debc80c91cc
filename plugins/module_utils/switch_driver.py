# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a driver is: how one family of switches says what ports and VLANs are. Pure, every bit of it."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import switch_names
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import (
    ALL,
    Neighbour,
    Plan,
    Port,
    State,
    vlan_set,
)
from ansible_collections.weft.fabric.plugins.module_utils.switch_xml import Node


class Driver(object):
    """Knows a model. It sends nothing."""

    name = ""

    #: which datastore is edited where the switch has both: some have a candidate that is not to be trusted
    target = "candidate"

    #: whether commits that wait to be confirmed do no harm there
    confirmed_commit = True

    #: whether its configuration names every port it has, so that a port that isn't there does not exist
    lists_ports = True

    #: texts of errors that are none
    harmless: t.Tuple[str, ...] = ()

    #: whether what is committed is kept over a restart without being saved
    keeps_commits = False

    def read_filter(self, names: t.Optional[t.Sequence[str]]) -> t.List[Node]:
        """Return the subtrees that hold these ports (None: all ports) and the VLAN database."""
        raise NotImplementedError

    def parse(self, data: t.Any) -> State:
        """Return what a data element says."""
        raise NotImplementedError

    def edit(self, plan: Plan) -> t.List[Node]:
        """Return what edit-config gets for a plan; the operation that holds where none is said is merge."""
        raise NotImplementedError

    def neighbour_filter(self, names: t.Sequence[str]) -> t.List[Node]:
        """Return the subtrees that say who LLDP sees at these ports; nothing where the switch can't be asked."""
        return []

    def neighbours(self, data: t.Any) -> t.List[Neighbour]:
        return []

    def save_request(self) -> t.Optional[Node]:
        """Return the RPC that saves running to startup where copy-config does not."""
        return None

    def save_edit(self) -> t.Optional[Node]:
        """Return what saves running to startup when it is sent as an edit of running."""
        return None

    def key(self, name: str) -> str:
        return switch_names.key(self.name, name)

    def state(self, ports: t.Iterable[Port], vlans: t.Dict[int, str]) -> State:
        return State({self.key(port.name): port for port in ports}, vlans)


def trunk(port: Port, native: t.Optional[int], allowed: t.Optional[t.Iterable[t.Any]]) -> Port:
    """Return a port as a trunk. None for what is allowed is everything, as switches take it."""
    carried = ALL if allowed is None else vlan_set(allowed, "port %s" % port.name)
    return port._replace(mode="trunk", native_vlan=native, allowed_vlans=carried - {native})


def access(port: Port, vlan: t.Optional[int]) -> Port:
    return port if vlan is None else port._replace(mode="access", vlan=vlan)


def differs(before: t.Optional[Port], after: Port, *fields: str) -> bool:
    """Whether one of these fields changes; of a port that is made, all do."""
    return before is None or any(getattr(before, field) != getattr(after, field) for field in fields)


SWITCHING = ("mode", "vlan", "native_vlan", "allowed_vlans")
