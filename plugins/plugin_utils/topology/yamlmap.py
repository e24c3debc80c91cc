# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML with the line of every key and item, from the parser's events.

Why not a YAML loader: none keeps lines without a heavy object per value, all of them let the last of
two equal keys win, and guess types (a MAC address of digits is a number of base 60 to YAML 1.1).
Here a plain scalar is a number, a boolean or null where YAML 1.2 says so, and text otherwise.

Nothing here recurses, and all sizes are bounded: a hostile file costs no more than a good one of its size.
"""

from __future__ import annotations

import re
import typing as t
from array import array

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from .model import Where
from .problems import Problems, shown
from .yamltext import decode, explain

MAX_DEPTH = 64
MAX_ROOT_KEYS = 100
MAX_NODES = 12_000_000
MAX_CONTAINERS = 3_000_000
# An alias is free to write and expands to all it stands for: ten levels of ten make ten thousand million.
MAX_ALIASED_NODES = 1_000_000

_MAX_PATH = 160

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}|0o[0-7]{1,30}|0x[0-9a-fA-F]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_NOT_TEXT_START = frozenset("-+.0123456789tTfFnN~")

Value = t.Any


class Unsafe(str):
    """Text under !unsafe: Ansible must never template it."""

    __slots__ = ()


class Vault(str):
    """Text under !vault: decrypted by Ansible, never here."""

    __slots__ = ()


def _packed(line: int, lines: list[int]) -> array[int] | None:
    """Return the lines of a container's entries, or None where all stand on its own line."""
    return None if all(other == line for other in lines) else array("I", lines)


class Map(dict[str, Value]):
    """A mapping that knows its line and those of its keys."""

    __slots__ = ("line", "lines")

    line: int
    lines: array[int] | None

    def entries(self) -> t.Iterator[tuple[str, Value, int]]:
        """Yield key, value and line."""
        lines = self.lines
        for index, (key, value) in enumerate(self.items()):
            yield key, value, self.line if lines is None else lines[index]

    def line_of(self, key: t.Any) -> int:
        for known, _value, line in self.entries():
            if known == key:
                return line
        return self.line


class Seq(list[Value]):
    """A list that knows its line and those of its items."""

    __slots__ = ("line", "lines")

    line: int
    lines: array[int] | None

    def line_of(self, index: t.Any) -> int:
        if self.lines is None or not isinstance(index, int) or index >= len(self.lines):
            return self.line
        return self.lines[index]


class _Frame:
    """A container that is being read."""

    __slots__ = ("is_map", "map", "seq", "line", "lines", "key", "key_line", "anchor", "size", "free", "merges")

    def __init__(self, is_map: bool, line: int, anchor: str | None, free: bool) -> None:
        # Both are there, one is used: cheaper than asking each time which one there is.
        self.is_map = is_map
        self.map = Map()
        self.seq = Seq()
        self.line = line
        self.lines: list[int] = []
        self.key: str | None = None  # of the value that comes next
        self.key_line = line
        self.anchor = anchor
        self.size = 1
        self.free = free
        self.merges: list[Map] = []

    def finish(self) -> Map | Seq:
        """Return the container, now complete."""
        if not self.is_map:
            self.seq.line = self.line
            self.seq.lines = _packed(self.line, self.lines)
            return self.seq
        for source in self.merges:
            for key, value, line in source.entries():
                if key not in self.map:
                    self.map[key] = value
                    self.lines.append(line)
        self.map.line = self.line
        self.map.lines = _packed(self.line, self.lines)
        return self.map


class _Stop(Exception):
    """The file can't be read any further; the problem has been noted."""


def resolve(text: str) -> Value:
    """Return what a plain scalar means (YAML 1.2 core schema)."""
    if text in _NULL:
        return None
    if text[0] not in _NOT_TEXT_START:
        return text
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if len(text) <= 60 and _FLOAT.fullmatch(text):
        return float(text)
    return text


class _AnsibleScalars:
    """Reads plain scalars as Ansible does (YAML 1.1), for what is handed through to Ansible."""

    def __init__(self) -> None:
        self._resolver = yaml.resolver.Resolver()
        self._constructor = yaml.constructor.SafeConstructor()

    def __call__(self, text: str) -> Value:
        resolver: t.Any = self._resolver
        tag = resolver.resolve(yaml.ScalarNode, text, (True, False))
        if tag == "tag:yaml.org,2002:str":
            return text
        return self._constructor.construct_object(yaml.ScalarNode(tag, text))


def _parser(data: bytes) -> t.Any:
    # PyYAML can be built without libyaml: slower, the same events.
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)(data)


class Reader:
    """Reads one file. is_free(depth, key) says below which keys values belong to Ansible."""

    def __init__(self, file: str, problems: Problems, is_free: t.Callable[[int, str], bool]) -> None:
        self._file = file
        self._problems = problems
        self._is_free = is_free
        self._frames: list[_Frame] = []
        self._anchors: dict[str, tuple[Value, int]] = {}
        self._open_anchors: set[str] = set()
        self._nodes = 0
        self._containers = 0
        self._aliased = 0
        self._result: Value = None
        # One object for all the equal names: a fabric says "network" a hundred thousand times.
        self._texts: dict[str, str] = {}
        self._ansible = _AnsibleScalars()

    def read(self, data: bytes) -> Map | None:
        """Return the file's mapping; None when it can't be read, which has been noted then."""
        text = decode(data, self._file, self._problems)
        if text is None:
            return None
        try:
            self._read_events(text)
        except yaml.YAMLError as error:
            line, message, remedy = explain(error, text)
            self._problems.add(Where(self._file, line, self._path()), message, remedy)
            return None
        except _Stop:
            return None
        if not isinstance(self._result, Map):
            self._problems.add(Where(self._file, 1, "(file)"), "holds no mapping", "begin it with 'key: value' lines")
            return None
        return self._result

    # Written for speed: this runs a million times for a large fabric.
    def _read_events(self, data: bytes) -> None:
        parser = _parser(data)
        documents = 0
        try:
            get_event = parser.get_event
            while True:
                event = get_event()
                kind = type(event)
                if kind is ScalarEvent:
                    self._scalar(event)
                elif kind is MappingStartEvent:
                    self._open(event, True)
                elif kind is MappingEndEvent or kind is SequenceEndEvent:
                    self._close()
                elif kind is SequenceStartEvent:
                    self._open(event, False)
                elif kind is AliasEvent:
                    self._alias(event)
                elif kind is DocumentStartEvent:
                    documents += 1
                    if documents > 1:
                        self._stop(event, "a second YAML document begins here", "keep one document in a file")
                elif kind is StreamEndEvent:
                    return
        finally:
            parser.dispose()

    def _scalar(self, event: t.Any) -> None:
        value = event.value
        value = self._texts.setdefault(value, value)
        frame = self._frames[-1] if self._frames else None
        if frame is not None and frame.is_map and frame.key is None:
            if event.tag is not None:
                self._stop(event, f"the tag {shown(event.tag)} on a key", "remove it")
            if event.anchor is not None:
                self._anchors[event.anchor] = (value, 1)
            self._take_key(frame, frame.map, value, event)
            return
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._stop(event, f"more than {MAX_NODES} values", "split the fabric")
        if event.tag is not None:
            value = self._tagged(event, frame)
        elif event.implicit[0]:
            value = self._plain(event, frame)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._put(frame, value, 1, event)

    def _plain(self, event: t.Any, frame: _Frame | None) -> Value:
        text: str = event.value
        if frame is None or not (frame.free or self._key_is_free(frame)):
            value = resolve(text)
            return self._texts.setdefault(text, text) if value is text else value
        try:
            return self._ansible(text)
        except (ValueError, yaml.YAMLError):
            self._stop(event, f"{shown(text)} is not a value that YAML knows", "put it in quotes")

    def _tagged(self, event: t.Any, frame: _Frame | None) -> Value:
        free = frame is not None and (frame.free or self._key_is_free(frame))
        if event.tag == "!unsafe" and free:
            return Unsafe(event.value)
        if event.tag in ("!vault", "!vault-encrypted") and free:
            return Vault(event.value)
        if event.tag in ("!unsafe", "!vault", "!vault-encrypted"):
            self._stop(event, f"the tag {event.tag} on a resource", "use it below a host's 'vars' only")
        if event.tag not in ("!", "tag:yaml.org,2002:str"):
            self._stop(event, f"the tag {shown(event.tag)} is not allowed", "remove it")
        return event.value

    def _take_key(self, frame: _Frame, container: Map, key: str, event: t.Any) -> None:
        line = event.start_mark.line + 1
        frame.key = key
        frame.key_line = line
        if key in container:
            first = frame.lines[list(container).index(key)]
            self._note(line, f"the key is there twice, first on line {first}", "remove or rename one of them")
        elif len(self._frames) == 1 and len(container) >= MAX_ROOT_KEYS:
            self._stop(event, f"more than {MAX_ROOT_KEYS} keys at the top", "check whether this is a topology at all")

    def _put(self, frame: _Frame | None, value: Value, size: int, event: t.Any) -> None:
        if frame is None:
            self._result = value
            return
        frame.size += size
        if not frame.is_map:
            frame.seq.append(value)
            frame.lines.append(event.start_mark.line + 1)
            return
        container, key = frame.map, frame.key or ""
        if key == "<<":
            self._merge(frame, value, event)
        elif key not in container:
            container[key] = value
            frame.lines.append(frame.key_line)
        frame.key = None

    def _merge(self, frame: _Frame, value: Value, event: t.Any) -> None:
        sources = value if isinstance(value, Seq) else [value]
        if not all(isinstance(source, Map) for source in sources):
            self._stop(event, "<< merges mappings, and this is none", "name an anchored mapping: '<<: *name'")
        frame.merges.extend(sources)
        self._count_aliased(sum(len(source) for source in sources), event)

    def _open(self, event: t.Any, is_map: bool) -> None:
        parent = self._frames[-1] if self._frames else None
        if parent is not None and parent.is_map and parent.key is None:
            self._stop(event, "a mapping or list is used as a key", "use text as the key")
        if event.tag is not None:
            self._stop(event, f"the tag {shown(event.tag)} is not allowed here", "remove it")
        self._containers += 1
        if self._containers > MAX_CONTAINERS:
            self._stop(event, f"more than {MAX_CONTAINERS} mappings and lists", "split the fabric")
        if len(self._frames) >= MAX_DEPTH:
            self._stop(event, f"nested deeper than {MAX_DEPTH} levels", "flatten it")
        free = parent is not None and (parent.free or self._key_is_free(parent))
        if event.anchor is not None:
            self._open_anchors.add(event.anchor)
            self._anchors.pop(event.anchor, None)
        self._frames.append(_Frame(is_map, event.start_mark.line + 1, event.anchor, free))

    def _close(self) -> None:
        frame = self._frames.pop()
        value = frame.finish()
        if frame.anchor is not None:
            self._open_anchors.discard(frame.anchor)
            self._anchors[frame.anchor] = (value, frame.size)
        parent = self._frames[-1] if self._frames else None
        self._put(parent, value, frame.size, _At(frame.line))

    def _alias(self, event: t.Any) -> None:
        name = event.anchor
        if name in self._open_anchors:
            self._stop(event, f"the alias *{name} stands inside its own anchor: a cycle", "remove the alias")
        if name not in self._anchors:
            self._stop(event, f"the alias *{name} has no anchor", "define the anchor (&name) above its first use")
        value, size = self._anchors[name]
        self._count_aliased(size, event)
        frame = self._frames[-1] if self._frames else None
        if frame is not None and frame.is_map and frame.key is None:
            if not isinstance(value, str):
                self._stop(event, f"the alias *{name} is used as a key and is no text", "use text as the key")
            self._take_key(frame, frame.map, value, event)
            return
        self._put(frame, value, size, event)

    def _count_aliased(self, size: int, event: t.Any) -> None:
        self._aliased += size
        if self._aliased > MAX_ALIASED_NODES:
            self._stop(event, f"aliases expand to more than {MAX_ALIASED_NODES} values", "write the values out")

    def _key_is_free(self, frame: _Frame) -> bool:
        return frame.key is not None and self._is_free(len(self._frames), frame.key)

    def _path(self) -> str:
        path = ""
        for frame in self._frames:
            if not frame.is_map:
                path += f"[{len(frame.seq)}]"
            elif frame.key is not None:
                path += ("." if path else "") + (frame.key if frame.key.isprintable() else shown(frame.key))[:63]
        return path[:_MAX_PATH] + "…" if len(path) > _MAX_PATH else path or "(file)"

    def _note(self, line: int, message: str, remedy: str) -> None:
        self._problems.add(Where(self._file, line, self._path()), message, remedy)

    def _stop(self, event: t.Any, message: str, remedy: str) -> t.NoReturn:
        self._note(event.start_mark.line + 1, message, remedy)
        raise _Stop


class _At:
    """A place that looks like an event: where a container that just ended began."""

    __slots__ = ("start_mark", "line")

    def __init__(self, line: int) -> None:
        self.line = line - 1
        self.start_mark = self
