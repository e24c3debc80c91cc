# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which roles move where, what each host does for it, and when nothing may be done at all."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import router_roles
from ansible_collections.weft.fabric.plugins.plugin_utils.routers import moves
from ansible_collections.weft.fabric.plugins.plugin_utils.routers.judge import judge
from ansible_collections.weft.fabric.tests.unit.routers.fabric import answer, role, router

R1 = router("blue/r1", "net1", "net2")
R2 = router("blue/r2", "net1", ha=False)
R3 = router("blue/r3", "net3", "net1", "net2")

ALONE = {"ha": False, "active": True, "addresses": ["10.0.2.1/24"]}


def fabric(**changes: t.Any) -> dict[str, t.Any]:
    """All as it should be: everything is primary where it is preferred."""
    found: dict[str, t.Any] = {
        "net1": answer(blue_r1=role("primary"), blue_r2=ALONE, blue_r3=role()),
        "net2": answer(blue_r1=role(), blue_r3=role()),
        "net3": answer(blue_r3=role("primary")),
    }
    return {**found, **changes}


def plan(
    verb: str, answers: dict[str, t.Any], host: str | None = None, to: str | None = None, routers: t.Any = (R1, R2, R3)
) -> moves.Plan:
    return moves.plan(verb, judge(routers, answers), answers, host, to)


def test_one_router_moves_to_the_other_node() -> None:
    found = plan("failover", fabric(), routers=[R1])
    assert [str(move) for move in found.moves] == ["blue/r1: net1 -> net2"]
    base = {"name": "id-blue/r1", "label": "blue/r1"}
    assert found.steps("failover") == {
        "aside": {},
        "give_up": {"net1": [{**base, "handicap": -10, "expect": "backup"}]},
        "take": {"net2": [{**base, "expect": "primary"}]},
        "lift": {"net1": [base], "net2": [base]},
    }


def test_with_three_nodes_the_third_stands_aside() -> None:
    found = plan("failover", fabric(), to="net2", routers=[R3])
    assert [str(move) for move in found.moves] == ["blue/r3: net3 -> net2"]
    assert found.steps("failover")["aside"] == {"net1": [{"name": "id-blue/r3", "label": "blue/r3", "handicap": -10}]}


def test_all_roles_leave_a_host_and_those_that_have_left_stay_where_they_are() -> None:
    found = plan("failover", fabric(), host="net1")
    assert [str(move) for move in found.moves] == ["blue/r1: net1 -> net2"]
    assert found.kept == ["blue/r2 is not HA and stays on net1: it goes down with that host"]


def test_a_drain_gives_up_by_being_drained() -> None:
    found = plan("drain", fabric(), host="net1", routers=[R1])
    assert found.steps("drain")["give_up"]["net1"][0]["handicap"] == 0
    assert moves.DRAINED_HANDICAP == router_roles.DRAINED_HANDICAP
    # The nodes that stand aside for the one that is chosen must still be better than the drained one.
    assert moves.DRAINED_HANDICAP < moves.HANDICAP


def test_an_undrain_moves_nothing() -> None:
    assert plan("undrain", fabric(net1=answer(True, blue_r1=role("primary"))), host="net1").moves == []


def test_a_role_goes_where_the_node_is_best() -> None:
    worse = answer(blue_r1=role(), blue_r3=role(priority=95))
    found = plan("failover", fabric(net2=worse), routers=[R3])
    assert [str(move) for move in found.moves] == ["blue/r3: net3 -> net1"]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (None, "net2 does not answer"),
        (answer(blue_r1=role(None)), "net2 does not stand by (keepalived does not run there)"),
        (answer(blue_r1=role("fault")), "net2 does not stand by (fault)"),
        (answer(blue_r1=role(surplus=["10.0.0.1/24"])), "net2 holds addresses without being primary"),
        (answer(blue_r1=role(sessions=None)), "sessions are not synchronised to net2, and would be lost"),
        (answer(True, blue_r1=role(priority=80)), "net2 is drained (lift that with weft.fabric.undrain)"),
        (
            answer(health={"uplink-physnet1": -50, "underlay": 0}, blue_r1=role(priority=50)),
            "net2 is worse: uplink-physnet1 down",
        ),
        (answer(blue_r1=role(priority=90)), "net2 is worse (priority 90)"),
    ],
)
def test_a_role_that_has_nowhere_to_go_stops_the_whole(other: t.Any, why: str) -> None:
    found = plan("failover", fabric(net2=other), host="net1", routers=[R1])
    assert found.problems == [f"blue/r1: nowhere to go from net1: {why}"]


def test_a_bad_link_of_both_does_not_keep_a_role_from_moving() -> None:
    bad = {"uplink-physnet1": -50}
    answers = fabric(
        net1=answer(health=bad, blue_r1=role("primary", priority=50)),
        net2=answer(health=bad, blue_r1=role(priority=50)),
    )
    assert [str(move) for move in plan("failover", answers, routers=[R1]).moves] == ["blue/r1: net1 -> net2"]


@pytest.mark.parametrize(
    ("states", "what"),
    [(("primary", "primary"), "net1 and net2 are primary"), (("backup", "backup"), "no node is primary")],
)
def test_what_is_broken_is_not_moved(states: tuple[str, str], what: str) -> None:
    one, two = states
    answers = fabric(net1=answer(blue_r1=role(one)), net2=answer(blue_r1=role(two)))
    found = plan("failover", answers, routers=[R1])
    assert found.problems == [f"blue/r1: {what}: repair that first (see weft.fabric.router_status)"]


def test_a_host_that_does_not_answer_can_not_be_drained() -> None:
    assert plan("drain", fabric(net1=None), host="net1").problems == ["net1 does not answer"]


def test_a_role_that_is_there_already_stays() -> None:
    found = plan("failover", fabric(), to="net1", routers=[R1])
    assert (found.moves, found.kept) == ([], ["blue/r1 is primary on net1 already"])


def test_a_rebalance_moves_what_is_elsewhere_and_tells_what_it_can_not() -> None:
    assert plan("rebalance", fabric()).moves == []
    answers = fabric(
        net1=answer(blue_r1=role(), blue_r2=ALONE, blue_r3=role("primary")),
        net2=answer(blue_r1=role("primary"), blue_r3=role()),
        net3=answer(True, blue_r3=role(priority=80)),
    )
    found = plan("rebalance", answers)
    assert [str(move) for move in found.moves] == ["blue/r1: net2 -> net1"]
    assert found.kept == ["blue/r3 stays on net1: net3 is drained (lift that with weft.fabric.undrain)"]
