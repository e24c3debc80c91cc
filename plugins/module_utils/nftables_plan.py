# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a table that stands to the one that shall stand. Pure."""

from __future__ import annotations

import difflib
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.conntrack import Match
from ansible_collections.weft.fabric.plugins.module_utils.nftables_desired import Desired
from ansible_collections.weft.fabric.plugins.module_utils.nftables_model import Chain, Key, Object, Set, Table
from ansible_collections.weft.fabric.plugins.module_utils.nftables_tracked import ended
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import Operation

# The order of a transaction: what refers to something goes before it, and comes after it.
(
    DELETE_TABLE,
    ADD_TABLE,
    FLUSH_CHAIN,
    DELETE_ELEMENT,
    DELETE_SET,
    DELETE_CHAIN,
    ADD_CHAIN,
    ADD_SET,
    ADD_ELEMENT,
    ADD_RULE,
) = range(10)


class Work(t.NamedTuple):
    """What is to be done for one table."""

    key: Key
    commands: t.List[t.Tuple[int, Object]]
    ended: t.List[Match]


class TablePlan(object):
    """Finds the operations for one table, and the commands that carry them out together."""

    def __init__(self, current: t.Optional[Table], desired: Desired) -> None:
        self.key = desired.table.key
        self._current = current
        self._desired = desired
        self._operations: t.List[Operation] = []
        self._commands: t.List[t.Tuple[int, Object]] = []
        self._rewritten: t.Set[str] = set()

    def make(self) -> t.List[Operation]:
        """Return the operations; the first one carries the work for all of them."""
        if not self._desired.present:
            if self._current is not None:
                self._say("remove table %s" % str(self.key), before=str(self.key))
                self._command(DELETE_TABLE, "delete", "table", self._name)
        else:
            self._change()
        if self._operations:
            gone = ended(self._current, self._desired)
            self._operations[0].payload = Work(self.key, self._commands, gone)
        return self._operations

    @property
    def _name(self) -> Object:
        return {"family": self.key.family, "name": self.key.name}

    def _change(self) -> None:
        current = self._current
        if current is not None and current.dormant:
            self._say("replace table %s, which is dormant" % str(self.key))
            self._command(DELETE_TABLE, "delete", "table", self._name)
            current = None
        elif current is None:
            self._say("add table %s" % str(self.key), after=str(self.key))
        if current is None:
            self._command(ADD_TABLE, "add", "table", self._name)
            current = Table(self.key)
        for kind, name in current.others:
            self._say("remove %s %s from %s" % (kind, name, self.key), before="%s %s %s" % (self.key, kind, name))
            self._command(DELETE_CHAIN, "delete", kind, {"name": name})
        self._change_chains(current)
        replaced = self._change_sets(current)
        self._change_rules(current, replaced)

    # Chains

    def _change_chains(self, current: Table) -> None:
        wanted = self._desired.table.chains
        for chain in current.chains.values():
            if chain.name not in wanted:
                self._say("remove %s from %s" % (chain.text, self.key), before=self._line(chain.text))
                self._drop_chain(chain)
        for chain in wanted.values():
            old = current.chains.get(chain.name)
            if old is None:
                self._say("add %s to %s" % (chain.text, self.key), after=self._line(chain.text))
                self._command(ADD_CHAIN, "add", "chain", {"name": chain.name, **chain.spec})
            elif old.spec != chain.spec:
                text = "change chain %s of %s: to %s" % (chain.name, self.key, chain.text)
                self._say(text, self._line(old.text), self._line(chain.text))
                if old.hook != chain.hook:
                    self._drop_chain(old)
                    self._rewritten.add(chain.name)
                self._command(ADD_CHAIN, "add", "chain", {"name": chain.name, **chain.spec})

    def _drop_chain(self, chain: Chain) -> None:
        self._flush_chain(chain)
        self._command(DELETE_CHAIN, "delete", "chain", {"name": chain.name})

    def _flush_chain(self, chain: Chain) -> None:
        if chain.rules:
            self._command(FLUSH_CHAIN, "flush", "chain", {"name": chain.name})

    # Sets and maps

    def _change_sets(self, current: Table) -> t.Set[str]:
        """Return the names of those that are made anew or go."""
        wanted = self._desired.table.sets
        replaced = set()
        for old in current.sets.values():
            new = wanted.get(old.name)
            if new is None or new.spec != old.spec:
                replaced.add(old.name)
                self._command(DELETE_SET, "delete", old.kind, {"name": old.name})
            if new is None:
                self._say("remove %s from %s" % (old.text, self.key), before=self._line(old.text))
        for new in wanted.values():
            known = current.sets.get(new.name)
            if known is None:
                self._say("add %s to %s" % (new.text, self.key), after=self._line(new.text))
            elif known.spec != new.spec:
                text = "replace %s %s of %s: by %s" % (known.kind, known.name, self.key, new.text)
                self._say(text, self._line(known.text), self._line(new.text))
            if known is None or known.spec != new.spec:
                content = {name: value for name, value in new.spec.items() if name != "kind" and value}
                content["type"] = new.types if len(new.types) > 1 else new.types[0]
                if new.kind == "map":
                    content["map"] = new.spec["map"][0]
                self._command(ADD_SET, "add", new.kind, {"name": new.name, **content})
            self._change_elements(known, new)
        return replaced

    def _change_elements(self, old: t.Optional[Set], new: Set) -> None:
        anew = old is None or old.spec != new.spec
        before = {} if old is None else old.elements
        removed, added = [], []
        for key, element in before.items():
            other = new.elements.get(key)
            if other is None:
                self._say_element("remove %s from", element.text, new, before=element.text)
            if other is None or other.whole != element.whole:
                removed.append(element.key)
        for key, element in new.elements.items():
            known = before.get(key)
            if known is None:
                self._say_element("add %s to", element.text, new, after=element.text)
            elif known.whole != element.whole:
                said = "%s to %s" % (known.text, element.text)
                self._say_element("change %s in", said, new, known.text, element.text)
            if anew or known is None or known.whole != element.whole:
                added.append(element.raw)
        if removed and not anew:
            self._command(DELETE_ELEMENT, "delete", "element", {"name": new.name, "elem": removed})
        if added:
            self._command(ADD_ELEMENT, "add", "element", {"name": new.name, "elem": added})

    def _say_element(self, verb: str, element: str, found: Set, before: str = "", after: str = "") -> None:
        place = "%s %s" % (found.kind, found.name)
        before, after = (self._line("%s: %s" % (place, text)) if text else "" for text in (before, after))
        self._say("%s %s of %s" % (verb % element, place, self.key), before, after)

    # Rules

    def _change_rules(self, current: Table, replaced: t.Set[str]) -> None:
        for name, chain in self._desired.table.chains.items():
            old = current.chains.get(name)
            changed = self._say_rules(old, chain)
            if old is not None and name not in self._rewritten and (changed or _uses(old, replaced)):
                self._flush_chain(old)
                self._rewritten.add(name)
            if old is None or name in self._rewritten:
                for rule in chain.rules:
                    comment = {"comment": rule.comment} if rule.comment else {}
                    self._command(ADD_RULE, "add", "rule", {"chain": name, **comment, "expr": rule.expr})

    def _say_rules(self, old: t.Optional[Chain], new: Chain) -> bool:
        """Tell which rules come and go. Return whether any does."""
        before, after = [] if old is None else old.rules, new.rules
        matcher = difflib.SequenceMatcher(None, [rule.key for rule in before], [rule.key for rule in after], False)
        changed = False
        for verb, first, last, start, end in matcher.get_opcodes():
            if verb == "equal":
                continue
            changed = True
            for rule in before[first:last]:
                self._say_rule("remove rule from", rule.text, new.name, before=rule.text)
            for rule in after[start:end]:
                self._say_rule("add rule to", rule.text, new.name, after=rule.text)
        return changed

    def _say_rule(self, verb: str, rule: str, chain: str, before: str = "", after: str = "") -> None:
        before, after = (self._line("chain %s: %s" % (chain, text)) if text else "" for text in (before, after))
        self._say("%s chain %s of %s: %s" % (verb, chain, self.key, rule), before, after)

    # What is told and what is done

    def _line(self, text: str) -> str:
        return "%s %s" % (self.key, text)

    def _say(self, text: str, before: str = "", after: str = "") -> None:
        self._operations.append(Operation(text, None, before, after))

    def _command(self, phase: int, verb: str, kind: str, content: Object) -> None:
        if kind != "table":
            content = {"family": self.key.family, "table": self.key.name, **content}
        self._commands.append((phase, {verb: {kind: content}}))


def _uses(chain: Chain, names: t.Set[str]) -> bool:
    """Whether a rule of a chain refers to one of some sets, which the kernel then does not let go."""
    return any('"@%s"' % name in rule.key for name in names for rule in chain.rules)


def in_order(works: t.Iterable[Work]) -> t.List[Object]:
    """Return the commands of some tables of one namespace as one transaction."""
    commands = [entry for work in works for entry in work.commands]
    return [command for _phase, command in sorted(commands, key=lambda entry: entry[0])]
