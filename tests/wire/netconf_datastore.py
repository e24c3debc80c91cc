# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What edit-config and a subtree filter mean (RFC 6241, 6 and 7.2), on trees of XML.

There is no YANG here: which elements are entries of a list, and by what key, is told by their name.
"""

from __future__ import annotations

import copy
import typing as t

from lxml import etree

NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
OPERATION = f"{{{NETCONF}}}operation"
OPERATIONS = {"merge", "replace", "create", "delete", "remove"}
# Of OpenConfig, Junos, IOS-XE and NX-OS. An element of such a name without its key is a container, as Junos has them.
KEYS: dict[str, tuple[str, ...]] = {
    "interface": ("name",),
    "subinterface": ("index",),
    "network-instance": ("name",),
    "vlan": ("vlan-id",),
    "neighbor": ("id",),
    "capability": ("name",),
    "unit": ("name",),
    "GigabitEthernet": ("name",),
    "TenGigabitEthernet": ("name",),
    "TwentyFiveGigE": ("name",),
    "FortyGigabitEthernet": ("name",),
    "HundredGigE": ("name",),
    "Port-channel": ("name",),
    "vlan-list": ("id",),
    "PhysIf-list": ("id",),
    "AggrIf-list": ("id",),
    "If-list": ("id",),
    "BD-list": ("fabEncap",),
    "RsMbrIfs-list": ("tDn",),
}
# Junos names its VLANs and finds them by name; OpenConfig's have both, and the number is the key.
OTHER_KEYS = {"vlan": ("name",)}
LEAF_LISTS = {"trunk-vlans", "members"}


class RpcError(Exception):
    """What stands in an rpc-error."""

    def __init__(self, tag: str, message: str, **more: t.Any) -> None:
        super().__init__(message)
        self.tag, self.message = tag, message
        self.kind: str = more.get("kind", "application")
        self.severity: str = more.get("severity", "error")
        self.path: str | None = more.get("path")
        self.info: dict[str, str] = more.get("info", {})

    def element(self) -> t.Any:
        error = etree.Element(f"{{{NETCONF}}}rpc-error", nsmap={None: NETCONF})
        fields = {"type": self.kind, "tag": self.tag, "severity": self.severity, "path": self.path}
        for name, text in fields.items():
            if text is not None:
                etree.SubElement(error, f"{{{NETCONF}}}error-{name}").text = text
        etree.SubElement(error, f"{{{NETCONF}}}error-message").text = self.message
        if self.info:
            info = etree.SubElement(error, f"{{{NETCONF}}}error-info")
            for name, text in self.info.items():
                etree.SubElement(info, f"{{{NETCONF}}}{name}").text = text
        return error


def local(element: t.Any) -> str:
    return etree.QName(element).localname


def parse(text: str | bytes) -> t.Any:
    parser = etree.XMLParser(remove_blank_text=True, remove_comments=True, resolve_entities=False)
    return etree.fromstring(text.encode() if isinstance(text, str) else text, parser)


def tree(text: str = "") -> t.Any:
    """Make a datastore of what stands inside its config element."""
    return parse(f'<config xmlns="{NETCONF}">{text}</config>')


def content(element: t.Any) -> str:
    """Return the text of a datastore, for people."""
    return "".join(etree.tostring(child, pretty_print=True, encoding="unicode") for child in element)


def child_of(element: t.Any, name: str) -> t.Any:
    """Return the child with this local name, whatever its namespace."""
    return next((child for child in element if local(child) == name), None)


def leaf(element: t.Any, *names: str) -> str | None:
    """Return the text of a leaf down a path of local names."""
    for name in names:
        element = child_of(element, name)
        if element is None:
            return None
    return (element.text or "").strip()


def keys_of(element: t.Any) -> dict[str, str]:
    """Return the keys of an entry of a list with their values; nothing for what is no entry."""
    for names in (KEYS.get(local(element), ()), OTHER_KEYS.get(local(element), ())):
        values = {name: leaf(element, name) for name in names}
        if values and None not in values.values():
            return {name: value or "" for name, value in values.items()}
    return {}


def path_of(element: t.Any) -> str:
    steps = []
    while element is not None and local(element) not in {"config", "data"} | OPERATIONS:
        keys = "".join(f"[{name}='{value}']" for name, value in keys_of(element).items())
        steps.append(f"{local(element)}{keys}")
        element = element.getparent()
        if element is not None and element.tag == f"{{{NETCONF}}}config":
            break
    return "/" + "/".join(reversed(steps))


def is_leaf(element: t.Any) -> bool:
    return len(element) == 0


def _find(parent: t.Any, item: t.Any) -> t.Any:
    keys = keys_of(item)
    for other in parent.iterchildren(item.tag):
        if keys:
            if keys_of(other) == keys or all(leaf(other, name) == value for name, value in keys.items()):
                return other
        elif local(item) not in LEAF_LISTS or (other.text or "").strip() == (item.text or "").strip():
            return other
    return None


def _without_operations(item: t.Any) -> t.Any:
    clean = copy.deepcopy(item)
    for element in clean.iter():
        element.attrib.pop(OPERATION, None)
    return clean


def edit(target: t.Any, config: t.Any, default: str = "merge") -> None:
    """Do what an edit-config says to a tree. What was done before an error stays: the caller decides about it."""
    if default == "replace":
        for child in list(target):
            target.remove(child)
    for item in config:
        _apply(target, item, "merge" if default == "replace" else default)


def _apply(parent: t.Any, item: t.Any, operation: str) -> None:
    operation = item.get(OPERATION, operation)
    if operation not in OPERATIONS | {"none"}:
        raise RpcError("bad-attribute", f"there is no operation {operation!r}", path=path_of(item))
    found = _find(parent, item)
    if operation in {"delete", "remove"}:
        if found is not None:
            parent.remove(found)
        elif operation == "delete":
            raise RpcError("data-missing", f"{path_of(item)} is not there to be deleted", path=path_of(item))
        return
    if operation == "create" and found is not None:
        raise RpcError("data-exists", f"{path_of(item)} is there already", path=path_of(item))
    if is_leaf(item) and (item.text or found is None or is_leaf(found)):
        _set_leaf(parent, item, found, operation)
    else:
        _set_inner(parent, item, found, operation)


def _set_leaf(parent: t.Any, item: t.Any, found: t.Any, operation: str) -> None:
    if operation == "none":
        return
    if found is None:
        parent.append(_without_operations(item))
    else:
        parent.replace(found, _without_operations(item))


def _set_inner(parent: t.Any, item: t.Any, found: t.Any, operation: str) -> None:
    keys = keys_of(item)
    if found is None and operation == "none" and keys:
        raise RpcError("data-missing", f"{path_of(item)} does not exist", path=path_of(item))
    if found is None or operation == "replace":
        fresh = etree.Element(item.tag, nsmap=item.nsmap)
        if found is None:
            parent.append(fresh)
        else:
            parent.replace(found, fresh)
        found = fresh
        for child in item:
            if local(child) in keys:
                found.append(_without_operations(child))
    for child in item:
        if local(child) not in keys:
            _apply(found, child, operation)
    # A container without contents is not there, for a reader.
    if len(found) == 0 and not item.text and len(item):
        parent.remove(found)


def select(source: t.Any, pattern: t.Any) -> t.Any:
    """Return what a subtree filter lets through of a tree."""
    result = etree.Element(source.tag, nsmap=source.nsmap)
    for wanted in pattern:
        for found in _named(source, wanted):
            part = _select(found, wanted)
            if part is not None:
                _join(result, part)
    return result


def _named(parent: t.Any, wanted: t.Any) -> list[t.Any]:
    name = etree.QName(wanted)
    any_namespace = name.namespace in (None, "", NETCONF)
    return [child for child in parent if local(child) == name.localname and (any_namespace or child.tag == wanted.tag)]


def _select(source: t.Any, pattern: t.Any) -> t.Any:
    matches = [child for child in pattern if is_leaf(child) and (child.text or "").strip()]
    for match in matches:
        if all((found.text or "").strip() != match.text.strip() for found in _named(source, match)):
            return None
    others = [child for child in pattern if child not in matches]
    if not others:
        return copy.deepcopy(source)
    result = etree.Element(source.tag, nsmap=source.nsmap)
    for name in keys_of(source):
        result.append(copy.deepcopy(child_of(source, name)))
    for wanted in others:
        for found in _named(source, wanted):
            part = _select(found, wanted)
            if part is not None and local(part) not in keys_of(source):
                _join(result, part)
    return result if len(result) else None


def _join(parent: t.Any, part: t.Any) -> None:
    same = None if is_leaf(part) else _find(parent, part)
    if same is None:
        parent.append(part)
        return
    for child in part:
        if is_leaf(child) and _find(same, child) is not None:
            continue
        _join(same, child)
