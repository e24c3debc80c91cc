# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was fetched from a boot server: nginx's log, one JSON object in each line."""

from __future__ import annotations

import contextlib
import json
import os
import re
import typing as t

from ansible_collections.weft.fabric.plugins.module_utils.netboot_paths import Paths
from ansible_collections.weft.fabric.plugins.module_utils.reconcile import read_file

# What one log may come to before it makes way, in bytes; there is one older one.
LIMIT = 4 << 20

# nginx notes where it found a file, however it was asked: what is one node's own bears the address of the node.
_OWN = (
    (re.compile(r"\A(nodes/[^/]+)/[^/]+(\.ipxe)\Z"), r"\1\2"),
    (re.compile(r"\A(deployments/[^/]+)/[^/]+(/identity\.cpio)\Z"), r"\1\2"),
)


class Fetch(t.NamedTuple):
    """A file that somebody got, at least in part."""

    time: str
    address: str
    file: str


def fetches(paths: Paths, server: str) -> t.List[Fetch]:
    """Return all that was fetched from a boot server, the oldest first."""
    found = []
    for path in _files(paths, server):
        for line in (read_file(path) or "").splitlines():
            fetch = _parse(line)
            if fetch is not None:
                found.append(fetch)
    return found


def _parse(line: str) -> t.Optional[Fetch]:
    try:
        item = json.loads(line)
    except ValueError:
        return None  # cut short by a power failure
    if not isinstance(item, dict) or item.get("method") != "GET":
        return None
    file = str(item.get("file")).lstrip("/")
    for pattern, name in _OWN:
        file = pattern.sub(name, file)
    return Fetch(str(item.get("time")), str(item.get("address")), file)


def _files(paths: Paths, server: str) -> t.List[str]:
    return [paths.log(server) + ".1", paths.log(server)]


def full(paths: Paths, server: str) -> bool:
    """Whether a log has to make way."""
    try:
        return os.stat(paths.log(server)).st_size > LIMIT
    except FileNotFoundError:
        return False


def rotate(paths: Paths, server: str) -> bool:
    """Set a log aside when it is full. nginx goes on writing there until it is told to reload."""
    if not full(paths, server):
        return False
    older, newest = _files(paths, server)
    os.rename(newest, older)
    return True


def remove(paths: Paths, server: str) -> None:
    """Remove the logs of a server."""
    for path in _files(paths, server):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
