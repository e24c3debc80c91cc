# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML as switches want it, and what is found in theirs. Pure.

Written here and not by a library, because some switches understand only default namespaces, and a
value that names an identity needs its prefix declared where it stands.
"""

from __future__ import annotations

import typing as t
from xml.sax.saxutils import escape, quoteattr

NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"


class Node(object):
    """An element that is to be sent."""

    __slots__ = ("namespace", "name", "children", "text", "operation", "prefixes")

    def __init__(
        self,
        namespace: str,
        name: str,
        *children: t.Optional[Node],
        text: t.Any = None,
        operation: str = "",
        prefixes: t.Optional[t.Dict[str, str]] = None,
    ):
        self.namespace = namespace
        self.name = name
        self.children = [child for child in children if child is not None]
        self.text = None if text is None else str(text)
        self.operation = operation
        self.prefixes = prefixes or {}

    def render(self, around: str = "", indent: int = 0) -> str:
        """Return it as text; around is the default namespace where it goes."""
        declared = "" if self.namespace == around else " xmlns=%s" % quoteattr(self.namespace)
        for prefix, namespace in sorted(self.prefixes.items()):
            declared += " xmlns:%s=%s" % (prefix, quoteattr(namespace))
        if self.operation:
            declared += ' xmlns:nc="%s" nc:operation="%s"' % (NETCONF, self.operation)
        start = "%s<%s%s" % (" " * indent, self.name, declared)
        if self.text is not None:
            return "%s>%s</%s>" % (start, escape(self.text), self.name)
        if not self.children:
            return start + "/>"
        inner = "\n".join(child.render(self.namespace, indent + 1) for child in self.children)
        return "%s>\n%s\n%s</%s>" % (start, inner, " " * indent, self.name)


class Maker(object):
    """Makes elements of one namespace: maker("vlan-id", 120), maker("config", child, child)."""

    def __init__(self, namespace: str):
        self.namespace = namespace

    def __call__(self, name: str, *inner: t.Any, operation: str = "") -> Node:
        if len(inner) == 1 and not isinstance(inner[0], Node) and inner[0] is not None:
            return Node(self.namespace, name, text=inner[0], operation=operation)
        return Node(self.namespace, name, *inner, operation=operation)

    def named(self, name: str, value: str, prefix: str, namespace: str) -> Node:
        """Make an element whose value is an identity of another module."""
        return Node(self.namespace, name, text="%s:%s" % (prefix, value), prefixes={prefix: namespace})


def local(element: t.Any) -> str:
    """Return an element's name without its namespace; nothing for a comment."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def children(element: t.Any, name: str) -> t.List[t.Any]:
    """Return the children of this name, whatever their namespace: models move, their names stay."""
    return [] if element is None else [child for child in element if local(child) == name]


def child(element: t.Any, *path: str) -> t.Any:
    """Return the first element down a path of names, or None."""
    for name in path:
        found = children(element, name)
        if not found:
            return None
        element = found[0]
    return element


def text(element: t.Any, *path: str) -> t.Optional[str]:
    """Return the text of a leaf down a path, or None where it is not there."""
    found = child(element, *path)
    return None if found is None else (found.text or "").strip()


def word(element: t.Any, *path: str) -> str:
    """Return an identity or an enumeration without its prefix."""
    return (text(element, *path) or "").rpartition(":")[2]


def number(element: t.Any, *path: str) -> t.Optional[int]:
    found = text(element, *path)
    return int(found) if found and found.isdigit() else None


def flag(element: t.Any, *path: str, default: bool) -> bool:
    found = text(element, *path)
    return default if found is None else found == "true"
