# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of tables: what the code uses, what the documentation shows, and what is registered are the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import pipeline
from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import compile_host
from ansible_collections.weft.fabric.tests.unit.topology.compile.topologies import GOLDEN

PAGE = Path(__file__).parents[4] / "docs" / "pipeline.md"


def documented(bridge: str) -> str:
    """Return the table of a bridge as the page must have it."""
    lines = ["| table | name | what it is for |", "| --- | --- | --- |"]
    for table in pipeline.TABLES:
        if table.bridge == bridge:
            job = f"{table.job} (reserved)" if table.reserved else table.job
            lines.append(f"| {table.number} | {table.name} | {job} |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("bridge", ["br-int", "br-tun"])
def test_the_page_shows_the_tables_as_they_are(bridge: str) -> None:
    table = documented(bridge)
    assert table in PAGE.read_text(encoding="utf-8"), f"put this into {PAGE}:\n{table}"


@pytest.mark.parametrize("bridge", ["br-int", "br-tun"])
def test_the_tables_in_use_are_those_that_are_not_reserved(bridge: str) -> None:
    used = set()
    for build in GOLDEN.values():
        topology = build()
        for host in topology.hosts:
            for table in compile_host(topology, host, "openflow_flows")["openflow_flows"]["bridges"]:
                if table["name"] == bridge:
                    used |= {int(number) for number in re.findall(r",table=(\d+),", "\n".join(table["flows"]))}
    assert used == {table.number for table in pipeline.TABLES if table.bridge == bridge and not table.reserved}


def test_numbers_and_names_are_unique_and_a_wrong_name_is_an_error() -> None:
    assert len({(table.bridge, table.number) for table in pipeline.TABLES}) == len(pipeline.TABLES)
    assert len({(table.bridge, table.name) for table in pipeline.TABLES}) == len(pipeline.TABLES)
    assert pipeline.table("br-tun", "unicast") == 20
    with pytest.raises(KeyError):
        pipeline.table("br-tun", "egress")


def test_a_frame_only_goes_to_higher_tables() -> None:
    # OpenFlow's goto demands it; only resubmit may do otherwise, and no flow here does.
    for build in GOLDEN.values():
        topology = build()
        for host in topology.hosts:
            for table in compile_host(topology, host, "openflow_flows")["openflow_flows"]["bridges"]:
                for flow in table["flows"]:
                    number = int(re.search(r",table=(\d+),", flow).group(1))
                    targets = re.findall(r"goto_table:(\d+)|resubmit\(,(\d+)\)|learn\(table=(\d+)", flow)
                    assert all(int("".join(target)) > number for target in targets), flow
