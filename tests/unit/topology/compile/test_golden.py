# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiler's answers are what the golden files say, and Open vSwitch takes its flows as they are written."""

from __future__ import annotations

import re

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.compile.host import CONCERNS, compile_host
from ansible_collections.weft.fabric.tests.unit.topology.compile import golden
from ansible_collections.weft.fabric.tests.unit.topology.compile.fabric import FabricHost
from ansible_collections.weft.fabric.tests.unit.topology.compile.topologies import GOLDEN

STATES = dict(golden.states())
HOSTS = [(name, host) for name, build in GOLDEN.items() for host in build().hosts]


@pytest.mark.parametrize("name", STATES)
def test_a_host_state_is_as_it_was(name: str) -> None:
    wanted = (golden.DIRECTORY / name).read_text(encoding="utf-8")
    assert STATES[name] == wanted, f"if this is what you wanted: python -m {golden.MODULE}"


def test_there_is_no_file_that_nothing_is_compared_with() -> None:
    files = {str(path.relative_to(golden.DIRECTORY)) for path in golden.DIRECTORY.rglob("*.yml")}
    assert files == set(STATES)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_single_concern_is_the_same_as_in_the_whole(name: str) -> None:
    topology = GOLDEN[name]()
    for host in topology.hosts:
        whole = compile_host(topology, host)
        assert list(whole) == list(CONCERNS)
        for concern in CONCERNS:
            assert compile_host(topology, host, concern) == {concern: whole[concern]}


def test_an_unknown_concern_or_host_is_an_error() -> None:
    topology = GOLDEN["vxlan"]()
    with pytest.raises(KeyError, match="firewall"):
        compile_host(topology, "h1", "firewall")
    with pytest.raises(KeyError, match="h9"):
        compile_host(topology, "h9")


@pytest.mark.parametrize(("name", "host_name"), HOSTS)
def test_open_vswitch_prints_every_flow_as_it_was_written(name: str, host_name: str) -> None:
    # Otherwise a comparison of what is wanted with what is there would find differences for ever.
    host = FabricHost(GOLDEN[name](), host_name)
    try:
        host.start()
        numbers = host.sandbox.ofports()
        for table in host.state["openflow_flows"]["bridges"]:
            printed = host.sandbox.ofctl("dump-flows", "--no-stats", table["name"]).splitlines()
            written = [as_printed(flow, numbers) for flow in table["flows"]]
            # A flow of somebody else's bridge (its NORMAL) has no cookie of ours.
            ours = [line.strip() for line in printed if "cookie=0x77656674" in line]
            assert sorted(ours) == sorted(written)
    finally:
        host.stop()


def as_printed(flow: str, numbers: dict[str, int]) -> str:
    """Return a flow with numbers for names, as ovs-ofctl separates its fields, and without what it leaves out."""
    flow = re.sub(r'set_field:"([^"]+)"->', lambda name: f"set_field:0x{numbers[name.group(1)]:x}->", flow)
    flow = re.sub(r'"([^"]+)"', lambda name: str(numbers[name.group(1)]), flow)
    match, _separator, actions = flow.partition(" actions=")
    cookie, number, rest = match.split(",", 2)
    number = "" if number == "table=0" else f" {number},"
    return f"{cookie},{number} {rest} actions={actions}"
