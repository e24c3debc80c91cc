# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts say of a router, and what an operator is told about it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.routers import judge
from ansible_collections.weft.fabric.tests.unit.routers.fabric import answer, part, role, router

SINCE = "2026-09-21 14:13:20 UTC"

R1 = router("blue/r1", "net1", "net2")


def told(one: t.Any, two: t.Any) -> judge.Verdict:
    return judge.judge([R1], {"net1": one, "net2": two})[0]


def test_one_primary_and_one_backup_is_how_it_shall_be() -> None:
    verdict = told(answer(blue_r1=role("primary")), answer(blue_r1=role()))
    assert (verdict.primary, verdict.problems, verdict.warnings) == ("net1", [], [])
    assert judge.lines([verdict]) == [
        f"blue/r1 (HA): net1 primary since {SINCE} (5 min), 12 sessions; net2 backup since {SINCE} (5 min)"
    ]
    assert verdict.returned()["preferred"] == "net1"


@pytest.mark.parametrize(
    ("one", "two", "problems"),
    [
        (role(), role(), ["no node is primary: nobody routes"]),
        (
            role("primary"),
            role("primary"),
            ["2 nodes are primary at once (net1, net2): they do not hear each other on the HA link"],
        ),
        (
            role("primary"),
            role(None, sessions=None, surplus=["10.0.0.1/24"]),
            [
                "keepalived does not run on net2: journalctl -u weft-fabric-vrrp@id-blue/r1",
                "net2 is not running but holds 10.0.0.1/24",
            ],
        ),
        (
            role("primary", missing=[f"10.0.{number}.1/24" for number in range(5)]),
            role(),
            ["net1 is primary but does not hold 10.0.0.1/24, 10.0.1.1/24, 10.0.2.1/24 and 2 more"],
        ),
        (
            role("primary"),
            role(surplus=["10.0.0.1/24"], sessions=None),
            [
                "net2 is backup but holds 10.0.0.1/24",
                "sessions are not synchronised on net2: conntrackd does not run",
            ],
        ),
        (role("primary"), role("fault"), ["net2 is in state fault"]),
    ],
)
def test_what_is_wrong_is_told(one: t.Any, two: t.Any, problems: list[str]) -> None:
    verdict = told(answer(blue_r1=one), answer(blue_r1=two))
    assert verdict.problems == problems
    assert judge.problems([verdict]) == [f"blue/r1: {text}" for text in problems]
    assert [line for line in judge.lines([verdict]) if "PROBLEM" in line] == [f"    PROBLEM: {p}" for p in problems]


def test_a_host_that_does_not_answer_may_be_primary_too() -> None:
    verdict = told(answer(blue_r1=role("primary")), None)
    assert verdict.problems == ["net2 does not answer: whether it is primary is unknown"]
    assert "net2 does not answer" in judge.lines([verdict])[0]
    assert told(answer(), answer(blue_r1=role("primary"))).problems == [
        "net1 has no such HA router: run weft.fabric.site"
    ]


def test_a_lost_uplink_is_the_primarys_problem_and_worth_a_note_on_a_backup() -> None:
    health = {"uplink-physnet1": -50, "underlay": 0}
    down = answer(health=health, blue_r1=role("primary"))
    assert told(down, answer(blue_r1=role())).problems == ["uplink-physnet1 is down on net1"]
    verdict = told(answer(blue_r1=role("primary")), answer(health=health, blue_r1=role()))
    assert (verdict.problems, verdict.warnings) == ([], ["uplink-physnet1 is down on net2"])


def test_an_operators_hand_is_noted() -> None:
    verdict = told(answer(True, blue_r1=role(handicap=-20)), answer(blue_r1=role("primary", handicap=-10)))
    assert verdict.problems == []
    assert verdict.warnings == [
        "net1 is drained",
        "net2 has a handicap of -10 that nobody has taken away",
        "primary is not the preferred node net1 (see weft.fabric.rebalance)",
    ]


def test_sessions_that_could_not_be_taken_over_are_noted() -> None:
    verdict = told(answer(blue_r1=role("primary")), answer(blue_r1=role(sessions={"failed": 3})))
    assert verdict.warnings == ["net2 could not take over 3 sessions it was told of"]


def test_a_router_without_a_standby_is_there_or_not() -> None:
    alone = router("blue/r2", "net1", ha=False)
    there = {"ha": False, "active": True, "addresses": ["10.0.0.1/24"]}
    (verdict,) = judge.judge([alone], {"net1": answer(blue_r2=there)})
    assert (verdict.primary, verdict.problems) == ("net1", [])
    assert judge.lines([verdict]) == ["blue/r2 (centralised): on net1"]
    for given, problem in (
        (None, "net1 does not answer, and there is no standby"),
        (answer(), "net1 has no namespace for it: run weft.fabric.site"),
        (answer(blue_r2={**there, "addresses": []}), "net1 holds none of its addresses: run weft.fabric.site"),
    ):
        assert judge.judge([alone], {"net1": given})[0].problems == [problem]


SPREAD = router("blue/r3", "net1", "net2", parts=["cmp1", "cmp2"])
ROLES = {"net1": answer(blue_r3=role("primary")), "net2": answer(blue_r3=role())}


def test_a_distributed_router_has_a_role_and_parts() -> None:
    held = part(blue_r3=["10.0.0.1/24"])
    (verdict,) = judge.judge([SPREAD], {**ROLES, "cmp1": held, "cmp2": held})
    assert (verdict.primary, verdict.problems, verdict.warnings) == ("net1", [], [])
    assert judge.lines([verdict])[0].startswith("blue/r3 (HA, distributed): net1 primary since")
    assert judge.lines([verdict])[0].endswith("; routes on cmp1, cmp2")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (None, "cmp2 does not answer: whether it routes is unknown"),
        (answer(), "cmp2 has no part of it: run weft.fabric.site"),
        (part(blue_r3=None), "cmp2 has no part of it: run weft.fabric.site"),
        (part(blue_r3=[]), "cmp2 holds none of its part's addresses: run weft.fabric.site"),
    ],
)
def test_a_part_that_is_missing_is_told(given: t.Any, problem: str) -> None:
    (verdict,) = judge.judge([SPREAD], {**ROLES, "cmp1": part(blue_r3=["10.0.0.1/24"]), "cmp2": given})
    assert verdict.problems == [problem]


def test_a_node_that_has_a_part_too_and_does_not_answer_is_told_once() -> None:
    both = router("blue/r3", "net1", "net2", parts=["net2"])
    (verdict,) = judge.judge([both], {"net1": ROLES["net1"], "net2": None})
    assert verdict.problems == ["net2 does not answer: whether it is primary is unknown"]


@pytest.mark.parametrize("ha", [True, False])
def test_a_distributed_router_that_leads_nowhere_outside_has_parts_only(ha: bool) -> None:
    (verdict,) = judge.judge([router("blue/r3", ha=ha, parts=["cmp1"])], {"cmp1": part(blue_r3=["10.0.0.1/24"])})
    assert verdict.problems == []
    assert judge.lines([verdict])[0].endswith("distributed): routes on cmp1")
    assert verdict.returned()["preferred"] is None
    (verdict,) = judge.judge([{**router("blue/r3"), "kind": "distributed"}], {})
    assert judge.lines([verdict]) == ["blue/r3 (distributed): nowhere, as nothing needs it"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (3 * 86400, "3 d")]
)
def test_a_time_is_said_as_people_say_it(seconds: float, text: str) -> None:
    assert judge.duration(seconds) == text
