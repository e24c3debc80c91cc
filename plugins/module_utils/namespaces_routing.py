# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what stands to what shall stand: addresses, routes, neighbours and rules. Pure.

Routes, neighbours and rules bear their mark in the protocol number; only those are changed. In a namespace
of ours a route of somebody else gives way, and what keepalived has left there goes; elsewhere it is an error.
"""

from __future__ import annotations

import typing as t

from ansible_collections.weft.fabric.plugins.module_utils import rtnetlink
from ansible_collections.weft.fabric.plugins.module_utils.iproute import KEEPALIVED_PROTOCOL, PROTOCOL
from ansible_collections.weft.fabric.plugins.module_utils.namespaces_current import State
from ansible_collections.weft.fabric.plugins.module_utils.namespaces_desired import (
    Hop,
    Link,
    Namespace,
    Neighbour,
    Route,
    Rule,
)
from ansible_collections.weft.fabric.plugins.module_utils.namespaces_step import REMOVE, SETTINGS, Step, place

if t.TYPE_CHECKING:
    from ansible_collections.weft.fabric.plugins.module_utils.namespaces_plan import Plan


def address_step(verb: str, link: Link, address: str) -> Step:
    """Return the step that adds, replaces or deletes an address.

    Duplicate address detection would keep an IPv6 address unusable for a second or two; on the links we make all
    addresses are known to be unique. On somebody else's link the kernel shall look.
    """
    nodad = " nodad" if ":" in address and verb != "del" and link.ours else ""
    return Step(SETTINGS, link.namespace, "ip", "addr %s %s dev %s%s" % (verb, address, link.name, nodad))


def plan_addresses(plan: "Plan", link: Link, state: State, steps: t.List[Step]) -> None:
    """Add what is missing; on a link of ours remove what is too much."""
    if link.addresses is None:
        return
    present = state.addresses.get(link.name, [])
    texts = {entry.address for entry in present}
    source = _source_addresses(plan, link, state)
    for address in link.addresses:
        line = "%s %s: %s" % (place(link.namespace), link.name, address)
        taken = []
        if address in source:
            taken = [Step(SETTINGS, link.namespace, "ip", "addr del %s dev %s" % (address, link.takes_addresses_from))]
            plan.disturbed.add(link.namespace)
        if address not in texts:
            text = "add address %s to %s in %s" % (address, link.name, place(link.namespace))
            if taken:
                text += ", taking it from %s" % link.takes_addresses_from
            plan.add(text, steps + taken + [address_step("add", link, address)], after=line)
        elif taken:
            # Both have it: the other one would answer for it too.
            text = "remove address %s from %s in %s" % (address, link.takes_addresses_from, place(link.namespace))
            plan.add(text, taken + [address_step("replace", link, address)], before=line)
    if link.ours:
        _remove_addresses(plan, link, [e.address for e in present if not e.dynamic and e.address not in link.addresses])


def _remove_addresses(plan: "Plan", link: Link, surplus: t.List[str]) -> None:
    for address in surplus:
        # With the first IPv4 address of a prefix the kernel drops the others: put those back.
        again = [address_step("replace", link, wanted) for wanted in link.addresses or ()]
        text = "remove address %s from %s in %s" % (address, link.name, place(link.namespace))
        line = "%s %s: %s" % (place(link.namespace), link.name, address)
        plan.add(text, [address_step("del", link, address)] + again, before=line)
        plan.disturbed.add(link.namespace)


def _source_addresses(plan: "Plan", link: Link, state: State) -> t.FrozenSet[str]:
    """Return the addresses that are to move from a network card, unless that would cut the host off."""
    source = link.takes_addresses_from
    if source is None:
        return frozenset()
    device = state.links.get(source)
    if device is None:
        plan.clashes.append("link %s takes its addresses from %s, but there is no such device" % (link.name, source))
        return frozenset()
    found = {entry.address for entry in state.addresses.get(source, [])}
    others = sorted(found.difference(link.addresses or ()))
    # Addresses learned from routers are of no use to a port of a bridge; they expire.
    kept = [e.address for e in state.addresses.get(source, []) if e.address in others and not e.dynamic]
    defaults = [r for r in state.routes if r.ifindex == device.ifindex and r.to == "default" and r.protocol != PROTOCOL]
    moving = found.intersection(link.addresses or ())
    if moving and (kept or defaults):
        reason = "it also has %s" % ", ".join(kept) if kept else "the host's default route goes through it"
        plan.clashes.append(
            "the addresses of %s are not moved to %s, because %s and the host could be cut off:"
            " give the underlay a network card of its own" % (source, link.name, reason)
        )
        return frozenset()
    return frozenset(moving)


def plan(plan: "Plan", namespace: Namespace, state: State) -> None:
    """Plan the routes, neighbours and rules of one namespace."""
    _plan_routes(plan, namespace, state)
    _plan_neighbours(plan, namespace, state)
    _plan_rules(plan, namespace, state)


def _plan_routes(plan: "Plan", namespace: Namespace, state: State) -> None:
    found = {}
    for present in state.routes:
        # Of several with one key (IPv6 allows it) ours is the one to compare.
        key = (present.family, present.table, present.to, present.metric)
        if key not in found or present.protocol == PROTOCOL:
            found[key] = present
    wanted = namespace.routes or {}
    for key, route in wanted.items():
        old = found.get(key)
        if old is not None and old.protocol != PROTOCOL and not state.ours:
            plan.clashes.append(
                "%s has a route to %s that is somebody else's: remove it or use another metric or table"
                % (place(namespace.name), _route_text(route))
            )
        elif old is None or old.protocol != PROTOCOL or not _same_route(route, old, state):
            where, told = place(namespace.name), _route_text(route)
            text = "%s route to %s in %s" % ("add" if old is None else "replace", told, where)
            before = "%s route %s" % (where, _present_route_text(old, state)) if old else ""
            plan.add(text, [_route_step(namespace.name, route)], before, "%s route %s" % (where, told))
        elif namespace.name in plan.disturbed:
            plan.operations[-1].payload.append(_route_step(namespace.name, route))
    unwanted = {item.key for item in namespace.absent if isinstance(item, Route)}
    for key, old in found.items():
        if _is_ours(namespace, old, state) and (key in unwanted or (plan.purge and key not in wanted)):
            text = "%s route %s" % (place(namespace.name), _present_route_text(old, state))
            plan.add("remove route: " + text, [_route_removal(namespace.name, old)], before=text)


def _is_ours(namespace: Namespace, old: rtnetlink.Route, state: State) -> bool:
    """Tell whether a route is the collection's: it bears the mark, or keepalived has left it in a namespace of ours.

    Where routes are not listed, keepalived is at work and they are its business.
    """
    left = old.protocol == KEEPALIVED_PROTOCOL and state.ours and namespace.routes is not None
    return old.protocol == PROTOCOL or left


def _same_route(route: Route, old: rtnetlink.Route, state: State) -> bool:
    if route.kind != old.kind:
        return False
    if route.kind != "unicast":
        return True
    if route.nexthops or old.nexthops:
        return _same_nexthops(route, old, state)
    device = state.device(old.ifindex)
    return route.via == old.via and route.onlink == old.onlink and route.device in (None, device)


def _same_nexthops(route: Route, old: rtnetlink.Route, state: State) -> bool:
    present = _present_nexthops(old, state)
    return len(present) == len(route.nexthops) and all(
        wanted.via == found.via and wanted.device in (None, found.device)
        for wanted, found in zip(route.nexthops, present)
    )


def _present_nexthops(old: rtnetlink.Route, state: State) -> t.Tuple[Hop, ...]:
    found = [Hop(via or "", state.device(ifindex)) for via, ifindex in old.nexthops]
    return tuple(sorted(found, key=lambda hop: (hop.via, hop.device or "")))


def _route_text(route: Route) -> str:
    words = [route.to] if route.kind == "unicast" else [route.kind, route.to]
    words += ["via %s" % route.via] if route.via else []
    words += ["dev %s" % route.device] if route.device else []
    words += ["onlink"] if route.onlink else []
    words += ["metric %d" % route.metric] if route.metric else []
    words += ["table %d" % route.table] if route.table != rtnetlink.MAIN_TABLE else []
    return " ".join(words + _nexthop_words(route))


def _nexthop_words(route: Route) -> t.List[str]:
    return ["nexthop via %s%s" % (hop.via, " dev " + hop.device if hop.device else "") for hop in route.nexthops]


def _present_route_text(old: rtnetlink.Route, state: State) -> str:
    device = state.device(old.ifindex) if old.kind == "unicast" else None
    hops = _present_nexthops(old, state)
    return _route_text(Route(old.family, old.table, old.to, old.metric, old.kind, old.via, device, old.onlink, hops))


def _route_step(namespace: t.Optional[str], route: Route) -> Step:
    words = ["route replace"] + ([route.kind] if route.kind != "unicast" else []) + [_explicit(route.to, route.family)]
    words += ["via %s" % route.via] if route.via else []
    words += ["dev %s" % route.device] if route.device else []
    words += ["metric %d" % route.metric] if route.metric else []
    words += ["onlink"] if route.onlink else []
    words.append("table %d proto %d" % (route.table, PROTOCOL))
    words += _nexthop_words(route)  # whatever comes after them is theirs
    return Step(SETTINGS, namespace, "ip", " ".join(words))


def _route_removal(namespace: t.Optional[str], old: rtnetlink.Route) -> Step:
    words = ["route del"] + ([old.kind] if old.kind != "unicast" else []) + [_explicit(old.to, old.family)]
    words += ["via %s" % old.via] if old.via else []
    words += ["metric %d" % old.metric] if old.metric else []
    words.append("table %d proto %d" % (old.table, old.protocol))
    return Step(REMOVE, namespace, "ip", " ".join(words))


def _explicit(to: str, family: int) -> str:
    """Say default so that ip knows the family."""
    return to if to != "default" else {4: "0.0.0.0/0", 6: "::/0"}[family]


def _plan_neighbours(plan: "Plan", namespace: Namespace, state: State) -> None:
    found = {}
    for entry in state.neighbours:
        device = state.device(entry.ifindex)
        if device is not None:
            found[(device, entry.address)] = entry
    wanted = namespace.neighbours or {}
    for key, neighbour in wanted.items():
        old = found.get(key)
        line = "neighbour %s on %s in %s" % (neighbour.address, neighbour.device, place(namespace.name))
        step = Step(
            SETTINGS,
            namespace.name,
            "ip",
            "neigh replace %s lladdr %s dev %s nud permanent protocol %d"
            % (neighbour.address, neighbour.mac, neighbour.device, PROTOCOL),
        )
        if old is None or old.mac != neighbour.mac or old.protocol != PROTOCOL:
            before = "%s: %s" % (line, old.mac) if old else ""
            plan.add("set %s to %s" % (line, neighbour.mac), [step], before, "%s: %s" % (line, neighbour.mac))
        elif namespace.name in plan.disturbed:
            plan.operations[-1].payload.append(step)
    unwanted = {(item.device, item.address) for item in namespace.absent if isinstance(item, Neighbour)}
    for key, old in found.items():
        if old.protocol == PROTOCOL and (key in unwanted or (plan.purge and key not in wanted)):
            line = "neighbour %s on %s in %s" % (key[1], key[0], place(namespace.name))
            step = Step(REMOVE, namespace.name, "ip", "neigh del %s dev %s" % (key[1], key[0]))
            plan.add("remove " + line, [step], before="%s: %s" % (line, old.mac))


def _plan_rules(plan: "Plan", namespace: Namespace, state: State) -> None:
    found = {
        Rule(rule.family, rule.priority, rule.source, rule.to, rule.iif, rule.table)
        for rule in state.rules
        if rule.protocol == PROTOCOL
    }
    wanted = namespace.rules or {}
    for rule in wanted:
        if rule not in found:
            line = "rule %s in %s" % (_rule_text(rule), place(namespace.name))
            plan.add("add " + line, [_rule_step(SETTINGS, "add", namespace.name, rule)], after=line)
    unwanted = {item for item in namespace.absent if isinstance(item, Rule)}
    for rule in sorted(found):
        if rule in unwanted or (plan.purge and rule not in wanted):
            line = "rule %s in %s" % (_rule_text(rule), place(namespace.name))
            plan.add("remove " + line, [_rule_step(REMOVE, "del", namespace.name, rule)], before=line)


def _rule_text(rule: Rule) -> str:
    words = ["priority %d" % rule.priority, "from", "all" if rule.source == "default" else rule.source]
    words += ["to " + rule.to] if rule.to != "default" else []
    words += ["iif " + rule.iif] if rule.iif else []
    return " ".join(words + ["lookup %d" % rule.table])


def _rule_step(phase: int, verb: str, namespace: t.Optional[str], rule: Rule) -> Step:
    action = "ip" if rule.family == 4 else "ip6"
    return Step(phase, namespace, action, "rule %s %s protocol %d" % (verb, _rule_text(rule), PROTOCOL))
