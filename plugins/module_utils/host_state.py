# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All technologies of a host in one run: every module call costs the controller a third of a second and a host."""

from __future__ import annotations

import concurrent.futures
import time
import typing as t
from collections import namedtuple

from ansible_collections.weft.fabric.plugins.module_utils import announce
from ansible_collections.weft.fabric.plugins.module_utils.boot_replay import BootReplayEngine
from ansible_collections.weft.fabric.plugins.module_utils.dhcp_servers import DhcpServersEngine
from ansible_collections.weft.fabric.plugins.module_utils.namespaces import NamespacesEngine
from ansible_collections.weft.fabric.plugins.module_utils.netboot_servers import BootServersEngine
from ansible_collections.weft.fabric.plugins.module_utils.nftables import NftablesEngine
from ansible_collections.weft.fabric.plugins.module_utils.openflow_flows import OpenflowFlowsEngine
from ansible_collections.weft.fabric.plugins.module_utils.ovs_bridges import OvsBridgesEngine
from ansible_collections.weft.fabric.plugins.module_utils.ovs_tunnel_routes import OvsTunnelRoutesEngine
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import (
    MAX_REPORTED_CHANGES,
    FabricError,
    Operation,
    converge,
    save_state,
    summarise,
)
from ansible_collections.weft.fabric.plugins.module_utils.router_advertisements import RouterAdvertisementsEngine
from ansible_collections.weft.fabric.plugins.module_utils.vrrp_departures import VrrpDeparturesEngine
from ansible_collections.weft.fabric.plugins.module_utils.vrrp_routers import VrrpRoutersEngine

#: concern: as the compiler names it. engine: its class. kept: whether the replay at boot needs its arguments.
Concern = namedtuple("Concern", "name engine kept")

# In the order in which a host wants them: what is wired comes before what runs on it. What shall bring it all back
# after a reboot is told last, and made while others wait (MEANWHILE).
CONCERNS = (
    Concern("namespaces", NamespacesEngine, True),
    # Before anything reaches a new router: a connection that it has seen untranslated stays so for as long as it lives.
    Concern("nftables", NftablesEngine, True),
    Concern("ovs_bridges", OvsBridgesEngine, True),
    Concern("ovs_tunnel_routes", OvsTunnelRoutesEngine, True),
    Concern("openflow_flows", OpenflowFlowsEngine, True),
    Concern("dhcp_servers", DhcpServersEngine, True),
    Concern("router_advertisements", RouterAdvertisementsEngine, True),
    # A router that may take the role over comes last: by then it is wired, and what it forwards is translated.
    Concern("vrrp_routers", VrrpRoutersEngine, True),
    Concern("boot_servers", BootServersEngine, True),
    Concern("boot_replay", BootReplayEngine, False),
)

#: What ends before all others: keepalived takes addresses away when a link goes, also those of a router that stays.
DEPARTURES = (Concern("vrrp_routers", VrrpDeparturesEngine, False),)

#: Concerns whose turn with the underlay comes before all others: the bridge, then the addresses that move to it.
UNDERLAY = ("ovs_bridges", "namespaces")

#: From here on a run waits for Open vSwitch, and what needs nothing of all that follows is made meanwhile.
WAITS, MEANWHILE = "ovs_bridges", "boot_replay"

#: What reads the database of Open vSwitch whole, and what can do with what was read a moment before.
READS_DATABASE, TAKES_DATABASE = "ovs_bridges", "openflow_flows"


class HostRun(object):
    """One run over a host's state: {"underlay": {concern: arguments}, concern: arguments, ...}."""

    def __init__(self, state, check_mode=False, save=False, concerns=CONCERNS, departures=DEPARTURES):
        self.state = state
        self.check_mode = check_mode
        self.save = save
        self.concerns = concerns
        self.departures = departures
        self.operations: t.Dict[str, t.List[Operation]] = {concern.name: [] for concern in concerns}
        self.milliseconds = dict.fromkeys(self.operations, 0)
        self.pending: t.Set[str] = set()
        self.announcements: t.List[announce.Announcement] = []
        self.leaving: t.Set[str] = set()
        self.database = None
        self.meanwhile: t.Optional[concurrent.futures.Future] = None

    def run(self):
        """Make it so, concern by concern, and return what the module returns."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            self._make_all(pool)
        # What a new link has told before it was wired, nobody has heard.
        announce.send(self.announcements)
        made = [self.operations[concern.name] for concern in self.concerns]
        result = summarise([operation for operations in made for operation in operations])
        result["changes"] = [o.text for operations in made for o in operations[:MAX_REPORTED_CHANGES]]
        result["pending"] = sorted(self.pending)
        result["milliseconds"] = {name: spent for name, spent in self.milliseconds.items() if name in self.state}
        return result

    def _make_all(self, pool):
        # A prediction leaves the underlay to the concerns proper, which compare the same bridge and addresses with all
        # the rest: each change is then told once, as it is made once.
        first = {} if self.check_mode else self.state.get("underlay") or {}
        for concern in () if self.check_mode else self.departures:
            if concern.name in self.state:
                self._make(concern, self.state[concern.name])
        by_name = {concern.name: concern for concern in self.concerns}
        for name in UNDERLAY:
            if name in first:
                self._make(by_name[name], first[name])
        for concern in self.concerns:
            if concern.name == WAITS and MEANWHILE in by_name and MEANWHILE in self.state:
                self.meanwhile = pool.submit(self._converge, by_name[MEANWHILE], self.state[MEANWHILE])
            if concern.name in self.state:
                self._make(concern, self.state[concern.name])
                if self.save and concern.kept and not self.check_mode:
                    save_state(concern.name, self.state[concern.name])

    def _make(self, concern, params):
        try:
            if concern.name == MEANWHILE and self.meanwhile is not None:
                made = self.meanwhile.result()
            else:
                made = self._converge(concern, params)
        except (FabricError, OSError) as error:
            raise FabricError("%s: %s%s" % (concern.name, error, self._made())) from error
        self._note(concern, *made)

    def _converge(self, concern, params):
        """Make one concern. Touches nothing that is this object's own: another one may be made at the same time."""
        started = time.monotonic()
        engine = concern.engine(params)
        engine.leaving = frozenset(self.leaving)
        if concern.name == TAKES_DATABASE:
            engine.database = self.database
        operations, current = converge(engine, self.check_mode)
        return engine, operations, current, int((time.monotonic() - started) * 1000)

    def _note(self, concern, engine, operations, current, milliseconds):
        self.operations[concern.name] += operations
        self.leaving |= engine.removed_namespaces(operations)
        self.milliseconds[concern.name] += milliseconds
        self.pending.update(engine.extra(current).get("pending", ()))
        self.announcements += getattr(engine, "announcements", ())
        if concern.name == READS_DATABASE:
            self.database = current

    def _made(self):
        if self.meanwhile is not None and self.meanwhile.exception() is None and not self.operations[MEANWHILE]:
            self.operations[MEANWHILE] += self.meanwhile.result()[1]
        made = sum(len(operations) for operations in self.operations.values())
        if not made or self.check_mode:
            return ""
        return " (%d changes had been made before; the next run goes on from there)" % made
