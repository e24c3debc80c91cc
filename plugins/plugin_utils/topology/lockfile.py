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

import yaml

from .model import Where
from .problems import Problems

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
        lines = [HEADER, f"version: {VERSION}\n", "allocated:\n" if self.entries else "allocated: {}\n"]
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
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Lock(str(path))
    remedy = "restore it from Git, or delete it and write it anew (numbers may then change)"
    try:
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # the safe loader of libyaml
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        problems.add(Where(str(path), line, ""), "the lock file is not valid YAML (an unresolved merge?)", remedy)
        return Lock(str(path))
    if not isinstance(data, dict) or data.get("version") != VERSION or not isinstance(data.get("allocated"), dict):
        problems.add(Where(str(path), 1, ""), f"this is not a lock file of version {VERSION}", remedy)
        return Lock(str(path))
    entries: dict[str, Entry] = {}
    lines = _lines(root)
    for name, entry in data["allocated"].items():
        if not isinstance(entry, dict):
            problems.add(Where(str(path), lines.get(str(name), 1), str(name)), "an entry must be a mapping", remedy)
        else:
            entries[str(name)] = entry
    return Lock(str(path), entries, lines)


def _lines(root: t.Any) -> dict[str, int]:
    """Return the line of each entry."""
    for key, value in root.value:
        if key.value == "allocated" and isinstance(value, yaml.MappingNode):
            return {entry.value: entry.start_mark.line + 1 for entry, _value in value.value}
    return {}


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
