# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A switch as one run sees it: the way to it, its driver, and the ports that are looked at."""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import netconf_session, netconf_ssh, switch_names
from ansible_collections.weft.fabric.plugins.module_utils.netconf_session import RpcError, Session
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import FabricError
from ansible_collections.weft.fabric.plugins.module_utils.switch_desired import Desired
from ansible_collections.weft.fabric.plugins.module_utils.switch_driver import Driver
from ansible_collections.weft.fabric.plugins.module_utils.switch_drivers import driver_of
from ansible_collections.weft.fabric.plugins.module_utils.switch_model import Neighbour, Plan, State

# With more ports than that, one filter for all of them is read faster than one for each.
MANY = 8


class Access(object):
    """Opens sessions and reads. A test may put another `opener` in."""

    opener: t.Callable[..., Session] = staticmethod(netconf_session.open_session)

    def __init__(self, switch: t.Mapping[str, t.Any], names: t.Optional[t.Sequence[str]]):
        self.driver: Driver = driver_of(switch["driver"])
        self.way = netconf_ssh.way(switch)
        self.names = None if names is None else sorted(names)
        #: what is to be told to the user though it was no failure
        self.warnings: t.List[str] = []

    def open(self) -> Session:
        return self.opener(self.way, self.driver.harmless)

    def read(self, session: Session, source: str = "running") -> State:
        """Return the ports that are looked at, and the VLAN database."""
        found = self._read(session, source)
        if self.names is not None and any(self.driver.key(name) not in found.ports for name in self.names):
            # The switch may spell them otherwise. All its ports then, now and for the rest of the run.
            self.names = None
            found = self._read(session, source)
        return found

    def _read(self, session: Session, source: str) -> State:
        return self.driver.parse(session.get_config(source, self.driver.read_filter(self.names)))

    def neighbours(self, session: Session, names: t.Sequence[str]) -> t.List[Neighbour]:
        """Return who LLDP sees. A switch that can't say so is no reason to stop, and is told of."""
        filters = self.driver.neighbour_filter(names)
        if not filters:
            self.warn("it was not asked for its LLDP neighbours: driver %s cannot read them" % self.driver.name)
            return []
        try:
            return self.driver.neighbours(session.get(filters))
        except RpcError as error:
            self.warn("it tells no LLDP neighbours (%s), so that bridges behind ports go unseen" % error)
            return []

    def warn(self, text: str) -> None:
        message = "switch %s: %s" % (self.way.name, text)
        if message not in self.warnings:
            self.warnings.append(message)

    def target(self, session: Session) -> str:
        """Return the datastore that is edited."""
        if session.has("candidate") and (self.driver.target == "candidate" or not session.has("writable-running")):
            return "candidate"
        if session.has("writable-running"):
            return "running"
        raise FabricError(
            "its NETCONF server offers neither :candidate nor :writable-running, so that nothing can be written. Look "
            "at its configuration of NETCONF; it offers: %s" % (", ".join(session.capabilities[:12]) or "nothing")
        )


def names_to_read(desired: Desired) -> t.Optional[t.List[str]]:
    """Return the ports that must be read, or None for all: who is in an aggregate or a VLAN, all ports tell."""
    names = desired.names()
    whole = desired.purge_vlans or desired.absent_vlans or len(names) > MANY
    if whole or any(item.port.aggregate for item in desired.ports.values()):
        return None
    if any(switch_names.is_aggregate(desired.driver, name) for name in names):
        return None
    return names


def ports_of(plan: Plan) -> t.List[str]:
    """Return the names of the ports a plan changes that are there already."""
    return [change.before.name for change in plan.ports if change.before is not None]
