# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Highly available routers that go: ended before the links they hold on to.

A router that leaves this host hands its role over in good order, and one that goes on here without VRRP, or in another
namespace, keeps the addresses that keepalived would take away with the first link that goes.
"""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import vrrp_current, vrrp_plan
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Operation
from ansible_collections.weft.fabric.plugins.module_utils.vrrp_routers import VrrpRoutersEngine


class VrrpDeparturesEngine(VrrpRoutersEngine):
    """Does of what the arguments say only that which ends a router."""

    def read(self) -> vrrp_current.Current:
        staying = {name for name, router in self.desired.items() if router.present and not self._moves(router)}
        if staying.issuperset(vrrp_current.directories(self.paths.directory)):
            # As in almost every run. To ask systemd would cost more than all the rest.
            return vrrp_current.Current({})
        return VrrpRoutersEngine.read(self)

    def diff(self, current: vrrp_current.Current) -> t.List[Operation]:
        ending = {name: router for name, router in self.desired.items() if not router.present}
        leaving = vrrp_current.Current({})
        leaving.routers = {
            name: state for name, state in current.routers.items() if name in ending or name not in self.desired
        }
        moving = [
            vrrp_plan.removal(name)
            for name, state in current.routers.items()
            if name in self.desired and vrrp_plan.moves(self.desired[name], state)
        ]
        return vrrp_plan.plan(leaving, ending, self.purge, {}) + moving

    def _moves(self, router: vrrp_current.Router) -> bool:
        return vrrp_plan.moves(router, vrrp_current.on_disk(router.name, self.paths))
