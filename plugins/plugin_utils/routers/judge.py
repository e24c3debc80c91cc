# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts say of their routers, judged: who is primary, and what is wrong. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import UTC, datetime

PRIMARY = "primary"

Item = dict[str, t.Any]
Answers = t.Mapping[str, t.Mapping[str, t.Any] | None]


@dataclass(slots=True)
class Verdict:
    """A router: what is known of it, and what is wrong with it."""

    router: Item
    primaries: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    nodes: list[Item] = field(default_factory=list)

    @property
    def primary(self) -> str | None:
        """The node that has the role, if it is exactly one."""
        return self.primaries[0] if len(self.primaries) == 1 else None

    def returned(self) -> Item:
        return {
            "name": self.router["name"],
            "id": self.router["id"],
            "kind": self.router["kind"],
            "primary": self.primary,
            "preferred": self.router["nodes"][0] if self.router["nodes"] else None,
            "nodes": self.nodes,
            "problems": self.problems,
            "warnings": self.warnings,
        }


def judge(routers: t.Iterable[Item], answers: Answers) -> list[Verdict]:
    """Return a verdict on each router. answers: what router_roles_info found on each host; None: it gave none."""
    return [_judge(router, answers) for router in routers]


def _judge(router: Item, answers: Answers) -> Verdict:
    # Of a distributed router that leads nowhere outside there is nothing on network nodes.
    verdict = _judge_ha(router, answers) if router["ha"] and router["nodes"] else _judge_alone(router, answers)
    for host in router["parts"]:
        answer = answers.get(host)
        part = None if answer is None else answer.get("parts", {}).get(router["id"])
        if answer is None:
            if host not in router["nodes"]:
                verdict.problems.append(f"{host} does not answer: whether it routes is unknown")
        elif part is None or not part["active"]:
            verdict.problems.append(f"{host} has no part of it: run weft.fabric.site")
        elif not part["addresses"]:
            verdict.problems.append(f"{host} holds none of its part's addresses: run weft.fabric.site")
    return verdict


def _judge_alone(router: Item, answers: Answers) -> Verdict:
    verdict = Verdict(router)
    for host in router["nodes"]:
        answer = answers.get(host)
        found = _found(router, answer)
        verdict.nodes.append({"host": host, "answers": answer is not None, "state": None, **(found or {})})
        if answer is None:
            verdict.problems.append(f"{host} does not answer, and there is no standby")
        elif found is None or not found["active"]:
            verdict.problems.append(f"{host} has no namespace for it: run weft.fabric.site")
        elif not found["addresses"]:
            verdict.problems.append(f"{host} holds none of its addresses: run weft.fabric.site")
        else:
            verdict.primaries.append(host)
            verdict.problems += _bad_links(host, answer)
    return verdict


def _judge_ha(router: Item, answers: Answers) -> Verdict:
    verdict = Verdict(router)
    for host in router["nodes"]:
        _judge_node(verdict, host, answers.get(host))
    if not verdict.primaries:
        verdict.problems.append("no node is primary: nobody routes")
    elif len(verdict.primaries) > 1:
        verdict.problems.append(
            f"{len(verdict.primaries)} nodes are primary at once ({', '.join(verdict.primaries)}):"
            " they do not hear each other on the HA link"
        )
    elif verdict.primary != router["nodes"][0]:
        verdict.warnings.append(f"primary is not the preferred node {router['nodes'][0]} (see weft.fabric.rebalance)")
    return verdict


def _judge_node(verdict: Verdict, host: str, answer: t.Mapping[str, t.Any] | None) -> None:
    found = _found(verdict.router, answer)
    drained = bool(answer and answer.get("drained"))
    verdict.nodes.append(
        {"host": host, "answers": answer is not None, "drained": drained, **(found or {"state": None})}
    )
    if answer is None:
        verdict.problems.append(f"{host} does not answer: whether it is primary is unknown")
        return
    if found is None or not found.get("ha"):
        verdict.problems.append(f"{host} has no such HA router: run weft.fabric.site")
        return
    if not found["active"]:
        verdict.problems.append(
            f"keepalived does not run on {host}: journalctl -u weft-fabric-vrrp@{verdict.router['id']}"
        )
    is_primary = found["state"] == PRIMARY
    if is_primary:
        verdict.primaries.append(host)
    verdict.problems += _contradictions(host, found)
    if found["active"] and found["state"] not in (PRIMARY, "backup"):
        verdict.problems.append(f"{host} is in state {found['state'] or 'unknown'}")
    if found["active"] and found["sessions"] is None:
        verdict.problems.append(f"sessions are not synchronised on {host}: conntrackd does not run")
    elif found["sessions"] and found["sessions"].get("failed"):
        verdict.warnings.append(f"{host} could not take over {found['sessions']['failed']} sessions it was told of")
    links = _bad_links(host, answer)
    if is_primary:
        verdict.problems += links
    else:
        verdict.warnings += links
    if drained:
        verdict.warnings.append(f"{host} is drained")
    elif found["handicap"]:
        verdict.warnings.append(f"{host} has a handicap of {found['handicap']} that nobody has taken away")


def _contradictions(host: str, found: t.Mapping[str, t.Any]) -> list[str]:
    """Return where a node's word and its addresses don't agree."""
    texts = []
    if found["missing"]:
        texts.append(f"{host} is primary but does not hold {_some(found['missing'])}")
    if found["surplus"]:
        state = found["state"] or "not running"
        texts.append(f"{host} is {state} but holds {_some(found['surplus'])}")
    return texts


def _some(names: list[str], limit: int = 3) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _bad_links(host: str, answer: t.Mapping[str, t.Any]) -> list[str]:
    return [f"{name} is down on {host}" for name, worth in sorted(answer.get("health", {}).items()) if worth]


def _found(router: Item, answer: t.Mapping[str, t.Any] | None) -> Item | None:
    return None if answer is None else answer["status"].get(router["id"])


# for people


def lines(verdicts: t.Iterable[Verdict]) -> list[str]:
    """Return what an operator reads: a line for each router, and one for each thing that is not as it should be."""
    texts: list[str] = []
    for verdict in verdicts:
        texts.append(_headline(verdict))
        texts += [f"    PROBLEM: {text}" for text in verdict.problems]
        texts += [f"    note: {text}" for text in verdict.warnings]
    return texts


def problems(verdicts: t.Iterable[Verdict]) -> list[str]:
    """Return all problems, each with its router."""
    return [f"{verdict.router['name']}: {text}" for verdict in verdicts for text in verdict.problems]


def _headline(verdict: Verdict) -> str:
    router = verdict.router
    name = f"{router['name']} ({router['kind']})"
    parts = [_where(verdict)] if router["nodes"] else []
    if router["parts"]:
        parts.append(f"routes on {_some(router['parts'])}")
    return f"{name}: {'; '.join(parts) or 'nowhere, as nothing needs it'}"


def _where(verdict: Verdict) -> str:
    """Return who has the role of a router, or where it is when nobody else could."""
    if not verdict.router["ha"]:
        return f"on {', '.join(verdict.router['nodes'])}"
    if verdict.primary is None:
        return "NO PRIMARY" if not verdict.primaries else "SEVERAL PRIMARIES"
    return "; ".join(_node(node) for node in verdict.nodes)


def _node(node: Item) -> str:
    if not node["answers"]:
        return f"{node['host']} does not answer"
    text = f"{node['host']} {node.get('state') or 'not running'}"
    if node.get("since"):
        text += f" since {_moment(node['since'])} ({duration(node['seconds'])})"
    sessions = node.get("sessions")
    if node.get("state") == PRIMARY and sessions:
        text += f", {sessions.get('current', 0)} sessions"
    return text


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
