# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The published JSON Schema, made from the table in schema.py.

Editors complete and check topologies with it. To write docs/topology.schema.json anew:
python -m ansible_collections.weft.fabric.plugins.plugin_utils.topology.json_schema docs/topology.schema.json
"""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

from .kinds import Kind, Text
from .schema import ROOT
from .shapes import Attribute, ListOf, Named, Resource, Shape

Fragment = dict[str, t.Any]


def generate() -> str:
    """Return the schema's text."""
    definitions: dict[str, Fragment] = {}
    root = _resource(ROOT, definitions)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Topology of weft.fabric",
        "description": "One file says which networks, subnets, ports and hosts exist. Below a name, empty means {}.",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }
    return json.dumps(schema, indent=2) + "\n"


def _resource(resource: Resource, definitions: dict[str, Fragment]) -> Fragment:
    fragment: Fragment = {
        "type": ["object", "null"] if not any(a.required for a in resource.attributes) else "object",
        "additionalProperties": False,
        "properties": {a.name: _attribute(a, definitions) for a in resource.attributes},
    }
    if resource.free_prefix:
        fragment["patternProperties"] = {f"^{resource.free_prefix}[A-Za-z0-9_]*$": {}}
    required = [a.name for a in resource.attributes if a.required]
    if required:
        fragment["required"] = required
    if resource.shorthand:
        return {"anyOf": [_shape(resource.attribute(resource.shorthand).shape, definitions), fragment]}
    return fragment


def _attribute(attribute: Attribute, definitions: dict[str, Fragment]) -> Fragment:
    fragment = {"description": attribute.help, **_shape(attribute.shape, definitions)}
    if attribute.default is not None:
        fragment["default"] = attribute.default
    return fragment


def _shape(shape: Shape, definitions: dict[str, Fragment]) -> Fragment:
    if isinstance(shape, Kind):
        return shape.schema()
    if isinstance(shape, ListOf):
        return {"type": ["array", "null"], "items": _shape(shape.item, definitions)}
    if isinstance(shape, Named):
        named: Fragment = {"type": ["object", "null"], "additionalProperties": _reference(shape.resource, definitions)}
        if isinstance(shape.key, Text):
            named["propertyNames"] = {"pattern": shape.key.schema()["pattern"]}
        return named
    return _reference(shape, definitions)


def _reference(resource: Resource, definitions: dict[str, Fragment]) -> Fragment:
    name = resource.noun.replace(" ", "_")
    if name not in definitions:
        definitions[name] = {}
        definitions[name] = _resource(resource, definitions)
    return {"$ref": f"#/$defs/{name}"}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(generate(), encoding="utf-8")
