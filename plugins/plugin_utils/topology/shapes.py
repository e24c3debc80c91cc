# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes of which schema.py and its parts are made: mappings with known keys, mappings from names, lists."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from . import kinds
from .kinds import Kind


@dataclass(frozen=True)
class Resource:
    """A mapping with known keys."""

    noun: str
    attributes: tuple[Attribute, ...]
    free_prefix: str = ""  # keys that begin so are handed through to Ansible
    shorthand: str = ""  # the attribute that a single value stands for

    def attribute(self, name: str) -> Attribute:
        return next(attribute for attribute in self.attributes if attribute.name == name)


@dataclass(frozen=True)
class Named:
    """A mapping from names to resources."""

    resource: Resource
    key: Kind = kinds.NAME


@dataclass(frozen=True)
class ListOf:
    """A list."""

    item: Kind | Resource


Shape = Kind | Resource | Named | ListOf


@dataclass(frozen=True)
class Attribute:
    """One key: what it takes, whether it must be there, what it is when it isn't, and what it is for."""

    name: str
    shape: Shape
    help: str
    required: bool = False
    default: t.Any = None
