# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of nft in the host and in its namespaces: the engine.

One transaction for each namespace that changes. In it an element changes alone; a chain of which a rule changes is
written anew as a whole, which no packet sees half done.
"""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import (
    conntrack,
    netns,
    nftables_client,
    nftables_current,
    nftables_desired,
    nftables_tracked,
)
from ansible_collections.weft.fabric.plugins.module_utils.nftables_model import Key, Table
from ansible_collections.weft.fabric.plugins.module_utils.nftables_plan import TablePlan, Work, in_order
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Engine, FabricError, Operation


class Current(t.NamedTuple):
    """What stands, and which connections an interrupted run has left to end."""

    tables: t.Dict[Key, Table]
    left: nftables_tracked.Matches


class NftablesEngine(Engine):
    """Makes tables of nft what the arguments say."""

    name = "nftables"

    def __init__(self, params: t.Dict[str, t.Any]) -> None:
        Engine.__init__(self, params)
        self.desired = nftables_desired.parse(params)
        self.purge = bool(params.get("purge"))
        self._given: t.Set[str] = set()

    def read(self) -> Current:
        return Current(nftables_current.read(self.desired, self.purge), nftables_tracked.read_intent())

    def diff(self, current: Current) -> t.List[Operation]:
        operations = []
        for namespace, matches in current.left.items():
            place = "on the host" if namespace is None else "in " + namespace
            text = "end connections %s that an interrupted run has left" % place
            operations.append(Operation(text, Work(Key(namespace, "", ""), [], matches)))
        for key in current.tables:
            if self.purge and key not in self.desired and key.namespace not in self.leaving:
                operations += TablePlan(current.tables[key], _absent(key)).make()
        for key, desired in self.desired.items():
            operations += TablePlan(current.tables.get(key), desired).make()
        return operations

    def apply(self, operations: t.List[Operation]) -> None:
        self._refuse_repetition(operations)
        by_namespace: t.Dict[t.Optional[str], t.List[Work]] = {}
        for operation in operations:
            if operation.payload is not None:
                by_namespace.setdefault(operation.payload.key.namespace, []).append(operation.payload)
        ended = {name: [match for work in works for match in work.ended] for name, works in by_namespace.items()}
        ended = {name: matches for name, matches in ended.items() if matches}
        if ended:
            nftables_tracked.write_intent(ended)
        commands = {name: in_order(works) for name, works in by_namespace.items()}
        nftables_client.change_all({name: some for name, some in commands.items() if some})
        # Afterwards: until then a packet would bring the connection back the way it was.
        for name, matches in ended.items():
            _end_connections(name, matches)
        if ended:
            nftables_tracked.drop_intent()

    def _refuse_repetition(self, operations: t.List[Operation]) -> None:
        """Tell it when nft has taken something without an error, and lists it in another form than it was given."""
        listed = [operation.before for operation in operations if operation.before]
        given = [operation.after for operation in operations if operation.after in self._given]
        if listed and given:
            raise FabricError(
                "nft reads back something else than it was given: not '%s' but '%s'."
                " Write it in the form in which 'nft -j list ruleset' has it" % (given[0], listed[0])
            )
        self._given.update(operation.after for operation in operations if operation.after)


def _absent(key: Key) -> nftables_desired.Desired:
    return nftables_desired.Desired(Table(key), False, [])


def _end_connections(namespace: t.Optional[str], matches: t.List[conntrack.Match]) -> None:
    try:
        with netns.entered(namespace):
            conntrack.end(matches)
    except FileNotFoundError:
        return  # they have ended with their namespace
