# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a YAML file before it is parsed, and the parser's complaints in words that help."""

from __future__ import annotations

import re

import yaml

from .model import Where
from .problems import Problems

MAX_BYTES = 64 * 1024 * 1024
MAX_LINE = 65_536

_ALLOWED_BYTES = bytes(code for code in range(256) if code >= 0x20 and code != 0x7F) + b"\t\n\r"
# C1 controls, and the line and paragraph separators that editors and YAML count differently.
_FORBIDDEN_TEXT = re.compile("[\x80-\x9f\u2028\u2029\ufffe\uffff]")

_REMEDIES = (
    ("mapping values are not allowed", "a colon where no mapping can begin", "quote the text, or mend the indentation"),
    ("could not find expected ':'", "a key without a colon", "write 'key: value', or mend the indentation"),
    ("found undefined alias", "an alias without an anchor", "define the anchor (&name) above its first use"),
    ("did not find expected ',' or", "a list or mapping in brackets is not closed", "add the comma or closing bracket"),
    ("did not find expected node content", "a value is missing", "add it, or close the bracket above"),
    ("unexpected end of stream", "a quoted text is not closed", "add the closing quote"),
    ("did not find expected key", "the indentation fits nothing above", "mend the indentation or the brackets"),
    ("did not find expected '-'", "the indentation fits no list item above", "mend the indentation"),
    ("that cannot start any token", "a character that cannot begin a value", "put the value in quotes"),
    ("found unknown escape", "an unknown escape in double quotes", "use single quotes, or double the backslash"),
    ("block mapping", "the indentation fits nothing above", "mend the indentation"),
)


def _line_of(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def decode(data: bytes, file: str, problems: Problems) -> bytes | None:
    """Return the file's bytes when they are text that can be parsed; note what is wrong otherwise."""

    def refuse(line: int, message: str, remedy: str) -> None:
        problems.add(Where(file, line, "(file)"), message, remedy)

    if len(data) > MAX_BYTES:
        refuse(1, f"larger than {MAX_BYTES // 1024 // 1024} MiB", "split it with 'include'")
        return None
    try:
        text = None if data.isascii() else data.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = f"0x{data[error.start]:02x}"
        refuse(_line_of(data, error.start), f"the byte {byte} is not UTF-8", "save the file as UTF-8")
        return None
    bad = data.translate(None, _ALLOWED_BYTES)
    if bad:
        refuse(_line_of(data, data.index(bad[:1])), f"the control character 0x{bad[0]:02x}", "remove it")
        return None
    found = _FORBIDDEN_TEXT.search(text) if text else None
    if text and found:
        refuse(text.count("\n", 0, found.start()) + 1, f"the control character U+{ord(found[0]):04X}", "remove it")
        return None
    line = _long_line(data)
    if line:
        refuse(line, f"a line longer than {MAX_LINE} bytes", "break the line")
        return None
    return data


def _long_line(data: bytes) -> int | None:
    start = 0
    while len(data) - start > MAX_LINE:
        end = data.rfind(b"\n", start, start + MAX_LINE)
        if end < 0:
            return _line_of(data, start)
        start = end + 1
    return None


def _text_of_line(data: bytes, line: int) -> bytes:
    start = 0
    for _count in range(line - 1):
        start = data.find(b"\n", start) + 1
    end = data.find(b"\n", start)
    return data[start : end if end >= 0 else len(data)]


def explain(error: yaml.YAMLError, data: bytes) -> tuple[int, str, str]:
    """Return line, message and remedy of what the parser didn't like."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return 1, "not YAML", "check the file with yamllint"
    problem = f"{error.context or ''} {error.problem or ''}".strip()
    line = error.problem_mark.line + 1
    if b"\t" in _text_of_line(data, line)[: error.problem_mark.column + 1]:
        return line, "a tab stands where spaces must", "indent with spaces"
    for sign, message, remedy in _REMEDIES:
        if sign in problem:
            return line, message, remedy
    return line, f"not YAML: {problem}", "check the file with yamllint"
