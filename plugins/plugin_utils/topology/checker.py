# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks mappings against the schema, and returns what they say.

A value that is wrong is noted and left out, and reading goes on: all problems are told at once.
"""

from __future__ import annotations

import typing as t

from .kinds import Kind, Wrong, kind_of
from .model import Where
from .problems import Problems, near_miss, shown
from .shapes import Attribute, ListOf, Named, Resource, Shape
from .yamlmap import Map, Seq

Read = dict[str, t.Any]


class Entry:
    """A named resource that was read: name, line, path, and attributes (dict)."""

    __slots__ = ("name", "line", "path", "values", "complete", "problems_before")

    def __init__(self, name: str, line: int, path: str, values: Read, complete: bool, problems_before: int) -> None:
        self.name = name
        self.line = line
        self.path = path
        self.values = values
        self.complete = complete
        self.problems_before = problems_before


class Checker:
    """Checks the mappings of one file."""

    def __init__(self, file: str, problems: Problems) -> None:
        self._file = file
        self._problems = problems
        self._attributes: dict[int, dict[str, Attribute]] = {}

    def note(self, line: int, path: str, message: str, remedy: str) -> None:
        self._problems.add(Where(self._file, line, path or "(file)"), message, remedy)

    def resource(self, resource: Resource, value: t.Any, line: int, path: str) -> tuple[Read, bool]:
        """Return the attributes given, and whether all required ones are among them."""
        if value is None:
            value = _EMPTY
        if not isinstance(value, Map):
            return self._no_mapping(resource, value, line, path)
        known = self._attributes.get(id(resource))
        if known is None:
            known = self._attributes[id(resource)] = {a.name: a for a in resource.attributes}
        given: Read = {}
        for key, item, item_line in value.entries():
            attribute = known.get(key)
            if attribute is None:
                self._unknown(resource, known, key, item, item_line, path, given)
                continue
            if isinstance(attribute.shape, Kind):
                # The common case, without a call.
                try:
                    given[key] = attribute.shape.parse(item)
                except Wrong as wrong:
                    self.note(item_line, _join(path, key), wrong.message, wrong.remedy)
                continue
            read = self.shape(attribute.shape, item, item_line, _join(path, key))
            if read is not None:
                given[key] = read
        complete = True
        for attribute in resource.attributes:
            if attribute.required and attribute.name not in given:
                complete = False
                if attribute.name not in value:
                    self.note(line, path, f"{attribute.name!r} is missing", _addition(attribute))
        return given, complete

    def _no_mapping(self, resource: Resource, value: t.Any, line: int, path: str) -> tuple[Read, bool]:
        """Read a single value that stands for the whole resource, where it may."""
        if not resource.shorthand or isinstance(value, Seq):
            self.note(line, path, f"is {kind_of(value)}, not a mapping", f"write the attributes of the {resource.noun}")
            return {}, False
        read = self.shape(resource.attribute(resource.shorthand).shape, value, line, path)
        return ({}, False) if read is None else ({resource.shorthand: read}, True)

    def _unknown(
        self,
        resource: Resource,
        known: dict[str, Attribute],
        key: str,
        item: t.Any,
        line: int,
        path: str,
        given: Read,
    ) -> None:
        if resource.free_prefix and key.startswith(resource.free_prefix) and key.isidentifier():
            given[key] = item
            return
        meant = None if self._problems.full else near_miss(key, known)
        self.note(
            line,
            path,
            f"there is no attribute {shown(key)} here",
            f"write {meant!r}" if meant else "use one of " + ", ".join(known),
        )

    def shape(self, shape: Shape, value: t.Any, line: int, path: str) -> t.Any:
        """Return what was read, or None when nothing could be."""
        if isinstance(shape, Named):
            return self.named(shape, value, line, path)
        if isinstance(shape, ListOf):
            return self._list(shape, value, line, path)
        if isinstance(shape, Resource):
            given, complete = self.resource(shape, value, line, path)
            return given if complete else None
        try:
            return shape.parse(value)
        except Wrong as wrong:
            self.note(line, path, wrong.message, wrong.remedy)
            return None

    def named(self, shape: Named, value: t.Any, line: int, path: str) -> t.Iterator[Entry]:
        """Yield the entries of a mapping from names to resources, one at a time: there can be very many."""
        if value is None:
            return
        if not isinstance(value, Map):
            what = f"is {kind_of(value)}, not a mapping"
            self.note(line, path, what, f"write a name, a colon and the {shape.resource.noun}")
            return
        parse, resource, prefix = shape.key.parse, shape.resource, path + "."
        for name, item, item_line in value.entries():
            before = self._problems.total
            try:
                parse(name)
            except Wrong as wrong:
                self.note(item_line, path, wrong.message, wrong.remedy)
                continue
            item_path = prefix + name
            given, complete = self.resource(resource, item, item_line, item_path)
            yield Entry(name, item_line, item_path, given, complete, before)

    def _list(self, shape: ListOf, value: t.Any, line: int, path: str) -> list[t.Any] | None:
        if value is None:
            return []
        if not isinstance(value, Seq):
            self.note(line, path, f"is {kind_of(value)}, not a list", "write a list: [one, two]")
            return None
        read = []
        for index, item in enumerate(value):
            parsed = self.shape(shape.item, item, value.line_of(index), f"{path}[{index}]")
            if parsed is not None:
                read.append(parsed)
        return read


def _addition(attribute: Attribute) -> str:
    return f"add {attribute.name}, {attribute.help[0].lower()}{attribute.help[1:].rstrip('.')}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


_EMPTY = Map()
_EMPTY.line = 0
_EMPTY.lines = None
