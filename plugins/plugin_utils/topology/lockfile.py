# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock file: the numbers that were allocated, committed beside the topology like a package manager's lock.

It is a flat mapping from a resource's path to its numbers, sorted, one short line each: two branches
that add different resources merge line by line.
"""

from __future__ import annotations

import difflib
import os
import tempfile
import typing as t
from pathlib import Path

from .model import Where
from .problems import Problems
from .sources import read_bytes
from .yamlmap import Map, Reader

VERSION = 1
HEADER = (
    "# What weft.fabric allocated. Commit it with the topology; write it with: "
    "ansible-playbook -i TOPOLOGY weft.fabric.lock\n"
)

Entry = dict[str, t.Any]


class Lock:
    """Numbers by resource path, e.g. projects/blue/networks/web: {local_vlan: 7, segmentation_id: 4711}."""

    def __init__(self, file: str = "", entries: dict[str, Entry] | None = None, lines: dict[str, int] | None = None):
        self.file = file
        self.entries = entries if entries is not None else {}
        self.lines = lines if lines is not None else {}

    def get(self, path: str) -> Entry:
        return self.entries.get(path, {})

    def where(self, path: str) -> Where:
        return Where(self.file, self.lines.get(path, 1), path)

    def dump(self) -> str:
        """Return the file's text: the same entries give the same text, byte by byte."""
        root = os.path.basename(self.file).replace(".lock.", ".")
        # Where a directory is the inventory, Ansible tries each file in it: these lines tell the plugin to pass.
        plugin = f"plugin: weft.fabric.topology\npart_of: {root}\n"
        lines = [HEADER, plugin, f"version: {VERSION}\n", "allocated:\n" if self.entries else "allocated: {}\n"]
        for path in sorted(self.entries):
            values = ", ".join(f"{key}: {_scalar(value)}" for key, value in sorted(self.entries[path].items()))
            lines.append(f"  {path}: {{{values}}}\n")
        return "".join(lines)


def _scalar(value: t.Any) -> str:
    """Return a value in flow style; strings are quoted, as MACs and IPv6 addresses have colons."""
    if isinstance(value, list):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_scalar(item)}" for key, item in sorted(value.items())) + "}"
    return str(value) if isinstance(value, int) else f'"{value}"'


def lock_path(topology: str) -> Path:
    """Return where the lock of a topology stands: beside the file, or inside the directory."""
    path = Path(topology)
    return path / "topology.lock.yml" if path.is_dir() else path.with_suffix(".lock.yml")


def read_lock(path: Path, problems: Problems) -> Lock:
    """Read a lock file; a missing one is empty. What is wrong with it goes to problems."""
    file = str(path)
    if not path.exists():
        return Lock(file)
    remedy = "restore it from Git, or delete it and write it anew (numbers may then change)"
    data = read_bytes(file, problems)
    if data is None:
        return Lock(file)
    conflict = _conflict_line(data)
    if conflict:
        where = Where(file, conflict, "(file)")
        problems.add(where, "a merge conflict is unresolved", "keep the lines of both sides and remove the markers")
        return Lock(file)
    root = Reader(file, problems, lambda depth, key: False).read(data)
    if root is None:
        return Lock(file)
    allocated = root.get("allocated")
    if root.get("version") != VERSION or not isinstance(allocated, Map):
        problems.add(Where(file, 1, "(file)"), f"this is not a lock file of version {VERSION}", remedy)
        return Lock(file)
    entries: dict[str, Entry] = {}
    lines: dict[str, int] = {}
    for name, entry, line in allocated.entries():
        if isinstance(entry, Map):
            entries[name] = entry
            lines[name] = line
        else:
            problems.add(Where(file, line, f"allocated.{name}"), "an entry must be a mapping", remedy)
    return Lock(file, entries, lines)


def _conflict_line(data: bytes) -> int | None:
    """Return the line of the first marker that a merge has left behind."""
    for number, line in enumerate(data.split(b"\n"), 1) if b"<<<<<<< " in data else ():
        if line.startswith(b"<<<<<<< "):
            return number
    return None


def write_lock(path: Path, text: str) -> None:
    """Replace the lock file in one step."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".weft-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        # Readable like the topology beside it: both are committed.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def diff_lock(before: str, after: str, name: str) -> str:
    """Return the unified diff of two lock files' texts."""
    return "".join(
        difflib.unified_diff(before.splitlines(keepends=True), after.splitlines(keepends=True), name, name, n=0)
    )
