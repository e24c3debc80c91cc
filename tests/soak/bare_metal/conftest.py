# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.weft.fabric.plugins.plugin_utils.topology.build import build
from ansible_collections.weft.fabric.tests.wire.conftest_shared import (  # re-exported: pytest finds fixtures here
    figure,
    lab,
    pytest_terminal_summary,
)
from ansible_collections.weft.fabric.tests.wire.lab import Host
from ansible_collections.weft.fabric.tests.wire.leaf import Leaf
from ansible_collections.weft.fabric.tests.wire.metal import (
    PORTS,
    RAMDISK,
    RED,
    VLANS,
    Customer,
    at_rest,
    commands,
    flips,
    node_play,
    prepare,
)
from ansible_collections.weft.fabric.tests.wire.node import Node
from ansible_collections.weft.fabric.tests.wire.plays import play

__all__ = ["figure", "lab", "pytest_terminal_summary"]


@pytest.fixture(scope="session")
def leaf(lab: t.Callable[[str], Host]) -> Leaf:
    return Leaf(lab("leaf1-shell"))


@pytest.fixture(scope="session")
def nodes() -> dict[str, Node]:
    return {name: Node(name) for name in ("n1", "n2")}


@pytest.fixture(scope="session")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("bare-metal"))


@pytest.fixture(scope="session", autouse=True)
def fabric(topology: Path) -> None:
    """The lab is up, and has what nodes boot from."""
    play("weft.fabric.site", topology)
    play("weft.fabric.ramdisk_build", topology, "-e", RAMDISK, "-e", "deploy_ramdisk_kernel=linux-image-cloud-amd64")
    # What is sent to the boot server for the first time takes long, and is no part of what is tested.
    node_play("server_deploy", topology, "server=blue/db-1")


@pytest.fixture
def node(topology: Path, leaf: Leaf, nodes: dict[str, Node]) -> Node:
    """n1, off and in no network of a tenant: a run may have left it in any other way."""
    found = nodes["n1"]
    if found.power() != "off" or leaf.port(PORTS["n1"]).get("vlan") == VLANS["red"]:
        node_play("server_delete", topology, RED)
        assert at_rest(leaf, found)
    return found


@pytest.fixture(scope="session")
def tenant(lab: t.Callable[[str], Host]) -> Customer:
    """A machine of the project that n1's server is of."""
    return Customer(lab, "red")


@pytest.fixture
def address(topology: Path) -> str:
    """What n1's server is reached by."""
    return str(build(str(topology)).projects["red"].ports["server-db-1-metal"].addresses[0])


@pytest.fixture
def blank(topology, node):
    """n1, with nothing on its disk: what is there already would not be written."""
    if not node.boots_nothing():
        node_play("server_delete", topology, RED)
    return node


@pytest.fixture
def calm(nodes: dict[str, Node]) -> t.Iterator[None]:
    """Nobody has told the other node's BMC or switch port anything meanwhile, and it runs as before."""
    since = time.time()
    assert nodes["n2"].power() == "on"
    yield
    assert commands(nodes["n2"], since) == []
    assert flips("n2", since) == []
    assert nodes["n2"].power() == "on"
