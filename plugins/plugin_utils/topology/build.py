# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From files to a model ready to compile: load, schedule, allocate, bind, check. Writes nothing."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass

from .allocate import allocate
from .check import check
from .floating_ip_places import place_floating_ips
from .floating_ips import bind_floating_ips
from .load import load, no_collection
from .lockfile import Lock, lock_path, read_lock
from .model import Topology
from .problems import Problems
from .schedule import schedule

Fingerprint = tuple[tuple[str, int, int], ...]


@dataclass(slots=True)
class Built:
    """A model, the lock it was built with and the lock that should be written."""

    topology: Topology
    lock: Lock
    wanted: Lock

    @property
    def missing(self) -> list[str]:
        """Return the paths whose numbers the lock file does not hold yet."""
        return sorted(path for path, entry in self.wanted.entries.items() if self.lock.entries.get(path) != entry)


# Filled where the inventory is parsed; the workers that Ansible forks find it in their memory.
_cache: dict[str, tuple[Fingerprint, Built]] = {}


def build_all(path: str) -> Built:
    """Return the model and both locks of the topology at path (a file or a directory).

    Raises TopologyError with all problems found.
    """
    path = os.path.abspath(path)
    cached = _cache.get(path)
    if cached is not None and cached[0] == _fingerprint(path, cached[1].topology):
        return cached[1]
    with no_collection():
        before, built = _build(path)
    # All of it stays: forked workers share what the collector never touches.
    gc.freeze()
    _cache[path] = (before, built)
    return built


def _build(path: str) -> tuple[Fingerprint, Built]:
    topology = load([path])
    before = _fingerprint(path, topology)
    problems = Problems()
    lock = read_lock(lock_path(path), problems)
    problems.raise_if_any()
    schedule(topology, lock, problems)
    wanted = allocate(topology, lock, problems)
    bind_floating_ips(topology, problems)
    place_floating_ips(topology)
    check(topology, problems)
    problems.raise_if_any()
    return before, Built(topology, lock, wanted)


def build(path: str) -> Topology:
    """Return the model of the topology at path."""
    return build_all(path).topology


def _fingerprint(path: str, topology: Topology) -> Fingerprint:
    """Return what changes when a file does. A directory counts as well: a file may be added to it."""
    found = []
    for file in (path, *topology.files, *topology.read_files, str(lock_path(path))):
        try:
            status = os.stat(file)
        except FileNotFoundError:
            found.append((file, 0, -1))
        else:
            found.append((file, status.st_mtime_ns, status.st_size))
    return tuple(found)
