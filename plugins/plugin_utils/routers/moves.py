# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which roles move where, and what each host does for it. Pure.

A role moves when its node is worse than a peer. So that it goes where it shall, all nodes but one get a handicap: first
those that stand by, then the primary, which gives up and waits until it has. Then all handicaps are taken away: among
equals a role stays where it is.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.weft.fabric.plugins.plugin_utils.routers.judge import Answers, Item, Verdict

# While a role is on its way. Less than what a lost uplink costs (-50).
HANDICAP = -10
DRAINED_HANDICAP = -20  # as router_roles.py on the hosts has it

VERBS = ("failover", "drain", "undrain", "rebalance")


@dataclass(slots=True)
class Move:
    """A role and its way."""

    router: Item
    origin: str
    target: str

    def __str__(self) -> str:
        return f"{self.router['name']}: {self.origin} -> {self.target}"


@dataclass(slots=True)
class Plan:
    """What will be done, what stays as it is and why, and what forbids the whole."""

    moves: list[Move] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def steps(self, verb: str) -> dict[str, dict[str, list[Item]]]:
        """Return {step: {host: items of router_roles}}, in the order in which they are done."""
        # A host that is drained has the handicap of that.
        handicap = 0 if verb == "drain" else HANDICAP
        found: dict[str, dict[str, list[Item]]] = {"aside": {}, "give_up": {}, "take": {}, "lift": {}}
        for move in self.moves:
            base = {"name": move.router["id"], "label": move.router["name"]}
            for host in move.router["nodes"]:
                found["lift"].setdefault(host, []).append(base)
                if host == move.target:
                    found["take"].setdefault(host, []).append({**base, "expect": "primary"})
                elif host == move.origin:
                    item = {**base, "handicap": handicap, "expect": "backup"}
                    found["give_up"].setdefault(host, []).append(item)
                else:
                    found["aside"].setdefault(host, []).append({**base, "handicap": HANDICAP})
        return found


def plan(verb: str, verdicts: t.Iterable[Verdict], answers: Answers, host: str | None, to: str | None) -> Plan:
    """Return the plan of a verb."""
    found = Plan()
    if verb in ("drain", "undrain") and host is not None and answers.get(host) is None:
        found.problems.append(f"{host} does not answer")
        return found
    for verdict in verdicts:
        if verb != "undrain":
            _plan_router(found, verb, verdict, answers, host, to)
    return found


def _plan_router(found: Plan, verb: str, verdict: Verdict, answers: Answers, host: str | None, to: str | None) -> None:
    name = verdict.router["name"]
    if not verdict.router["ha"] or not verdict.router["nodes"]:
        if host in verdict.router["nodes"]:
            what = "it goes" if "distributed" not in verdict.router["kind"] else "its SNAT and IPv6 to the outside go"
            found.kept.append(f"{name} is not HA and stays on {host}: {what} down with that host")
        return
    origin = verdict.primary
    if origin is None:
        what = "no node is" if not verdict.primaries else f"{' and '.join(verdict.primaries)} are"
        found.problems.append(f"{name}: {what} primary: repair that first (see weft.fabric.router_status)")
        return
    if verb == "rebalance":
        _rebalance(found, verdict, origin, answers)
        return
    if host is not None and origin != host:
        return  # the role has left that host already
    if origin == to:
        found.kept.append(f"{name} is primary on {to} already")
        return
    handicap = DRAINED_HANDICAP if verb == "drain" else HANDICAP
    # Who is not chosen stands aside: with three nodes two would be as good, and would both take the role for a moment.
    others: list[str] = [node for node in verdict.router["nodes"] if node != origin]
    candidates = [to] if to is not None and to in others else others
    reasons = {node: why for node in candidates if (why := _unfit(verdict, origin, node, handicap, answers))}
    fit = [node for node in candidates if node not in reasons]
    if fit:
        best = max(fit, key=lambda node: _node(verdict, node)["priority"] or 0)
        found.moves.append(Move(verdict.router, origin, best))
    else:
        found.problems.append(f"{name}: nowhere to go from {origin}: {'; '.join(reasons.values())}")


def _rebalance(found: Plan, verdict: Verdict, origin: str, answers: Answers) -> None:
    preferred = verdict.router["nodes"][0]
    if origin == preferred:
        return
    why = _unfit(verdict, origin, preferred, HANDICAP, answers)
    if why:
        found.kept.append(f"{verdict.router['name']} stays on {origin}: {why}")
    else:
        found.moves.append(Move(verdict.router, origin, preferred))


def _unfit(verdict: Verdict, origin: str, target: str, handicap: int, answers: Answers) -> str | None:
    """Return why a node would not take the role, or would lose sessions by it."""
    answer, node = answers.get(target), _node(verdict, target)
    if answer is None:
        return f"{target} does not answer"
    if node.get("state") != "backup":
        return f"{target} does not stand by ({node.get('state') or 'keepalived does not run there'})"
    if node["surplus"]:
        return f"{target} holds addresses without being primary"
    if node["sessions"] is None and _node(verdict, origin)["sessions"] is not None:
        return f"sessions are not synchronised to {target}, and would be lost"
    if answer["drained"]:
        return f"{target} is drained (lift that with weft.fabric.undrain)"
    worth = [node["priority"], _node(verdict, origin)["priority"]]
    if None not in worth and worth[0] <= worth[1] + handicap:
        links = [name for name, value in sorted(answer["health"].items()) if value]
        return f"{target} is worse" + (f": {', '.join(links)} down" if links else f" (priority {worth[0]})")
    return None


def _node(verdict: Verdict, host: str) -> Item:
    return next(node for node in verdict.nodes if node["host"] == host)
