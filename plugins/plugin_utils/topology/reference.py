# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of attributes in docs/topology.md, made from schema.py.

To write it anew: python -m ansible_collections.weft.fabric.plugins.plugin_utils.topology.reference docs/topology.md
"""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

from .schema import ROOT
from .shapes import Attribute, ListOf, Named, Resource, Shape

BEGIN = "<!-- begin: made from schema.py -->\n"
END = "<!-- end: made from schema.py -->\n"


def generate() -> str:
    """Return the reference: a table for each kind of resource."""
    parts = [_table(path, resource) for path, resource in _resources(ROOT, "")]
    return BEGIN + "\n" + "\n".join(parts) + "\n" + END


def put_into(page: str) -> str:
    """Return the page with its reference made anew."""
    before, rest = page.split(BEGIN)
    return before + generate() + rest.split(END)[1]


def _resources(resource: Resource, path: str) -> t.Iterator[tuple[str, Resource]]:
    yield path or "(top)", resource
    for attribute in resource.attributes:
        inner, suffix = _inner(attribute.shape)
        if inner is not None:
            yield from _resources(inner, f"{path}.{attribute.name}{suffix}".lstrip("."))


def _inner(shape: Shape) -> tuple[Resource | None, str]:
    if isinstance(shape, Named):
        return shape.resource, ".NAME"
    if isinstance(shape, ListOf):
        return (shape.item, "[]") if isinstance(shape.item, Resource) else (None, "")
    return (shape, "") if isinstance(shape, Resource) else (None, "")


def _table(path: str, resource: Resource) -> str:
    rows = "".join(
        f"| `{a.name}`{' (required)' if a.required else ''} | {_type(a)} | {a.help} |\n" for a in resource.attributes
    )
    return f"### `{path}`\n\n| Attribute | Takes | What for |\n|---|---|---|\n{rows}"


def _type(attribute: Attribute) -> str:
    shape = attribute.shape
    default = "" if attribute.default in (None, "") else f"; {str(attribute.default).lower()}"
    if isinstance(shape, Named):
        return f"{shape.resource.noun}s by name"
    if isinstance(shape, ListOf):
        noun = shape.item.noun
        return f"list, each {noun}" if not isinstance(shape.item, Resource) else f"list of {noun}s"
    return shape.noun + default


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(put_into(path.read_text(encoding="utf-8")), encoding="utf-8")
