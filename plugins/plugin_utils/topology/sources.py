# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a topology: the root file, and those it includes."""

from __future__ import annotations

import glob
import os
import typing as t

from .checker import Checker
from .model import Where
from .problems import Problems, near_miss
from .schema import ROOT, is_free
from .yamlmap import Map, Reader, Seq
from .yamltext import MAX_BYTES

ROOT_NAMES = ("topology.yml", "topology.yaml")
SUFFIXES = (".yml", ".yaml")
LOCK_SUFFIXES = (".lock.yml", ".lock.yaml")


def root_of(path: str) -> str:
    """Return the root file that a path means: a directory stands for the topology.yml in it."""
    if os.path.isdir(path):
        for name in ROOT_NAMES:
            candidate = os.path.join(path, name)
            if os.path.exists(candidate):
                return candidate
        return os.path.join(path, ROOT_NAMES[0])
    return path


def lock_of(root: str) -> str:
    """Return the path of the lock file of a root file."""
    stem, suffix = os.path.splitext(root)
    return f"{stem}.lock{suffix}"


class Sources:
    """What the files say, as read: mappings with lines."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.documents: dict[str, Map] = {}
        self.files: list[str] = []  # all that were looked at, readable or not
        self.patterns: list[str] = []  # of included files: another file may match tomorrow
        self.complete = True  # False: a file could not be read, so names may be missing

    def read(self, paths: t.Sequence[str]) -> None:
        """Read the root files and what they include."""
        for path in paths:
            root = root_of(path)
            document = self._read_file(root)
            for file in self._included(root, document) if document is not None else []:
                self._read_file(file)

    def where(self, file: str, *parts: str | int) -> Where:
        """Return where something stands, as near as the files know."""
        value: t.Any = self.documents.get(file)
        line, path = 1, ""
        for part in parts:
            if isinstance(part, int):
                path += f"[{part}]"
                known = isinstance(value, Seq) and part < len(value)
            else:
                path += f".{part}" if path else part
                known = isinstance(value, Map) and part in value
            # What isn't written stands where it would have to be: at its resource.
            value, line = (value[part], value.line_of(part)) if known else (None, line)
        return Where(file, line, path or "(file)")

    def _read_file(self, file: str) -> Map | None:
        if file in self.files:
            return self.documents.get(file)
        self.files.append(file)
        data = read_bytes(file, self.problems)
        document = None if data is None else Reader(file, self.problems, is_free).read(data)
        if document is None:
            self.complete = False
        else:
            self.documents[file] = document
        return document

    def _included(self, root: str, document: Map) -> list[str]:
        """Return the files that a root file includes, in a stable order."""
        attribute = ROOT.attribute("include")
        line = document.line_of("include")
        # The values are checked with everything else; here a throw-away list takes what is wrong with them.
        patterns = Checker(root, Problems()).shape(attribute.shape, document.get("include"), line, "include") or []
        found: dict[str, None] = {}
        for index, pattern in enumerate(patterns):
            self.patterns.append(os.path.join(os.path.dirname(root), pattern))
            matches = [file for file in sorted(glob.glob(self.patterns[-1])) if self._is_part(file, root)]
            if not matches:
                known = os.listdir(os.path.dirname(root) or ".")
                meant = near_miss(pattern, known)
                remedy = f"write {meant!r}" if meant else "mend the path, which is relative to this file, or remove it"
                self.problems.add(self.where(root, "include", index), f"no file matches {pattern!r}", remedy)
                self.complete = False
            found.update(dict.fromkeys(matches))
        return list(found)

    @staticmethod
    def _is_part(file: str, root: str) -> bool:
        same = os.path.normpath(file) == os.path.normpath(root)
        return os.path.isfile(file) and not same and not file.endswith(LOCK_SUFFIXES)


def read_bytes(file: str, problems: Problems) -> bytes | None:
    """Return what a file holds; None when it can't be read, which has been noted then."""
    where = Where(file, 1, "(file)")
    try:
        # The size is asked first: what is too large must not come into memory.
        size = os.path.getsize(file)
        if size > MAX_BYTES:
            problems.add(where, f"larger than {MAX_BYTES // 1024 // 1024} MiB", "split it with 'include'")
            return None
        with open(file, "rb") as stream:
            return stream.read(size)
    except OSError as error:
        problems.add(where, f"can't be read: {error.strerror}", "mend the path or the permissions")
        return None
