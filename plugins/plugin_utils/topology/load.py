# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML files → the model. All problems of all files are told at once."""

from __future__ import annotations

import gc
import typing as t
from contextlib import contextmanager

from .assemble import Assembler
from .check_bare_metal import check_bare_metal
from .check_floating_ips import check_floating_ips
from .check_hosts import check_hosts
from .check_networks import check_networks
from .check_nodes import check_nodes
from .check_ports import check_ports
from .check_routers import check_routers
from .check_servers import check_servers
from .check_switches import check_switches
from .context import Context
from .model import Topology
from .problems import Problems
from .sources import Sources


def load(paths: t.Sequence[str]) -> Topology:
    """Return the model of the topology at paths (root files, or directories with a topology.yml).

    Raises TopologyError. Numbers that the files don't say are not there yet: see allocate.py.
    """
    problems = Problems()
    with no_collection():
        sources = Sources(problems)
        sources.read(paths)
        assembler = Assembler(sources, problems)
        assembler.assemble()
        # Where a file could not be read, names are missing that the others refer to.
        if sources.complete:
            context = Context(assembler.topology, sources, problems, assembler.flawed)
            check_hosts(context)
            check_networks(context)
            check_ports(context)
            check_servers(context)
            check_routers(context)
            check_floating_ips(context)
            check_switches(context)
            check_bare_metal(context)
            check_nodes(context)
    problems.raise_if_any()
    return assembler.topology


@contextmanager
def no_collection() -> t.Iterator[None]:
    """Keep the garbage collector from walking a growing heap of things none of which is garbage, again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
